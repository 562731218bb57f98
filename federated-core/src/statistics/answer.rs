use std::num::NonZeroU32;

use serde::Serialize;

use super::{
    Bounds, Histogram, Question, Questions,
    slots::{GRID, Place, norm},
};
use crate::{
    model::{ModelError, ModelParameters},
    privacy::dp::terms::PrivacyTerms,
};

/// No site has totals of more steps; noise may make them more, and an untrue model anything.
const MOST_STEPS: f64 = 9.3e18;
/// Below so many records with a value nothing is known but the bounds.
const ANY: f64 = 0.5;

/// A number, and how far noise may have moved it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "a value and its error")]
pub struct Estimate {
    /// The number: always finite.
    pub value: f64,
    /// The standard deviation of what noise adds to it: exact for counts before they are made possible, to first order for
    /// what is computed from them. 0 without noise. It says nothing about how well the records stand for others.
    pub deviation: f64,
}

/// What the totals of all sites say.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Answers {
    /// How many records there are, at least 0.
    pub records: Estimate,
    /// The answers to the questions, in their order.
    pub columns: Vec<ColumnAnswer>,
}

/// What they say about one column.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ColumnAnswer {
    /// Its name.
    pub column: String,
    /// What its values were clamped to.
    pub bounds: Bounds,
    /// How many records have a value: from 0 to the number of records.
    pub count: Estimate,
    /// The mean of the values that are there, within the bounds.
    pub mean: Option<Estimate>,
    /// Their variance, at least 0: the mean of the squares less the square of the mean.
    pub variance: Option<Estimate>,
    /// How many there are in each bin.
    pub histogram: Option<Histogram>,
}

impl Questions {
    /// What the model says that such a job ended with, the mean over so many sites.
    ///
    /// `privacy` are the job's terms, without which the model has no noise and another unit. Noise may make totals that no records
    /// have; the answers are always possible and never NaN.
    ///
    /// # Errors
    /// [`ModelError`] for a model of another layout.
    pub fn answers(
        &self,
        model: &ModelParameters,
        sites: NonZeroU32,
        privacy: Option<&PrivacyTerms>,
    ) -> Result<Answers, ModelError> {
        self.layout().check_same(model.layout())?;
        let (clip, sites) = (norm(privacy.map(PrivacyTerms::clip)), f64::from(sites.get()));
        let most = MOST_STEPS * sites;
        let noise = privacy.map_or(0.0, |terms| terms.noise_multiplier().get() * GRID * sites.sqrt());
        let total = |value: &f32| (f64::from(*value) / clip * GRID * sites).clamp(-most, most);
        let totals = Totals {
            questions: self,
            steps: model.values().iter().map(total).collect(),
            noise: noise.min(most),
        };
        let records = totals.estimate(0, self.record_steps());
        let records = Estimate { value: records.value.max(0.0), ..records };
        let columns = self.questions().iter().zip(self.places());
        let columns = columns.map(|(question, place)| totals.column(question, place, records)).collect();
        Ok(Answers { records, columns })
    }
}

/// The totals of all sites, in steps.
struct Totals<'a> {
    questions: &'a Questions,
    steps: Vec<f64>,
    noise: f64,
}

impl Totals<'_> {
    /// A total, where a record adds so many steps.
    fn estimate(&self, slot: usize, steps: i64) -> Estimate {
        let (total, steps) = (self.steps.get(slot).copied().unwrap_or(0.0), steps as f64);
        Estimate { value: total / steps, deviation: self.noise / steps }
    }

    fn column(&self, question: &Question, place: &Place, records: Estimate) -> ColumnAnswer {
        let bounds = question.bounds();
        let missing = self.estimate(place.missing, place.missing_steps);
        let deviation = records.deviation.hypot(missing.deviation);
        let count = if place.present_steps == 0 {
            Estimate { value: records.value - missing.value.clamp(0.0, records.value), deviation }
        } else {
            let value = (records.value - missing.value) / 2.0;
            Estimate { value: value.clamp(0.0, records.value), deviation: deviation / 2.0 }
        };
        let part = self.questions.part_steps();
        let moments = place.moments.map(|(sum, closeness)| {
            Moments::new(count, self.estimate(sum, part), self.estimate(closeness, part))
        });
        let histogram = place.bins.clone().map(|bins| {
            let noisy: Vec<f64> = bins.map(|bin| self.estimate(bin, part).value).collect();
            Histogram::new(bounds, &noisy, self.noise / part as f64, count.value)
        });
        ColumnAnswer {
            column: question.column().to_owned(),
            bounds,
            count,
            mean: moments.as_ref().map(|moments| moments.mean(bounds)),
            variance: moments.as_ref().map(|moments| moments.variance(bounds)),
            histogram,
        }
    }
}

/// Mean and variance of values scaled to -1 to 1.
struct Moments {
    mean: Estimate,
    variance: Estimate,
}

impl Moments {
    fn new(count: Estimate, sum: Estimate, closeness: Estimate) -> Self {
        if count.value < ANY {
            let unknown = Estimate { value: 0.0, deviation: 1.0 };
            return Self { mean: unknown, variance: unknown };
        }
        let mean = (sum.value / count.value).clamp(-1.0, 1.0);
        let spread = sum.deviation.hypot(mean * count.deviation) / count.value;
        let apart = (closeness.value / count.value).clamp(0.0, 1.0);
        let apart_spread = closeness.deviation.hypot(apart * count.deviation) / count.value;
        // The square of a noisy mean is too large by the variance of its noise.
        let square = (mean * mean - spread * spread).max(0.0);
        let variance = (1.0 - apart - square).clamp(0.0, 1.0 - mean * mean);
        let square_spread = (2.0 * mean * spread).hypot(std::f64::consts::SQRT_2 * spread * spread);
        Self {
            mean: Estimate { value: mean, deviation: spread.min(1.0) },
            variance: Estimate { value: variance, deviation: apart_spread.hypot(square_spread).min(1.0) },
        }
    }

    fn mean(&self, bounds: Bounds) -> Estimate {
        let Estimate { value, deviation } = self.mean;
        Estimate { value: bounds.unscaled(value), deviation: deviation * bounds.half_width() }
    }

    fn variance(&self, bounds: Bounds) -> Estimate {
        let (Estimate { value, deviation }, square) = (self.variance, bounds.half_width().powi(2));
        Estimate { value: value * square, deviation: deviation * square }
    }
}
