//! How the updates of an attempt become a new model: read one by one, or masked and together.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    sync::Arc,
};

use federated_core::{
    aggregate::{Aggregation, Aggregator},
    ids::{Digest, ParticipantName, TaskId},
    model::ModelLayout,
    privacy::{
        dp::{CentralNoise, NoiseSeed, terms::PrivacyTerms},
        secagg::{
            CoordinatorProtocol as _, CoordinatorSession, GroupSum, Groups, Mask, MaskError, PreparedMask,
            SessionId, UnmaskError, Unmasking, VectorPlan,
        },
    },
    round::Receipt,
    strategy::Strategy,
};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::{
    coordinator::message::{Published, Summed},
    store::{Division, MaskedGroup, MaskedReduction, MeanNoise, Reduction, Store},
};

/// What is combined.
pub(super) struct Combination {
    pub(super) task: TaskId,
    pub(super) layout: ModelLayout,
    /// The model that the updates start from.
    pub(super) base: Digest,
    pub(super) strategy: Box<dyn Strategy>,
    pub(super) contributions: BTreeMap<ParticipantName, Receipt>,
    /// Of masked updates: what takes the masks off their sums, and how they are vectors.
    pub(super) masked: Option<(Arc<Groups>, VectorPlan)>,
    /// So many updates are needed.
    pub(super) quorum: NonZeroU32,
    /// Whether each update is compared with its digest first.
    pub(super) verify: bool,
    /// What hides each participant in the mean, if the coordinator adds noise to it.
    pub(super) noise: Option<CentralTerms>,
}

/// How much noise the coordinator adds, and over how many who were asked.
#[derive(Clone, Copy)]
pub(super) struct CentralTerms {
    pub(super) terms: PrivacyTerms,
    pub(super) asked: u32,
}

impl Combination {
    /// Makes the new model; or says for the operator why there is none.
    pub(super) fn run(self, store: &Store) -> Result<Published, String> {
        match &self.masked {
            None => self.read(store),
            Some((groups, plan)) => self.unmask(store, groups, plan),
        }
    }

    fn read(&self, store: &Store) -> Result<Published, String> {
        let Self { task, layout, base, strategy, contributions, verify, .. } = self;
        let (base, strategy, division, verify) = (*base, strategy.as_ref(), Division::default(), *verify);
        let noise = self.noise.map(|noise| noise.mechanism(layout.elements())).transpose()?;
        let noise = noise.as_ref().map(|(mechanism, seed)| MeanNoise { mechanism, seed });
        let reduction = Reduction { task, layout, base, contributions, strategy, division, verify, noise };
        let model = reduction.run(store).map_err(|error| error.to_string())?;
        Ok(Published { model, sum: None })
    }

    fn unmask(&self, store: &Store, groups: &Groups, plan: &VectorPlan) -> Result<Published, String> {
        let rule: &dyn Aggregator = match self.strategy.aggregation() {
            Aggregation::Linear(rule) => rule,
            Aggregation::Columns(rule) => rule,
            Aggregation::Selection(_) => return Err("sums cannot be chosen among".to_owned()),
        };
        let (sessions, masked) = self.groups(groups)?;
        let reduction = MaskedReduction {
            task: &self.task,
            layout: &self.layout,
            base: self.base,
            groups: &masked,
            rule,
            plan,
            strategy: self.strategy.as_ref(),
            division: Division::default(),
            verify: self.verify,
        };
        let unmasked = reduction.run(store).map_err(|error| error.to_string())?;
        let mut sums = Vec::new();
        for ((session, group), sum) in sessions.into_iter().zip(masked).zip(unmasked.sums) {
            let survivors: BTreeSet<ParticipantName> = group.survivors.into_keys().collect();
            let (count, masks) = (survivors.len(), group.masks.len());
            tracing::info!(task = %self.task, %session, %sum, survivors = count, masks, "a sum is unmasked");
            sums.push(GroupSum { session, survivors, sum });
        }
        Ok(Published { model: unmasked.model, sum: Some(Summed { totals: unmasked.totals, sums }) })
    }

    /// What is added and taken off in each group. A group in which the shares are wrong is left out, if it may be.
    fn groups(&self, groups: &Groups) -> Result<(Vec<SessionId>, Vec<MaskedGroup>), String> {
        let (mut found, mut failed) = (Vec::new(), None);
        for session in groups.open() {
            match self.group(session) {
                Ok(group) => found.push(group),
                Err(error) => {
                    tracing::warn!(task = %self.task, %error, "a sum cannot be unmasked");
                    failed = Some(error);
                }
            }
        }
        let counted: usize = found.iter().map(|(_, group)| group.survivors.len()).sum();
        match failed {
            Some(error) if (found.len() as u64) < u64::from(groups.least().get()) => Err(error.to_string()),
            Some(error) if (counted as u64) < u64::from(self.quorum.get()) => Err(format!(
                "{counted} updates are in groups that could be summed, and the quorum is {}; of another group: {error}",
                self.quorum
            )),
            _ => Ok(found.into_iter().unzip()),
        }
    }

    fn group(&self, session: &CoordinatorSession) -> Result<(SessionId, MaskedGroup), UnmaskFailure> {
        let Unmasking { masks, liars, .. } = session.unmasking()?;
        for liar in &liars {
            tracing::warn!(task = %self.task, participant = %liar, "sent shares that are not those it was given");
        }
        let masks = masks.iter().map(Mask::prepare).collect::<Result<Vec<PreparedMask>, _>>()?;
        let survivors = session.survivors();
        let contribution = |(name, receipt): (&ParticipantName, &Receipt)| (name.clone(), receipt.content);
        let survivors = self
            .contributions
            .iter()
            .filter(|(name, _)| survivors.contains(*name))
            .map(contribution)
            .collect();
        let id = session.id().ok_or(UnmaskFailure::NoCohort)?;
        Ok((id, MaskedGroup { survivors, masks }))
    }
}

impl CentralTerms {
    /// The noise of one mean, with a seed of its own.
    fn mechanism(self, elements: u64) -> Result<(CentralNoise, NoiseSeed), String> {
        let (multiplier, clip) = (self.terms.noise_multiplier(), self.terms.clip());
        let noise =
            CentralNoise::new(multiplier, clip, self.asked, elements).map_err(|error| error.to_string())?;
        let mut seed = Zeroizing::new([0; 32]);
        SystemRandom::new()
            .fill(&mut *seed)
            .map_err(|_| "the system gives no randomness for noise".to_owned())?;
        Ok((noise, NoiseSeed::new(seed)))
    }
}

/// Why a group's sum cannot be unmasked.
#[derive(Debug, thiserror::Error)]
enum UnmaskFailure {
    #[error(transparent)]
    Shares(#[from] UnmaskError),
    #[error(transparent)]
    Mask(#[from] MaskError),
    #[error("nobody has a part in the session")]
    NoCohort,
}
