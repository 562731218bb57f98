use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use federated_client::{
    FederatedClient,
    config::ParticipantConfig,
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
    folder::{NO_LIMIT, bundle},
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
}

impl Participants {
    /// The arguments that [`Participants`] is parsed from.
    pub(crate) fn arguments(folder: &Path, (first, count): (u32, u32)) -> Vec<String> {
        let folder = folder.display().to_string();
        ["participants", &folder, "--first", &first.to_string(), "--count", &count.to_string()]
            .map(str::to_owned)
            .to_vec()
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
        let trainer = AddConstant { value: constant(number) };
        let client = FederatedClient::builder().config(config).trainer(trainer).stop_after_jobs(1).build();
        client.with_context(|| format!("participant {number}"))
    }
}

/// Training that adds a constant to every value.
#[derive(Debug)]
struct AddConstant {
    value: f32,
}

impl LocalTrainer for AddConstant {
    fn example_count(&self) -> u64 {
        1
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
            examples: ExampleCount::new(1)?,
            metrics: Metrics::new(),
        })
    }
}
