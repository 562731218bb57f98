//! Two coordinators, of which the second stands in for the first.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use federated_core::ids::JobName;
use federated_proto::v1::{JobState, JobStatus};
use federated_server::operator::OperatorClient;
use tokio_stream::StreamExt;

use crate::{
    Job, PATIENCE,
    patience::in_time,
    processes::{ByteRelay, Cluster, Program, SUBMITTED, Serving},
};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Failover {
    /// The program whose roles are started.
    pub program: Program,
    /// The database that the coordinators share.
    pub journal: String,
    /// How long the lease is.
    pub lease: Duration,
}

/// What was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// From the kill of the active coordinator to the commit of the round by the passive one.
    pub elapsed: Duration,
    /// How long the lease is.
    pub lease: Duration,
    /// The job in the end.
    pub status: JobStatus,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (elapsed, lease) = (self.elapsed.as_secs_f64(), self.lease.as_secs_f64());
        write!(
            f,
            "the passive coordinator committed the round {elapsed:.2} s after the active one was killed (lease {lease:.1} s)"
        )
    }
}

impl Failover {
    /// Starts both, kills the active one between two updates of a round, and waits for the passive one to commit it.
    ///
    /// # Errors
    /// When a process ends by itself, the round is not committed as it should be, or nothing happens for too long.
    pub async fn run(self) -> Result<Seen> {
        let Self { program, journal, lease } = self;
        let serving = Serving::default().journal(Some(journal)).lease(lease);
        let mut cluster = Cluster::start(program, None, serving).await?;
        cluster.begin_standby()?;
        // Nothing of the second participant's update passes until the coordinator is gone.
        let relay = ByteRelay::start(cluster.address())?;
        cluster.enroll("a", &format!("https://{}", cluster.address()))?;
        cluster.enroll("b", &relay.url())?;
        let (mut first, mut second) =
            (cluster.start_participant("a", 1.0)?, cluster.start_participant("b", 3.0)?);
        let mut operator = cluster.operator().await?;
        in_time("both participants to connect", both_present(&mut operator)).await??;
        relay.hold_at(relay.sent());
        let job = Job::new(&format!("failover-{}", cluster.address().port()), 2);
        let name = operator.start(&job.to_toml(), &job.model).await?;
        first.says(SUBMITTED).await?;
        cluster.kill_coordinator().await?;
        let began = Instant::now();
        relay.hold_at(u64::MAX);
        let committed = async {
            cluster.promote_standby().await?;
            completed(cluster.operator().await?, &name).await
        };
        let Ok(status) = tokio::time::timeout(PATIENCE, committed).await else {
            bail!("the passive coordinator did not commit the round in {PATIENCE:?}");
        };
        let status = status?;
        let elapsed = began.elapsed();
        second.says(SUBMITTED).await?;
        let contributors = &status.history[0].contributors;
        ensure!(contributors == &["a", "b"], "expected both updates to count, found {contributors:?}");
        Ok(Seen { elapsed, lease, status })
    }
}

async fn both_present(operator: &mut OperatorClient) -> Result<()> {
    let mut reports = operator.watch(None).await?;
    while let Some(report) = reports.next().await {
        if report?.present.len() == 2 {
            return Ok(());
        }
    }
    bail!("the coordinator ended")
}

/// Watches a job until it has completed.
async fn completed(mut operator: OperatorClient, name: &JobName) -> Result<JobStatus> {
    let mut reports = operator.watch(Some(name)).await?;
    while let Some(report) = reports.next().await {
        let completed = report?.jobs.into_iter().find(|job| job.state() == JobState::Completed);
        if let Some(status) = completed {
            return Ok(status);
        }
    }
    bail!("the coordinator ended")
}
