use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use federated_client::{
    FederatedClient, config::ParticipantConfig, device::Device, policy::SitePolicy, telemetry,
    trainer::TabularTrainer,
};

use crate::{
    dense,
    federation::parent_is_done,
    mnist::{data, idx::Images, job},
};

/// What a participant's process is told.
#[derive(Debug, Args)]
pub(crate) struct Participant {
    /// The bundle, with the participant's images beside it.
    folder: PathBuf,
    #[arg(long)]
    device: Device,
}

impl Participant {
    /// Puts the participant's images beside its bundle, which is all that its process gets. Gives the process's
    /// arguments.
    pub(crate) fn furnish(folder: &Path, images: &Images, device: Device) -> Result<Vec<String>> {
        data::write_own(folder, images)?;
        Ok(Self::arguments(folder, device))
    }

    /// The arguments that [`Participant`] is parsed from.
    pub(crate) fn arguments(folder: &Path, device: Device) -> Vec<String> {
        let folder = folder.display().to_string();
        ["participant", &folder, "--device", &device.to_string()].map(str::to_owned).to_vec()
    }

    /// The participant's process: takes part with its own images, and reads no others.
    pub(crate) async fn run(self) -> Result<()> {
        let mut config = ParticipantConfig::load(self.folder.join("participant.toml"))?;
        telemetry::install(&config.log)?;
        let images = data::read_own(&self.folder)?;
        let agreed = dense::initial(&job::network(images.pixels_each()), 0)?;
        config.policy =
            SitePolicy { allowed_layouts: Some([agreed.layout().digest()].into()), ..SitePolicy::default() };
        let trainer = TabularTrainer::new(data::table(&images)?, self.device)?;
        let client =
            FederatedClient::builder().config(config).trainer(trainer).shutdown(parent_is_done()).build()?;
        Ok(client.run().await?)
    }
}
