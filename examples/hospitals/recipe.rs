use std::{fmt, num::NonZeroU32};

use anyhow::Result;
use clap::ValueEnum;
use federated_core::{
    compression::Encoding,
    config::{ConfigError, JobConfig, StrategyConfig},
    statistics::Questions,
    strategy::LocalWork,
};

use crate::{
    compression,
    hospitals::{
        columns::Column, hospital::Hospital, normalisation::Normalisation, private::Budget, secure,
        statistics,
    },
};

/// How a federation learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Learning {
    /// Federated averaging: local epochs of mini-batches, then the mean of the models.
    Fedavg,
    /// Federated gradient descent: one step on all patients a round.
    Fedsgd,
}

impl fmt::Display for Learning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fedavg => "fedavg",
            Self::Fedsgd => "fedsgd",
        })
    }
}

/// How the model is trained, by a federation or in one place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    /// Rounds of the federation.
    pub(crate) rounds: NonZeroU32,
    /// Which strategy.
    pub(crate) learning: Learning,
    /// Passes over a hospital's patients in a round. FedSGD has one.
    pub(crate) local_epochs: NonZeroU32,
    /// Patients in a step. FedSGD takes all.
    pub(crate) batch_size: NonZeroU32,
    /// Step size.
    pub(crate) learning_rate: f32,
    /// How updates travel.
    pub(crate) compression: Encoding,
    /// Whether the coordinator sees the sum of updates only.
    pub(crate) secure_aggregation: bool,
    /// How little is told of a patient, if that is wanted.
    pub(crate) privacy: Option<Budget>,
}

impl Recipe {
    /// The job in which the hospitals tell the moments of their columns.
    pub(crate) fn statistics_job(&self, seed: u64) -> String {
        let strategy = "kind = \"fedavg\"\nlocal_epochs = 1\nlearning_rate = 1.0\n";
        job("statistics", seed, NonZeroU32::MIN, 4, strategy, &[]) + &self.secure_table()
    }

    /// The same with noise, if the budget pays for that.
    pub(crate) fn private_statistics_job(&self, seed: u64, columns: &[Column]) -> Result<Option<String>> {
        let table = self.privacy.map_or(Ok(None), |budget| budget.statistics_table())?;
        let Some(table) = table else { return Ok(None) };
        let questions = statistics::questions(columns)?;
        let text = questions.to_string().replace('\n', "\\n");
        let strategy = "kind = \"fedsgd\"\nlearning_rate = 1.0\n";
        let settings = [(Questions::SETTING, text)];
        let job = job("statistics", seed, NonZeroU32::MIN, 4, strategy, &settings) + &table;
        let secure =
            if self.secure_aggregation { statistics::secure_table(&questions, &job)? } else { String::new() };
        Ok(Some(job + &secure))
    }

    /// The job in which they train.
    pub(crate) fn training_job(&self, seed: u64, normalisation: &Normalisation) -> String {
        let quorum = if self.secure_aggregation { secure::QUORUM } else { 4 };
        let (strategy, settings) = (self.strategy_toml(), normalisation.to_settings());
        let job = job("training", seed, self.rounds, quorum, &strategy, &settings);
        job + &compression::job_table(self.compression) + &self.secure_table() + &self.privacy_table()
    }

    fn privacy_table(&self) -> String {
        self.privacy.map_or_else(String::new, |budget| budget.training_table())
    }

    fn secure_table(&self) -> String {
        match (self.secure_aggregation, self.privacy) {
            (false, _) => String::new(),
            (true, None) => secure::JOB_TABLE.to_owned() + secure::METRICS,
            // Metrics would have no noise.
            (true, Some(_)) => secure::JOB_TABLE.to_owned(),
        }
    }

    fn strategy_toml(&self) -> String {
        let Self { learning, local_epochs, batch_size, learning_rate, .. } = self;
        let mut text = format!("kind = \"{learning}\"\nlearning_rate = {learning_rate:?}\n");
        if *learning == Learning::Fedavg {
            text += &format!("local_epochs = {local_epochs}\n");
            // With noise, each step is over all patients.
            if self.privacy.is_none() {
                text += &format!("batch_size = {batch_size}\n");
            }
        }
        text
    }

    /// The strategy, as the coordinator will read it.
    pub(crate) fn strategy(&self) -> Result<StrategyConfig, ConfigError> {
        let text = job("check", 0, self.rounds, 4, &self.strategy_toml(), &[]);
        Ok(JobConfig::parse(&text)?.strategy)
    }

    /// The work of training in one place for as long as the federation trains: the epochs of all rounds.
    pub(crate) fn work_in_one_place(&self) -> Result<LocalWork, ConfigError> {
        let round = self.strategy()?.build().local_work(federated_core::ids::RoundNumber::FIRST);
        Ok(LocalWork { epochs: round.epochs.saturating_mul(self.rounds), ..round })
    }
}

/// A job file. The name holds the seed because the seeds of the tasks depend on both: a run repeated, alone or as one
/// of many, ends with the same bits. All four hospitals begin a round and are waited for, for the same reason; `quorum` is
/// how many must report when one is lost.
fn job(
    kind: &str,
    seed: u64,
    rounds: NonZeroU32,
    quorum: u32,
    strategy: &str,
    settings: &[(&str, String)],
) -> String {
    let names = Hospital::ALL.map(|hospital| format!("\"{hospital}\"")).join(", ");
    let settings: String = settings.iter().map(|(key, value)| format!("{key} = \"{value}\"\n")).collect();
    format!(
        "name = \"{kind}-{seed}\"\nrounds = {rounds}\nseed = {seed}\n\
         [model]\ninitial = \"initial.safetensors\"\n\
         [strategy]\n{strategy}\
         [cohort]\nparticipants = [{names}]\nmin_participants = 4\nquorum = {quorum}\n\
         [timeouts]\ndeadline = \"10m\"\n\
         [training]\nwork = \"{kind}\"\nsplit_seed = \"{seed}\"\n{settings}"
    )
}

#[cfg(test)]
mod tests {
    use federated_core::strategy::BatchSize;

    use super::*;
    use crate::hospitals::{moments::Moments, patient::Patient, split::Split};

    fn recipe(learning: Learning) -> Recipe {
        let number = |number| NonZeroU32::new(number).unwrap();
        Recipe {
            rounds: number(30),
            learning,
            local_epochs: number(2),
            batch_size: number(16),
            learning_rate: 0.03,
            compression: Encoding::PLAIN,
            secure_aggregation: false,
            privacy: None,
        }
    }

    fn normalisation() -> Normalisation {
        let columns = Split::Own.columns();
        let patients = Patient::read_all(&Hospital::Va.records(Split::Own), Split::Own).unwrap();
        Normalisation::new(columns, &Moments::of(columns, &patients).unwrap()).unwrap()
    }

    #[test]
    fn the_training_job_says_what_the_recipe_says() {
        let normalisation = normalisation();
        let job = JobConfig::parse(&recipe(Learning::Fedavg).training_job(7, &normalisation)).unwrap();
        assert_eq!(
            (job.plan.job().as_str(), job.plan.rounds().get(), job.plan.seed()),
            ("training-7", 30, 7)
        );
        assert_eq!(job.plan.cohort().quorum.get(), 4);
        assert_eq!(job.settings["work"], "training");
        assert_eq!(job.settings["split_seed"], "7");
        assert_eq!(Normalisation::from_settings(&job.settings).unwrap(), normalisation);
        assert_eq!(job.strategy, recipe(Learning::Fedavg).strategy().unwrap());
    }

    #[test]
    fn the_job_names_the_encoding_of_updates() {
        let normalisation = normalisation();
        for text in ["f32", "f32+zstd", "bf16", "f16", "int8+zstd", "int4", "top-k:0.01+zstd", "top-k:1"] {
            let compression = text.parse().unwrap();
            let recipe = Recipe { compression, ..recipe(Learning::Fedavg) };
            let job = JobConfig::parse(&recipe.training_job(7, &normalisation)).unwrap();
            assert_eq!(job.compression, compression, "{text}");
        }
    }

    #[test]
    fn the_statistics_are_one_round() {
        let job = JobConfig::parse(&recipe(Learning::Fedavg).statistics_job(u64::from(u32::MAX))).unwrap();
        assert_eq!(job.plan.rounds().get(), 1);
        assert_eq!(job.settings["work"], "statistics");
    }

    #[test]
    fn masked_updates_have_a_threshold_of_three_and_the_statistics_still_need_all_four() {
        let recipe = Recipe { secure_aggregation: true, ..recipe(Learning::Fedavg) };
        for (text, quorum) in [(recipe.statistics_job(7), 4), (recipe.training_job(7, &normalisation()), 3)] {
            let job = JobConfig::parse(&text).unwrap();
            let terms = job.secure.unwrap().terms;
            assert_eq!(job.plan.cohort().quorum.get(), quorum);
            assert_eq!(terms.parameters(4).unwrap().threshold(), 3);
            assert_eq!((terms.max_cohort(), terms.vector().value_bits()), (4, 30));
        }
    }

    #[test]
    fn a_budget_is_in_the_training_job_and_nothing_without_noise_is_beside_it() {
        for secure_aggregation in [false, true] {
            let privacy = Some("epsilon=4".parse().unwrap());
            let recipe = Recipe { privacy, secure_aggregation, ..recipe(Learning::Fedavg) };
            let job = JobConfig::parse(&recipe.training_job(7, &normalisation())).unwrap();
            let terms = job.privacy.unwrap();
            assert_eq!((terms.steps().get(), terms.sampling_rate().get()), (2, 1.0));
            assert!((terms.target().epsilon.get() - 3.6).abs() < 1e-9);
            assert!(job.secure.is_none_or(|secure| secure.terms.vector().metrics().is_empty()));
        }
    }

    #[test]
    fn a_budget_is_in_the_statistics_job_and_no_hospital_weighs_more_than_another() {
        let columns = Split::Own.columns();
        let none = recipe(Learning::Fedavg).private_statistics_job(7, columns).unwrap();
        assert_eq!(none, None);
        for secure_aggregation in [false, true] {
            let privacy = Some("epsilon=4".parse().unwrap());
            let recipe = Recipe { privacy, secure_aggregation, ..recipe(Learning::Fedavg) };
            let text = recipe.private_statistics_job(7, columns).unwrap().unwrap();
            let job = JobConfig::parse(&text).unwrap();
            let terms = job.privacy.unwrap();
            assert_eq!((terms.steps().get(), terms.sampling_rate().get()), (1, 1.0));
            let asked: Questions = job.settings[Questions::SETTING].parse().unwrap();
            assert_eq!(asked, statistics::questions(columns).unwrap());
            let vector = job.secure.map(|secure| secure.terms.vector().clone());
            assert_eq!(vector.is_some(), secure_aggregation);
            assert!(vector.is_none_or(|vector| (100.0..400.0).contains(&vector.clip())));
        }
    }

    #[test]
    fn training_in_one_place_takes_as_many_epochs_as_the_federation() {
        let work = recipe(Learning::Fedavg).work_in_one_place().unwrap();
        assert_eq!((work.epochs.get(), work.learning_rate), (60, 0.03));
        assert_eq!(work.batch, BatchSize::Examples(NonZeroU32::new(16).unwrap()));
        let work = recipe(Learning::Fedsgd).work_in_one_place().unwrap();
        assert_eq!((work.epochs.get(), work.batch), (30, BatchSize::All));
    }

    #[test]
    fn a_learning_rate_that_is_none_is_refused() {
        for bad in [0.0, -1.0, f32::INFINITY, f32::NAN] {
            let recipe = Recipe { learning_rate: bad, ..recipe(Learning::Fedavg) };
            assert!(recipe.strategy().is_err(), "{bad}");
        }
    }
}
