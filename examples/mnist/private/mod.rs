//! One site reads digits with differential privacy for each of its images: `--dp epsilon=1.2`.
//!
//! [`train_privately`] is the story: from a [`Budget`] and the numbers of a [`Recipe`] follows the noise, before any image is looked
//! at; then the site trains, task by task. `network` is what is trained, `report` what came of it.

mod budget;
mod network;
mod recipe;
mod report;
#[cfg(test)]
mod tests;

use std::time::Instant;

use anyhow::{Result, ensure};
use burn::backend::{Autodiff, Flex};
use federated_client::{
    parameters::{extract, load},
    trainer::{
        LocalTrainer, StopSignal,
        private::{GradientMethod, PrivateTrainer, Randomness},
    },
};
use federated_core::{
    model::ModelParameters,
    privacy::dp::{Accountant, Comparison, Composition, Target},
};

use self::network::{DigitReader, PIXELS};
pub(crate) use self::{budget::Budget, recipe::Recipe, report::PrivateRun};
use crate::mnist::data::{self, Data};

/// Trains on all the training images with noise for a budget, and tells after each pass how many test images are read right.
///
/// The guarantee is for adding or removing one training image, and for whoever sees the model after every pass. The test images are
/// not in it: their accuracy is for the reader of the example.
pub(crate) fn train_privately(
    data: &Data,
    target: Target,
    recipe: &Recipe,
    seed: u64,
    mut progress: impl FnMut(usize, f64),
) -> Result<PrivateRun> {
    let pixels = data.train.pixels_each();
    ensure!(pixels == PIXELS, "expected images of 28 x 28 = {PIXELS} pixels, found {pixels}");
    let began = Instant::now();
    let (train, test) = (data::table(&data.train)?, data::table(&data.test)?);
    let numbers = recipe.numbers(target, train.example_count() as u64)?;
    let network = DigitReader::<Autodiff<Flex>>::new(seed);
    let mut model = extract(&network)?;
    let (method, randomness) = (GradientMethod::default(), Randomness::system());
    let mut trainer = PrivateTrainer::new(network, train, recipe.optimizer(), numbers, method, randomness)?;
    let (mut spent, mut accuracies) = (Composition::EMPTY, Vec::new());
    for pass in 1..=recipe.epochs.get() {
        let task = recipe.task(pass, &model)?;
        let update = trainer.train(&task, model.clone(), &StopSignal::new())?;
        trainer.done().and_then(|work| work.step()).into_iter().for_each(|step| spent.push(step));
        let values = model.values().iter().zip(update.delta.values()).map(|(value, delta)| value + delta);
        model = ModelParameters::new(model.layout().clone(), values.collect())?;
        let reader = load(DigitReader::<Flex>::new(seed), &model)?;
        accuracies.push(reader.accuracy(&test)?);
        accuracies.last().into_iter().for_each(|accuracy| progress(accuracies.len(), *accuracy));
    }
    let closest = Accountant::closest(&spent);
    Ok(PrivateRun {
        accuracy: accuracies.last().copied().unwrap_or(0.0),
        asked: target.epsilon.get(),
        spent: closest.epsilon(&spent, target.delta)?,
        accountants: Comparison::of(&spent, target.delta)?,
        work: trainer.planned(),
        tasks: recipe.epochs.get(),
        steps: spent.rounds(),
        expected_batch: numbers.expected_batch(),
        learning_rate: recipe.learning_rate,
        seconds: began.elapsed().as_secs_f64(),
        accuracies,
    })
}
