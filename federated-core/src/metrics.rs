//! Numbers a participant reports beside its update.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    fault::{Fault, ReasonCode},
    update::ExampleCount,
};

/// Most metrics in one report.
pub const MAX_METRICS: usize = 64;
/// Longest metric name, in bytes.
pub const MAX_METRIC_NAME_BYTES: usize = 64;

/// Why a set of metrics cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// Too many metrics.
    #[error("expected at most 64 metrics, found {found}")]
    TooMany {
        /// How many there were.
        found: usize,
    },
    /// A name is unusable.
    #[error("expected metric names of 1 to 64 printable ASCII characters without spaces")]
    Name,
    /// A value is NaN or infinite.
    #[error("metric `{name}`: expected a finite number, found {found}")]
    NotFinite {
        /// The metric.
        name: String,
        /// The value.
        found: f64,
    },
}

impl MetricsError {
    /// Whose fault it is: metrics come from a peer's trainer.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }

    /// What the peer is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        ReasonCode::new("METRICS_INVALID")
    }
}

/// Named finite numbers, for instance `{"loss": 0.31}`, in the order of their names.
///
/// # Privacy
/// Metrics leave the site. A trainer reports only what its institution agrees to release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    /// No metrics.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a metric, or replaces the one of that name.
    ///
    /// # Errors
    /// [`MetricsError`] when the name is unusable, the value is not finite, or there would be more than
    /// [`MAX_METRICS`].
    pub fn insert(&mut self, name: impl Into<String>, value: f64) -> Result<(), MetricsError> {
        let name = name.into();
        let printable = name.bytes().all(|byte| byte.is_ascii_graphic());
        if name.is_empty() || name.len() > MAX_METRIC_NAME_BYTES || !printable {
            return Err(MetricsError::Name);
        }
        if !value.is_finite() {
            return Err(MetricsError::NotFinite { name, found: value });
        }
        if self.0.len() == MAX_METRICS && !self.0.contains_key(&name) {
            return Err(MetricsError::TooMany { found: MAX_METRICS + 1 });
        }
        self.0.insert(name, value);
        Ok(())
    }

    /// The metric of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// The metrics that every report holds, averaged with the example counts as weights.
    #[must_use]
    pub fn weighted_mean<'a>(reports: impl Iterator<Item = (ExampleCount, &'a Self)> + Clone) -> Self {
        Self::mean_by(reports.map(|(examples, report)| (f64::from(examples.get()), report)))
    }

    /// The same with any weights above 0.
    pub(crate) fn mean_by<'a>(reports: impl Iterator<Item = (f64, &'a Self)> + Clone) -> Self {
        let Some((_, first)) = reports.clone().next() else {
            return Self::new();
        };
        let total: f64 = reports.clone().map(|(weight, _)| weight).sum();
        let mean = |name: &String| {
            let weighted = |(weight, report): (f64, &Self)| report.get(name).map(|value| weight * value);
            let sum: Option<f64> = reports.clone().map(weighted).sum();
            sum.map(|sum| (name.clone(), sum / total)).filter(|(_, mean)| mean.is_finite())
        };
        Self(first.0.keys().filter_map(mean).collect())
    }

    /// All metrics in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_hold_only_named_finite_numbers() {
        let mut metrics = Metrics::new();
        metrics.insert("loss", 0.5).unwrap();
        assert_eq!(metrics.get("loss"), Some(0.5));
        assert!(matches!(metrics.insert("auc", f64::NAN), Err(MetricsError::NotFinite { .. })));
        assert!(matches!(metrics.insert("", 1.0), Err(MetricsError::Name)));
        for n in 1..MAX_METRICS {
            metrics.insert(format!("m{n}"), 0.0).unwrap();
        }
        assert!(matches!(metrics.insert("one-more", 0.0), Err(MetricsError::TooMany { .. })));
        assert!(metrics.insert("loss", 0.4).is_ok(), "replacing is not adding");
    }

    #[test]
    fn a_mean_weighs_by_examples_and_keeps_what_everyone_reports() {
        let report = |entries: &[(&str, f64)]| {
            let mut metrics = Metrics::new();
            entries.iter().for_each(|(name, value)| metrics.insert(*name, *value).unwrap());
            metrics
        };
        let (a, b) = (report(&[("loss", 1.0), ("auc", 0.5)]), report(&[("loss", 3.0)]));
        let count = |n| ExampleCount::new(n).unwrap();
        let mean = Metrics::weighted_mean([(count(3), &a), (count(1), &b)].into_iter());
        assert_eq!(mean.iter().collect::<Vec<_>>(), [("loss", 1.5)]);
        assert_eq!(Metrics::weighted_mean(std::iter::empty()), Metrics::new());
    }
}
