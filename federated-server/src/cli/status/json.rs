use std::collections::BTreeMap;

use federated_proto::v1;
use serde::Serialize;

use super::{hexadecimal, member_name, state_name};

/// A report for programs. Times are milliseconds since the Unix epoch.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    at_ms: u64,
    present: &'a [String],
    jobs: Vec<Job<'a>>,
}

#[derive(Debug, Serialize)]
struct Job<'a> {
    job: &'a str,
    state: &'static str,
    message: &'a str,
    round: u32,
    rounds: u32,
    attempt: u32,
    model_digest: String,
    bytes_up: u64,
    bytes_down: u64,
    session_bytes_up: u64,
    session_bytes_down: u64,
    cohort: Vec<Member<'a>>,
    history: Vec<Round<'a>>,
    incidents: Vec<Incident<'a>>,
}

#[derive(Debug, Serialize)]
struct Member<'a> {
    participant: &'a str,
    state: &'static str,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct Round<'a> {
    round: u32,
    attempt: u32,
    completed: bool,
    message: &'a str,
    contributors: &'a [String],
    examples: u64,
    metrics: &'a BTreeMap<String, f64>,
    began_ms: u64,
    ended_ms: u64,
    model_digest: String,
    bytes_up: u64,
    bytes_down: u64,
    bytes_up_plain: u64,
    session_bytes_up: u64,
    session_bytes_down: u64,
}

#[derive(Debug, Serialize)]
struct Incident<'a> {
    at_ms: u64,
    participant: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl<'a> From<&'a v1::StatusReport> for Report<'a> {
    fn from(report: &'a v1::StatusReport) -> Self {
        Self {
            at_ms: report.at_ms,
            present: &report.present,
            jobs: report.jobs.iter().map(Job::from).collect(),
        }
    }
}

impl<'a> From<&'a v1::JobStatus> for Job<'a> {
    fn from(job: &'a v1::JobStatus) -> Self {
        Self {
            job: &job.job,
            state: state_name(job),
            message: &job.message,
            round: job.round,
            rounds: job.rounds,
            attempt: job.attempt,
            model_digest: job.model.as_ref().map_or_else(String::new, |model| hexadecimal(&model.digest)),
            bytes_up: job.bytes_up,
            bytes_down: job.bytes_down,
            session_bytes_up: job.session_bytes_up,
            session_bytes_down: job.session_bytes_down,
            cohort: job.cohort.iter().map(Member::from).collect(),
            history: job.history.iter().map(Round::from).collect(),
            incidents: job.incidents.iter().map(Incident::from).collect(),
        }
    }
}

impl<'a> From<&'a v1::MemberStatus> for Member<'a> {
    fn from(member: &'a v1::MemberStatus) -> Self {
        Self { participant: &member.participant, state: member_name(member), message: &member.message }
    }
}

impl<'a> From<&'a v1::RoundReport> for Round<'a> {
    fn from(round: &'a v1::RoundReport) -> Self {
        Self {
            round: round.round,
            attempt: round.attempt,
            completed: round.completed,
            message: &round.message,
            contributors: &round.contributors,
            examples: round.examples,
            metrics: &round.metrics,
            began_ms: round.began_ms,
            ended_ms: round.ended_ms,
            model_digest: hexadecimal(&round.model_digest),
            bytes_up: round.bytes_up,
            bytes_down: round.bytes_down,
            bytes_up_plain: round.bytes_up_plain,
            session_bytes_up: round.session_bytes_up,
            session_bytes_down: round.session_bytes_down,
        }
    }
}

impl<'a> From<&'a v1::Incident> for Incident<'a> {
    fn from(incident: &'a v1::Incident) -> Self {
        let v1::Incident { at_ms, participant, reason, message } = incident;
        Self { at_ms: *at_ms, participant, reason, message }
    }
}
