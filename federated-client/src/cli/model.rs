use std::{fs, path::PathBuf};

use anyhow::Context;
use burn::backend::Flex;
use clap::Args;
use federated_client::{parameters::extract, trainer::DenseNetwork};
use federated_core::model::to_safetensors;

/// Makes an initial model for the built-in trainer: a dense network of random weights.
#[derive(Args)]
pub(super) struct NewModel {
    /// Features, hidden layers and outputs: 13,32,1 has 13 features, 32 hidden units and one output, for two classes.
    #[arg(long, value_name = "SIZES", value_delimiter = ',', required = true)]
    dense: Vec<usize>,
    /// The same seed gives the same model on every machine.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The safetensors file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl NewModel {
    #[expect(clippy::print_stdout, reason = "a command says what it did")]
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let network = DenseNetwork::<Flex>::new(&self.dense, self.seed, &Default::default())?;
        let model = extract(&network)?;
        fs::write(&self.out, to_safetensors(&model)?)
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        println!(
            "{} holds {} parameters; the layout's digest, for a site's policy.allowed_layouts, is",
            self.out.display(),
            model.layout().elements()
        );
        println!("{}", model.layout().digest());
        Ok(())
    }
}
