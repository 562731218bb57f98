use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use crate::measure::Moment;

/// What the coordinator logs at the end of a round: its new model is durable, and nobody has a task of the next one.
const ROUND_COMPLETED: &str = "round completed";

/// Stamps the end of each round, at the moment at which the coordinator logs it.
///
/// The coordinator's history has milliseconds, and to ask for the status makes work for the task that runs the rounds.
/// An event of its log costs the rounds nothing that a coordinator in service does not pay.
#[derive(Clone, Debug)]
pub(crate) struct RoundClock {
    start: Instant,
    ends: Arc<Mutex<Vec<Moment>>>,
}

impl RoundClock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now(), ends: Arc::default() }
    }

    /// The ends of the rounds so far.
    pub(crate) fn ends(&self) -> Vec<Moment> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S: Subscriber> Layer<S> for RoundClock {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut says = Says { expected: ROUND_COMPLETED, found: false };
        if event.metadata().target().starts_with("federated_server") {
            event.record(&mut says);
        }
        if says.found {
            self.ends.lock().unwrap_or_else(PoisonError::into_inner).push(Moment::since(self.start));
        }
    }
}

/// Whether an event has this message.
struct Says {
    expected: &'static str,
    found: bool,
}

impl Visit for Says {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.found |= field.name() == "message" && format!("{value:?}") == self.expected;
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn only_the_coordinator_s_ends_of_rounds_are_stamped() {
        let clock = RoundClock::start();
        let subscriber = tracing_subscriber::registry().with(clock.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "federated_server::coordinator", round = 1, "round completed");
            tracing::info!(target: "federated_server::coordinator", round = 1, "round abandoned");
            tracing::info!(target: "federated_client", "round completed");
            tracing::info!(target: "federated_server::coordinator", round = 2, "round completed");
        });
        let ends = clock.ends();
        assert_eq!(ends.len(), 2);
        assert!(ends[0].at_s <= ends[1].at_s);
    }
}
