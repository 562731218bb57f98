use std::{fmt, num::NonZeroU32};

use federated_core::privacy::dp::{Accountant, ClipNorm, Delta, Epsilon, NoiseMultiplier, SamplingRate};
use serde::Serialize;

/// How sure the bound is: it errs in one of twenty audits at most.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// What came of an audit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Audited {
    pub(crate) patients: usize,
    pub(crate) canaries: usize,
    /// How many of them were trained on.
    pub(crate) included: usize,
    /// How many coins were guessed.
    pub(crate) guessed: u32,
    /// How many guesses were right.
    pub(crate) right: u32,
    pub(crate) claimed_epsilon: Epsilon,
    pub(crate) delta: Delta,
    /// What epsilon is at the least.
    pub(crate) audited_epsilon: f64,
    pub(crate) confidence: f64,
    pub(crate) noise_multiplier: NoiseMultiplier,
    pub(crate) clip: ClipNorm,
    pub(crate) sampling_rate: SamplingRate,
    pub(crate) steps: NonZeroU32,
    pub(crate) accountant: Accountant,
    /// How well the model tells ill patients from others, on those that it was trained on.
    pub(crate) auc: Option<f64>,
    /// Whether the randomness was a seed that somebody knows.
    pub(crate) no_privacy: bool,
}

impl Audited {
    /// Whether the claim is wrong, up to the confidence.
    pub(crate) fn refutes_claim(&self) -> bool {
        self.audited_epsilon > self.claimed_epsilon.get()
    }
}

impl fmt::Display for Audited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { patients, canaries, included, guessed, right, accountant, steps, .. } = self;
        if self.no_privacy {
            writeln!(f, "NO PRIVACY: coins, batches and noise follow from a seed")?;
        }
        writeln!(
            f,
            "trained on {patients} patients and {included} of {canaries} canaries, each by its coin; {steps} steps"
        )?;
        if let Some(auc) = self.auc {
            writeln!(f, "the model's AUC on these patients: {auc:.3}")?;
        }
        writeln!(
            f,
            "claimed    epsilon {} with delta {} (noise multiplier {:.4}, clip norm {}, sampling rate {}, by {accountant})",
            self.claimed_epsilon,
            self.delta,
            self.noise_multiplier.get(),
            self.clip,
            self.sampling_rate
        )?;
        writeln!(f, "guessed    the coins of {guessed} canaries, {right} of them right")?;
        let (bound, percent) = (self.audited_epsilon, 100.0 * self.confidence);
        writeln!(f, "audited    epsilon {bound:.3} at the least, with {percent:.0} % confidence")?;
        if self.refutes_claim() {
            writeln!(f, "The bound is above the claim: this training does not keep its promise.")
        } else {
            writeln!(
                f,
                "The bound is below the claim: nothing is known to be wrong. It is no proof that nothing is."
            )
        }
    }
}
