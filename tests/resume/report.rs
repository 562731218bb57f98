use std::fmt;

use anyhow::{Context, Result};
use federated_server::config::ChunkSize;
use serde::Serialize;

use crate::job::Outcome;

/// Fewer chunks than this may be sent twice.
const CHUNKS: u64 = 2;

/// What is said about the three jobs.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The update's bytes.
    update_bytes: u64,
    /// Bytes of content in a message.
    chunk_bytes: u64,
    /// What the participant put on the wire in the job that was left alone.
    undisturbed_wire_bytes: u64,
    participant_killed: Resumption,
    coordinator_killed: Resumption,
    /// Whether all three models are what they must be.
    digest: Sameness,
    ok: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Sameness {
    Same,
    Different,
}

/// How an upload went on after a kill.
#[derive(Clone, Copy, Debug, Serialize)]
struct Resumption {
    /// What the participant had put on the wire when the kill was decided.
    wire_bytes_at_kill: u64,
    /// How much of the update was durable right after the kill.
    durable_at_kill: u64,
    /// The byte with which the upload went on.
    resumed_at: u64,
    /// Bytes that were durable at the kill and were sent again.
    durable_sent_again: u64,
    /// Bytes that were put on the wire again: what was under way at the kill and did not become durable.
    sent_twice: u64,
    /// The same in chunks.
    chunks_sent_twice: f64,
    ok: bool,
}

impl Resumption {
    fn new(outcome: &Outcome, undisturbed: &Outcome, chunk: ChunkSize) -> Result<Self> {
        let killed = outcome.killed.context("somebody was killed")?;
        let chunk = chunk.bytes() as u64;
        let sent_twice = outcome.sent.saturating_sub(undisturbed.sent);
        let durable_sent_again = killed.durable.saturating_sub(killed.resumed);
        let ok = killed.resumed > 0 && durable_sent_again == 0 && sent_twice < CHUNKS * chunk;
        Ok(Self {
            wire_bytes_at_kill: killed.sent,
            durable_at_kill: killed.durable,
            resumed_at: killed.resumed,
            durable_sent_again,
            sent_twice,
            chunks_sent_twice: (sent_twice as f64 / chunk as f64 * 100.0).round() / 100.0,
            ok,
        })
    }
}

impl Report {
    pub(crate) fn new(
        update_bytes: u64,
        chunk: ChunkSize,
        undisturbed: &Outcome,
        participant: &Outcome,
        coordinator: &Outcome,
    ) -> Result<Self> {
        let participant_killed = Resumption::new(participant, undisturbed, chunk)?;
        let coordinator_killed = Resumption::new(coordinator, undisturbed, chunk)?;
        let same = [undisturbed, participant, coordinator].iter().all(|outcome| outcome.is_right);
        Ok(Self {
            update_bytes,
            chunk_bytes: chunk.bytes() as u64,
            undisturbed_wire_bytes: undisturbed.sent,
            participant_killed,
            coordinator_killed,
            digest: if same { Sameness::Same } else { Sameness::Different },
            ok: same && participant_killed.ok && coordinator_killed.ok,
        })
    }

    /// Whether everything is as it should be.
    pub(crate) const fn ok(&self) -> bool {
        self.ok
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "update                      {:>12} bytes", self.update_bytes)?;
        writeln!(f, "chunk                       {:>12} bytes", self.chunk_bytes)?;
        writeln!(f, "on the wire, left alone     {:>12} bytes", self.undisturbed_wire_bytes)?;
        for (who, it) in
            [("participant", &self.participant_killed), ("coordinator", &self.coordinator_killed)]
        {
            writeln!(f, "{who} killed")?;
            writeln!(f, "  on the wire at the kill   {:>12} bytes", it.wire_bytes_at_kill)?;
            writeln!(f, "  durable at the kill       {:>12} bytes", it.durable_at_kill)?;
            writeln!(f, "  went on from byte         {:>12}", it.resumed_at)?;
            writeln!(f, "  durable and sent again    {:>12} bytes", it.durable_sent_again)?;
            writeln!(f, "  sent twice, at most       {:>12} bytes", it.sent_twice)?;
        }
        let kill = |it: &Resumption| {
            let (at, twice, chunks) = (it.resumed_at, it.sent_twice, it.chunks_sent_twice);
            let verdict = if it.ok { "ok" } else { "NOT ok" };
            format!(
                "resumed at {at} of {} bytes, sent twice {twice} ({chunks:.2} chunks): {verdict}",
                self.update_bytes
            )
        };
        let digest = match self.digest {
            Sameness::Same => "same",
            Sameness::Different => "different",
        };
        writeln!(
            f,
            "participant killed: {}; coordinator killed: {}; digest {digest}",
            kill(&self.participant_killed),
            kill(&self.coordinator_killed)
        )
    }
}
