use std::num::NonZeroU32;

use anyhow::Result;
use federated_core::{
    compression::Encoding,
    ids::{IdError, ParticipantName},
};

use crate::{compression, mnist::idx::CLASSES};

/// The sizes of the 2NN for images of so many pixels: 199,210 parameters for MNIST's 784.
///
/// # References
/// McMahan et al., AISTATS 2017, section 3: "a simple multilayer-perceptron with 2-hidden layers with 200 units each
/// using ReLu activations (199,210 total parameters)".
pub(crate) const fn network(pixels: usize) -> [usize; 4] {
    [pixels, 200, 200, CLASSES]
}

/// How the federation trains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Recipe {
    /// Rounds of federated averaging.
    pub(crate) rounds: NonZeroU32,
    /// Passes over a participant's images in a round.
    pub(crate) local_epochs: NonZeroU32,
    /// Images in a step.
    pub(crate) batch_size: NonZeroU32,
    /// Step size.
    pub(crate) learning_rate: f32,
}

impl Recipe {
    /// The job file. Its name is the same for every encoding, because the seeds of the tasks depend on it: so runs with
    /// other encodings draw the same batches. Everybody must report, so that a run repeats.
    pub(crate) fn job(&self, seed: u64, participants: &[ParticipantName], encoding: Encoding) -> String {
        let Self { rounds, local_epochs, batch_size, learning_rate } = self;
        let count = participants.len();
        let names: Vec<String> = participants.iter().map(|name| format!("\"{name}\"")).collect();
        format!(
            "name = \"mnist-{seed}\"\nrounds = {rounds}\nseed = {seed}\n\
             [model]\ninitial = \"initial.safetensors\"\n\
             [strategy]\nkind = \"fedavg\"\nlocal_epochs = {local_epochs}\nbatch_size = {batch_size}\n\
             learning_rate = {learning_rate:?}\n\
             [cohort]\nparticipants = [{}]\nmin_participants = {count}\nquorum = {count}\n\
             [timeouts]\ndeadline = \"30m\"\n{}",
            names.join(", "),
            compression::job_table(encoding)
        )
    }
}

/// The participants' names, in the order of their shares.
pub(crate) fn participants(count: u32) -> Result<Vec<ParticipantName>, IdError> {
    (1..=count).map(|number| format!("participant-{number:02}").parse()).collect()
}

#[cfg(test)]
mod tests {
    use federated_core::config::JobConfig;

    use super::*;
    use crate::dense;

    #[test]
    fn the_network_is_that_of_the_paper() {
        let model = dense::initial(&network(784), 1).unwrap();
        assert_eq!(model.layout().elements(), 199_210);
    }

    #[test]
    fn the_job_says_what_the_recipe_says() {
        let number = |number| NonZeroU32::new(number).unwrap();
        let recipe = Recipe {
            rounds: number(20),
            local_epochs: number(1),
            batch_size: number(10),
            learning_rate: 0.1,
        };
        let names = participants(12).unwrap();
        for encoding in ["f32", "f32+zstd", "bf16", "f16", "int8+zstd", "int4", "top-k:0.01+zstd", "top-k:1"]
        {
            let encoding: Encoding = encoding.parse().unwrap();
            let job = JobConfig::parse(&recipe.job(1 << 53, &names, encoding)).unwrap();
            assert_eq!(job.compression, encoding);
            assert_eq!((job.plan.rounds().get(), job.plan.seed()), (20, 1 << 53));
            assert_eq!((job.plan.cohort().quorum.get(), names[11].as_str()), (12, "participant-12"));
        }
    }

    #[test]
    fn a_learning_rate_that_is_none_is_refused() {
        let one = NonZeroU32::MIN;
        for bad in [0.0, -1.0, f32::INFINITY, f32::NAN] {
            let recipe = Recipe { rounds: one, local_epochs: one, batch_size: one, learning_rate: bad };
            assert!(
                JobConfig::parse(&recipe.job(1, &participants(2).unwrap(), Encoding::PLAIN)).is_err(),
                "{bad}"
            );
        }
    }
}
