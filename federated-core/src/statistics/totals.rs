use std::fmt;

use super::{Questions, StatisticsError};

/// Most records of a site: their sums in steps are whole numbers of 63 bits.
pub(super) const MAX_RECORDS: u32 = u32::MAX;

/// One site's totals without noise, while they are counted. They stay at the site.
pub struct SiteTotals<'a> {
    questions: &'a Questions,
    steps: Vec<i64>,
    records: u32,
}

impl<'a> SiteTotals<'a> {
    /// Totals over no record.
    #[must_use]
    pub fn new(questions: &'a Questions) -> Self {
        let slots = usize::try_from(questions.layout().elements()).unwrap_or(0);
        Self { questions, steps: vec![0; slots], records: 0 }
    }

    /// Counts a record: a value for each question, in their order. `None`, NaN and infinities are missing values; what is beyond
    /// the bounds counts as the nearest of the two.
    ///
    /// # Errors
    /// [`StatisticsError`] for a record of another length, and for more than 2^32 - 1 records.
    pub fn add(&mut self, record: &[Option<f64>]) -> Result<(), StatisticsError> {
        let (expected, found) = (self.questions.questions().len(), record.len());
        if expected != found {
            return Err(StatisticsError::Record { expected, found });
        }
        if self.records == MAX_RECORDS {
            return Err(StatisticsError::Records);
        }
        self.records += 1;
        let sums = &mut self.steps;
        self.questions.contribution(record, |slot, steps| {
            if let Some(sum) = sums.get_mut(slot) {
                *sum += steps;
            }
        });
        Ok(())
    }

    /// The totals in steps, in the order of the layout: what noise of [`Questions::sensitivity`] times the noise multiplier is
    /// to be added to before they leave the site.
    #[must_use]
    pub fn steps(&self) -> &[i64] {
        &self.steps
    }
}

impl fmt::Debug for SiteTotals<'_> {
    /// Nothing that was counted: it has no noise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteTotals").finish_non_exhaustive()
    }
}
