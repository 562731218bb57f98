use std::collections::BTreeMap;

use serde::Deserialize;

/// A job file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJob {
    pub name: String,
    pub rounds: u32,
    #[serde(default = "attempts")]
    pub attempts: u32,
    #[serde(default)]
    pub seed: u64,
    pub model: RawModel,
    pub strategy: RawStrategy,
    #[serde(default)]
    pub aggregation: RawAggregation,
    #[serde(default)]
    pub compression: RawCompression,
    pub cohort: RawCohort,
    #[serde(default)]
    pub timeouts: RawTimeouts,
    #[serde(default)]
    pub privacy: RawPrivacy,
    #[serde(default)]
    pub training: BTreeMap<String, toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrivacy {
    pub secure_aggregation: Option<RawSecureAggregation>,
    pub dp: Option<RawDifferentialPrivacy>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDifferentialPrivacy {
    pub placement: String,
    pub unit: Option<String>,
    pub adjacency: Option<String>,
    pub epsilon: f64,
    pub delta: f64,
    pub clip: f64,
    pub noise_multiplier: Option<f64>,
    pub sampling_rate: Option<f64>,
    pub releases: Option<u32>,
    pub accountant: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSecureAggregation {
    #[serde(default = "yes")]
    pub required: bool,
    #[serde(default = "a_third")]
    pub gamma: f64,
    #[serde(default = "a_tenth")]
    pub delta: f64,
    pub min_survivors: Option<u32>,
    #[serde(default = "thirty_two")]
    pub modulus_bits: u32,
    pub clip: f32,
    pub max_examples: u64,
    pub max_participants: Option<u32>,
    pub groups: Option<u32>,
    pub min_group: Option<u32>,
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    pub roster: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawModel {
    pub initial: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStrategy {
    pub kind: String,
    pub local_epochs: Option<u32>,
    pub batch_size: Option<u32>,
    pub learning_rate: f32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAggregation {
    pub kind: String,
    pub trim: Option<u32>,
    pub byzantine: Option<u32>,
    pub keep: Option<u32>,
}

impl Default for RawAggregation {
    fn default() -> Self {
        Self { kind: "mean".to_owned(), trim: None, byzantine: None, keep: None }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCompression {
    pub codec: String,
    pub fraction: Option<f64>,
    #[serde(default)]
    pub zstd: bool,
}

impl Default for RawCompression {
    fn default() -> Self {
        Self { codec: "none".to_owned(), fraction: None, zstd: false }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCohort {
    pub participants: Option<Vec<String>>,
    #[serde(default = "one")]
    pub fraction: f64,
    pub min_participants: u32,
    pub quorum: Option<u32>,
    #[serde(default = "one")]
    pub over_selection: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawTimeouts {
    pub deadline: String,
    pub absence: String,
    pub retry: String,
}

impl Default for RawTimeouts {
    fn default() -> Self {
        Self { deadline: "1h".to_owned(), absence: "1m".to_owned(), retry: "10s".to_owned() }
    }
}

const fn attempts() -> u32 {
    3
}

const fn one() -> f64 {
    1.0
}

const fn yes() -> bool {
    true
}

/// Stands for a third: a third of three is one.
const fn a_third() -> f64 {
    0.333_333
}

const fn a_tenth() -> f64 {
    0.1
}

const fn thirty_two() -> u32 {
    32
}
