//! What a compliance officer is shown: what was promised, what was spent, who saw what, and what none of this covers.
//!
//! Read in this order: the report itself ([`PrivacyReport`]), made of a ledger that was verified and of what a job's log says
//! ([`RunFacts`]); who saw what, whether sampling was enforced and what is not covered (`claims`); how it is shown, as text
//! (`text`) and as a page (`page`). As JSON it is what serde makes of it.

mod claims;
mod facts;
mod page;
#[cfg(test)]
mod tests;
mod text;

use serde::Serialize;

pub use claims::{Enforcement, Sampling, Seen};
pub use facts::{RoundFacts, RunFacts};
pub use page::Page;

use super::{
    ledger::{Ledger, LedgerError, Summary},
    terms::PrivacyTerms,
};
use crate::{privacy::secagg::VerifyingPublic, time::Timestamp};

/// The version of the report's fields.
const VERSION: u32 = 1;

/// What was promised about a job or a site, and what became of it.
///
/// Everything about spending is the ledger's, of which every line was checked; everything about rounds is the job's log's.
/// Whoever has the ledger and the public key can check the first without the coordinator.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PrivacyReport {
    /// The version of these fields.
    pub version: u32,
    /// When it was made, in milliseconds since 1970.
    pub made_at_ms: u64,
    /// Why nothing here is private, if that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_privacy: Option<String>,
    /// What does not fit together; nothing of this should be there.
    pub discrepancies: Vec<String>,
    /// The ledger: unit, adjacency, limit, delta, accountant, what is spent and refused.
    pub ledger: Summary,
    /// The epsilon that is left: the limit without what is spent. It is no number of rounds, for rounds do not add up so.
    pub remaining_epsilon: f64,
    /// The public key that every line of the ledger is signed with.
    pub key: String,
    /// Each kind of noisy sum in the ledger, with how many were released.
    pub releases: Vec<ReleaseFacts>,
    /// The job, if the report is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunReport>,
    /// What the promise does not cover.
    pub not_covered: Vec<String>,
}

/// One kind of noisy sum.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReleaseFacts {
    /// The name of the release that the sums belong to.
    pub release: String,
    /// The noise in units of what one unit can change a sum by (sigma), as accountants count it.
    pub noise_multiplier: f64,
    /// The chance of a unit to be in a sum (q).
    pub sampling_rate: f64,
    /// Sums in all releases that were reserved (T).
    pub sums: u64,
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunReport {
    /// What its log says.
    #[serde(flatten)]
    pub facts: RunFacts,
    /// The standard deviation of the noise on each value of a sum: noise multiplier times clip norm.
    pub sigma_of_sum: f64,
    /// Who saw what.
    pub seen: Vec<Seen>,
    /// What sampling is assumed, and who enforces it.
    pub sampling: Sampling,
}

impl PrivacyReport {
    /// About a job, from the ledger that its coordinator keeps.
    ///
    /// # Errors
    /// [`LedgerError`] when what is spent cannot be counted.
    pub fn of_job(
        facts: RunFacts,
        ledger: &Ledger,
        key: &VerifyingPublic,
        at: Timestamp,
    ) -> Result<Self, LedgerError> {
        let discrepancies = facts.discrepancies(ledger);
        let terms = facts.terms;
        let run = RunReport {
            sigma_of_sum: terms.noise_multiplier().get() * terms.clip().get(),
            seen: claims::seen(&facts),
            sampling: claims::sampling(&terms),
            facts,
        };
        let not_covered = claims::not_covered(Some(&run.facts));
        Ok(Self { discrepancies, run: Some(run), not_covered, ..Self::of_site(ledger, key, at)? })
    }

    /// About a site, from its own ledger: everything that was ever released from its records, over all jobs.
    ///
    /// # Errors
    /// [`LedgerError`] when what is spent cannot be counted.
    pub fn of_site(ledger: &Ledger, key: &VerifyingPublic, at: Timestamp) -> Result<Self, LedgerError> {
        let summary = ledger.summary()?;
        let facts = |(name, story): (&str, &super::ledger::ReleaseStory)| {
            let (name, reserved) = (name.to_owned(), story.reserved());
            story.charge().steps().to_vec().into_iter().map(move |step| ReleaseFacts {
                release: name.clone(),
                noise_multiplier: step.noise_multiplier.get(),
                sampling_rate: step.sampling_rate.get(),
                sums: reserved.saturating_mul(step.rounds.get().into()),
            })
        };
        Ok(Self {
            version: VERSION,
            made_at_ms: at.as_millis(),
            no_privacy: None,
            discrepancies: Vec::new(),
            remaining_epsilon: (summary.budget.epsilon.get() - summary.spent).max(0.0),
            key: key.to_string(),
            releases: ledger.releases().flat_map(facts).collect(),
            run: None,
            not_covered: claims::not_covered(None),
            ledger: summary,
        })
    }

    /// The same, marked as one of a run whose noise or batches follow from a seed that somebody knows.
    #[must_use]
    pub fn simulated(self) -> Self {
        let why = "the noise or the batches follow from a seed that is known: whoever has it takes the noise off again";
        Self { no_privacy: Some(why.to_owned()), ..self }
    }

    /// Whether more is spent than was allowed, which a ledger that is kept to never shows.
    #[must_use]
    pub fn is_over_budget(&self) -> bool {
        self.ledger.spent > self.ledger.budget.epsilon.get()
    }

    fn terms(&self) -> Option<&PrivacyTerms> {
        self.run.as_ref().map(|run| &run.facts.terms)
    }

    /// The delta that is promised: a job's own, of which its ledger counts with a little less.
    fn delta(&self) -> f64 {
        self.terms().map_or(self.ledger.budget.delta, |terms| terms.target().delta).get()
    }
}
