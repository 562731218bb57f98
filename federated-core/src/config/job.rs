use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
};

use serde::{Deserialize, Serialize};

use super::{
    ConfigError,
    aggregation::aggregation,
    compression::compression,
    parse_duration, parse_toml,
    private::{Beside, differential_privacy, share_out},
    raw::{RawCohort, RawJob, RawStrategy, RawTimeouts},
    secure::{SecureConfig, secure_aggregation},
};
use crate::{
    aggregate::AggregationRule,
    compression::Encoding,
    ids::{JobName, ParticipantName},
    privacy::dp::terms::PrivacyTerms,
    round::{CohortPolicy, RunPlan, Timeouts},
    strategy::{BatchSize, FedAvg, FedSgd, LocalWork, Strategy},
};

/// Most settings in a job's `[training]` table.
const MAX_SETTINGS: usize = 256;
/// Longest key of a setting, in bytes.
const MAX_SETTING_KEY: usize = 64;
/// Longest value of a setting, in bytes.
const MAX_SETTING_VALUE: usize = 65_536;

/// What participants do, with the settings of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum StrategyKind {
    /// Federated averaging.
    FedAvg(LocalWork),
    /// Federated gradient descent.
    FedSgd {
        /// Step size.
        learning_rate: f32,
    },
}

/// Which strategy a job uses: what participants do, and how their updates are combined.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StrategyConfig {
    /// What participants do.
    pub kind: StrategyKind,
    /// How their updates become one.
    pub aggregation: AggregationRule,
}

impl StrategyConfig {
    /// The strategy itself.
    #[must_use]
    pub fn build(self) -> Box<dyn Strategy> {
        let aggregation = self.aggregation;
        match self.kind {
            StrategyKind::FedAvg(work) => Box::new(FedAvg { work, aggregation }),
            StrategyKind::FedSgd { learning_rate } => Box::new(FedSgd { learning_rate, aggregation }),
        }
    }
}

/// A job, as read from `JOB.toml`.
///
/// # Examples
/// ```
/// use federated_core::config::JobConfig;
///
/// let job = JobConfig::parse(
///     r#"
///     name = "heart"
///     rounds = 30
///     model = { initial = "initial.safetensors" }
///     strategy = { kind = "fedavg", local_epochs = 2, batch_size = 16, learning_rate = 0.03 }
///     cohort = { min_participants = 4, quorum = 3 }
///     "#,
/// )?;
/// assert_eq!(job.plan.rounds().get(), 30);
/// # Ok::<(), federated_core::config::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct JobConfig {
    /// Rounds, cohort, time-outs, seed.
    pub plan: RunPlan,
    /// What participants do and how updates become a model.
    pub strategy: StrategyConfig,
    /// How updates travel to the coordinator; [`Encoding::PLAIN`] unless the job file says otherwise.
    pub compression: Encoding,
    /// The path of the initial model, a safetensors file, as written: relative to the job file.
    pub initial_model: String,
    /// How updates are aggregated securely, if they are.
    pub secure: Option<SecureConfig>,
    /// What its rounds do for differential privacy, if they do anything.
    pub privacy: Option<PrivacyTerms>,
    /// The `[training]` table, for the trainers: each value as text.
    pub settings: BTreeMap<String, String>,
}

impl JobConfig {
    /// Parses a job file.
    ///
    /// # Errors
    /// [`ConfigError`] naming the place, what was expected, what was found and what to do.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let raw: RawJob = parse_toml(text)?;
        let name: JobName = raw.name.parse().map_err(|_| {
            ConfigError::value(
                "name",
                "1 to 63 characters from a-z, 0-9 and '-'",
                format!("\"{}\"", raw.name),
                "",
            )
        })?;
        let plan = RunPlan::new(
            name,
            at_least_one("rounds", raw.rounds)?,
            at_least_one("attempts", raw.attempts)?,
            raw.seed,
            cohort(raw.cohort)?,
            timeouts(&raw.timeouts)?,
        )
        .map_err(|error| ConfigError::value("cohort", "a cohort that can meet its quorum", error, ""))?;
        let aggregation = aggregation(&raw.aggregation, plan.cohort().quorum)?;
        let compression = compression(&raw.compression)?;
        let secure = raw.privacy.secure_aggregation;
        let secure =
            secure.map(|raw| secure_aggregation(raw, &plan, aggregation, compression)).transpose()?;
        let kind = strategy(&raw.strategy)?;
        let metrics = secure.as_ref().is_some_and(|secure| !secure.terms.vector().metrics().is_empty());
        let beside = Beside { plan: &plan, strategy: kind, aggregation, masked: secure.is_some(), metrics };
        let privacy = raw.privacy.dp.map(|raw| differential_privacy(&raw, &beside)).transpose()?;
        let secure = match (secure, &privacy) {
            (Some(secure), Some(terms)) => Some(share_out(secure, terms)?),
            (secure, _) => secure,
        };
        Ok(Self {
            plan,
            strategy: StrategyConfig { kind, aggregation },
            compression,
            secure,
            privacy,
            initial_model: raw.model.initial,
            settings: settings(raw.training)?,
        })
    }
}

pub(super) fn at_least_one(path: &str, number: u32) -> Result<NonZeroU32, ConfigError> {
    NonZeroU32::new(number).ok_or_else(|| ConfigError::value(path, "a number of at least 1", number, ""))
}

fn cohort(raw: RawCohort) -> Result<CohortPolicy, ConfigError> {
    let min_participants = at_least_one("cohort.min_participants", raw.min_participants)?;
    let quorum = raw.quorum.map_or(Ok(min_participants), |quorum| at_least_one("cohort.quorum", quorum))?;
    let eligible = raw.participants.map(eligible).transpose()?;
    let (fraction, over_selection) = (raw.fraction, raw.over_selection);
    Ok(CohortPolicy { eligible, fraction, min_participants, quorum, over_selection })
}

fn eligible(names: Vec<String>) -> Result<BTreeSet<ParticipantName>, ConfigError> {
    let mut eligible = BTreeSet::new();
    for name in names {
        let hint = "use the names given to `enroll`";
        let parsed = name.parse().map_err(|_| {
            ConfigError::value("cohort.participants", "names of participants", format!("\"{name}\""), hint)
        })?;
        if !eligible.insert(parsed) {
            let found = format!("\"{name}\" twice");
            return Err(ConfigError::value("cohort.participants", "each name once", found, "remove one"));
        }
    }
    Ok(eligible)
}

fn timeouts(raw: &RawTimeouts) -> Result<Timeouts, ConfigError> {
    let timeouts = Timeouts {
        deadline: parse_duration("timeouts.deadline", &raw.deadline)?,
        absence: parse_duration("timeouts.absence", &raw.absence)?,
        retry: parse_duration("timeouts.retry", &raw.retry)?,
    };
    if timeouts.deadline.is_zero() {
        let hint = "a round closes at its deadline";
        return Err(ConfigError::value(
            "timeouts.deadline",
            "a duration above 0",
            format!("\"{}\"", raw.deadline),
            hint,
        ));
    }
    Ok(timeouts)
}

fn strategy(raw: &RawStrategy) -> Result<StrategyKind, ConfigError> {
    let learning_rate = raw.learning_rate;
    if !(learning_rate.is_finite() && learning_rate > 0.0) {
        let expected = "a finite number above 0";
        return Err(ConfigError::value("strategy.learning_rate", expected, learning_rate, ""));
    }
    match raw.kind.as_str() {
        "fedavg" => {
            let epochs = at_least_one("strategy.local_epochs", raw.local_epochs.unwrap_or(1))?;
            let batch = match raw.batch_size.map(NonZeroU32::new) {
                None => BatchSize::All,
                Some(Some(size)) => BatchSize::Examples(size),
                Some(None) => {
                    let hint = "leave it out to use all examples at once";
                    return Err(ConfigError::value("strategy.batch_size", "a number of at least 1", 0, hint));
                }
            };
            Ok(StrategyKind::FedAvg(LocalWork { epochs, batch, learning_rate }))
        }
        "fedsgd" => {
            let given =
                [("strategy.local_epochs", raw.local_epochs), ("strategy.batch_size", raw.batch_size)];
            if let Some((path, Some(found))) = given.into_iter().find(|(_, given)| given.is_some()) {
                let hint = "FedSGD takes one step on all examples; remove it, or use kind = \"fedavg\"";
                return Err(ConfigError::value(path, "nothing", found, hint));
            }
            Ok(StrategyKind::FedSgd { learning_rate })
        }
        other => {
            Err(ConfigError::value("strategy.kind", "\"fedavg\" or \"fedsgd\"", format!("\"{other}\""), ""))
        }
    }
}

fn settings(raw: BTreeMap<String, toml::Value>) -> Result<BTreeMap<String, String>, ConfigError> {
    if raw.len() > MAX_SETTINGS {
        return Err(ConfigError::value("training", "at most 256 settings", raw.len(), ""));
    }
    raw.into_iter()
        .map(|(key, value)| {
            let path = format!("training.{key}");
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => {
                    value.to_string()
                }
                other => {
                    let expected = "a text, a number, true or false";
                    return Err(ConfigError::value(path, expected, other.type_str(), "write it as a text"));
                }
            };
            if key.len() > MAX_SETTING_KEY || text.len() > MAX_SETTING_VALUE {
                let expected = "a key of at most 64 bytes and a value of at most 65,536";
                return Err(ConfigError::value(
                    path,
                    expected,
                    format!("{} and {}", key.len(), text.len()),
                    "",
                ));
            }
            Ok((key, text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = r#"
        name = "heart"
        rounds = 30
        seed = 42
        [model]
        initial = "initial.safetensors"
        [strategy]
        kind = "fedavg"
        local_epochs = 2
        batch_size = 16
        learning_rate = 0.03
        [cohort]
        min_participants = 4
        quorum = 3
        [timeouts]
        deadline = "10m"
        [training]
        optimizer = "sgd"
        hidden = 16
    "#;

    fn error(from: &str, to: &str) -> String {
        assert!(JOB.contains(from));
        JobConfig::parse(&JOB.replace(from, to)).unwrap_err().to_string()
    }

    #[test]
    fn a_job_file_becomes_checked_types() {
        let job = JobConfig::parse(JOB).unwrap();
        assert_eq!(job.plan.cohort().quorum.get(), 3);
        assert_eq!(job.plan.timeouts().deadline.as_secs(), 600);
        assert_eq!(job.settings["hidden"], "16");
        assert!(matches!(job.strategy.kind, StrategyKind::FedAvg(work) if work.epochs.get() == 2));
        assert_eq!(job.strategy.build().name(), "fedavg");
        assert_eq!(job.strategy.aggregation, AggregationRule::Mean);
    }

    #[test]
    fn each_mistake_is_named_with_what_was_expected_and_found() {
        let cases = [
            ("rounds = 30", "rounds = 0", "rounds: expected a number of at least 1, found 0"),
            ("name = \"heart\"", "name = \"a/b\"", "name: expected 1 to 63 characters"),
            ("rounds = 30", "rounds = 30\nround = 1", "unknown field `round`"),
            ("rounds = 30", "", "missing field `rounds`"),
            ("quorum = 3", "quorum = 5", "could never be met"),
            ("\"10m\"", "\"10 fortnights\"", "timeouts.deadline: expected a duration"),
            ("\"10m\"", "\"0s\"", "timeouts.deadline: expected a duration above 0"),
            (
                "\"fedavg\"",
                "\"fedmedian\"",
                "strategy.kind: expected \"fedavg\" or \"fedsgd\", found \"fedmedian\"",
            ),
            ("\"fedavg\"", "\"fedsgd\"", "strategy.local_epochs: expected nothing, found 2"),
            ("batch_size = 16", "batch_size = 0", "strategy.batch_size: expected a number of at least 1"),
            ("0.03", "-1.0", "strategy.learning_rate: expected a finite number above 0"),
            ("hidden = 16", "hidden = [1]", "training.hidden: expected a text"),
            ("quorum = 3", "fraction = 0.0", "cohort.fraction: expected a number above 0"),
            ("quorum = 3", "participants = [\"a\", \"a\"]", "cohort.participants: expected each name once"),
            (
                "quorum = 3",
                "participants = [\"a\"]",
                "expected at least cohort.min_participants (4) names, found 1",
            ),
        ];
        for (from, to, expected) in cases {
            let found = error(from, to);
            assert!(found.contains(expected), "{from} -> {to}: {found}");
        }
    }
}
