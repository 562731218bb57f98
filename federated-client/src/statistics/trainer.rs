use std::ops::ControlFlow;

use federated_core::{
    metrics::Metrics,
    model::ModelParameters,
    privacy::dp::terms::{Placement, PrivacyTerms},
    statistics::{Questions, SiteTotals, StatisticsError},
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};

use super::{Records, noise::noised};
use crate::trainer::{LocalTrainer, StopSignal, TrainerError};

/// The noise multipliers that totals are let out with. With less, the steps of totals would show in the noise; beyond, noise would
/// not fit the numbers it is added to. Neither is of any use.
const MULTIPLIERS: std::ops::RangeInclusive<f64> = 0.0625..=1_048_576.0;

/// A participant that answers questions about its records, and trains nothing.
///
/// Its jobs have one round, a model of zeros in the layout of [`Questions`], and the questions as text in the setting
/// `statistics`. With noise, each record is hidden; what the job's clip norm is here is the length of what a record adds to the
/// update.
///
/// # Examples
/// ```
/// use federated_client::{
///     statistics::{RecordTable, StatisticsTrainer},
///     trainer::LocalTrainer as _,
/// };
///
/// let table = RecordTable::new(["age"], vec![Some(63.0), Some(41.0), None])?;
/// let trainer = StatisticsTrainer::new(table);
/// assert!(trainer.hides_records());
/// # Ok::<(), federated_client::statistics::RecordError>(())
/// ```
#[derive(Debug)]
pub struct StatisticsTrainer<R> {
    records: R,
    exact: bool,
}

impl<R: Records> StatisticsTrainer<R> {
    /// One that lets out nothing without noise: it declines jobs without differential privacy.
    pub const fn new(records: R) -> Self {
        Self { records, exact: false }
    }

    /// One that answers jobs without differential privacy, too, with exact totals. Questions can be such that a total is about one
    /// record alone.
    #[must_use]
    pub fn with_exact_totals(self) -> Self {
        Self { exact: true, ..self }
    }
}

impl<R: Records> LocalTrainer for StatisticsTrainer<R> {
    fn example_count(&self) -> u64 {
        self.records.count()
    }

    fn hides_records(&self) -> bool {
        true
    }

    fn accepts(&self, task: &TrainTask) -> Result<(), TrainerError> {
        if task.privacy.is_none() && !self.exact {
            return Err(unsupported("a job with [privacy.dp]", "one without"));
        }
        check(task)?;
        Ok(questions(task)?.layout().check_same(&task.layout)?)
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        self.accepts(task)?;
        release(&self.records, task, &model, stop)
    }
}

/// The totals that a task asks for, as an update: with noise if the task says so, and exact otherwise.
///
/// For trainers that do more than this; such a trainer decides itself whether exact totals may be let out.
///
/// # Errors
/// [`TrainerError::UnsupportedTask`] for questions that cannot be read, a job of several rounds, and terms of privacy other than
/// noise at the site on one sum over all records; [`TrainerError::Values`] for a model of another layout;
/// [`TrainerError::Dataset`] when the records cannot be read; [`TrainerError::Stopped`].
pub fn release(
    records: &dyn Records,
    task: &TrainTask,
    model: &ModelParameters,
    stop: &StopSignal,
) -> Result<ClientUpdate, TrainerError> {
    let questions = questions(task)?;
    check(task)?;
    questions.layout().check_same(model.layout())?;
    let totals = count(records, &questions, stop)?;
    let steps = match &task.privacy {
        None => totals.steps().to_vec(),
        Some(terms) => noised(totals.steps(), questions.sensitivity(), terms.noise_multiplier())
            .map_err(TrainerError::failed)?,
    };
    let clip = task.privacy.as_ref().map(PrivacyTerms::clip);
    Ok(ClientUpdate {
        delta: questions.to_model(&steps, clip)?.minus(model)?,
        // A weight would tell the number of records without noise.
        examples: ExampleCount::ONE,
        metrics: Metrics::new(),
    })
}

/// What the task asks.
fn questions(task: &TrainTask) -> Result<Questions, TrainerError> {
    let text = task.settings.get(Questions::SETTING).map(String::as_str).unwrap_or_default();
    text.parse().map_err(|error: StatisticsError| {
        unsupported("questions in the setting `statistics`", &error.to_string())
    })
}

fn unsupported(expected: &str, found: &str) -> TrainerError {
    TrainerError::UnsupportedTask { expected: expected.to_owned(), found: found.to_owned() }
}

/// Whether the task is one release of totals, with noise that is added here.
fn check(task: &TrainTask) -> Result<(), TrainerError> {
    if task.rounds != 1 {
        let found = format!("{} rounds", task.rounds);
        return Err(unsupported("a job of 1 round, since each would ask the same again", &found));
    }
    let Some(terms) = &task.privacy else { return Ok(()) };
    if terms.placement() != Placement::Local {
        return Err(unsupported(
            "noise at the site, placement \"local\", as totals are not clipped",
            terms.placement().name(),
        ));
    }
    if terms.steps().get() != 1 || !terms.sampling_rate().is_full() {
        let found = format!("{} sums at a sampling rate of {}", terms.steps(), terms.sampling_rate());
        return Err(unsupported("noise on 1 sum over all records", &found));
    }
    if !MULTIPLIERS.contains(&terms.noise_multiplier().get()) {
        let found = terms.noise_multiplier().to_string();
        return Err(unsupported("a noise multiplier from 0.0625 to 1048576", &found));
    }
    Ok(())
}

fn count<'a>(
    records: &dyn Records,
    questions: &'a Questions,
    stop: &StopSignal,
) -> Result<SiteTotals<'a>, TrainerError> {
    let columns: Vec<&str> = questions.questions().iter().map(|question| question.column()).collect();
    let (mut totals, mut refused) = (SiteTotals::new(questions), None);
    let mut show = |record: &[Option<f64>]| {
        refused = totals.add(record).err();
        if refused.is_some() || stop.is_raised() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    records.read(&columns, &mut show).map_err(|source| TrainerError::Dataset { source })?;
    if let Some(error) = refused {
        return Err(TrainerError::Dataset { source: error.into() });
    }
    if stop.is_raised() { Err(TrainerError::Stopped) } else { Ok(totals) }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use federated_core::privacy::dp::{ClipNorm, NoiseMultiplier, SamplingRate, terms::Proposal};

    use super::*;
    use crate::{session::fixture, statistics::RecordTable};

    const TEXT: &str = "age from 20 to 90: mean, 7 bins\nchol from 100 to 400: count";

    fn table() -> RecordTable {
        let records = (0..200_u32)
            .flat_map(|record| [(record % 3 > 0).then_some(150.0), Some(20.0 + f64::from(record) / 4.0)]);
        RecordTable::new(["chol", "age"], records.collect()).unwrap()
    }

    fn task(text: &str, privacy: Option<PrivacyTerms>) -> (TrainTask, ModelParameters) {
        let layout = TEXT.parse::<Questions>().unwrap().layout().clone();
        let settings = [("statistics".to_owned(), text.to_owned())].into();
        let task = TrainTask { rounds: 1, settings, layout, privacy, ..fixture::task("statistics", 1) };
        let model = ModelParameters::zeros(task.layout.clone()).unwrap();
        (task, model)
    }

    fn terms(change: impl FnOnce(&mut Proposal)) -> Option<PrivacyTerms> {
        let mut proposal = Proposal::from(fixture::privacy(Placement::Local));
        change(&mut proposal);
        Some(proposal.check().unwrap())
    }

    fn done(
        trainer: &mut StatisticsTrainer<RecordTable>,
        privacy: Option<PrivacyTerms>,
    ) -> Result<ClientUpdate, TrainerError> {
        let (task, model) = task(TEXT, privacy);
        trainer.train(&task, model, &StopSignal::new())
    }

    #[test]
    fn exact_totals_are_let_out_only_where_that_was_said_and_the_job_has_no_privacy() {
        let questions: Questions = TEXT.parse().unwrap();
        assert!(matches!(
            done(&mut StatisticsTrainer::new(table()), None),
            Err(TrainerError::UnsupportedTask { .. })
        ));
        let update = done(&mut StatisticsTrainer::new(table()).with_exact_totals(), None).unwrap();
        assert_eq!((update.examples, update.metrics.clone()), (ExampleCount::ONE, Metrics::new()));
        let answers = questions.answers(&update.delta, NonZeroU32::MIN, None).unwrap();
        assert_eq!((answers.records.value.round(), answers.columns[1].count.value.round()), (200.0, 133.0));
        assert!((answers.columns[0].mean.unwrap().value - 44.875).abs() < 1e-4);
    }

    /// Each of 12 values has a noise of 3 times the clip of 2. All are within 8 deviations, and the squares of all of 50 releases
    /// within 0.35 of their mean (six standard deviations): a false alarm in 500 million runs.
    #[test]
    fn with_privacy_each_value_has_the_noise_of_the_terms() {
        let questions: Questions = TEXT.parse().unwrap();
        let exact = done(&mut StatisticsTrainer::new(table()).with_exact_totals(), None).unwrap().delta;
        let privacy = terms(|terms| {
            terms.clip = ClipNorm::new(2.0).unwrap();
            terms.noise_multiplier = NoiseMultiplier::new(3.0).unwrap();
        });
        let (mut squares, mut number) = (0.0, 0.0);
        for _ in 0..50 {
            let update = done(&mut StatisticsTrainer::new(table()), privacy).unwrap();
            for (noisy, exact) in update.delta.values().iter().zip(exact.values()) {
                let noise = (f64::from(*noisy) - 2.0 * f64::from(*exact)) / 6.0;
                assert!(noise.abs() < 8.0, "{noise}");
                (squares, number) = (squares + noise * noise, number + 1.0);
            }
            let answers = questions.answers(&update.delta, NonZeroU32::MIN, privacy.as_ref()).unwrap();
            let records = answers.records;
            assert!((records.value - 200.0).abs() < 8.0 * records.deviation, "{records:?}");
        }
        assert!((squares / number - 1.0).abs() < 6.0 * (2.0_f64 / number).sqrt(), "{squares} of {number}");
    }

    #[test]
    fn a_site_without_records_says_nothing_but_noise() {
        let empty = RecordTable::new(["age", "chol"], Vec::new()).unwrap();
        let update = done(&mut StatisticsTrainer::new(empty), terms(|_| {})).unwrap();
        assert!(update.delta.values().iter().all(|value| *value != 0.0), "a zero is one in 2^30");
    }

    #[test]
    fn what_noise_on_one_sum_does_not_hide_is_declined() {
        let half = SamplingRate::new(0.5).unwrap();
        for privacy in [
            terms(|terms| terms.placement = Placement::Central),
            terms(|terms| terms.placement = Placement::Distributed),
            terms(|terms| terms.steps = NonZeroU32::new(2).unwrap()),
            terms(|terms| terms.sampling_rate = half),
            terms(|terms| terms.noise_multiplier = NoiseMultiplier::new(0.01).unwrap()),
            terms(|terms| terms.noise_multiplier = NoiseMultiplier::new(1e9).unwrap()),
        ] {
            let error = done(&mut StatisticsTrainer::new(table()), privacy).unwrap_err();
            assert!(matches!(error, TrainerError::UnsupportedTask { .. }), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_counted_is_declined() {
        let refused = |change: fn(&mut TrainTask), text| {
            let (mut task, model) = task(text, terms(|_| {}));
            change(&mut task);
            release(&table(), &task, &model, &StopSignal::new()).unwrap_err().to_string()
        };
        assert!(refused(|task| task.settings.clear(), TEXT).contains("expected at least one line"));
        assert!(refused(|task| task.rounds = 3, TEXT).contains("found 3 rounds"));
        assert!(refused(|_| {}, "age from 20 to 90: median").contains("found line 1: expected `count`"));
        let other = refused(|_| {}, "age from 20 to 90: mean");
        assert!(other.contains("tensor `missing`: expected shape [1], found [2]"), "{other}");
        assert!(refused(|_| {}, &TEXT.replace("age", "weight")).contains("could not be read"));
    }

    #[test]
    fn a_stop_is_heard() {
        let (task, model) = task(TEXT, terms(|_| {}));
        let stop = StopSignal::new();
        stop.raise();
        assert!(matches!(release(&table(), &task, &model, &stop), Err(TrainerError::Stopped)));
    }
}
