use std::time::SystemTime;

use anyhow::Context;
use federated_client::{
    FederatedClient, dataset::read_csv, privacy::public_examples, telemetry, trainer::TabularTrainer,
};
use tokio::runtime::Runtime;

use super::{RunArguments, signals};

/// Takes part with the built-in trainer.
pub(super) fn run(runtime: &Runtime, arguments: &RunArguments) -> anyhow::Result<()> {
    let config = arguments.site.load()?;
    telemetry::install(&config.log)?;
    let table = config.data.as_ref().with_context(|| {
        let file = arguments.site.config.display();
        format!("{file}: expected a table [data] with csv and label, found none; `run` trains on it")
    })?;
    let dataset = read_csv(&table.csv, &table.label).context("the table of [data] cannot be used")?;
    let trainer = match &config.privacy {
        None => TabularTrainer::new(dataset, config.device)?,
        Some(budget) => {
            let records = dataset.example_count() as u64;
            let said = public_examples(budget, &config.name, records, SystemTime::now().into())?;
            TabularTrainer::with_public_examples(dataset, config.device, said)?
        }
    };
    let mut builder = FederatedClient::builder()
        .trainer(trainer)
        .keep_final_model(arguments.keep_final_model)
        .config(config);
    if let Some(jobs) = arguments.stop_after_jobs {
        builder = builder.stop_after_jobs(jobs);
    }
    runtime.block_on(async {
        let shutdown = signals::listen().context("signals cannot be listened to")?;
        Ok(builder.shutdown(shutdown).build()?.run().await?)
    })
}
