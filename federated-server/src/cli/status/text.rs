use std::fmt::{self, Display, Formatter};

use federated_proto::v1;

use super::{hexadecimal, member_name, state_name};

/// A report for people.
pub(super) struct Report<'a>(pub(super) &'a v1::StatusReport);

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.present.as_slice() {
            [] => writeln!(f, "present: nobody")?,
            present => writeln!(f, "present: {}", present.join(", "))?,
        }
        if self.0.jobs.is_empty() {
            writeln!(f, "no jobs yet")?;
        }
        self.0.jobs.iter().try_for_each(|job| write_job(f, job))
    }
}

/// What secure aggregation sent beside updates and models, up and down; nothing where there is none.
struct Session(u64, u64);

impl Display for Session {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self(0, 0) => Ok(()),
            Self(up, down) => write!(f, "; for secure aggregation {up} bytes up, {down} bytes down"),
        }
    }
}

fn write_job(f: &mut Formatter<'_>, job: &v1::JobStatus) -> fmt::Result {
    let (name, state) = (&job.job, state_name(job));
    write!(f, "{name}: {state}, round {} of {}, attempt {}", job.round, job.rounds, job.attempt)?;
    write!(f, ", {} bytes up, {} bytes down", job.bytes_up, job.bytes_down)?;
    writeln!(f, "{}", Session(job.session_bytes_up, job.session_bytes_down))?;
    if !job.message.is_empty() {
        writeln!(f, "  {}", job.message)?;
    }
    for member in &job.cohort {
        writeln!(f, "  {:<24} {} {}", member.participant, member_name(member), member.message)?;
    }
    if let Some(round) = job.history.last() {
        let (number, attempt) = (round.round, round.attempt);
        let seconds = round.ended_ms.saturating_sub(round.began_ms) / 1_000;
        if round.completed {
            let (sites, examples) = (round.contributors.len(), round.examples);
            write!(
                f,
                "  last: round {number} completed in {seconds} s by {sites} sites with {examples} examples"
            )?;
            round.metrics.iter().try_for_each(|(name, value)| write!(f, ", {name} {value:.4}"))?;
            writeln!(f)?;
        } else {
            writeln!(
                f,
                "  last: round {number}, attempt {attempt} abandoned after {seconds} s: {}",
                round.message
            )?;
        }
    }
    if let Some(round) = job.history.last() {
        write!(f, "        {} bytes up", round.bytes_up)?;
        if round.bytes_up != round.bytes_up_plain {
            write!(f, " ({} without compression)", round.bytes_up_plain)?;
        }
        write!(f, ", {} bytes down", round.bytes_down)?;
        writeln!(f, "{}", Session(round.session_bytes_up, round.session_bytes_down))?;
    }
    for incident in job.incidents.iter().rev().take(5) {
        writeln!(f, "  refused: {} {}: {}", incident.participant, incident.reason, incident.message)?;
    }
    match &job.model {
        Some(model) => writeln!(f, "  model {}", hexadecimal(&model.digest)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_secure_aggregation_stand_beside_the_others_where_there_are_any() {
        let text = |job: v1::JobStatus| {
            Report(&v1::StatusReport { jobs: vec![job], ..Default::default() }).to_string()
        };
        let plain = v1::JobStatus { bytes_up: 1, bytes_down: 2, ..Default::default() };
        assert!(text(plain.clone()).contains(", 1 bytes up, 2 bytes down\n"), "{}", text(plain));
        let round = v1::RoundReport {
            bytes_up: 3,
            bytes_up_plain: 3,
            bytes_down: 4,
            session_bytes_up: 5,
            session_bytes_down: 6,
            ..Default::default()
        };
        let (session_bytes_up, session_bytes_down, history) = (7, 8, vec![round]);
        let text = text(v1::JobStatus { session_bytes_up, session_bytes_down, history, ..plain });
        for expected in [
            "1 bytes up, 2 bytes down; for secure aggregation 7 bytes up, 8 bytes down\n",
            " 3 bytes up, 4 bytes down; for secure aggregation 5 bytes up, 6 bytes down\n",
        ] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
    }
}
