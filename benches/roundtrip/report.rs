use anyhow::Result;
use federated_benches::statistics::{median, range, rounded};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    cli::Options,
    federation::Federated,
    floor::Floor,
    measure::{Moment, ServerFigures, Usage, load_average},
};

/// What a repetition was like: one line of JSON, with the fields of the other frameworks' harness. Sizes are in units of
/// 10^6 bytes. `null` is what this system does not count.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) system: &'static str,
    pub(crate) version: &'static str,
    /// Participants.
    pub(crate) n: u32,
    /// Values of the model.
    pub(crate) m: u64,
    pub(crate) rounds: u32,
    pub(crate) tls: bool,
    /// From one round's end to the next one's, the median without the first round, and the smallest and largest.
    pub(crate) s_per_round: Option<f64>,
    pub(crate) s_round_min: Option<f64>,
    pub(crate) s_round_max: Option<f64>,
    /// The first round, from when enough participants are present.
    pub(crate) s_round1: f64,
    /// All that the machine's loopback carried, the median without the first round.
    pub(crate) wire_mb_per_round: Option<f64>,
    /// The model to everyone, and as much from everyone.
    pub(crate) ideal_wire_mb: f64,
    /// The peak of the coordinator's process.
    pub(crate) server_rss_mb: Option<f64>,
    pub(crate) server_cpu_s: Option<f64>,
    /// The coordinator and the participants, not this program.
    pub(crate) all_cpu_s: Option<f64>,
    /// The peaks of the participants' processes, added up.
    pub(crate) clients_rss_sum_mb: Option<f64>,
    /// Whether all rounds were completed and, unless compression loses something, the model is what it must be.
    pub(crate) ok: bool,
    /// The largest error of a value of the final model.
    pub(crate) ok_err_v0: Option<f64>,
    pub(crate) compression: String,
    /// Whether updates are masked, and how many participants drop out of every round then.
    pub(crate) secagg: bool,
    pub(crate) dropouts: u32,
    /// Whether each participant is a process of its own.
    pub(crate) processes: bool,
    /// The load average before and after.
    pub(crate) loadavg_before: Option<f64>,
    pub(crate) loadavg: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cipher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor_s_per_round: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio_to_floor: Option<f64>,
}

impl Line {
    /// The line of a federation.
    pub(crate) fn of_federation(options: &Options, load: Option<f64>, federated: &Federated) -> Self {
        let Federated { coordinator, participants, round1_s, error, tolerance } = federated;
        let line = Self::new("federated", options, load, coordinator, participants, *round1_s);
        Self { ok: !options.compression.is_lossless() || error <= tolerance, ok_err_v0: Some(*error), ..line }
    }

    /// The line of a floor.
    pub(crate) fn of_floor(options: &Options, load: Option<f64>, floor: &Floor) -> Self {
        let said = &floor.server;
        let line = Self::new("floor", options, load, &said.figures, &floor.clients, said.round1_s);
        Self { ok: said.intact, cipher: Some(said.cipher.clone()), ..line }
    }

    /// This line of a federation, with the floor's time beside its own.
    pub(crate) fn beside(self, floor: &Floor) -> Self {
        let floor_s = median(periods(&floor.server.figures.ends));
        let ratio = self.s_per_round.zip(floor_s).map(|(own, floor)| rounded(own / floor, 3));
        let floor_s_per_round = floor_s.map(|seconds| rounded(seconds, 6));
        Self { ok: self.ok && floor.server.intact, floor_s_per_round, ratio_to_floor: ratio, ..self }
    }

    fn new(
        system: &'static str,
        options: &Options,
        load: Option<f64>,
        server: &ServerFigures,
        clients: &[Usage],
        round1_s: f64,
    ) -> Self {
        let seconds = |value: f64| rounded(value, 6);
        let (least, most) = range(periods(&server.ends)).unzip();
        let client_cpu = clients.iter().map(|usage| usage.cpu_s).sum::<Option<f64>>();
        let client_rss = clients.iter().map(|usage| usage.peak_rss_bytes).sum::<Option<u64>>();
        Self {
            system,
            version: env!("CARGO_PKG_VERSION"),
            n: options.clients.get(),
            m: options.params.get(),
            rounds: options.rounds.get(),
            tls: true,
            s_per_round: median(periods(&server.ends)).map(seconds),
            s_round_min: least.map(seconds),
            s_round_max: most.map(seconds),
            s_round1: seconds(round1_s),
            wire_mb_per_round: wire(&server.ends).map(|bytes| rounded(bytes / 1e6, 3)),
            ideal_wire_mb: rounded(2e-6 * f64::from(options.clients.get()) * options.model_bytes() as f64, 3),
            server_rss_mb: server.usage.peak_rss_bytes.map(megabytes),
            server_cpu_s: server.usage.cpu_s.map(|cpu| rounded(cpu, 2)),
            all_cpu_s: client_cpu.zip(server.usage.cpu_s).map(|(one, other)| rounded(one + other, 2)),
            clients_rss_sum_mb: client_rss.map(megabytes),
            ok: true,
            ok_err_v0: None,
            compression: options.compression.to_string(),
            secagg: options.secagg,
            dropouts: options.dropouts,
            processes: options.processes,
            loadavg_before: load,
            loadavg: load_average(),
            cipher: None,
            floor_s_per_round: None,
            ratio_to_floor: None,
        }
    }
}

fn megabytes(bytes: u64) -> f64 {
    rounded(bytes as f64 / 1e6, 1)
}

/// From each end to the next one: the rounds without the first.
fn periods(ends: &[Moment]) -> impl Iterator<Item = f64> {
    ends.windows(2).map(|pair| pair[1].at_s - pair[0].at_s)
}

fn wire(ends: &[Moment]) -> Option<f64> {
    let bytes = |pair: &[Moment]| Some((pair[1].loopback_bytes? - pair[0].loopback_bytes?) as f64);
    median(ends.windows(2).map(bytes).collect::<Option<Vec<_>>>()?)
}

/// The figures that repetitions differ in.
const FIGURES: [&str; 14] = [
    "s_per_round",
    "s_round_min",
    "s_round_max",
    "s_round1",
    "wire_mb_per_round",
    "server_rss_mb",
    "server_cpu_s",
    "all_cpu_s",
    "clients_rss_sum_mb",
    "ok_err_v0",
    "floor_s_per_round",
    "ratio_to_floor",
    "loadavg_before",
    "loadavg",
];

/// The line after several repetitions: the median of each figure, and under `spread` the smallest and the largest.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary(Map<String, Value>);

impl Summary {
    /// The summary of two lines or more.
    pub(crate) fn of(lines: &[Line]) -> Result<Option<Self>> {
        let written = lines.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        let Some(Value::Object(mut summary)) = written.first().filter(|_| lines.len() > 1).cloned() else {
            return Ok(None);
        };
        let mut spread = Map::new();
        for figure in FIGURES {
            let values = || written.iter().filter_map(|line| line.get(figure).and_then(Value::as_f64));
            if let (Some(median), Some((least, most))) = (median(values()), range(values())) {
                summary.insert(figure.to_owned(), json!(rounded(median, 9)));
                spread.insert(figure.to_owned(), json!([least, most]));
            }
        }
        summary.insert("ok".to_owned(), json!(lines.iter().all(|line| line.ok)));
        summary.insert("summary_of".to_owned(), json!(lines.len()));
        summary.insert("spread".to_owned(), Value::Object(spread));
        Ok(Some(Self(summary)))
    }

    /// How many lines it is of.
    pub(crate) fn count(&self) -> u64 {
        self.0.get("summary_of").and_then(Value::as_u64).unwrap_or_default()
    }

    /// Each figure with its median, smallest and largest value.
    pub(crate) fn figures(&self) -> impl Iterator<Item = (&'static str, f64, f64, f64)> {
        let end = |figure: &str, end: usize| self.0.get("spread")?.get(figure)?.get(end)?.as_f64();
        FIGURES.into_iter().filter_map(move |figure| {
            Some((figure, self.0.get(figure)?.as_f64()?, end(figure, 0)?, end(figure, 1)?))
        })
    }
}

#[cfg(test)]
mod tests;
