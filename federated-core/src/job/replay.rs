use super::{Entry, Job, JobEvent, ReplayError};
use crate::selection::ClientSelector;

impl Job {
    /// The job whose log these entries are, as it was after the last one. Nothing is done about its commands: whatever
    /// they were, [`JobEvent::Restarted`] brings back what has still to be done.
    ///
    /// # Errors
    /// [`ReplayError`] when they are no job's log.
    pub fn replay(
        entries: impl IntoIterator<Item = Entry>,
        selector: &dyn ClientSelector,
    ) -> Result<Self, ReplayError> {
        let mut entries = entries.into_iter();
        let mut job = match entries.next() {
            Some(Entry { at, event: JobEvent::Created { terms, present } }) => Self::new(*terms, present, at),
            Some(_) => return Err(ReplayError::NoStart { found: "another event" }),
            None => return Err(ReplayError::NoStart { found: "no entry" }),
        };
        for (entry, Entry { at, event }) in (1..).zip(entries) {
            if matches!(event, JobEvent::Created { .. }) {
                return Err(ReplayError::StartedTwice { entry });
            }
            let handled = job.handle(event, selector, at);
            (job, _) = handled.map_err(|source| ReplayError::Round { entry, source })?;
        }
        Ok(job)
    }
}
