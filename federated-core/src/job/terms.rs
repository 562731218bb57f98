use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    compression::Encoding,
    config::{JobConfig, SecureConfig, StrategyConfig},
    ids::{Digest, RoundNumber},
    model::ModelLayout,
    privacy::dp::terms::PrivacyTerms,
    round::{RunPlan, SecurePlan},
    task::training_hash,
};

/// What was agreed when a job began. It stays as it is until the job's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobTerms {
    /// Rounds, cohort, time-outs, seed.
    pub plan: RunPlan,
    /// What participants do and how updates become a model.
    pub strategy: StrategyConfig,
    /// How updates travel to the coordinator.
    pub compression: Encoding,
    /// The `[training]` table, for the trainers.
    pub settings: BTreeMap<String, String>,
    /// What its rounds do for differential privacy.
    pub privacy: Option<PrivacyTerms>,
    /// Which tensors the model has.
    pub layout: ModelLayout,
    /// The model that the first round starts from.
    pub initial_model: Digest,
}

impl JobTerms {
    /// What a job file and its initial model come to.
    #[must_use]
    pub fn new(config: JobConfig, layout: ModelLayout, initial_model: Digest) -> Self {
        let JobConfig { plan, strategy, compression, settings, secure, privacy, .. } = config;
        let plan = match secure {
            None => plan,
            Some(SecureConfig { terms, grouping, roster }) => {
                // The same in every round: no strategy that a job file can name changes what participants do.
                let work = strategy.build().local_work(RoundNumber::FIRST);
                let training =
                    training_hash(plan.rounds().get(), &layout, &work, &settings, privacy.as_ref());
                plan.secured(SecurePlan { terms, grouping, training, roster })
            }
        };
        Self { plan, strategy, compression, settings, privacy, layout, initial_model }
    }
}
