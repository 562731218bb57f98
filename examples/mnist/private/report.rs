use std::fmt::Write;

use federated_client::trainer::private::PrivateWork;
use federated_core::privacy::dp::{Comparison, Spent};
use serde::Serialize;

/// What a site's training came to, and what it has spent.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PrivateRun {
    /// Of the last model on the test images, 0 to 1.
    pub(crate) accuracy: f64,
    /// The epsilon that was asked for.
    pub(crate) asked: f64,
    /// What was spent, by the closest accountant.
    pub(crate) spent: Spent,
    /// What all accountants say.
    pub(crate) accountants: Comparison,
    /// What each task cost.
    pub(crate) work: PrivateWork,
    /// How many there were.
    pub(crate) tasks: u32,
    /// The steps of all tasks.
    pub(crate) steps: u64,
    /// Images in a batch, on average.
    pub(crate) expected_batch: f64,
    /// Step size.
    pub(crate) learning_rate: f32,
    /// In all.
    pub(crate) seconds: f64,
    /// After each task.
    pub(crate) accuracies: Vec<f64>,
}

impl PrivateRun {
    /// Lines for people.
    pub(crate) fn text(&self) -> String {
        let Self { accuracy, spent, accountants, work, .. } = self;
        let mut text = format!(
            "accuracy {accuracy:.4} with epsilon {:.4} of {} (by {}, version {}; rdp says {:.4}) and delta {}, {:.1} s\n",
            spent.epsilon,
            self.asked,
            spent.accountant,
            spent.accountant.version(),
            accountants.epsilon_rdp,
            spent.delta.get(),
            self.seconds
        );
        let _infallible = writeln!(
            text,
            "for each training image, added or removed: {} steps in {} tasks, Poisson batches of {:.0} on average (rate {:.6}), \
             gradients clipped to {}, noise multiplier {:.4}",
            self.steps,
            self.tasks,
            self.expected_batch,
            work.sampling_rate.get(),
            work.clip.get(),
            work.noise_multiplier.get()
        );
        text
    }
}
