use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use burn::{
    backend::{Autodiff, Flex},
    module::Module,
    nn::{BatchNorm, BatchNormConfig},
    optim::{AdamConfig, SgdConfig, momentum::MomentumConfig},
    tensor::{
        Tensor,
        backend::{AutodiffBackend, Backend},
    },
};
use federated_core::{
    compression::Encoding,
    ids::{RoundNumber, TaskId},
    metrics::Metrics,
    model::{ModelLayout, ModelParameters, TensorSpec},
    strategy::{BatchSize, LocalWork},
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};

use super::{
    BurnTrainer, DenseNetwork, LocalTrainer, StopSignal, TabularTrainer, TrainableModule, TrainerError,
    run_guarded,
};
use crate::{
    dataset::{BoxError, Dataset, TabularBatch, TabularDataset},
    device::Device,
    parameters::extract,
};

type Cpu = Autodiff<Flex>;

fn task(model: &ModelParameters, seed: u64, epochs: u32, batch: BatchSize, learning_rate: f32) -> TrainTask {
    TrainTask {
        id: TaskId { job: "job".parse().unwrap(), round: RoundNumber::FIRST, attempt: 1 },
        rounds: 1,
        layout: model.layout().clone(),
        model: model.digest(),
        work: LocalWork { epochs: NonZeroU32::new(epochs).unwrap(), batch, learning_rate },
        seed,
        cohort_size: 1,
        encoding: Encoding::PLAIN,
        settings: Default::default(),
        secure: None,
        privacy: None,
    }
}

fn batches_of(examples: u32) -> BatchSize {
    BatchSize::Examples(NonZeroU32::new(examples).unwrap())
}

/// Points on a spiral arm of their own for each class: no line separates them, a small network does.
fn points(classes: u32, examples: u32) -> TabularDataset {
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for n in 0..examples {
        let (class, step) = (n % classes, (n / classes) as f32 / (examples / classes) as f32);
        let angle = 6.3 * class as f32 / classes as f32 + 2.0 * step;
        values.extend([(0.2 + step) * angle.cos(), (0.2 + step) * angle.sin()]);
        labels.push(class);
    }
    TabularDataset::new(2, values, labels).unwrap()
}

fn network(sizes: &[usize]) -> DenseNetwork<Cpu> {
    DenseNetwork::new(sizes, 7, &Default::default()).unwrap()
}

fn train(trainer: &mut impl LocalTrainer, task: &TrainTask, model: &ModelParameters) -> ClientUpdate {
    trainer.train(task, model.clone(), &StopSignal::new()).unwrap()
}

fn plus(model: &ModelParameters, delta: &ModelParameters) -> ModelParameters {
    let values = model.values().iter().zip(delta.values()).map(|(value, change)| value + change).collect();
    ModelParameters::new(model.layout().clone(), values).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
    let model = extract(&network(&[2, 8, 1])).unwrap();
    let digest = |seed| {
        let mut trainer = BurnTrainer::new(network(&[2, 8, 1]), points(2, 60), SgdConfig::new().init());
        train(&mut trainer, &task(&model, seed, 3, batches_of(7), 0.1), &model).delta.digest()
    };
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn training_at_the_same_time_on_other_threads_does_not_change_the_bits() {
    let model = extract(&network(&[2, 64, 64, 3])).unwrap();
    let digest = || {
        let mut trainer = TabularTrainer::new(points(3, 300), Device::Cpu).unwrap();
        train(&mut trainer, &task(&model, 5, 2, batches_of(64), 0.1), &model).delta.digest()
    };
    let alone = digest();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(digest)).collect();
        assert!(threads.into_iter().all(|thread| thread.join().unwrap() == alone));
    });
}

#[test]
fn training_learns_what_separates_the_classes() {
    for (sizes, classes) in [([2, 32, 1], 2), ([2, 32, 3], 3)] {
        let dataset = points(classes, 150);
        let mut trainer = TabularTrainer::new(dataset.clone(), Device::Cpu).unwrap();
        let mut model = extract(&network(&sizes)).unwrap();
        let mut losses = Vec::new();
        for round in 0..5 {
            let update = train(&mut trainer, &task(&model, round, 40, batches_of(10), 0.3), &model);
            assert_eq!(update.examples.get(), 150);
            losses.push(update.metrics.get("loss").unwrap());
            model = plus(&model, &update.delta);
        }
        assert!(losses[4] < losses[0] / 2.0, "{losses:?}");
        let trained = crate::parameters::load(network(&sizes), &model).unwrap();
        let all: Vec<usize> = (0..150).collect();
        let batch: TabularBatch<Cpu> = dataset.batch(&all, &Default::default()).unwrap();
        let probabilities = trained.probabilities(batch.features).into_data().to_vec::<f32>().unwrap();
        let right =
            dataset.labels().iter().zip(probabilities.chunks(sizes[2])).filter(|(label, row)| match row {
                [one] => (*one > 0.5) == (**label == 1),
                many => (0..many.len()).all(|other| many[other] <= many[**label as usize]),
            });
        assert!(right.count() > 145);
    }
}

/// Logistic regression, where the gradient is the mean of (sigmoid(w x + b) - y) x.
#[test]
fn one_epoch_on_one_batch_is_one_gradient_step() {
    let (rows, labels) = ([[0.5_f32, -1.0], [2.0, 0.25], [-1.5, 1.0]], [1_u32, 0, 1]);
    let dataset = TabularDataset::new(2, rows.concat(), labels.to_vec()).unwrap();
    let module = network(&[2, 1]);
    let model = extract(&module).unwrap();
    let mut trainer = BurnTrainer::new(module, dataset, SgdConfig::new().init());
    let update = train(&mut trainer, &task(&model, 1, 1, BatchSize::All, 0.5), &model);

    let start: Vec<f64> = model.values().iter().map(|value| f64::from(*value)).collect();
    let mut gradient = [0.0; 3];
    let mut loss = 0.0;
    for (row, label) in rows.iter().zip(labels) {
        let features = [f64::from(row[0]), f64::from(row[1]), 1.0];
        let logit: f64 = features.iter().zip(&start).map(|(x, w)| x * w).sum();
        let probability = 1.0 / (1.0 + (-logit).exp());
        let label = f64::from(label);
        loss -= (label * probability.ln() + (1.0 - label) * (1.0 - probability).ln()) / 3.0;
        gradient.iter_mut().zip(features).for_each(|(sum, x)| *sum += (probability - label) * x / 3.0);
    }
    for (delta, gradient) in update.delta.values().iter().zip(gradient) {
        assert!((f64::from(*delta) + 0.5 * gradient).abs() < 1e-6, "{delta} {gradient}");
    }
    assert!((update.metrics.get("loss").unwrap() - loss).abs() < 1e-6);
}

#[test]
fn the_seed_does_not_matter_when_all_examples_are_one_batch() {
    let model = extract(&network(&[2, 4, 1])).unwrap();
    let mut trainer = BurnTrainer::new(network(&[2, 4, 1]), points(2, 20), SgdConfig::new().init());
    let mut digest =
        |seed| train(&mut trainer, &task(&model, seed, 1, BatchSize::All, 0.1), &model).delta.digest();
    assert_eq!(digest(1), digest(2));
}

#[test]
fn each_task_starts_with_a_fresh_optimiser() {
    let model = extract(&network(&[2, 4, 1])).unwrap();
    let task = task(&model, 1, 2, batches_of(5), 0.05);
    let momentum = SgdConfig::new().with_momentum(Some(MomentumConfig::new())).init();
    let mut trainer = BurnTrainer::new(network(&[2, 4, 1]), points(2, 20), momentum);
    let first = train(&mut trainer, &task, &model);
    assert_eq!(first, train(&mut trainer, &task, &model));
    let mut trainer = BurnTrainer::new(network(&[2, 4, 1]), points(2, 20), AdamConfig::new().init());
    let adam = train(&mut trainer, &task, &model);
    assert_eq!(adam, train(&mut trainer, &task, &model));
    assert_ne!(adam.delta, first.delta);
}

#[derive(Module, Debug)]
struct Normalised<B: Backend> {
    norm: BatchNorm<B>,
    network: DenseNetwork<B>,
}

impl<B: AutodiffBackend> TrainableModule<B> for Normalised<B> {
    type Batch = TabularBatch<B>;

    fn loss(&self, batch: TabularBatch<B>) -> Tensor<B, 1> {
        let features = self.norm.forward(batch.features);
        self.network.loss(TabularBatch { features, ..batch })
    }
}

#[test]
fn running_statistics_are_part_of_the_update_and_do_not_leak_into_the_next_task() {
    let module =
        Normalised { norm: BatchNormConfig::new(2).init(&Default::default()), network: network(&[2, 4, 1]) };
    let model = extract(&module).unwrap();
    let mut trainer = BurnTrainer::new(module, points(2, 20), SgdConfig::new().init());
    let task = task(&model, 1, 2, batches_of(5), 0.05);
    let first = train(&mut trainer, &task, &model);
    assert!(first.delta.tensor("norm.running_var").unwrap().iter().all(|change| change.abs() > 0.01));
    let elsewhere =
        std::thread::scope(|scope| scope.spawn(|| train(&mut trainer, &task, &model)).join().unwrap());
    assert_eq!(first, elsewhere);
    assert_eq!(first, train(&mut trainer, &task, &model));
}

/// Raises the signal while its third batch is read.
struct Withdrawn {
    table: TabularDataset,
    stop: StopSignal,
    batches: Arc<AtomicUsize>,
}

impl<B: Backend> Dataset<B> for Withdrawn {
    type Batch = TabularBatch<B>;

    fn len(&self) -> usize {
        self.table.example_count()
    }

    fn batch(&self, indices: &[usize], device: &B::Device) -> Result<Self::Batch, BoxError> {
        if self.batches.fetch_add(1, Ordering::Relaxed) == 2 {
            self.stop.raise();
        }
        self.table.batch(indices, device)
    }
}

#[test]
fn a_withdrawn_task_stops_at_the_next_step() {
    let (stop, batches) = (StopSignal::new(), Arc::new(AtomicUsize::new(0)));
    let dataset = Withdrawn { table: points(2, 20), stop: stop.clone(), batches: Arc::clone(&batches) };
    let model = extract(&network(&[2, 1])).unwrap();
    let mut trainer = BurnTrainer::new(network(&[2, 1]), dataset, SgdConfig::new().init());
    let result = trainer.train(&task(&model, 1, 100, batches_of(1), 0.1), model.clone(), &stop);
    assert!(matches!(result, Err(TrainerError::Stopped)));
    assert_eq!(batches.load(Ordering::Relaxed), 3);
}

#[test]
fn divergence_is_told_with_epoch_and_remedy() {
    let model = extract(&network(&[1, 1])).unwrap();
    let refused = |value: f32, learning_rate, batch| {
        let dataset = TabularDataset::new(1, vec![value, -1.0], vec![0, 1]).unwrap();
        let mut trainer = BurnTrainer::new(network(&[1, 1]), dataset, SgdConfig::new().init());
        let task = task(&model, 1, 4, batch, learning_rate);
        trainer.train(&task, model.clone(), &StopSignal::new()).unwrap_err()
    };
    let error = refused(f32::NAN, 0.1, batches_of(1));
    assert!(matches!(error, TrainerError::Diverged { epoch: 1, .. }), "{error}");
    assert!(error.to_string().contains("lower the job's learning rate"), "{error}");
    assert_eq!(error.reason().as_str(), "TRAINING_DIVERGED");
    let error = refused(1.0, 1.0e30, BatchSize::All);
    assert!(matches!(error, TrainerError::Diverged { .. }), "{error}");
}

#[test]
fn a_model_of_another_network_is_refused_by_the_tensor() {
    let model = extract(&network(&[2, 5, 1])).unwrap();
    let mut trainer = BurnTrainer::new(network(&[2, 4, 1]), points(2, 20), SgdConfig::new().init());
    let error = trainer.train(&task(&model, 1, 1, BatchSize::All, 0.1), model.clone(), &StopSignal::new());
    let error = error.unwrap_err();
    assert!(error.to_string().ends_with("`layers.0.weight`: expected shape [2, 4], found [2, 5]"), "{error}");
    assert_eq!(error.reason().as_str(), "TRAINING_UNSUPPORTED");
}

#[test]
fn without_examples_there_is_no_update() {
    let empty = TabularDataset::new(2, vec![], vec![]).unwrap();
    let model = extract(&network(&[2, 1])).unwrap();
    let mut trainer = BurnTrainer::new(network(&[2, 1]), empty, SgdConfig::new().init());
    let result = trainer.train(&task(&model, 1, 1, BatchSize::All, 0.1), model.clone(), &StopSignal::new());
    assert!(matches!(result, Err(TrainerError::NoExamples)));
}

#[test]
fn the_tabular_trainer_refuses_what_it_cannot_train() {
    let refused = |tensors: &[(&str, &[u64])]| {
        let layout =
            ModelLayout::new(tensors.iter().map(|(name, shape)| TensorSpec::new(*name, *shape)).collect());
        let model = ModelParameters::zeros(layout.unwrap()).unwrap();
        let mut trainer = TabularTrainer::new(points(3, 30), Device::Cpu).unwrap();
        let task = task(&model, 1, 1, BatchSize::All, 0.1);
        trainer.train(&task, model, &StopSignal::new()).unwrap_err().to_string()
    };
    let text = refused(&[("conv.weight", &[2, 2, 3, 3])]);
    assert!(text.contains("`layers.0.weight` of shape [inputs, outputs], found `conv.weight`"), "{text}");
    let text = refused(&[("layers.0.weight", &[2, 3])]);
    assert!(text.contains("`layers.0.bias` of shape [3], found nothing"), "{text}");
    let layers = |from, to: [u64; 2]| {
        let (weight, bias): ([u64; 2], [u64; 1]) = ([from, to[0]], [to[1]]);
        refused(&[("layers.0.weight", &weight), ("layers.0.bias", &bias)])
    };
    assert!(layers(2, [3, 4]).contains("`layers.0.bias` of shape [3], found `layers.0.bias` of shape [4]"));
    assert!(layers(5, [3, 3]).contains("2 inputs, as many as the table has feature columns, found one of 5"));
    assert!(layers(2, [1, 1]).contains("at least 3 classes"));
}

#[test]
fn a_network_starts_from_the_same_values_everywhere_and_knows_its_device() {
    let model = extract(&network(&[3, 4, 2])).unwrap();
    let digest = "c6474ba0dcd052e490fcad24e0098a42488e0ff4a6fafa194ba65430b871d039";
    assert_eq!(model.digest().to_string(), digest);
    let bound = (1.0_f32 / 3.0).sqrt();
    let weights = model.tensor("layers.0.weight").unwrap();
    assert!(weights.iter().all(|weight| weight.abs() <= bound));
    let device = Default::default();
    let again = DenseNetwork::<Cpu>::from_layout(model.layout(), &device).unwrap();
    assert_eq!((again.feature_count(), again.output_count(), again.class_count()), (3, 2, 2));
    assert_eq!(again.devices(), [device]);
    assert!(DenseNetwork::<Cpu>::new(&[3], 0, &device).is_err());
    assert!(DenseNetwork::<Cpu>::new(&[3, 0, 1], 0, &device).is_err());
}

/// An application's own trainer: no burn in it.
struct Own {
    panics: bool,
}

impl LocalTrainer for Own {
    fn example_count(&self) -> u64 {
        3
    }

    fn train(
        &mut self,
        _: &TrainTask,
        model: ModelParameters,
        _: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        assert!(!self.panics, "out of memory");
        Ok(ClientUpdate { delta: model, examples: ExampleCount::new(3)?, metrics: Metrics::new() })
    }
}

#[test]
fn a_panic_of_a_trainer_is_an_error() {
    let model = extract(&network(&[2, 1])).unwrap();
    let task = task(&model, 1, 1, BatchSize::All, 0.1);
    let run = |panics| run_guarded(&mut Own { panics }, &task, model.clone(), &StopSignal::new());
    assert_eq!(run(false).unwrap().examples.get(), 3);
    let error = run(true).unwrap_err();
    assert_eq!(error.to_string(), "the trainer panicked: out of memory");
}
