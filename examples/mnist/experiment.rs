use std::time::Instant;

use anyhow::{Context, Result};
use federated_client::{dataset::TabularDataset, device::Device};
use federated_core::{
    compression::Encoding, config::JobConfig, ids::ParticipantName, model::ModelParameters,
};
use federated_proto::v1::{JobStatus, RoundReport};
use federated_server::operator::OperatorClient;

use crate::{
    dense,
    federation::Federation,
    mnist::{
        data::{self, Data},
        idx::CLASSES,
        job::{self, Recipe},
        participant::Participant,
        partition::Partition,
        report::{Round, Run},
    },
};

/// What is trained, by whom.
#[derive(Debug)]
pub(crate) struct Experiment {
    data: Data,
    test: TabularDataset,
    participants: Vec<ParticipantName>,
    partition: Partition,
    recipe: Recipe,
    device: Device,
}

impl Experiment {
    /// With these data, checked.
    pub(crate) fn new(
        data: Data,
        participants: u32,
        partition: Partition,
        recipe: Recipe,
        device: Device,
    ) -> Result<Self> {
        let participants = job::participants(participants)?;
        JobConfig::parse(&recipe.job(0, &participants, Encoding::PLAIN))?;
        let test = data::table(&data.test)?;
        Ok(Self { data, test, participants, partition, recipe, device })
    }

    /// Runs one seed on a federation of its own; `shown` is told of each round.
    pub(crate) async fn run(&self, seed: u64, encoding: Encoding, shown: impl FnMut(&Round)) -> Result<Run> {
        let mut federation = self.start(seed).await?;
        let run = self.train(&mut federation, seed, encoding, shown).await;
        // Also after a failure: the processes use the folder that goes with the federation.
        let stopped = federation.stop().await;
        let run = run?;
        stopped?;
        Ok(run)
    }

    async fn start(&self, seed: u64) -> Result<Federation> {
        let train = &self.data.train;
        let shares = self.partition.divide(train.labels(), self.participants.len().try_into()?, seed)?;
        let mut shares = shares.iter();
        Federation::start("mnist", &self.participants, |_, folder| {
            let share = shares.next().context("there is a share for each participant")?;
            Participant::furnish(folder, &train.select(share), self.device)
        })
        .await
    }

    async fn train(
        &self,
        federation: &mut Federation,
        seed: u64,
        encoding: Encoding,
        mut shown: impl FnMut(&Round),
    ) -> Result<Run> {
        let began = Instant::now();
        let initial = dense::initial(&job::network(self.test.feature_count()), seed)?;
        let mut rounds: Vec<Round> = Vec::new();
        let job = self.recipe.job(seed, &self.participants, encoding);
        let watch = async |operator: &mut OperatorClient, status: &JobStatus| {
            let ended: Vec<&RoundReport> = status.history.iter().filter(|round| round.completed).collect();
            for (index, report) in ended.iter().enumerate().skip(rounds.len()) {
                // Older models are removed by the coordinator.
                let newest = index + 1 == ended.len();
                let accuracy = if newest { self.newest_accuracy(operator, status).await } else { None };
                let round = Round::new(report, accuracy);
                shown(&round);
                rounds.push(round);
            }
        };
        let finished = federation.run(&job, &initial, watch).await?;
        Ok(Run {
            seed,
            compression: encoding.to_string(),
            accuracy: self.accuracy(&finished.model)?,
            bytes_up: finished.status.bytes_up,
            bytes_down: finished.status.bytes_down,
            seconds: began.elapsed().as_secs_f64(),
            model_digest: finished.model.digest().to_string(),
            rounds,
        })
    }

    /// `None` if the next round was done before the model could be fetched: then it may be gone.
    async fn newest_accuracy(&self, operator: &mut OperatorClient, status: &JobStatus) -> Option<f64> {
        let model = operator.download(status.model.clone()?).await.ok()?;
        self.accuracy(&model).ok()
    }

    /// The share of test images whose digit has the largest output, 0 to 1.
    fn accuracy(&self, model: &ModelParameters) -> Result<f64> {
        let logits = tokio::task::block_in_place(|| dense::logits(model, &self.test))?;
        let guesses = logits.chunks_exact(CLASSES).map(largest);
        let right = guesses.zip(self.test.labels()).filter(|(guess, label)| *guess == **label as usize);
        Ok(right.count() as f64 / self.test.example_count() as f64)
    }
}

/// The place of the largest number, the first of equal ones.
fn largest(numbers: &[f32]) -> usize {
    let places = numbers.iter().enumerate();
    places
        .fold(
            (0, f32::NEG_INFINITY),
            |best, (place, number)| if *number > best.1 { (place, *number) } else { best },
        )
        .0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_largest_outputs_is_the_guess() {
        assert_eq!(largest(&[-3.0, -1.0, -2.0]), 1);
        assert_eq!(largest(&[0.0, 2.0, 2.0]), 1);
    }
}
