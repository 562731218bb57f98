use serde::Serialize;

use crate::privacy::dp::{ledger::Ledger, terms::PrivacyTerms};

/// What a job's log says of a run with differential privacy.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "a report without one of these would not say what is known")]
pub struct RunFacts {
    /// The job's name.
    pub job: String,
    /// Where it is, in words: running, completed, failed and why.
    pub state: String,
    /// What its rounds do for privacy.
    pub terms: PrivacyTerms,
    /// How many rounds it was to have.
    pub planned_rounds: u32,
    /// With secure aggregation: nobody sees a sum of fewer updates than this.
    pub least_summed: Option<u32>,
    /// How many values the model has.
    pub values: u64,
    /// SHA-256 of what each participant is asked to do, the privacy terms included, as `docs/protocol.md` has it.
    pub configuration: String,
    /// The digest of the model that the first round started from.
    pub initial_model: String,
    /// The digest of the newest model.
    pub model: String,
    /// Every attempt at a round, oldest first.
    pub rounds: Vec<RoundFacts>,
}

/// An attempt at a round.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "these are what is known of an attempt")]
pub struct RoundFacts {
    /// The round, from 1.
    pub round: u32,
    /// The attempt, from 1.
    pub attempt: u32,
    /// How many participants were asked.
    pub cohort: usize,
    /// Whose updates are in the model; nobody's when it was abandoned.
    pub survivors: Vec<String>,
    /// The digest of the model that it made.
    pub model: Option<String>,
    /// Why there is none.
    pub abandoned: Option<String>,
    /// Whether nobody was asked because the budget did not pay for it.
    pub refused: bool,
}

impl RunFacts {
    /// What the log and the ledger say differently.
    pub(super) fn discrepancies(&self, ledger: &Ledger) -> Vec<String> {
        let mut found = Vec::new();
        let released = self.rounds.iter().filter(|round| !round.refused).count() as u64;
        let counted = ledger.reserved() + ledger.torn();
        if released > counted {
            found.push(format!(
                "the job's log has {released} attempts at rounds, and the ledger pays for {counted}: lines are missing from its end, \
                 or it is not this job's"
            ));
        }
        if ledger.subject() != self.job {
            found.push(format!("the ledger is about `{}`, and the job is `{}`", ledger.subject(), self.job));
        }
        if self.terms.budget() != *ledger.budget() {
            found.push("the ledger's budget is not the job's".to_owned());
        }
        let charge = self.terms.charge();
        if ledger.releases().any(|(_, story)| *story.charge() != charge) {
            found
                .push("the ledger plans releases that spend something else than the job's rounds".to_owned());
        }
        found
    }
}
