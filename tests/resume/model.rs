use anyhow::{Context, Result};
use federated_core::{
    ids::Digest,
    model::{ModelLayout, ModelParameters, TensorSpec},
};

/// What training adds to every value.
pub(crate) const ADDED: f32 = 0.5;
/// Values repeat after so many: a prime, so that no two chunks are the same.
const PERIOD: u16 = 4093;

/// A model of one tensor whose values, and those with [`ADDED`], f32 holds exactly.
#[derive(Debug)]
pub(crate) struct Model {
    layout: ModelLayout,
    trained: Digest,
}

impl Model {
    /// A model of so many bytes, rounded down to whole values.
    pub(crate) fn of_bytes(bytes: u64) -> Result<Self> {
        let layout = ModelLayout::new(vec![TensorSpec::new("weights", [bytes / 4])])?;
        let trained = ModelParameters::new(layout.clone(), values(&layout, ADDED)?)?.digest();
        Ok(Self { layout, trained })
    }

    /// Before training.
    pub(crate) fn initial(&self) -> Result<ModelParameters> {
        Ok(ModelParameters::new(self.layout.clone(), values(&self.layout, 0.0)?)?)
    }

    /// The digest that a round of training must lead to.
    pub(crate) const fn trained(&self) -> Digest {
        self.trained
    }

    /// The bytes of the model, and of an update.
    pub(crate) fn bytes(&self) -> u64 {
        self.layout.bytes()
    }
}

fn values(layout: &ModelLayout, added: f32) -> Result<Vec<f32>> {
    let count = usize::try_from(layout.elements()).context("a model that this machine can address")?;
    let pattern = (0..PERIOD).map(|value| f32::from(value) / 4096.0 + added);
    Ok(pattern.cycle().take(count).collect())
}
