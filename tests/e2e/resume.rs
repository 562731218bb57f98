//! A participant and a coordinator that are killed in the middle of an upload, as processes of their own. The program
//! `resume-test` does the same at full speed with a large update, and counts what is sent twice.

use std::time::Duration;

use anyhow::Result;
use federated_core::ids::{JobName, RoundNumber, TaskId};
use federated_proto::v1::JobState;
use federated_server::config::ChunkSize;
use federated_tests::{
    Job, model,
    processes::{ByteRelay, Cluster, Process, Program, Serving},
    within,
};

/// 8 MB.
const FEATURES: u64 = 2_000_000;
/// The line stalls when so much has passed.
const HALF: u64 = FEATURES * 2;
/// Fewer bytes than this are sent twice: two chunks. HTTP/2 hands on whole frames, so that up to 256 KiB wait for the rest
/// of theirs; TLS, HTTP/2 and other calls take little.
const UNDER_WAY: u64 = 2 * ChunkSize::DEFAULT.bytes() as u64;

/// A coordinator, and a participant behind a relay, in the middle of an upload: the line lets nothing more pass, and
/// most of what did is durable.
struct HalfWay {
    cluster: Cluster,
    relay: ByteRelay,
    participant: Process,
    task: TaskId,
}

impl HalfWay {
    async fn reach() -> Result<Self> {
        let program = Program::at(env!("CARGO_BIN_EXE_resume-test"));
        let cluster = Cluster::start(program, None, Serving::default()).await?;
        let relay = ByteRelay::start(cluster.address())?;
        relay.hold_at(HALF);
        cluster.enroll("a", &relay.url())?;
        let job = Job { model: model(FEATURES, 0.5), ..Job::new("heart", 1) };
        let job: JobName = cluster.operator().await?.start(&job.to_toml(), &job.model).await?;
        let participant = cluster.start_participant("a", 2.0)?;
        let task = TaskId { job, round: RoundNumber::FIRST, attempt: 1 };
        within("half of an update", relay.has_sent(HALF)).await;
        let durable = async {
            let mut pace = tokio::time::interval(Duration::from_millis(2));
            while cluster.durable(&task, "a") < HALF - UNDER_WAY {
                pace.tick().await;
            }
        };
        within("it to be durable", durable).await;
        Ok(Self { cluster, relay, participant, task })
    }
}

/// The job completes, with one upload that went on at `durable`; little was sent twice.
async fn completes(cluster: &Cluster, relay: &ByteRelay, participant: Process, durable: u64) -> Result<()> {
    within("the end of the job", participant.ended()).await?;
    within("the line to close", relay.is_idle()).await;
    assert_eq!(cluster.resumed()?, [durable]);
    let sent_twice = relay.sent() - (FEATURES + 1) * 4;
    assert!(sent_twice < UNDER_WAY, "{sent_twice}");
    let mut operator = cluster.operator().await?;
    let status = operator.status(Some(&"heart".parse()?)).await?.jobs.remove(0);
    assert_eq!((status.state(), status.history[0].attempt), (JobState::Completed, 1));
    assert_eq!(operator.download(status.model.unwrap()).await?, model(FEATURES, 2.5));
    Ok(())
}

#[tokio::test]
async fn a_participant_that_is_killed_while_it_uploads_goes_on_at_the_durable_byte() -> Result<()> {
    let HalfWay { cluster, relay, participant, task } = HalfWay::reach().await?;
    participant.kill().await?;
    // What the system still has of it arrives.
    relay.hold_at(u64::MAX);
    within("the line to close", relay.is_idle()).await;
    let least = cluster.durable(&task, "a");
    // Another constant: the update is not made again.
    let again = cluster.start_participant("a", 100.0)?;
    within("the end of the upload", relay.has_sent((FEATURES + 1) * 4)).await;
    let durable = cluster.resumed()?[0];
    assert!(durable >= least, "{durable} {least}");
    completes(&cluster, &relay, again, durable).await
}

#[tokio::test]
async fn a_coordinator_that_is_killed_while_a_participant_uploads_goes_on_at_the_durable_byte() -> Result<()>
{
    let HalfWay { mut cluster, relay, participant, task } = HalfWay::reach().await?;
    cluster.kill_coordinator().await?;
    let durable = cluster.durable(&task, "a");
    relay.hold_at(u64::MAX);
    cluster.start_coordinator().await?;
    completes(&cluster, &relay, participant, durable).await
}
