use std::sync::Arc;

use super::RoundSummary;

/// The attempts that ended, oldest first.
///
/// A run is copied with every event and compared with what it was before. Both must not take longer the older the run
/// is, so copies share the summaries, and a shared summary is equal without a look at it.
#[derive(Clone, Debug, Default)]
pub(super) struct History(Vec<Arc<RoundSummary>>);

impl History {
    pub(super) fn summaries(&self) -> &[Arc<RoundSummary>] {
        &self.0
    }

    pub(super) fn push(&mut self, summary: Arc<RoundSummary>) {
        self.0.push(summary);
    }
}

impl PartialEq for History {
    fn eq(&self, other: &Self) -> bool {
        let same =
            |(one, other): (&Arc<RoundSummary>, &Arc<RoundSummary>)| Arc::ptr_eq(one, other) || one == other;
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }
}
