use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use federated_client::device::Device;
use federated_core::{ids::Digest, model::ModelParameters};
use federated_proto::v1::JobStatus;
use federated_server::operator::OperatorClient;

use crate::{
    classification::{Predictions, Quality},
    federation::{self, Federation, Finished},
    hospitals::{
        hospital::Hospital,
        model,
        moments::Moments,
        normalisation::Normalisation,
        patient::Patient,
        progress::Progress,
        recipe::Recipe,
        secure::Kill,
        split::{Divided, Split},
        statistics,
    },
};

/// What is compared, seed by seed.
#[derive(Debug)]
pub(crate) struct Experiment {
    /// Who is trained and tested on.
    pub(crate) split: Split,
    /// How the models are trained.
    pub(crate) recipe: Recipe,
    /// Where.
    pub(crate) device: Device,
    /// Who is killed on the way.
    pub(crate) kill: Option<Kill>,
}

/// What came out for one seed.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The seed.
    pub(crate) seed: u64,
    /// The hospitals in their order.
    pub(crate) sites: [SiteOutcome; 4],
    /// The federation's model on the test sets of all.
    pub(crate) federated: Quality,
    /// The model of all training patients in one place, on the test sets of all.
    pub(crate) pooled: Quality,
    /// Bytes of updates, with those of the statistics.
    pub(crate) bytes_up: u64,
    /// Bytes of the training's updates alone.
    pub(crate) training_bytes_up: u64,
    /// Bytes of models, with those of the statistics.
    pub(crate) bytes_down: u64,
    /// From the first job's start to the last model, without the start of the processes.
    pub(crate) elapsed: Duration,
    /// The federation's last model.
    pub(crate) model: Digest,
}

/// What came out for one hospital.
#[derive(Clone, Debug)]
pub(crate) struct SiteOutcome {
    /// Which.
    pub(crate) hospital: Hospital,
    /// Patients trained on.
    pub(crate) train: usize,
    /// Patients tested on.
    pub(crate) test: usize,
    /// The hospital's own model on its own test set.
    pub(crate) alone: Quality,
    /// The hospital's own model on the test sets of all.
    pub(crate) alone_overall: Quality,
    /// The federation's model on this hospital's test set.
    pub(crate) federated: Quality,
    /// The model of all patients in one place on this hospital's test set.
    pub(crate) pooled: Quality,
}

/// The federation's result.
struct Federated {
    model: ModelParameters,
    normalisation: Normalisation,
    bytes_up: u64,
    training_bytes_up: u64,
    bytes_down: u64,
    elapsed: Duration,
}

/// A model with the normalisation that belongs to it.
struct Predictor {
    model: ModelParameters,
    normalisation: Normalisation,
}

impl Experiment {
    /// The same experiment with nothing hidden and nobody killed.
    pub(crate) fn in_the_clear(&self) -> Self {
        let recipe = Recipe { secure_aggregation: false, privacy: None, ..self.recipe };
        Self { recipe, kill: None, ..*self }
    }

    /// Runs one seed: the two jobs of the federation, then the models it is compared with.
    pub(crate) async fn run(
        &self,
        federation: &mut Federation,
        seed: u64,
        progress: &mut Progress,
    ) -> Result<Outcome> {
        let federated = self.federate(federation, seed, progress).await?;
        progress.compare();
        let divided = self.divide(seed)?;
        tokio::task::block_in_place(|| self.compare(seed, &divided, federated))
    }

    /// Every hospital's patients, as the hospitals divide them.
    fn divide(&self, seed: u64) -> Result<[Divided; 4]> {
        let mut all: [Divided; 4] = Default::default();
        for (divided, hospital) in all.iter_mut().zip(Hospital::ALL) {
            let patients = Patient::read_all(&hospital.records(self.split), self.split)?;
            *divided = self.split.divide(hospital, &patients, seed)?;
        }
        Ok(all)
    }

    async fn federate(
        &self,
        federation: &mut Federation,
        seed: u64,
        progress: &mut Progress,
    ) -> Result<Federated> {
        let columns = self.split.columns();
        let began = Instant::now();
        if self.recipe.privacy.is_some() {
            let (normalisation, told) = self.normalise_with_noise(federation, seed, progress).await?;
            let training = self.train_together(federation, seed, &normalisation, progress).await?;
            let (model, elapsed) = (training.model, began.elapsed());
            return Ok(Federated {
                model,
                normalisation,
                bytes_up: told.bytes_up + training.status.bytes_up,
                training_bytes_up: training.status.bytes_up,
                bytes_down: told.bytes_down + training.status.bytes_down,
                elapsed,
            });
        }
        let nothing = ModelParameters::zeros(Moments::layout(columns.len())?)?;
        let statistics = federation
            .run(&self.recipe.statistics_job(seed), &nothing, async |_, status| {
                progress.statistics(seed, status);
            })
            .await?;
        let normalisation = Normalisation::new(columns, &Moments::from_model(&statistics.model)?)?;
        let training = self.train_together(federation, seed, &normalisation, progress).await?;
        Ok(Federated {
            model: training.model,
            normalisation,
            bytes_up: statistics.status.bytes_up + training.status.bytes_up,
            training_bytes_up: training.status.bytes_up,
            bytes_down: statistics.status.bytes_down + training.status.bytes_down,
            elapsed: began.elapsed(),
        })
    }

    /// The normalisation as far as the budget lets it be known, and the job that told it.
    async fn normalise_with_noise(
        &self,
        federation: &mut Federation,
        seed: u64,
        progress: &mut Progress,
    ) -> Result<(Normalisation, JobStatus)> {
        let columns = self.split.columns();
        let Some(job) = self.recipe.private_statistics_job(seed, columns)? else {
            return Ok((Normalisation::ordinary(columns), JobStatus::default()));
        };
        let nothing = ModelParameters::zeros(statistics::questions(columns)?.layout().clone())?;
        let watch = async |_: &mut OperatorClient, status: &JobStatus| progress.statistics(seed, status);
        let done = federation.run(&job, &nothing, watch).await?;
        let answers = statistics::answers(columns, &job, &done)?;
        Ok((Normalisation::from_answers(columns, &answers), done.status))
    }

    async fn train_together(
        &self,
        federation: &mut Federation,
        seed: u64,
        normalisation: &Normalisation,
        progress: &mut Progress,
    ) -> Result<Finished> {
        let job = self.recipe.training_job(seed, normalisation);
        let initial = model::initial(self.split.columns().len(), seed)?;
        let watch = async |_: &mut OperatorClient, status: &JobStatus| progress.training(seed, status);
        let Some(kill) = self.kill else { return federation.run(&job, &initial, watch).await };
        let place = Hospital::ALL.iter().position(|hospital| *hospital == kill.hospital);
        let place = place.context("a hospital is one of the four")?;
        let is_due = |status: &JobStatus| kill.is_due(status);
        let killed = federation::Kill { place, is_due: &is_due };
        let training = federation.run_with_kill(&job, &initial, watch, Some(killed)).await?;
        progress.tell(&kill.check(&training.status)?);
        Ok(training)
    }

    fn compare(&self, seed: u64, divided: &[Divided; 4], federated: Federated) -> Result<Outcome> {
        let Federated { model, normalisation, bytes_up, training_bytes_up, bytes_down, elapsed } = federated;
        let digest = model.digest();
        let everyone: Vec<Patient> = divided.iter().flat_map(|site| site.train.iter().cloned()).collect();
        let pooled = self.train("pooled", &everyone, normalisation.clone(), seed)?;
        let federated = Predictor { model, normalisation };
        let mut sites = Vec::with_capacity(Hospital::ALL.len());
        for (hospital, site) in Hospital::ALL.into_iter().zip(divided) {
            let own =
                Normalisation::new(self.split.columns(), &Moments::of(self.split.columns(), &site.train)?)?;
            let alone = self.train(hospital.name(), &site.train, own, seed)?;
            let here = std::slice::from_ref(site);
            sites.push(SiteOutcome {
                hospital,
                train: site.train.len(),
                test: site.test.len(),
                alone: alone.quality(here)?,
                alone_overall: alone.quality(divided)?,
                federated: federated.quality(here)?,
                pooled: pooled.quality(here)?,
            });
        }
        let sites = <[SiteOutcome; 4]>::try_from(sites).ok().context("there are four hospitals")?;
        Ok(Outcome {
            seed,
            sites,
            federated: federated.quality(divided)?,
            pooled: pooled.quality(divided)?,
            bytes_up,
            training_bytes_up,
            bytes_down,
            elapsed,
            model: digest,
        })
    }

    fn train(
        &self,
        name: &str,
        patients: &[Patient],
        normalisation: Normalisation,
        seed: u64,
    ) -> Result<Predictor> {
        let table = normalisation.apply(patients)?;
        let model = model::train_in_one_place(name, table, self.device, &self.recipe, seed)?;
        Ok(Predictor { model, normalisation })
    }
}

impl Predictor {
    /// On the union of these test sets.
    fn quality(&self, sites: &[Divided]) -> Result<Quality> {
        let mut predictions = Predictions::new();
        for site in sites {
            let table = self.normalisation.apply(&site.test)?;
            predictions.extend(model::predict(&self.model, &table)?);
        }
        predictions.quality().context("expected patients to test on, and scores that are numbers")
    }
}
