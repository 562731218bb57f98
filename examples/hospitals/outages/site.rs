use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use federated_client::{
    FederatedClient,
    config::ParticipantConfig,
    dataset::{TabularDataset, read_csv},
    device::Device,
    telemetry,
    trainer::TabularTrainer,
};

use crate::{
    federation::parent_is_done,
    hospitals::outages::patients::{LABEL, csv},
};

/// The file with the patients, in a site's folder.
const RECORDS: &str = "patients.csv";

/// A site's process: takes part with the patients beside its bundle.
#[derive(Debug, Args)]
pub(super) struct Site {
    folder: PathBuf,
}

impl Site {
    /// Puts the site's patients beside its bundle. Gives the process's arguments.
    pub(super) fn furnish(table: &TabularDataset, bundle: &Path) -> Result<Vec<String>> {
        fs::write(bundle.join(RECORDS), csv(table)?).context("the patients' file")?;
        Ok(vec!["site".to_owned(), bundle.display().to_string()])
    }

    pub(super) async fn run(self) -> Result<()> {
        let config = ParticipantConfig::load(self.folder.join("participant.toml"))?;
        telemetry::install(&config.log)?;
        let table = read_csv(&self.folder.join(RECORDS), LABEL)?;
        let trainer = TabularTrainer::new(table, Device::Cpu)?;
        let client =
            FederatedClient::builder().config(config).trainer(trainer).shutdown(parent_is_done()).build()?;
        Ok(client.run().await?)
    }
}
