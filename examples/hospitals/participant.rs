use std::{
    fs,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, Result};
use clap::Args;
use federated_client::{
    FederatedClient, config::ParticipantConfig, device::Device, policy::SitePolicy, privacy::public_examples,
    telemetry, trainer::LocalTrainer,
};

use crate::{
    federation::parent_is_done,
    hospitals::{
        hospital::Hospital, model, moments::Moments, split::Split, statistics, trainer::HospitalTrainer,
    },
};

/// The file with the patients, in a hospital's folder.
const RECORDS: &str = "patients.csv";

/// What a hospital's process is told.
#[derive(Debug, Args)]
pub(crate) struct Participant {
    /// The bundle, with the patients beside it.
    folder: PathBuf,
    #[arg(long)]
    split: Split,
    #[arg(long)]
    device: Device,
    /// The round of training in which it waits to be killed.
    #[arg(long)]
    held_in: Option<NonZeroU32>,
}

impl Participant {
    /// Puts the hospital's file beside its bundle, which is all that its process gets. Gives the process's arguments.
    pub(crate) fn furnish(
        hospital: Hospital,
        split: Split,
        device: Device,
        held_in: Option<NonZeroU32>,
        bundle: &Path,
    ) -> Result<Vec<String>> {
        fs::write(bundle.join(RECORDS), hospital.records(split)).context("the patients' file")?;
        Ok(Self::arguments(bundle, split, device, held_in))
    }

    /// The arguments that [`Participant`] is parsed from.
    pub(crate) fn arguments(
        folder: &Path,
        split: Split,
        device: Device,
        held_in: Option<NonZeroU32>,
    ) -> Vec<String> {
        let folder = folder.display().to_string();
        let always = ["participant", &folder, "--split", &split.to_string(), "--device", &device.to_string()]
            .map(str::to_owned);
        let held_in = held_in.map(|round| ["--held-in".to_owned(), round.to_string()]);
        always.into_iter().chain(held_in.into_iter().flatten()).collect()
    }

    /// The hospital's process: takes part with the patients of this hospital, and reads no others.
    pub(crate) async fn run(self) -> Result<()> {
        let mut config = ParticipantConfig::load(self.folder.join("participant.toml"))?;
        telemetry::install(&config.log)?;
        let SitePolicy { secure_aggregation_only, private_only, .. } = config.policy;
        config.policy = SitePolicy { secure_aggregation_only, private_only, ..policy(self.split)? };
        let hospital: Hospital = config.name.as_str().parse().map_err(anyhow::Error::msg)?;
        let file = self.folder.join(RECORDS);
        let records = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let trainer = HospitalTrainer::new(hospital, self.split, self.device, &records)
            .with_context(|| file.display().to_string())?
            .held_in(self.held_in);
        let trainer = match &config.privacy {
            None => trainer,
            Some(budget) => {
                let patients = trainer.example_count();
                let public = public_examples(budget, &config.name, patients, SystemTime::now().into())?;
                trainer.with_public_patients(public)
            }
        };
        let client =
            FederatedClient::builder().config(config).trainer(trainer).shutdown(parent_is_done()).build()?;
        Ok(client.run().await?)
    }
}

/// What a hospital agrees to: the jobs of this example, and only together with the other three.
fn policy(split: Split) -> Result<SitePolicy> {
    let columns = split.columns().len();
    let questions = statistics::questions(split.columns())?;
    let layouts =
        [Moments::layout(columns)?, questions.layout().clone(), model::initial(columns, 0)?.layout().clone()];
    Ok(SitePolicy {
        min_cohort: 4,
        allowed_layouts: Some(layouts.iter().map(|layout| layout.digest()).collect()),
        ..SitePolicy::default()
    })
}
