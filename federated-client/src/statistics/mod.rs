//! A site's part in statistics over all sites: counted exactly, and let out with noise.
//!
//! Read in this order: what is counted ([`Records`], and [`RecordTable`] in memory); the noise (`noise`), which is opendp's: a
//! few numbers, each of which somebody will read, by an implementation that others look at, too; the trainer
//! ([`StatisticsTrainer`], or [`release`] for one that does more). The questions, the totals and the answers are
//! [`federated_core::statistics`].

mod noise;
mod records;
mod trainer;

pub use records::{RecordError, RecordTable, Records};
pub use trainer::{StatisticsTrainer, release};
