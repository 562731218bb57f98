use std::collections::BTreeMap;

use bytes::Bytes;
use federated_core::{
    ids::{Digest, ParticipantName},
    job::{Incident, Job, Traffic},
    privacy::secagg::{Groups, Stage},
    round::{Hold, Member, RoundPhase, RoundSummary, RunEnd},
};
use federated_proto::{convert::ModelContent, refusal::cut, v1};

/// What an operator sees of a job.
pub(super) fn report(job: &Job) -> v1::JobStatus {
    let run = job.run();
    let (state, message) = state(job);
    let traffic = job.total_traffic();
    v1::JobStatus {
        job: job.name().to_string(),
        state: state.into(),
        round: run.round().get(),
        rounds: run.plan().rounds().get(),
        attempt: run.attempt(),
        message: cut(&message),
        model: Some(model(job)),
        cohort: match run.phase() {
            RoundPhase::Training { cohort, .. } => cohort.iter().map(member).collect(),
            _ => Vec::new(),
        },
        history: run
            .history()
            .iter()
            .zip(job.ledger())
            .map(|(summary, traffic)| round(summary, traffic))
            .collect(),
        incidents: job.incidents().iter().map(incident).collect(),
        bytes_up: traffic.up,
        bytes_down: traffic.down,
        session_bytes_up: traffic.session_up,
        session_bytes_down: traffic.session_down,
    }
}

/// The job's newest model, as a message.
pub(super) fn model(job: &Job) -> v1::ModelRef {
    (&ModelContent { layout: job.terms().layout.clone(), digest: job.run().model() }).into()
}

/// How a job that has ended is announced to participants.
pub(super) fn job_ended(job: &Job) -> Option<v1::JobEnded> {
    let RoundPhase::Ended(end) = job.run().phase() else {
        return None;
    };
    let (outcome, message) = match end {
        RunEnd::Completed => (v1::JobOutcome::Completed, String::new()),
        RunEnd::Failed { reason } => (v1::JobOutcome::Failed, reason.to_string()),
        RunEnd::Stopped { .. } => (v1::JobOutcome::Stopped, "an operator stopped the job".to_owned()),
        _ => (v1::JobOutcome::Unspecified, String::new()),
    };
    let (job, model) = (job.name().to_string(), Some(model(job)));
    Some(v1::JobEnded { job, outcome: outcome.into(), message: cut(&message), model })
}

fn state(job: &Job) -> (v1::JobState, String) {
    match job.run().phase() {
        RoundPhase::Gathering { .. } if job.run().hold().is_some() => held(job.run().hold()),
        RoundPhase::Gathering { .. } => {
            let needed = job.run().plan().cohort().min_participants;
            let found = job.run().candidates().len();
            (
                v1::JobState::Gathering,
                format!("waits for participants: {needed} are needed, {found} are present"),
            )
        }
        RoundPhase::Training { session: Some(session), .. } if job.run().hold().is_none() => {
            (v1::JobState::Training, answers(&session.state))
        }
        RoundPhase::Training { .. } => (v1::JobState::Training, held(job.run().hold()).1),
        RoundPhase::Unmasking { session, .. } => (v1::JobState::Aggregating, answers(&session.state)),
        RoundPhase::Aggregating { .. } => (v1::JobState::Aggregating, held(job.run().hold()).1),
        RoundPhase::Ended(RunEnd::Completed) => (v1::JobState::Completed, String::new()),
        RoundPhase::Ended(RunEnd::Failed { reason }) => (v1::JobState::Failed, reason.to_string()),
        RoundPhase::Ended(RunEnd::Stopped { operator }) => {
            (v1::JobState::Stopped, format!("stopped by {operator}"))
        }
        _ => (v1::JobState::Unspecified, String::new()),
    }
}

/// How far secure aggregation is; of several groups, the one that lacks the most.
fn answers(session: &Groups) -> String {
    match (session.stage(), session.needed()) {
        (Stage::MaskedInput, _) => String::new(),
        (stage, (found, least)) => {
            format!("secure aggregation: {found} have answered {stage}, at least {least} are needed")
        }
    }
}

/// Where a job is whose next attempt may not begin.
fn held(hold: Option<&Hold>) -> (v1::JobState, String) {
    match hold {
        None => (v1::JobState::Unspecified, String::new()),
        Some(Hold::Queued) => (v1::JobState::Queued, "waits for another job to end".to_owned()),
        Some(Hold::Paused { operator }) => {
            (v1::JobState::Paused, format!("paused by {operator}; `resume` goes on"))
        }
        Some(_) => (v1::JobState::Unspecified, "is held".to_owned()),
    }
}

fn member((participant, member): (&ParticipantName, &Member)) -> v1::MemberStatus {
    let (state, message) = match member {
        Member::Working => (v1::MemberState::Working, String::new()),
        Member::Absent { .. } => (v1::MemberState::Absent, String::new()),
        Member::Reported(_) => (v1::MemberState::Reported, String::new()),
        Member::Out(reason) => (v1::MemberState::Out, reason.to_string()),
        _ => (v1::MemberState::Unspecified, String::new()),
    };
    v1::MemberStatus { participant: participant.to_string(), state: state.into(), message: cut(&message) }
}

fn round(summary: &RoundSummary, traffic: &Traffic) -> v1::RoundReport {
    let bytes = |digest: &Digest| Bytes::copy_from_slice(digest.as_bytes());
    v1::RoundReport {
        round: summary.round.get(),
        attempt: summary.attempt,
        completed: summary.outcome.is_ok(),
        message: summary.outcome.as_ref().err().map_or_else(String::new, |reason| cut(&reason.to_string())),
        contributors: summary.contributors.iter().map(ToString::to_string).collect(),
        examples: summary.examples,
        metrics: summary
            .metrics
            .iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<BTreeMap<_, _>>(),
        began_ms: summary.began.as_millis(),
        ended_ms: summary.ended.as_millis(),
        model_digest: summary.outcome.as_ref().map(bytes).unwrap_or_default(),
        bytes_up: traffic.up,
        bytes_down: traffic.down,
        bytes_up_plain: traffic.up_plain,
        session_bytes_up: traffic.session_up,
        session_bytes_down: traffic.session_down,
    }
}

fn incident(incident: &Incident) -> v1::Incident {
    v1::Incident {
        at_ms: incident.at.as_millis(),
        participant: incident.participant.to_string(),
        reason: cut(&incident.reason),
        message: cut(&incident.message),
    }
}
