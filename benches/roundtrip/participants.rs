use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use federated_client::{
    FederatedClient,
    config::{ParticipantConfig, SecureFiles},
    policy::SitePolicy,
    telemetry,
    trainer::{LocalTrainer, StopSignal, TrainerError},
};
use federated_core::{
    metrics::Metrics,
    model::ModelParameters,
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};
use futures::future::try_join_all;

use crate::{
    child::parent_is_done,
    folder::{NO_LIMIT, bundle, roster_file, signing_key},
    job::MOST_EXAMPLES,
    measure::Usage,
    model::constant,
};

/// What a process of participants is told.
#[derive(Debug, Args)]
pub(crate) struct Participants {
    /// Where the bundles are.
    folder: PathBuf,
    /// The number of the first participant here.
    #[arg(long)]
    first: u32,
    /// How many.
    #[arg(long)]
    count: u32,
    /// The first that drops out of every round.
    #[arg(long)]
    dropouts_from: u32,
}

impl Participants {
    /// The arguments that [`Participants`] is parsed from.
    pub(crate) fn arguments(folder: &Path, (first, count): (u32, u32), dropouts_from: u32) -> Vec<String> {
        let numbers =
            [("--first", first), ("--count", count), ("--dropouts-from", dropouts_from)].into_iter();
        let numbers = numbers.flat_map(|(name, number)| [name.to_owned(), number.to_string()]);
        ["participants".to_owned(), folder.display().to_string()].into_iter().chain(numbers).collect()
    }

    /// Takes part in one job, and says at the end what it used.
    pub(crate) async fn run(self) -> Result<()> {
        let numbers = self.first..self.first + self.count;
        let clients = numbers.map(|number| self.client(number)).collect::<Result<Vec<_>>>()?;
        let clients = clients.into_iter().map(|client| tokio::spawn(client.run()));
        tokio::select! {
            ended = try_join_all(clients) => ended?.into_iter().collect::<Result<(), _>>()?,
            () = parent_is_done() => bail!("the parent is no more"),
        }
        println!("{}", serde_json::to_string(&Usage::of_this_process())?);
        Ok(())
    }

    fn client(&self, number: u32) -> Result<FederatedClient> {
        let mut config = ParticipantConfig::load(bundle(&self.folder, number).join("participant.toml"))?;
        if number == self.first {
            telemetry::install(&config.log)?;
        }
        config.policy =
            SitePolicy { min_cohort: 1, max_model_bytes: NO_LIMIT.get(), ..SitePolicy::default() };
        let signing_key = signing_key(&self.folder, number);
        if signing_key.exists() {
            let pinned_roster = roster_file(&self.folder);
            config.secure_aggregation = Some(SecureFiles {
                signing_key,
                pinned_roster,
                min_cohort: 3,
                min_threshold: 2,
                coordinator_key: None,
                require_signed_result: false,
            });
        }
        let examples = if number < self.dropouts_from { MOST_EXAMPLES } else { MOST_EXAMPLES + 1 };
        let trainer = AddConstant { value: constant(number), examples };
        let client = FederatedClient::builder().config(config).trainer(trainer).stop_after_jobs(1).build();
        client.with_context(|| format!("participant {number}"))
    }
}

/// Training that adds a constant to every value.
#[derive(Debug)]
struct AddConstant {
    value: f32,
    examples: u64,
}

impl LocalTrainer for AddConstant {
    fn example_count(&self) -> u64 {
        self.examples
    }

    fn train(
        &mut self,
        _: &TrainTask,
        model: ModelParameters,
        _: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        let layout = model.layout().clone();
        // In place of the model: a large one is not kept twice.
        let mut values = model.into_values();
        values.fill(self.value);
        Ok(ClientUpdate {
            delta: ModelParameters::new(layout, values)?,
            examples: ExampleCount::new(self.examples)?,
            metrics: Metrics::new(),
        })
    }
}
