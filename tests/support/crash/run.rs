use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use federated_core::{ids::JobName, model::ModelParameters};
use federated_proto::v1::{JobState, JobStatus};
use federated_server::{config::OperatorConfig, operator::OperatorClient};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_stream::StreamExt;

use super::{
    Dice, Tally,
    crew::{Crew, Victim},
};
use crate::Job;

/// How many seconds may pass in which no receipt comes and nobody is killed. They are counted one by one, so that a
/// machine that sleeps loses no patience.
const PATIENCE: u32 = 60;
/// Between two attempts to reach the coordinator.
const PACE: Duration = Duration::from_millis(20);

/// Kills that are still to be made.
#[derive(Debug)]
pub(crate) struct Disturbance {
    pub(crate) dice: Dice,
    pub(crate) left: u32,
    /// The longest time between two.
    pub(crate) pause: Duration,
    /// How many were made, by what they hit.
    pub(crate) made: BTreeMap<&'static str, u32>,
}

impl Disturbance {
    pub(crate) fn nothing() -> Self {
        Self { dice: Dice::new(0), left: 0, pause: Duration::ZERO, made: BTreeMap::new() }
    }

    fn next(&mut self) -> Instant {
        Instant::now() + self.dice.up_to(self.pause)
    }

    fn victim(&mut self, participants: usize) -> Victim {
        match self.dice.below(2) {
            0 => Victim::Coordinator,
            _ => Victim::Participant(self.dice.below(participants)),
        }
    }
}

/// A job that is done.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) status: JobStatus,
    pub(crate) model: ModelParameters,
    pub(crate) elapsed: Duration,
}

/// Runs a job from its start to its end, and kills meanwhile.
pub(crate) async fn run(
    crew: &mut Crew,
    name: &str,
    rounds: u32,
    entries: usize,
    disturbance: &mut Disturbance,
) -> Result<Done> {
    let participants = u32::try_from(crew.participants())?;
    let job = Job { rounds, model: Tally::initial(entries)?, ..Job::new(name, participants) };
    let config = crew.operator()?;
    let trouble = Trouble::default();
    let mut ended = pin!(async {
        let name = start(&config, &job, &trouble).await?;
        end(&config, &name, &trouble).await
    });
    let (began, mut seconds, mut quiet) = (Instant::now(), interval(Duration::from_secs(1)), 0);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = disturbance.next();
    loop {
        tokio::select! {
            done = &mut ended => {
                let (status, model) = done?;
                return Ok(Done { status, model, elapsed: began.elapsed() });
            }
            further = crew.hear() => if further? { quiet = 0 },
            () = sleep_until(next), if disturbance.left > 0 => {
                let who = disturbance.victim(crew.participants());
                let scene = crew.kill(who).await?;
                let task = crew.board().newest().map(ToString::to_string).unwrap_or_default();
                eprintln!("kill, {} left: {scene}, {task}", disturbance.left - 1);
                *disturbance.made.entry(scene).or_default() += 1;
                (disturbance.left, next, quiet) = (disturbance.left - 1, disturbance.next(), 0);
            }
            _ = seconds.tick() => {
                crew.check().await?;
                quiet += 1;
                if quiet > PATIENCE {
                    bail!("waited {PATIENCE} s for a receipt of job {name}: {}; {trouble}", crew.board());
                }
            }
        }
    }
}

/// What was last in the way of the operator.
#[derive(Clone, Debug, Default)]
struct Trouble(Arc<Mutex<String>>);

impl Trouble {
    fn note(&self, error: &anyhow::Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = format!("{error:#}");
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let trouble = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "the operator's last trouble: `{trouble}`")
    }
}

/// Starts a job, however often the coordinator dies meanwhile.
async fn start(config: &OperatorConfig, job: &Job, trouble: &Trouble) -> Result<JobName> {
    let name: JobName = job.name.parse()?;
    let mut pace = interval(PACE);
    loop {
        pace.tick().await;
        let started = async {
            let mut operator = OperatorClient::connect(config).await?;
            let known = operator.status(None).await?.jobs.into_iter().any(|known| known.job == job.name);
            if !known {
                operator.start(&job.to_toml(), &job.model).await?;
            }
            anyhow::Ok(())
        };
        match started.await {
            Ok(()) => return Ok(name),
            Err(error) => trouble.note(&error),
        }
    }
}

/// Waits for the end of a job, however often the coordinator dies meanwhile: its last status and model.
async fn end(
    config: &OperatorConfig,
    job: &JobName,
    trouble: &Trouble,
) -> Result<(JobStatus, ModelParameters)> {
    let mut pace = interval(PACE);
    loop {
        pace.tick().await;
        match watch(config, job).await {
            Ok((status, model)) if status.state() == JobState::Completed => return Ok((status, model)),
            Ok((status, _)) => bail!("job {job} did not complete: {}", status.message),
            Err(error) => trouble.note(&error),
        }
    }
}

async fn watch(config: &OperatorConfig, job: &JobName) -> Result<(JobStatus, ModelParameters)> {
    let mut operator = OperatorClient::connect(config).await?;
    let mut reports = operator.watch(Some(job)).await?;
    while let Some(report) = reports.next().await {
        let status = report?.jobs.into_iter().next().context("the job's status")?;
        if matches!(status.state(), JobState::Completed | JobState::Failed | JobState::Stopped) {
            let model = operator.download(status.model.clone().context("a job has a model")?).await?;
            return Ok((status, model));
        }
    }
    bail!("the coordinator ended its report")
}
