use anyhow::Result;
use burn::{
    backend::{Autodiff, Flex},
    optim::SgdConfig,
};
use federated_client::{
    dataset::TabularDataset,
    parameters::extract,
    trainer::{
        DenseNetwork, LocalTrainer, StopSignal,
        private::{DpSgd, GradientMethod, NoiseSource, PrivateTrainer},
    },
};
use federated_core::model::{ModelLayout, ModelParameters, TensorSpec};

use crate::{
    audit::{
        audited::{Audited, CONFIDENCE},
        canaries::Canaries,
        patients::Patients,
        recipe::Recipe,
    },
    classification::Predictions,
    dense,
};

/// An audit before its coins are tossed.
#[derive(Debug)]
pub(crate) struct Experiment {
    pub(crate) recipe: Recipe,
    pub(crate) patients: Patients,
    /// What is claimed to keep the claim.
    pub(crate) numbers: DpSgd,
}

impl Experiment {
    pub(crate) fn new(recipe: Recipe) -> Result<Self> {
        let patients = Patients::read()?;
        let numbers = recipe.numbers(patients.count())?;
        Ok(Self { recipe, patients, numbers })
    }

    /// Tosses the coins, trains once, and guesses.
    pub(crate) fn run(&self) -> Result<Audited> {
        self.run_with(self.numbers, None)
    }

    /// The same with other numbers or other noise than what is claimed: how something broken looks.
    pub(crate) fn run_with(&self, numbers: DpSgd, noise: Option<&mut dyn NoiseSource>) -> Result<Audited> {
        let recipe = &self.recipe;
        let canaries = Canaries::toss(recipe.canaries, &mut recipe.generator(1)?);
        let table = canaries.among(&self.patients)?;
        // From nothing, so that all a model says is what it was trained on.
        let layout = layout(table.feature_count())?;
        let initial = ModelParameters::new(layout.clone(), vec![0.0; table.feature_count() + 1])?;
        let trained = self.train(numbers, table.clone(), &initial, noise)?;
        let guesses = canaries.guess(&trained, self.patients.columns, recipe.guesses_each)?;
        Ok(Audited {
            patients: self.patients.count(),
            canaries: canaries.count(),
            included: canaries.included(),
            guessed: guesses.guessed(),
            right: guesses.right(),
            claimed_epsilon: recipe.claim.epsilon,
            delta: recipe.claim.delta,
            audited_epsilon: guesses.epsilon_at_least(recipe.claim.delta, CONFIDENCE)?,
            confidence: CONFIDENCE,
            noise_multiplier: self.numbers.noise_multiplier,
            clip: self.numbers.clip,
            sampling_rate: self.numbers.sampling_rate,
            steps: self.numbers.steps,
            accountant: recipe.accountant(),
            auc: self.auc(&trained, &table)?,
            no_privacy: recipe.seed.is_some(),
        })
    }

    /// What training adds to a model of zeros: the trained model.
    fn train(
        &self,
        numbers: DpSgd,
        table: TabularDataset,
        initial: &ModelParameters,
        noise: Option<&mut dyn NoiseSource>,
    ) -> Result<ModelParameters> {
        let network = DenseNetwork::<Autodiff<Flex>>::from_layout(initial.layout(), &Default::default())?;
        debug_assert!(extract(&network).is_ok_and(|model| model == *initial), "a network of zeros");
        let (method, randomness) = (GradientMethod::default(), self.recipe.randomness());
        let optimizer = SgdConfig::new().init();
        let mut trainer = PrivateTrainer::new(network, table, optimizer, numbers, method, randomness)?;
        let (task, stop) = (self.recipe.task(initial)?, StopSignal::new());
        let update = match noise {
            None => trainer.train(&task, initial.clone(), &stop)?,
            Some(noise) => trainer.train_with_noise(&task, initial, &stop, noise)?,
        };
        Ok(ModelParameters::new(initial.layout().clone(), update.delta.values().to_vec())?)
    }

    /// How well the model tells ill patients from others: those that it was trained on.
    fn auc(&self, trained: &ModelParameters, table: &TabularDataset) -> Result<Option<f64>> {
        let logits = dense::logits(trained, table)?;
        let mut predictions = Predictions::new();
        predictions.extend(logits.into_iter().zip(self.patients.labels.iter().map(|label| *label == 1)));
        Ok(predictions.quality().and_then(|quality| quality.auc))
    }
}

/// Logistic regression.
fn layout(features: usize) -> Result<ModelLayout> {
    let (weight, bias) = ("layers.0.weight", "layers.0.bias");
    Ok(ModelLayout::new(vec![TensorSpec::new(weight, [features as u64, 1]), TensorSpec::new(bias, [1])])?)
}
