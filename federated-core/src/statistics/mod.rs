//! Statistics over the records of all sites: count, mean, variance, histogram and quantiles, with noise or without.
//!
//! A site's part is one vector of totals, which travels as the update of a job with one round; what the round ends with is
//! the mean of these vectors, and times the number of sites that is the total over all. So secure aggregation, ledgers and
//! resuming are those of any job.
//!
//! Read in this order: what is asked ([`Questions`], text in the job's settings; `parse` reads it); where each total stands
//! and what one record may add to all of them (`slots`); a site's totals ([`SiteTotals`]); what noisy totals say
//! ([`Answers`], with a [`Histogram`]); what can be wrong ([`StatisticsError`]). `docs/differential-privacy.md`, "Federated
//! statistics", has the formulas.

mod answer;
mod error;
mod histogram;
mod parse;
mod question;
mod slots;
#[cfg(test)]
mod tests;
mod totals;

pub use answer::{Answers, ColumnAnswer, Estimate};
pub use error::StatisticsError;
pub use histogram::Histogram;
pub use question::{Bounds, Question};
pub use slots::Questions;
pub use totals::SiteTotals;
