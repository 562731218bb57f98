use std::{num::NonZeroU32, thread, time::Duration};

use anyhow::{Context, Result};
use federated_client::{
    device::Device,
    statistics::release,
    trainer::{LocalTrainer, StopSignal, TabularTrainer, TrainerError},
};
use federated_core::{
    ids::JobName,
    metrics::Metrics,
    model::ModelParameters,
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};

use crate::hospitals::{
    hospital::Hospital, moments::Moments, normalisation::Normalisation, patient::Patient,
    private::TRAIN_SHARE, split::Split, statistics::records,
};

/// A hospital's part in the federation. Its patients never leave this value.
///
/// A task's setting `work` says what is asked for: `statistics` answers with the moments of the training patients, or with the
/// noisy totals that the task asks for where it has differential privacy,
/// `training` trains on them, normalised as the job's settings say. The setting `split_seed` decides who they are: it
/// stands in the job so that one federation can repeat the experiment with many seeds.
#[derive(Debug)]
pub(crate) struct HospitalTrainer {
    hospital: Hospital,
    split: Split,
    device: Device,
    patients: Vec<Patient>,
    held_in: Option<NonZeroU32>,
    /// How many patients the hospital says that it trains on.
    public: Option<ExampleCount>,
    /// The trainer of the present job, with its patients normalised.
    training: Option<(JobName, TabularTrainer)>,
}

impl HospitalTrainer {
    /// The part of this hospital, with its file's text.
    pub(crate) fn new(hospital: Hospital, split: Split, device: Device, records: &str) -> Result<Self> {
        let patients = Patient::read_all(records, split)?;
        Ok(Self { hospital, split, device, patients, held_in: None, public: None, training: None })
    }

    /// With an update that is never masked: the process waits to be killed in the first attempt of this round, when it
    /// has trained, and says so on its standard output.
    pub(crate) fn held_in(self, round: Option<NonZeroU32>) -> Self {
        Self { held_in: round, ..self }
    }

    /// For tasks with differential privacy: `public` is how many patients the hospital says that it has.
    pub(crate) fn with_public_patients(self, public: ExampleCount) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
        let train = (f64::from(public.get()) * TRAIN_SHARE).round().max(1.0) as u64;
        Self { public: ExampleCount::new(train).ok(), ..self }
    }

    fn hold(&self, task: &TrainTask, stop: &StopSignal) {
        if task.id.attempt == 1 && self.held_in.is_some_and(|round| round.get() == task.id.round.get()) {
            println!("trained");
            while !stop.is_raised() {
                thread::park_timeout(Duration::from_millis(10));
            }
        }
    }

    fn training_patients(&self, task: &TrainTask) -> Result<Vec<Patient>> {
        let seed = task.settings.get("split_seed").and_then(|text| text.parse().ok());
        let seed = seed.context("expected a whole number in the setting `split_seed`")?;
        Ok(self.split.divide(self.hospital, &self.patients, seed)?.train)
    }

    fn statistics(&self, task: &TrainTask, model: &ModelParameters) -> Result<ClientUpdate> {
        let patients = self.training_patients(task)?;
        let moments = Moments::of(self.split.columns(), &patients)?;
        Ok(ClientUpdate {
            delta: moments.to_model()?.minus(model)?,
            examples: ExampleCount::new(patients.len() as u64)?,
            metrics: Metrics::new(),
        })
    }

    fn prepare(&self, task: &TrainTask) -> Result<TabularTrainer> {
        let normalisation = Normalisation::from_settings(&task.settings)?;
        let table = normalisation.apply(&self.training_patients(task)?)?;
        Ok(match self.public {
            Some(public) => TabularTrainer::with_public_examples(table, self.device, public)?,
            None => TabularTrainer::new(table, self.device)?,
        })
    }
}

impl LocalTrainer for HospitalTrainer {
    fn example_count(&self) -> u64 {
        self.patients.len() as u64
    }

    fn hides_records(&self) -> bool {
        self.public.is_some()
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        match task.settings.get("work").map(String::as_str) {
            Some("statistics") if task.privacy.is_some() => {
                let patients = self.training_patients(task).map_err(TrainerError::failed)?;
                let records = records(self.split.columns(), &patients).map_err(TrainerError::failed)?;
                release(&records, task, &model, stop)
            }
            Some("statistics") => self.statistics(task, &model).map_err(TrainerError::failed),
            Some("training") => {
                let job = &task.id.job;
                let trainer = match self.training.take().filter(|(present, _)| present == job) {
                    Some((_, trainer)) => trainer,
                    None => self.prepare(task).map_err(TrainerError::failed)?,
                };
                let (_, trainer) = self.training.insert((job.clone(), trainer));
                let update = trainer.train(task, model, stop)?;
                self.hold(task, stop);
                Ok(update)
            }
            other => Err(TrainerError::UnsupportedTask {
                expected: "the setting `work` to be `statistics` or `training`".to_owned(),
                found: other.unwrap_or("none").to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use federated_core::{
        compression::Encoding,
        config::JobConfig,
        ids::{RoundNumber, TaskId},
    };

    use super::*;
    use crate::hospitals::{
        model,
        recipe::{Learning, Recipe},
    };

    fn task(job: &str, model: &ModelParameters) -> TrainTask {
        let job = JobConfig::parse(job).unwrap();
        TrainTask {
            id: TaskId { job: job.plan.job().clone(), round: RoundNumber::FIRST, attempt: 1 },
            rounds: job.plan.rounds().get(),
            layout: model.layout().clone(),
            model: model.digest(),
            work: job.strategy.build().local_work(RoundNumber::FIRST),
            seed: 9,
            cohort_size: 4,
            encoding: Encoding::PLAIN,
            settings: job.settings,
            secure: None,
            privacy: None,
        }
    }

    fn trainer() -> HospitalTrainer {
        let (va, split) = (Hospital::Va, Split::Own);
        HospitalTrainer::new(va, split, Device::Cpu, &va.records(split)).unwrap()
    }

    fn recipe() -> Recipe {
        let number = |number| NonZeroU32::new(number).unwrap();
        Recipe {
            rounds: number(3),
            learning: Learning::Fedavg,
            local_epochs: number(2),
            batch_size: number(16),
            learning_rate: 0.03,
            compression: Encoding::PLAIN,
            secure_aggregation: false,
            privacy: None,
        }
    }

    fn training_job(seed: u64) -> String {
        let columns = Split::Own.columns();
        let moments = Moments::of(columns, &trainer().patients).unwrap();
        recipe().training_job(seed, &Normalisation::new(columns, &moments).unwrap())
    }

    #[test]
    fn statistics_are_the_moments_of_the_training_patients_whatever_the_model_was() {
        let mut trainer = trainer();
        let train = Split::Own.divide(Hospital::Va, &trainer.patients, 42).unwrap().train;
        let expected = Moments::of(Split::Own.columns(), &train).unwrap().to_model().unwrap();
        let zero = ModelParameters::zeros(expected.layout().clone()).unwrap();
        let task = task(&recipe().statistics_job(42), &zero);
        let update = trainer.train(&task, zero, &StopSignal::new()).unwrap();
        assert_eq!(update.delta, expected);
        assert_eq!(update.examples.get(), 133);
        assert_eq!(update.metrics, Metrics::new());
    }

    #[test]
    fn with_a_budget_statistics_have_noise_and_all_hospitals_the_same_weight() {
        let mut trainer = trainer();
        let recipe = Recipe { privacy: Some("epsilon=4".parse().unwrap()), ..recipe() };
        let job = recipe.private_statistics_job(42, Split::Own.columns()).unwrap().unwrap();
        let questions = crate::hospitals::statistics::questions(Split::Own.columns()).unwrap();
        let zero = ModelParameters::zeros(questions.layout().clone()).unwrap();
        let task = TrainTask { privacy: JobConfig::parse(&job).unwrap().privacy, ..task(&job, &zero) };
        let mut told = || trainer.train(&task, zero.clone(), &StopSignal::new()).unwrap();
        let (first, second) = (told(), told());
        assert_ne!(first.delta, second.delta);
        assert_eq!((first.examples, first.metrics), (ExampleCount::ONE, Metrics::new()));
    }

    #[test]
    fn training_repeats_and_follows_the_job_to_another_seed() {
        let mut trainer = trainer();
        let model = model::initial(Split::Own.columns().len(), 1).unwrap();
        let mut delta = |seed| {
            let task = task(&training_job(seed), &model);
            let update = trainer.train(&task, model.clone(), &StopSignal::new()).unwrap();
            assert_eq!(update.examples.get(), 133);
            assert!(update.metrics.get("loss").unwrap() < 1.0);
            update.delta
        };
        let first = delta(42);
        assert_eq!(delta(42), first);
        assert_ne!(delta(43), first);
        assert_eq!(delta(42), first);
    }

    #[test]
    fn work_that_is_not_agreed_on_is_not_done() {
        let model = model::initial(Split::Own.columns().len(), 1).unwrap();
        let refused = |change: fn(&mut TrainTask)| {
            let mut task = task(&training_job(42), &model);
            change(&mut task);
            trainer().train(&task, model.clone(), &StopSignal::new()).unwrap_err()
        };
        let error = refused(|task| drop(task.settings.insert("work".to_owned(), "export".to_owned())));
        assert!(matches!(error, TrainerError::UnsupportedTask { .. }), "{error}");
        for missing in ["split_seed", "mean", "scale"] {
            let error = match missing {
                "split_seed" => refused(|task| drop(task.settings.remove("split_seed"))),
                "mean" => refused(|task| drop(task.settings.remove("mean"))),
                _ => refused(|task| drop(task.settings.remove("scale"))),
            };
            let TrainerError::Failed { source } = error else { panic!("{error}") };
            assert!(source.to_string().contains(missing), "{source}");
        }
    }
}
