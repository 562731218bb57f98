use super::Job;
use crate::{
    ids::RoundNumber,
    privacy::dp::report::{RoundFacts, RunFacts},
    round::{AbandonReason, RoundPhase, RoundSummary, RunEnd},
    task::training_hash,
};

impl Job {
    /// What its log says for a report about privacy; nothing when its rounds do nothing for it.
    #[must_use]
    pub fn privacy_facts(&self) -> Option<RunFacts> {
        let (terms, run) = (self.terms(), self.run());
        let privacy = terms.privacy?;
        let (planned, secure) = (terms.plan.rounds().get(), terms.plan.secure());
        // The same in every round: no strategy that a job file can name changes what participants do.
        let work = self.strategy().local_work(RoundNumber::FIRST);
        let configuration = training_hash(planned, &terms.layout, &work, &terms.settings, Some(&privacy));
        Some(RunFacts {
            job: self.name().to_string(),
            state: match run.phase() {
                RoundPhase::Ended(RunEnd::Completed) => "completed".to_owned(),
                RoundPhase::Ended(RunEnd::Failed { reason }) => format!("failed: {reason}"),
                RoundPhase::Ended(RunEnd::Stopped { .. }) => "stopped by an operator".to_owned(),
                _ => format!("in round {} of {planned}", run.round()),
            },
            terms: privacy,
            planned_rounds: planned,
            least_summed: secure.map(|secure| secure.terms.min_survivors()),
            values: terms.layout.elements(),
            configuration: configuration.to_string(),
            initial_model: terms.initial_model.to_string(),
            model: run.model().to_string(),
            rounds: run.history().iter().map(|summary| round(summary)).collect(),
        })
    }
}

fn round(summary: &RoundSummary) -> RoundFacts {
    let refused = matches!(summary.outcome, Err(AbandonReason::PrivacyBudget { .. }));
    RoundFacts {
        round: summary.round.get(),
        attempt: summary.attempt,
        cohort: if refused { 0 } else { summary.cohort_size },
        survivors: summary.contributors.iter().map(ToString::to_string).collect(),
        model: summary.outcome.as_ref().ok().map(ToString::to_string),
        abandoned: summary.outcome.as_ref().err().map(ToString::to_string),
        refused,
    }
}
