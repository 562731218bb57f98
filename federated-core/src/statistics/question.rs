use std::num::NonZeroU32;

use serde::Serialize;

use super::StatisticsError;

/// Longest name of a column, in bytes.
pub(super) const MAX_COLUMN_BYTES: usize = 256;
/// Most bins of a histogram.
pub(super) const MAX_BINS: u32 = 65_536;
/// Squares of numbers between it and one in so many are numbers, too.
const LARGEST: f64 = 1e100;

/// Between which numbers a column's values are expected: values beyond count as the nearest of the two.
///
/// They are public and part of the question. A bound that is taken from the records, such as their maximum, tells about a
/// record and must not be used. The tighter they are, the less the noise matters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bounds {
    lower: f64,
    upper: f64,
}

impl Bounds {
    /// Checks the bounds.
    ///
    /// # Errors
    /// [`StatisticsError::Bounds`] unless both are within -1e100 to 1e100 and the lower is below the upper.
    pub fn new(lower: f64, upper: f64) -> Result<Self, StatisticsError> {
        let bounds = Self { lower, upper };
        let usable = lower >= -LARGEST && upper <= LARGEST && bounds.half_width() >= 1.0 / LARGEST;
        if usable { Ok(bounds) } else { Err(StatisticsError::Bounds { lower, upper }) }
    }

    /// The lower bound.
    #[must_use]
    pub const fn lower(self) -> f64 {
        self.lower
    }

    /// The upper bound.
    #[must_use]
    pub const fn upper(self) -> f64 {
        self.upper
    }

    /// The number in the middle.
    #[must_use]
    pub fn middle(self) -> f64 {
        f64::midpoint(self.lower, self.upper)
    }

    /// How far the bounds are from the middle.
    #[must_use]
    pub fn half_width(self) -> f64 {
        (self.upper - self.lower) / 2.0
    }

    /// A finite value as a number from -1 to 1.
    pub(super) fn scaled(self, value: f64) -> f64 {
        ((value - self.middle()) / self.half_width()).clamp(-1.0, 1.0)
    }

    /// The value of a number from -1 to 1.
    pub(super) fn unscaled(self, scaled: f64) -> f64 {
        self.half_width().mul_add(scaled, self.middle()).clamp(self.lower, self.upper)
    }
}

/// What is asked about one column. How many records have a value in it is always answered.
///
/// # Examples
/// ```
/// use federated_core::statistics::{Bounds, Question};
///
/// let age = Question::new("age", Bounds::new(20.0, 90.0)?)?.with_moments().with_bins(14)?;
/// assert_eq!(age.to_string(), "age from 20 to 90: mean, variance, 14 bins");
/// # Ok::<(), federated_core::statistics::StatisticsError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    column: String,
    bounds: Bounds,
    moments: bool,
    bins: Option<NonZeroU32>,
}

impl Question {
    /// Asks how many records have a value in this column.
    ///
    /// # Errors
    /// [`StatisticsError::Column`] for a name that is empty, longer than 256 bytes, begins or ends with a space, or has control
    /// characters.
    pub fn new(column: impl Into<String>, bounds: Bounds) -> Result<Self, StatisticsError> {
        let column = column.into();
        let sized = (1..=MAX_COLUMN_BYTES).contains(&column.len());
        if !sized || column.trim() != column || column.chars().any(char::is_control) {
            return Err(StatisticsError::Column { found: column });
        }
        Ok(Self { column, bounds, moments: false, bins: None })
    }

    /// Asks for mean and variance, too. Together they cost as much as one of them.
    #[must_use]
    pub fn with_moments(self) -> Self {
        Self { moments: true, ..self }
    }

    /// Asks for a histogram of so many bins of equal width, too, and so for quantiles.
    ///
    /// # Errors
    /// [`StatisticsError::Statistic`] for no bin and for more than 65,536.
    pub fn with_bins(self, bins: u32) -> Result<Self, StatisticsError> {
        let found = NonZeroU32::new(bins).filter(|bins| bins.get() <= MAX_BINS);
        let bins = found.ok_or_else(|| StatisticsError::Statistic { found: format!("{bins} bins") })?;
        Ok(Self { bins: Some(bins), ..self })
    }

    /// The column's name.
    #[must_use]
    pub fn column(&self) -> &str {
        &self.column
    }

    /// Between which numbers its values are expected.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Whether mean and variance are asked for.
    #[must_use]
    pub const fn moments(&self) -> bool {
        self.moments
    }

    /// How many bins the histogram has, if one is asked for.
    #[must_use]
    pub const fn bins(&self) -> Option<NonZeroU32> {
        self.bins
    }

    /// The parts of a record's contribution for this column, each of length 1 at most; 1 if nothing but the count is asked for.
    pub(super) fn parts(&self) -> u32 {
        (u32::from(self.moments) + u32::from(self.bins.is_some())).max(1)
    }
}
