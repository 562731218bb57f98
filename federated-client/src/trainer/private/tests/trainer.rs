use std::num::NonZeroU32;

use burn::{module::Module, optim::SgdConfig};
use federated_core::{
    compression::Encoding,
    ids::{RoundNumber, TaskId},
    metrics::Metrics,
    model::ModelParameters,
    privacy::dp::{ClipNorm, NoiseMultiplier, SamplingRate},
    strategy::{BatchSize, LocalWork},
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};

use super::{
    super::{DpSgd, GradientMethod, PrivateTrainer, PrivateWork, Randomness},
    models::{Cpu, Dense, Table},
};
use crate::{
    parameters::extract,
    trainer::{LocalTrainer, StopSignal, TrainerError},
};

type Trainer = PrivateTrainer<
    Cpu,
    Dense<Cpu>,
    Table,
    burn::optim::adaptor::OptimizerAdaptor<burn::optim::Sgd<burn::backend::Flex>, Dense<Cpu>, Cpu>,
>;

pub(super) fn numbers_of(steps: u32) -> DpSgd {
    DpSgd {
        noise_multiplier: NoiseMultiplier::new(1.5).unwrap(),
        clip: ClipNorm::new(0.25).unwrap(),
        sampling_rate: SamplingRate::new(0.5).unwrap(),
        steps: NonZeroU32::new(steps).unwrap(),
        public_examples: ExampleCount::new(40).unwrap(),
    }
}

fn trainer(numbers: DpSgd, examples: usize, method: GradientMethod, randomness: Randomness) -> Trainer {
    let (module, table) = (Dense::new(1, true), Table::new(1, examples, 12));
    PrivateTrainer::new(module, table, SgdConfig::new().init(), numbers, method, randomness).unwrap()
}

fn model() -> ModelParameters {
    extract(&Dense::<Cpu>::new(2, true)).unwrap()
}

fn task(model: &ModelParameters, learning_rate: f32) -> TrainTask {
    TrainTask {
        id: TaskId { job: "job".parse().unwrap(), round: RoundNumber::FIRST, attempt: 1 },
        rounds: 1,
        layout: model.layout().clone(),
        model: model.digest(),
        work: LocalWork { epochs: NonZeroU32::MIN, batch: BatchSize::All, learning_rate },
        seed: 7,
        cohort_size: 1,
        encoding: Encoding::PLAIN,
        settings: Default::default(),
        secure: None,
        privacy: None,
    }
}

fn run(trainer: &mut Trainer) -> ClientUpdate {
    let model = model();
    trainer.train(&task(&model, 0.5), model.clone(), &StopSignal::new()).unwrap()
}

#[test]
fn both_ways_to_clip_give_the_same_update_with_the_same_seed() {
    let update = |method| run(&mut trainer(numbers_of(6), 40, method, Randomness::simulation(3))).delta;
    let (exact, ghost) = (update(GradientMethod::Exact), update(GradientMethod::default()));
    let differ = exact.values().iter().zip(ghost.values()).map(|(exact, ghost)| (exact - ghost).abs());
    assert!(differ.fold(0.0, f32::max) < 1e-5);
}

#[test]
fn what_was_done_is_told_and_nothing_else_of_the_examples() {
    let mut trainer = trainer(numbers_of(6), 37, GradientMethod::default(), Randomness::simulation(3));
    assert_eq!((trainer.example_count(), trainer.done()), (40, None));
    let update = run(&mut trainer);
    assert_eq!(update.examples.get(), 40);
    assert_eq!(update.metrics, Metrics::new());
    let work = trainer.done().unwrap();
    assert_eq!(work, trainer.planned());
    assert_eq!((work.steps, work.simulated), (6, true));
    assert_eq!(format!("{trainer:?}").matches("37").count(), 0);
}

#[test]
fn the_system_seeds_each_task_anew_and_a_simulation_repeats() {
    let updates = |randomness| {
        let mut trainer = trainer(numbers_of(2), 40, GradientMethod::default(), randomness);
        assert_eq!(
            trainer.planned().simulated,
            trainer.done().is_some_and(|work: PrivateWork| work.simulated) || trainer.planned().simulated
        );
        [run(&mut trainer).delta, run(&mut trainer).delta]
    };
    assert_eq!(updates(Randomness::simulation(1)), updates(Randomness::simulation(1)));
    let [first, second] = updates(Randomness::system());
    assert_ne!(first, second);
}

/// A site without examples sends noise, as large as said: 115 values over 50 steps, each with a standard deviation of
/// 0.5 * 1.5 * 0.25 / 20 a step. The sum of squares is chi-squared with 115 degrees of freedom; the bound is 6 of its
/// standard deviations, 15.2 (a false alarm below 1e-8), and the seed is fixed.
#[test]
fn empty_batches_get_their_noise_too() {
    let mut trainer = trainer(numbers_of(50), 0, GradientMethod::default(), Randomness::simulation(5));
    let update = run(&mut trainer);
    let variance = 50.0 * (0.5_f64 * 1.5 * 0.25 / 20.0).powi(2);
    let squares: f64 = update.delta.values().iter().map(|value| f64::from(*value).powi(2) / variance).sum();
    assert_eq!(update.delta.values().len(), 115);
    assert!((squares - 115.0).abs() < 6.0 * 230.0_f64.sqrt(), "{squares}");
    assert_eq!(trainer.done().map(|work| work.steps), Some(50));
}

#[test]
fn without_noise_a_step_is_the_clipped_sum_by_the_expected_size() {
    let numbers = DpSgd { sampling_rate: SamplingRate::FULL, ..numbers_of(1) };
    let mut trainer = trainer(numbers, 20, GradientMethod::default(), Randomness::simulation(5));
    let (model, mut seen) = (model(), Vec::new());
    let mut noise = |sum: &mut [f64], sigma: f64| {
        assert!((sigma - 1.5 * 0.25).abs() < 1e-12);
        seen.extend_from_slice(sum);
    };
    let update =
        trainer.train_with_noise(&task(&model, 0.5), &model, &StopSignal::new(), &mut noise).unwrap();
    assert!(seen.iter().map(|value| value * value).sum::<f64>().sqrt() <= 20.0 * 0.25);
    for (delta, sum) in update.delta.values().iter().zip(seen) {
        assert!((f64::from(*delta) + 0.5 * sum / 40.0).abs() < 1e-6);
    }
}

#[test]
fn a_withdrawn_task_counts_the_steps_that_were_begun() {
    let mut trainer = trainer(numbers_of(9), 20, GradientMethod::default(), Randomness::simulation(5));
    let (model, stop, mut steps) = (model(), StopSignal::new(), 0);
    let raised = stop.clone();
    let mut noise = move |_: &mut [f64], _: f64| {
        steps += 1;
        if steps == 3 {
            raised.raise();
        }
    };
    let result = trainer.train_with_noise(&task(&model, 0.5), &model, &stop, &mut noise);
    assert!(matches!(result, Err(TrainerError::Stopped)));
    assert_eq!(trainer.done().map(|work| work.steps), Some(3));
}

#[test]
fn parameters_that_do_not_train_stay_as_they_are() {
    let mut module = Dense::<Cpu>::new(1, true);
    module.hidden = module.hidden.no_grad();
    let (table, optimizer, method) =
        (Table::new(1, 30, 12), SgdConfig::new().init(), GradientMethod::default());
    let mut trainer =
        PrivateTrainer::new(module, table, optimizer, numbers_of(3), method, Randomness::simulation(5))
            .unwrap();
    let update = run(&mut trainer);
    assert!(update.delta.tensor("hidden.weight").unwrap().iter().all(|change| *change == 0.0));
    assert!(update.delta.tensor("output.weight").unwrap().iter().all(|change| *change != 0.0));
}
