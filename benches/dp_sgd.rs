//! A step of DP-SGD on 64 examples, without its noise, for the networks of McMahan et al.: one example after another, and all at once,
//! beside a plain step of the same network.
//!
//! Beside criterion's rows it prints the ratios of the shortest of 9 runs each, taken in turns, in time on a processor: what else
//! the machine does counts less then.

use std::{hint::black_box, time::Duration};

use burn::{
    backend::{Autodiff, Flex},
    module::Module,
    nn::{
        Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
    },
    optim::{GradientsParams, Optimizer, SgdConfig},
    tensor::{
        Tensor,
        activation::{log_softmax, relu},
        backend::{AutodiffBackend, Backend},
        module::max_pool2d,
    },
};
use criterion::{Criterion, criterion_group, criterion_main};
use federated_client::{
    dataset::{Dataset, TabularBatch, TabularDataset},
    trainer::private::{ClippedGradients, GradientMethod, Plain, PrivateLayer, PrivateModule, Tape},
};
use federated_core::privacy::dp::ClipNorm;

type Cpu = Autodiff<Flex>;

const BATCH: usize = 64;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// With convolutions, 1,663,370 parameters; without, the network of two hidden layers, 199,210.
#[derive(Module, Debug)]
struct Digits<B: Backend> {
    convolutions: Vec<Conv2d<B>>,
    layers: Vec<Linear<B>>,
}

impl<B: Backend> Digits<B> {
    fn cnn() -> Self {
        let device = Default::default();
        let conv =
            |channels| Conv2dConfig::new(channels, [5, 5]).with_padding(PaddingConfig2d::Same).init(&device);
        let linear = |from, to| LinearConfig::new(from, to).init(&device);
        Self {
            convolutions: vec![conv([1, 32]), conv([32, 64])],
            layers: vec![linear(3_136, 512), linear(512, 10)],
        }
    }

    fn two_layers() -> Self {
        let device = Default::default();
        let linear = |from, to| LinearConfig::new(from, to).init(&device);
        Self { convolutions: Vec::new(), layers: vec![linear(784, 200), linear(200, 200), linear(200, 10)] }
    }
}

impl<B: AutodiffBackend> PrivateModule<B> for Digits<B> {
    type Batch = TabularBatch<B>;

    fn layers(&self) -> Vec<&dyn PrivateLayer> {
        let convolutions = self.convolutions.iter().map(|layer| layer as &dyn PrivateLayer);
        convolutions.chain(self.layers.iter().map(|layer| layer as &dyn PrivateLayer)).collect()
    }

    fn losses(&self, batch: Self::Batch, tape: &mut impl Tape<B>) -> Tensor<B, 1> {
        let examples = batch.features.dims()[0];
        let mut image = batch.features.reshape([examples, 1, 28, 28]);
        for layer in &self.convolutions {
            image = relu(max_pool2d(tape.conv2d(layer, image), [2, 2], [2, 2], [0, 0], [1, 1], false));
        }
        let width = image.shape().num_elements() / examples;
        let mut values = image.reshape([examples, width]);
        for (index, layer) in self.layers.iter().enumerate() {
            values = tape.linear(layer, values);
            if index + 1 < self.layers.len() {
                values = relu(values);
            }
        }
        log_softmax(values, 1).gather(1, batch.labels.reshape([examples, 1])).squeeze_dim::<1>(1).neg()
    }
}

fn images() -> TabularDataset {
    let values = (0..BATCH * 784).map(|n| (n as f32 * 0.37).sin()).collect();
    TabularDataset::new(784, values, (0..BATCH as u32).map(|n| n % 10).collect()).expect("64 images")
}

/// A step of an optimiser on the mean gradient.
fn plain(module: Digits<Cpu>, images: &TabularDataset, all: &[usize]) -> Digits<Cpu> {
    let batch = Dataset::<Cpu>::batch(images, all, &Default::default()).expect("a batch");
    let gradients = module.losses(batch, &mut Plain).mean().backward();
    let gradients = GradientsParams::from_grads(gradients, &module);
    SgdConfig::new().init::<Cpu, Digits<Cpu>>().step(0.01, module, gradients)
}

/// The same on the sum of clipped gradients.
fn private(
    sum: &mut ClippedGradients,
    module: Digits<Cpu>,
    images: &TabularDataset,
    all: &[usize],
) -> Digits<Cpu> {
    sum.clear();
    sum.add(&module, images, all, &Default::default()).expect("finite gradients");
    let gradients = sum.scaled(&module, 1.0 / BATCH as f64);
    SgdConfig::new().init::<Cpu, Digits<Cpu>>().step(0.01, module, gradients)
}

/// What this process has been on a processor.
fn processor_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.try_into().unwrap_or(0))
}

fn steps(c: &mut Criterion, name: &str, module: &Digits<Cpu>) {
    let (images, all) = (images(), (0..BATCH).collect::<Vec<_>>());
    let clip = ClipNorm::new(1.0).expect("a norm");
    let sum = |method| ClippedGradients::new(module, clip, method).expect("private layers");
    let (mut one_by_one, mut at_once) = (sum(GradientMethod::Exact), sum(GradientMethod::default()));
    let mut exact = || drop(black_box(private(&mut one_by_one, module.clone(), &images, &all)));
    let mut ghost = || drop(black_box(private(&mut at_once, module.clone(), &images, &all)));
    let mut plain = || drop(black_box(plain(module.clone(), &images, &all)));
    let mut best = [Duration::MAX; 3];
    for _ in 0..9 {
        let runs: [&mut dyn FnMut(); 3] = [&mut exact, &mut ghost, &mut plain];
        for (best, run) in best.iter_mut().zip(runs) {
            let start = processor_time();
            run();
            *best = (*best).min(processor_time() - start);
        }
    }
    let [one_by_one, at_once, plainly] = best.map(|best| best.as_secs_f64());
    println!(
        "{name}: one by one {:.1} ms, at once {:.1} ms, plain {:.1} ms; at once {:.2} times faster, {:.2} times plain",
        one_by_one * 1e3,
        at_once * 1e3,
        plainly * 1e3,
        one_by_one / at_once,
        at_once / plainly,
    );
    let mut group = c.benchmark_group(format!("a step on 64 examples, {name}"));
    group.sample_size(10);
    group.bench_function("one by one", |b| b.iter(&mut exact));
    group.bench_function("at once", |b| b.iter(&mut ghost));
    group.bench_function("plain", |b| b.iter(&mut plain));
    group.finish();
}

fn networks(c: &mut Criterion) {
    steps(c, "two hidden layers", &Digits::two_layers());
    steps(c, "convolutions", &Digits::cnn());
}

criterion_group!(benches, networks);
criterion_main!(benches);
