//! What operators ask: job files, models, names.

use std::time::Duration;

use bytes::Bytes;
use federated_core::ids::Digest;
use federated_proto::{
    chunk::split,
    v1::{self, JobState, start_job_request::Part},
};
use federated_tests::{Federation, Job, Operator, Site, Update, assert_refused, model, within};
use tonic::{Code, Status};

/// Starts a job with bare messages, as an operator's own program may.
async fn start_raw(
    federation: &Federation,
    header: v1::StartJobHeader,
    content: Vec<u8>,
) -> Result<v1::StartJobResponse, Status> {
    let chunks = split(Bytes::from(content), 0, 1 << 20).map(Part::Chunk);
    let parts = std::iter::once(Part::Header(header)).chain(chunks);
    let messages: Vec<_> = parts.map(|part| v1::StartJobRequest { part: Some(part) }).collect();
    let mut client = federation.operator().await.raw().await;
    let answer = client.start_job(tokio_stream::iter(messages)).await;
    answer.map(tonic::Response::into_inner)
}

fn header(job: &Job) -> v1::StartJobHeader {
    let digest = job.model.digest();
    v1::StartJobHeader {
        job_toml: job.to_toml(),
        model: Some(v1::ModelRef {
            layout: Some(job.model.layout().into()),
            digest: Bytes::copy_from_slice(digest.as_bytes()),
            size_bytes: job.model.layout().bytes(),
        }),
    }
}

#[tokio::test]
async fn a_mistake_in_a_job_file_is_named_with_its_place_and_what_was_expected_and_found() {
    let federation = Federation::start().await;
    let job = Job::new("heart", 2);
    let cases = [
        ("rounds = 1", "rounds = 0", "rounds: expected a number of at least 1, found 0"),
        ("quorum = 2", "quorum = 3", "cohort.quorum: expected at most cohort.min_participants (2), found 3"),
        ("\"fedavg\"", "\"fedsum\"", "strategy.kind: expected \"fedavg\" or \"fedsgd\", found \"fedsum\""),
        ("deadline = \"1h\"", "deadline = \"soon\"", "timeouts.deadline: expected a duration such as"),
        ("seed = 7", "sead = 7", "unknown field `sead`"),
        ("seed = 7", "seed = ", "line 5, column"),
    ];
    for (from, to, words) in cases {
        let mut header = header(&job);
        assert!(header.job_toml.contains(from), "{from}");
        header.job_toml = header.job_toml.replace(from, to);
        let result = start_raw(&federation, header, job.model.to_le_bytes()).await;
        assert_refused(result, Code::InvalidArgument, "JOB_INVALID", words);
    }
    assert!(federation.operator().await.client().status(None).await.unwrap().jobs.is_empty());
}

#[tokio::test]
async fn an_initial_model_that_cannot_be_used_starts_nothing() {
    let federation = Federation::start().await;
    let job = Job::new("heart", 2);
    let good = job.model.to_le_bytes();
    let start = |header, content| start_raw(&federation, header, content);

    let result = start(header(&job), good[..8].to_vec()).await;
    assert_refused(result, Code::InvalidArgument, "UPLOAD_TRUNCATED", "expected 12 bytes");
    let result = start(header(&job), [&good[..], &[0; 4]].concat()).await;
    assert_refused(result, Code::InvalidArgument, "UPLOAD_OVERSIZED", "expected 12 bytes in all");
    let result = start(header(&job), vec![1; 12]).await;
    assert_refused(result, Code::InvalidArgument, "UPLOAD_DIGEST_MISMATCH", "digest");
    let mut wrong = header(&job);
    wrong.model.as_mut().unwrap().size_bytes = 13;
    let result = start(wrong, good.clone()).await;
    assert_refused(
        result,
        Code::InvalidArgument,
        "MESSAGE_INVALID",
        "field `model.size_bytes`: expected 12, four bytes an element, found 13",
    );
    let mut wrong = header(&job);
    wrong.model.as_mut().unwrap().layout.as_mut().unwrap().tensors[1].element_type =
        v1::ElementType::F64.into();
    let result = start(wrong, good.clone()).await;
    assert_refused(
        result,
        Code::InvalidArgument,
        "UPDATE_WRONG_DTYPE",
        "`bias`: expected elements of type f32, found f64",
    );
    let poisoned = [&good[..8], &f32::NAN.to_le_bytes()].concat();
    let mut wrong = header(&job);
    wrong.model.as_mut().unwrap().digest = Bytes::copy_from_slice(Digest::of(&poisoned).as_bytes());
    let result = start(wrong, poisoned).await;
    assert_refused(result, Code::InvalidArgument, "UPDATE_NOT_FINITE", "`bias`, element 0");

    assert!(federation.operator().await.client().status(None).await.unwrap().jobs.is_empty());
    federation.operator().await.start(&job).await;
}

#[tokio::test]
async fn a_model_beyond_the_coordinators_limit_is_refused_before_it_is_uploaded() {
    let federation = Federation::start_with(|limits| limits.max_model = 1_024.try_into().unwrap()).await;
    let job = Job { model: model(256, 0.0), ..Job::new("heart", 2) };
    let result = start_raw(&federation, header(&job), Vec::new()).await;
    assert_refused(
        result,
        Code::InvalidArgument,
        "MESSAGE_INVALID",
        "expected at most 1024 (limits.max_model), found 1028",
    );
}

#[tokio::test]
async fn names_are_used_once_and_orders_that_make_no_sense_are_refused() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let first = Job::new("first", 2);
    operator.start(&first).await;

    let result = start_raw(&federation, header(&first), first.model.to_le_bytes()).await;
    assert_refused(result, Code::AlreadyExists, "JOB_EXISTS", "there is a job `first` already");

    let mut raw = operator.raw().await;
    let stop = |job: &str| v1::StopJobRequest { job: job.to_owned() };
    let result = raw.stop_job(stop("second")).await;
    assert_refused(result, Code::NotFound, "JOB_UNKNOWN", "there is no job `second`");
    let result = raw.stop_job(stop("../etc")).await;
    assert_refused(result, Code::InvalidArgument, "MESSAGE_INVALID", "job `../etc` is not a valid name");
    let status = v1::GetStatusRequest { job: "second".to_owned() };
    let result = raw.get_status(status.clone()).await;
    assert_refused(result, Code::NotFound, "JOB_UNKNOWN", "there is no job `second`");
    let mut reports = raw.watch_status(status).await.unwrap().into_inner();
    assert_refused(reports.message().await, Code::NotFound, "JOB_UNKNOWN", "there is no job `second`");

    let job = || "first".to_owned();
    let result = raw.resume_job(v1::ResumeJobRequest { job: job() }).await;
    assert_refused(result, Code::FailedPrecondition, "JOB_NOT_PAUSED", "`first` is not paused");
    let result = raw.retry_job(v1::RetryJobRequest { job: job() }).await;
    assert_refused(
        result,
        Code::FailedPrecondition,
        "JOB_NOT_FAILED",
        "`first` neither failed nor was stopped",
    );
    raw.stop_job(stop("first")).await.unwrap();
    let result = raw.pause_job(v1::PauseJobRequest { job: job() }).await;
    assert_refused(result, Code::FailedPrecondition, "JOB_ENDED", "`first` has ended already");
}

#[tokio::test]
async fn jobs_beyond_the_limit_wait_in_the_order_of_their_start() {
    use JobState::{Gathering, Paused, Queued, Stopped};
    let federation = Federation::configured(|config| config.jobs.active = 1.try_into().unwrap()).await;
    let mut operator = federation.operator().await;
    for name in ["first", "second", "third"] {
        operator.start(&Job::new(name, 2)).await;
    }
    let states = async |operator: &mut Operator| -> Vec<JobState> {
        let report = operator.client().status(None).await.unwrap();
        report.jobs.iter().map(v1::JobStatus::state).collect()
    };
    assert_eq!(states(&mut operator).await, [Gathering, Queued, Queued]);
    operator.client().pause(&"first".parse().unwrap()).await.unwrap();
    assert_eq!(
        states(&mut operator).await,
        [Paused, Gathering, Queued],
        "a job that is paused holds nobody up"
    );
    operator.client().resume(&"first".parse().unwrap()).await.unwrap();
    assert_eq!(states(&mut operator).await, [Queued, Gathering, Queued]);
    operator.client().stop(&"second".parse().unwrap()).await.unwrap();
    assert_eq!(states(&mut operator).await, [Gathering, Stopped, Queued]);
    operator.client().retry(&"second".parse().unwrap()).await.unwrap();
    assert_eq!(states(&mut operator).await, [Gathering, Queued, Queued]);
}

#[tokio::test]
async fn a_job_that_ended_long_enough_ago_is_forgotten_with_its_model() {
    let keep = Some(Duration::from_millis(50));
    let federation = Federation::configured(|config| config.jobs.keep = keep).await;
    let mut operator = federation.operator().await;
    let job = Job::new("heart", 2);
    operator.start(&job).await;
    operator.client().stop(&"heart".parse().unwrap()).await.unwrap();
    let forgotten = async {
        while !operator.client().status(None).await.unwrap().jobs.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    within("the job to be forgotten", forgotten).await;
    assert!(!federation.folder().join("state/models").join(job.model.digest().to_string()).exists());
    operator.start(&job).await;
}

#[tokio::test]
async fn two_jobs_with_their_own_cohorts_run_at_the_same_time() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    let alone = |name: &str, site| Job { participants: vec![site], ..Job::new(name, 1) };
    operator.start(&alone("left", "a")).await;
    operator.start(&alone("right", "b")).await;
    let mut tasks = Vec::new();
    for site in &mut sites {
        tasks.push(site.line.task().await);
    }
    let jobs: Vec<_> = tasks.iter().map(|task| task.id.clone().unwrap().job).collect();
    assert_eq!(jobs, ["left", "right"]);
    // The job that was started last ends first.
    for (site, task) in sites.iter_mut().zip(&tasks).rev() {
        site.raw.submit(&Update::constant(task, 1.0, 1)).await.unwrap();
    }
    for (job, contributor) in [("right", "b"), ("left", "a")] {
        let (status, _) = operator.completed(job).await;
        assert_eq!(status.history[0].contributors, [contributor]);
    }
}

#[tokio::test]
async fn a_model_can_be_downloaded_from_any_offset_on() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    let job = Job { model: model(700_000, 0.3), ..Job::new("heart", 2) };
    operator.start(&job).await;
    let reference = sites[0].line.task().await.model.unwrap();
    let (whole, size) = (job.model.to_le_bytes(), reference.size_bytes);
    let raw = &mut sites[0].raw;
    for offset in [0, 1, 1 << 20, 2_000_003, size - 1, size] {
        let chunks = raw.fetch(&reference.digest, offset).await.unwrap();
        let mut next = offset;
        for chunk in chunks {
            let start = usize::try_from(next).unwrap();
            assert_eq!(chunk.offset, next);
            assert!(chunk.data.len() <= 1 << 20 && whole[start..].starts_with(&chunk.data));
            next += chunk.data.len() as u64;
        }
        assert_eq!(next, size);
    }
    let result = raw.fetch(&reference.digest, size + 1).await;
    assert_refused(result, Code::InvalidArgument, "MESSAGE_INVALID", "field `offset`: expected 0 to 2800004");
    let result = raw.fetch(&Bytes::from_static(&[7; 32]), 0).await;
    assert_refused(result, Code::NotFound, "MODEL_UNKNOWN", "");
    let result = raw.fetch(&Bytes::from_static(b"short"), 0).await;
    assert_refused(result, Code::InvalidArgument, "MESSAGE_INVALID", "a digest has 32 bytes, found 5");
    let status = operator.until("heart", |status| status.bytes_down > 0).await;
    assert!(status.bytes_down >= size, "{}", status.bytes_down);
}
