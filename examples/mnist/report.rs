use federated_core::compression::Encoding;
use federated_proto::v1::RoundReport;
use serde::Serialize;

use crate::compression::Compared;

/// What one seed gave with one encoding; `--json` writes a list of these.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    /// The seed.
    pub(crate) seed: u64,
    /// How updates travelled.
    pub(crate) compression: String,
    /// The last model's, on the test images, 0 to 1.
    pub(crate) accuracy: f64,
    /// Bytes of updates.
    pub(crate) bytes_up: u64,
    /// Bytes of models.
    pub(crate) bytes_down: u64,
    /// From the job's start to the last model, without the start of the processes.
    pub(crate) seconds: f64,
    /// Of the last model.
    pub(crate) model_digest: String,
    /// In their order.
    pub(crate) rounds: Vec<Round>,
}

/// What a round gave.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Round {
    round: u32,
    /// `None` if its model was gone before it could be fetched.
    accuracy: Option<f64>,
    /// The mean loss of the images trained on.
    loss: Option<f64>,
    bytes_up: u64,
    bytes_down: u64,
    seconds: f64,
}

impl Round {
    /// As the coordinator reports it, with the accuracy of its model.
    pub(crate) fn new(report: &RoundReport, accuracy: Option<f64>) -> Self {
        Self {
            round: report.round,
            accuracy,
            loss: report.metrics.get("loss").copied(),
            bytes_up: report.bytes_up,
            bytes_down: report.bytes_down,
            seconds: report.ended_ms.saturating_sub(report.began_ms) as f64 / 1e3,
        }
    }

    /// A line for people.
    pub(crate) fn line(&self) -> String {
        let shown =
            |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.4}"));
        format!(
            "round {:3}: accuracy {}, loss {}, {} up, {} down, {:.1} s",
            self.round,
            shown(self.accuracy),
            shown(self.loss),
            mib(self.bytes_up),
            mib(self.bytes_down),
            self.seconds
        )
    }
}

impl Run {
    /// What it comes to, for people.
    pub(crate) fn text(&self) -> String {
        format!(
            "accuracy {:.4} after {} rounds: {} up, {} down, {:.1} s\nmodel: digest {}, seed {}\n",
            self.accuracy,
            self.rounds.len(),
            mib(self.bytes_up),
            mib(self.bytes_down),
            self.seconds,
            self.model_digest,
            self.seed
        )
    }

    /// The runs with one encoding, for a comparison.
    pub(crate) fn compared(encoding: Encoding, runs: &[Self]) -> Compared {
        Compared {
            encoding,
            accuracy: runs.iter().map(|run| run.accuracy).collect(),
            bytes_up: runs.iter().map(|run| run.bytes_up).collect(),
        }
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_one_line() {
        let report = RoundReport {
            round: 3,
            bytes_up: 1 << 21,
            bytes_down: 1 << 20,
            began_ms: 1_000,
            ended_ms: 2_500,
            metrics: [("loss".to_owned(), 0.25)].into(),
            ..RoundReport::default()
        };
        let line = Round::new(&report, Some(0.9)).line();
        assert_eq!(line, "round   3: accuracy 0.9000, loss 0.2500, 2.00 MiB up, 1.00 MiB down, 1.5 s");
        let line = Round::new(&RoundReport { metrics: [].into(), ..report }, None).line();
        assert!(line.contains("accuracy -, loss -"), "{line}");
    }
}
