use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Tells a trainer that its result is no longer wanted. Clones share the signal; once raised it stays raised.
///
/// # Examples
/// ```
/// use federated_client::trainer::StopSignal;
///
/// let stop = StopSignal::new();
/// let seen_by_the_trainer = stop.clone();
/// stop.raise();
/// assert!(seen_by_the_trainer.is_raised());
/// ```
#[derive(Clone, Debug, Default)]
pub struct StopSignal(Arc<AtomicBool>);

impl StopSignal {
    /// A signal that is not raised.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a stop.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a stop has been asked for.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
