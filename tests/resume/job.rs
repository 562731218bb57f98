use anyhow::{Context, Result, ensure};
use federated_core::{
    ids::{Digest, JobName, RoundNumber, TaskId},
    model::ModelParameters,
};
use federated_proto::v1::{JobState, JobStatus};
use federated_tests::processes::{ByteRelay, Cluster, Process};

use crate::model::{ADDED, Model};

const PARTICIPANT: &str = "a";

/// Who is killed when half of the update has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kill {
    Nobody,
    Participant,
    Coordinator,
}

impl Kill {
    const fn job(self) -> &'static str {
        match self {
            Self::Nobody => "undisturbed",
            Self::Participant => "participant-killed",
            Self::Coordinator => "coordinator-killed",
        }
    }
}

/// What one job was like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// What the participant put on the wire in all.
    pub(crate) sent: u64,
    /// None when nobody was killed.
    pub(crate) killed: Option<Killed>,
    /// Whether the model is what it must be.
    pub(crate) is_right: bool,
}

/// What was seen of a kill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Killed {
    /// What the participant had put on the wire until then.
    pub(crate) sent: u64,
    /// How many bytes of the update were durable right after.
    pub(crate) durable: u64,
    /// The byte with which the upload went on.
    pub(crate) resumed: u64,
}

/// A coordinator, with one participant behind a relay.
#[derive(Debug)]
pub(crate) struct Bench {
    cluster: Cluster,
    relay: ByteRelay,
    model: Model,
}

impl Bench {
    pub(crate) fn new(cluster: Cluster, model: Model) -> Result<Self> {
        let relay = ByteRelay::start(cluster.address())?;
        cluster.enroll(PARTICIPANT, &relay.url())?;
        Ok(Self { cluster, relay, model })
    }

    pub(crate) const fn model(&self) -> &Model {
        &self.model
    }

    /// Runs a job of one round from its start to its end.
    pub(crate) async fn run(&mut self, kill: Kill) -> Result<Outcome> {
        let job = self.start(kill.job()).await?;
        let before = self.relay.sent();
        let participant = self.participant()?;
        let half = before + self.model.bytes() / 2;
        let task = TaskId { job: job.clone(), round: RoundNumber::FIRST, attempt: 1 };
        let (participant, killed) = match kill {
            Kill::Nobody => (participant, None),
            Kill::Participant => {
                let sent = self.relay.has_sent(half).await;
                participant.kill().await?;
                let durable = self.cluster.durable(&task, PARTICIPANT);
                // What it sent arrives before it comes back.
                self.relay.is_idle().await;
                (self.participant()?, Some((sent, durable)))
            }
            Kill::Coordinator => {
                let sent = self.relay.has_sent(half).await;
                self.cluster.kill_coordinator().await?;
                let durable = self.cluster.durable(&task, PARTICIPANT);
                self.cluster.start_coordinator().await?;
                (participant, Some((sent, durable)))
            }
        };
        participant.ended().await?;
        self.relay.is_idle().await;
        let killed = killed.map(|(sent, durable)| {
            let resumed = self.cluster.resumed()?;
            let resumed = resumed.last().copied().unwrap_or(0);
            anyhow::Ok(Killed { sent: sent - before, durable, resumed })
        });
        let is_right = self.model_of(&job).await? == self.model.trained();
        Ok(Outcome { sent: self.relay.sent() - before, killed: killed.transpose()?, is_right })
    }

    fn participant(&self) -> Result<Process> {
        self.cluster.start_participant(PARTICIPANT, ADDED)
    }

    async fn start(&self, name: &str) -> Result<JobName> {
        // The model goes as soon as it is sent: a large one takes memory that others need.
        let model: ModelParameters = self.model.initial()?;
        Ok(self.cluster.operator().await?.start(&job_file(name), &model).await?)
    }

    /// The digest of what the job made.
    async fn model_of(&self, job: &JobName) -> Result<Digest> {
        let report = self.cluster.operator().await?.status(Some(job)).await?;
        let status: JobStatus = report.jobs.into_iter().next().context("the job's status")?;
        let state = status.state();
        ensure!(state == JobState::Completed, "the job did not complete: {state:?}: {}", status.message);
        let round = status.history.first().context("a completed job has a history")?;
        ensure!(round.attempt == 1, "the round was tried {} times", round.attempt);
        Ok(Digest::try_from(&status.model.context("a job has a model")?.digest[..])?)
    }
}

/// One round with one participant, however long that takes.
fn job_file(name: &str) -> String {
    format!(
        r#"name = "{name}"
rounds = 1
attempts = 1
seed = 1
[model]
initial = "initial.safetensors"
[strategy]
kind = "fedavg"
local_epochs = 1
learning_rate = 1.0
[cohort]
min_participants = 1
[timeouts]
deadline = "1h"
absence = "1h"
"#
    )
}
