use federated_benches::{
    statistics::{median, range, rounded},
    system::{Usage, load_average},
};
use federated_core::privacy::secagg::{Modulus, Stage};
use serde::Serialize;

use crate::{
    cli::Options,
    costs::{Beside, Cost, Costs, STAGES},
    session::Outcome,
};

/// What a session cost: one line of JSON. Seconds are of processor time, of one core.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) version: &'static str,
    /// Participants, the values of the model, and the bits of an element.
    pub(crate) n: u32,
    pub(crate) m: u32,
    pub(crate) modulus_bits: u32,
    pub(crate) gamma: f64,
    pub(crate) delta: f64,
    /// What follows from these.
    pub(crate) k: u32,
    pub(crate) threshold: u8,
    pub(crate) quorum: u32,
    /// Who drop out after they have shared their keys.
    pub(crate) dropouts: u32,
    pub(crate) vector_bytes: usize,
    /// Of a participant, in each stage, among those who had a part in it; and in all of them, among those who stayed.
    pub(crate) stages: Vec<StageLine>,
    pub(crate) participant: ParticipantLine,
    /// The coordinator's seconds for the stages, for the secrets, and for the masks on the sum.
    pub(crate) coordinator_s: f64,
    pub(crate) secrets_s: f64,
    /// The masks over one participant's vector, and those off the sum.
    pub(crate) masking: BesideLine,
    pub(crate) unmasking: BesideLine,
    /// The most memory that the program had, in units of 10^6 bytes: with everyone in it.
    pub(crate) rss_mb: Option<f64>,
    pub(crate) loadavg_before: Option<f64>,
    pub(crate) loadavg: Option<f64>,
    /// Whether the sum without masks is the sum of the inputs, in every bit.
    pub(crate) ok: bool,
}

/// A stage.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StageLine {
    pub(crate) stage: Stage,
    #[serde(flatten)]
    pub(crate) participant: ParticipantLine,
    pub(crate) coordinator_s: f64,
}

/// What something costs a participant: the median, and the most.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct ParticipantLine {
    pub(crate) s: f64,
    pub(crate) s_max: f64,
    pub(crate) bytes_up: f64,
    pub(crate) bytes_up_max: f64,
    pub(crate) bytes_down: f64,
    pub(crate) bytes_down_max: f64,
}

/// A work, the least that it can cost, and how much more it does: medians.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct BesideLine {
    pub(crate) keystream_bytes: u64,
    pub(crate) s: f64,
    pub(crate) floor_s: f64,
    pub(crate) ratio: f64,
}

impl Line {
    pub(crate) fn new(options: &Options, outcome: &Outcome, load: Option<f64>) -> anyhow::Result<Self> {
        let parameters = options.parameters()?;
        let Outcome { costs, masking, coordinator, unmasked, ok, vector_bytes } = outcome;
        let share = |millionths: u32| f64::from(millionths) / 1e6;
        let stages = STAGES.into_iter().map(|stage| StageLine {
            stage,
            participant: ParticipantLine::of(costs.iter().filter_map(|costs| costs.of(stage))),
            coordinator_s: rounded(coordinator.get(&stage).copied().unwrap_or_default(), 6),
        });
        let peak = Usage::of_this_process().peak_rss_bytes;
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            n: options.clients.get(),
            m: options.params.get(),
            modulus_bits: Modulus::bits(options.modulus_bits),
            gamma: share(options.gamma.millionths()),
            delta: share(options.delta.millionths()),
            k: parameters.degree(),
            threshold: parameters.threshold(),
            quorum: parameters.quorum(),
            dropouts: options.dropouts,
            vector_bytes: *vector_bytes,
            stages: stages.collect(),
            participant: ParticipantLine::of(costs.iter().filter_map(Costs::total)),
            coordinator_s: rounded(coordinator.values().sum(), 6),
            secrets_s: rounded(unmasked.secrets_s, 6),
            masking: BesideLine::of(masking),
            unmasking: BesideLine::of(&unmasked.masks),
            rss_mb: peak.map(|bytes| rounded(bytes as f64 / 1e6, 1)),
            loadavg_before: load,
            loadavg: load_average(),
            ok: *ok,
        })
    }
}

impl ParticipantLine {
    fn of(costs: impl Iterator<Item = Cost> + Clone) -> Self {
        let figures = |of: fn(Cost) -> f64| {
            let (middle, range) = (median(costs.clone().map(of)), range(costs.clone().map(of)));
            let decimals = |value: Option<f64>| rounded(value.unwrap_or_default(), 6);
            (decimals(middle), decimals(range.map(|range| range.1)))
        };
        let (s, s_max) = figures(|cost| cost.seconds);
        let (bytes_up, bytes_up_max) = figures(|cost| cost.up as f64);
        let (bytes_down, bytes_down_max) = figures(|cost| cost.down as f64);
        Self { s, s_max, bytes_up, bytes_up_max, bytes_down, bytes_down_max }
    }
}

impl BesideLine {
    fn of(beside: &Beside) -> Self {
        let middle = |seconds: &[f64]| median(seconds.iter().copied()).unwrap_or_default();
        let (work, floor) = (middle(&beside.work), middle(&beside.floor));
        Self {
            keystream_bytes: beside.keystream,
            s: rounded(work, 6),
            floor_s: rounded(floor, 6),
            ratio: rounded(work / floor, 3),
        }
    }
}
