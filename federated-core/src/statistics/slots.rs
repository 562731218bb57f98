use std::{collections::BTreeSet, ops::Range};

use super::{Question, StatisticsError};
use crate::{
    model::{ModelError, ModelLayout, ModelParameters, TensorSpec},
    privacy::dp::{ClipNorm, terms::PrivacyTerms},
};

/// Most totals of a job.
pub(super) const MAX_TOTALS: u64 = 1 << 20;
/// Steps in a clip norm: totals are counted in whole steps, so that their sums are exact and so is the noise on them.
pub(super) const GRID: f64 = 1_073_741_824.0;
/// Standard deviations of noise that [`Questions::reach`] leaves room for: one total in 10^15 has more.
const ROOM: f64 = 8.0;

/// What is asked, with the place of each total in the vector that travels.
///
/// For a record's value `t`, scaled to -1 to 1 by the question's bounds, the totals are over
///
/// | tensor | what a record adds | for |
/// |---|---|---|
/// | `records` | 1 | all columns together |
/// | `missing` | 1 if it has no value; -1 if it has one and nothing but the count is asked for | each column |
/// | `sum` | `t` | columns with mean and variance |
/// | `closeness` | `1 - t^2` | the same |
/// | `bins` | 1 for the bin of its value | columns with a histogram |
///
/// each times a public weight, such that one record's vector has a length of at most [`Questions::sensitivity`], however many
/// questions there are. Weights say what noise is spent on:
///
/// - `t` and `1 - t^2` have one weight: as `t^2 + (1 - t^2)^2 <= 1`, the second costs nothing. Sums of `t` and `t^2` would cost
///   twice as much.
/// - A value is missing or it is not. So what is missing costs nothing either, and has the weight of all that is not. Where
///   nothing else is asked, counting both ways halves the noise.
/// - `records` is there once, whatever the number of columns: with its weight's square at the root of half of theirs the
///   variances are known best, whose error has that of the number of records in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Questions {
    questions: Vec<Question>,
    places: Vec<Place>,
    layout: ModelLayout,
    record_steps: i64,
    part_steps: i64,
}

/// Where the totals of one column are.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) missing: usize,
    pub(super) missing_steps: i64,
    /// What a value that is there adds to `missing`.
    pub(super) present_steps: i64,
    /// Of `sum` and `closeness`.
    pub(super) moments: Option<(usize, usize)>,
    pub(super) bins: Option<Range<usize>>,
}

impl Questions {
    /// The key of a job's settings that has the questions as text.
    pub const SETTING: &'static str = "statistics";

    /// Puts questions together.
    ///
    /// # Errors
    /// [`StatisticsError`] for no question, two about one column, and more than 1,048,576 totals.
    pub fn new(questions: Vec<Question>) -> Result<Self, StatisticsError> {
        if questions.is_empty() {
            return Err(StatisticsError::Nothing);
        }
        let mut columns = BTreeSet::new();
        if let Some(twice) = questions.iter().find(|question| !columns.insert(question.column())) {
            return Err(StatisticsError::Duplicate { column: twice.column().to_owned() });
        }
        let [moments, bins] = [
            questions.iter().map(|question| u64::from(question.moments())).sum::<u64>(),
            questions.iter().map(|question| question.bins().map_or(0, |bins| u64::from(bins.get()))).sum(),
        ];
        let tensors =
            [("records", 1), ("missing", questions.len() as u64), ("sum", moments), ("closeness", moments)];
        let tensors = tensors.into_iter().chain([("bins", bins)]).filter(|(_, length)| *length > 0);
        let layout =
            ModelLayout::new(tensors.map(|(name, length)| TensorSpec::new(name, [length])).collect())?;
        if layout.elements() > MAX_TOTALS {
            return Err(StatisticsError::TooMany { found: layout.elements() });
        }
        let parts: f64 = questions.iter().map(|question| f64::from(question.parts())).sum();
        let norm = (parts + (parts / 2.0).sqrt()).sqrt();
        let weight = |square: f64| steps(GRID * (square.sqrt() / norm));
        let places = places(&questions, &layout, weight);
        let (record_steps, part_steps) = (weight((parts / 2.0).sqrt()), weight(1.0));
        Ok(Self { questions, places, layout, record_steps, part_steps })
    }

    /// The questions in order: a record has a value for each.
    #[must_use]
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// The layout of the vector of totals: that of the job's model, which is all zeros initially.
    #[must_use]
    pub const fn layout(&self) -> &ModelLayout {
        &self.layout
    }

    /// The most that one record more or less changes a site's totals by: Euclidean norm over all of them, in the steps of
    /// [`SiteTotals::steps`](super::SiteTotals::steps).
    ///
    /// One more than the steps of a clip norm: what a record adds is rounded towards zero, and the one is for the rounding of
    /// the products before that.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "2^30")]
    pub const fn sensitivity(&self) -> u64 {
        GRID as u64 + 1
    }

    /// Totals in steps, of a site or with noise, as the update that travels: a record's part in it is no longer than `clip`,
    /// or than 1.
    ///
    /// # Errors
    /// [`ModelError`] when there are not as many as the layout has elements, or one is too large for a model.
    pub fn to_model(&self, steps: &[i64], clip: Option<ClipNorm>) -> Result<ModelParameters, ModelError> {
        let step = norm(clip) / GRID;
        #[expect(clippy::cast_possible_truncation, reason = "what travels is f32")]
        let values = steps.iter().map(|steps| (*steps as f64 * step) as f32).collect();
        ModelParameters::new(self.layout.clone(), values)
    }

    /// What no value of a site's update is beyond, where the site has at most so many records: with noise, but for a chance of
    /// 10^-15 for each value. The `clip` of secure aggregation must be at least this.
    #[must_use]
    pub fn reach(&self, records: u32, privacy: Option<&PrivacyTerms>) -> f64 {
        let noise = privacy.map_or(0.0, |terms| terms.noise_multiplier().get());
        let missing = self.places.iter().map(|place| place.missing_steps).max().unwrap_or(0);
        let most = self.record_steps.max(missing) as f64 / GRID;
        norm(privacy.map(PrivacyTerms::clip)) * (f64::from(records) * most + ROOM * noise)
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    /// What a record adds to `records`.
    pub(super) const fn record_steps(&self) -> i64 {
        self.record_steps
    }

    /// What a record at 1 adds to `sum`, one at 0 to `closeness`, and any to its bin.
    pub(super) const fn part_steps(&self) -> i64 {
        self.part_steps
    }

    /// What one record adds to the totals, as slots and steps.
    pub(super) fn contribution(&self, record: &[Option<f64>], mut add: impl FnMut(usize, i64)) {
        add(0, self.record_steps);
        for ((question, place), value) in self.questions.iter().zip(&self.places).zip(record) {
            let Some(value) = value.filter(|value| value.is_finite()) else {
                add(place.missing, place.missing_steps);
                continue;
            };
            let scaled = question.bounds().scaled(value);
            if place.present_steps != 0 {
                add(place.missing, place.present_steps);
            }
            if let Some((sum, closeness)) = place.moments {
                let part = self.part_steps as f64;
                add(sum, steps(scaled * part));
                add(closeness, steps((1.0 - scaled * scaled) * part));
            }
            if let Some(bins) = &place.bins {
                add(bins.start + bin(scaled, bins.len()), self.part_steps);
            }
        }
    }
}

pub(super) fn norm(clip: Option<ClipNorm>) -> f64 {
    clip.map_or(1.0, ClipNorm::get)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "whole steps, rounded towards zero: no longer than before"
)]
const fn steps(value: f64) -> i64 {
    value as i64
}

/// The bin of a value scaled to -1 to 1: each has its lower edge, and the last its upper edge, too.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to the number of bins")]
fn bin(scaled: f64, bins: usize) -> usize {
    let place = (scaled + 1.0) / 2.0 * bins as f64;
    (place as usize).min(bins.saturating_sub(1))
}

fn places(questions: &[Question], layout: &ModelLayout, weight: impl Fn(f64) -> i64) -> Vec<Place> {
    let start = |name| layout.range_of(name).unwrap_or_default().start;
    let [mut missing, mut sum, mut closeness, mut bin] = ["missing", "sum", "closeness", "bins"].map(start);
    let take = |next: &mut usize, length: usize| {
        *next += length;
        *next - length..*next
    };
    let place = |question: &Question| Place {
        missing: take(&mut missing, 1).start,
        missing_steps: weight(question.parts().into()),
        present_steps: if question.moments() || question.bins().is_some() { 0 } else { -weight(1.0) },
        moments: question.moments().then(|| (take(&mut sum, 1).start, take(&mut closeness, 1).start)),
        bins: question.bins().map(|bins| take(&mut bin, usize::try_from(bins.get()).unwrap_or(0))),
    };
    questions.iter().map(place).collect()
}
