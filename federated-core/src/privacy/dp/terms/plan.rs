use std::num::NonZeroU32;

use serde::Serialize;

use super::{PrivacyTerms, TermsError};
use crate::privacy::dp::{
    Accountant, Composition, Epsilon, MechanismStep, NoiseMultiplier, Target, most_rounds, noise_within,
};

/// The epsilons to choose from, in parts of the one that the job has.
const EPSILONS: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];
/// How close to a choice's epsilon its noise is found.
const CLOSE: f64 = 0.01;
/// Most rounds after which it is said what is spent.
const POINTS: u32 = 60;
/// The same where an answer takes long.
const SLOW_POINTS: u32 = 12;

/// What a job's privacy costs and brings, beside other choices: for whoever has not started it yet.
///
/// # Examples
/// ```
/// use federated_core::privacy::dp::{
///     Accountant, ClipNorm, Delta, Epsilon, NoiseMultiplier, SamplingRate,
///     ledger::Adjacency,
///     terms::{Placement, PrivacyPlan, Proposal},
/// };
///
/// let proposal = Proposal {
///     placement: Placement::Central,
///     adjacency: Adjacency::AddRemove,
///     clip: ClipNorm::new(1.0)?,
///     noise_multiplier: NoiseMultiplier::new(1.0)?,
///     sampling_rate: SamplingRate::FULL,
///     steps: 1.try_into()?,
///     epsilon: Epsilon::new(4.0)?,
///     delta: Delta::new(1e-5)?,
///     accountant: Accountant::Gaussian,
/// };
/// let terms = proposal.calibrated(30.try_into()?)?.check()?;
/// let plan = PrivacyPlan::new(&terms, 30.try_into()?, 100.try_into()?)?;
/// assert_eq!(plan.attempts, 30);
/// assert_eq!(plan.choices.len(), 15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PrivacyPlan {
    /// What the job says.
    pub terms: PrivacyTerms,
    /// The rounds that the job says.
    pub rounds: NonZeroU32,
    /// How many attempts at rounds its budget pays for.
    pub attempts: u32,
    /// For each of several epsilons and numbers of rounds, the noise it takes.
    pub choices: Vec<PlanChoice>,
    /// What is spent of the budget as the rounds go by, with the job's own noise; from nothing at round 0.
    pub spent: Vec<SpentByRound>,
}

/// What another epsilon or another number of rounds would take.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PlanChoice {
    /// The most epsilon.
    pub epsilon: Epsilon,
    /// The rounds it pays for.
    pub rounds: NonZeroU32,
    /// The noise on a sum, in clip norms; within a hundredth more than what would do. Nothing when no noise is enough.
    pub noise_multiplier: Option<NoiseMultiplier>,
    /// The noise on each value of a mean, by how many units it is over.
    pub means: Vec<MeanNoise>,
}

/// The noise on a mean over so many units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MeanNoise {
    /// The units that the sum is divided by: participants who are asked, or records that a batch is expected to have.
    pub units: f64,
    /// The standard deviation of the noise on each value: that of the sum (multiplier times clip norm) divided by them.
    pub sigma: f64,
}

/// What is spent after so many rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SpentByRound {
    /// The rounds, each at its first attempt.
    pub round: u32,
    /// The epsilon; nothing when no finite one holds.
    pub epsilon: Option<f64>,
}

impl PrivacyPlan {
    /// The choices around a job's terms. `units` is what its sums are over: the participants of a cohort, or the records of a site.
    ///
    /// # Errors
    /// [`TermsError::Quantity`] when four times the job's epsilon is no finite number.
    pub fn new(terms: &PrivacyTerms, rounds: NonZeroU32, units: NonZeroU32) -> Result<Self, TermsError> {
        let (mut choices, asked) = (Vec::new(), rounds);
        for part in EPSILONS {
            let epsilon = Epsilon::new(terms.0.epsilon.get() * part)?;
            for rounds in around(asked) {
                // What the job asks for is found as closely as when it begins.
                let own = epsilon == terms.0.epsilon && rounds == asked;
                choices.push(PlanChoice::new(terms, epsilon, rounds, units, if own { 0.0 } else { CLOSE }));
            }
        }
        let attempts = terms.attempts();
        let last = rounds.get().max(attempts.min(rounds.get().saturating_mul(2)));
        Ok(Self { terms: *terms, rounds, attempts, choices, spent: spending(terms, last) })
    }
}

impl PlanChoice {
    fn new(
        terms: &PrivacyTerms,
        epsilon: Epsilon,
        rounds: NonZeroU32,
        units: NonZeroU32,
        close: f64,
    ) -> Self {
        let target = Target { epsilon, delta: terms.0.delta.counted() };
        let sums = terms.0.steps.saturating_mul(rounds);
        let noise = noise_within(terms.0.accountant, target, terms.0.sampling_rate, sums, close).ok();
        let noise_multiplier = noise.and_then(|noise| NoiseMultiplier::new(noise.get() * terms.norms()).ok());
        let means = noise_multiplier.map_or_else(Vec::new, |noise| {
            let of_sum = noise.get() * terms.0.clip.get();
            let of_mean = |units: f64| MeanNoise { units, sigma: of_sum / units };
            sizes(units).map(|units| of_mean(f64::from(units.get()) * terms.0.sampling_rate.get())).collect()
        });
        Self { epsilon, rounds, noise_multiplier, means }
    }
}

impl PrivacyTerms {
    /// How many attempts at rounds the budget pays for; 0 when not for a single one.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        let budget = self.budget();
        let target = Target { epsilon: budget.epsilon, delta: budget.delta };
        let sums = most_rounds(budget.accountant, target, self.counted_noise(), self.0.sampling_rate);
        sums.map_or(0, |sums| sums.get() / self.0.steps.get())
    }

    /// What so many rounds spend of the job's budget; nothing when no finite epsilon holds.
    #[must_use]
    pub fn spent_after(&self, rounds: NonZeroU32) -> Option<f64> {
        let budget = self.budget();
        let of_all =
            |step: &MechanismStep| MechanismStep { rounds: step.rounds.saturating_mul(rounds), ..*step };
        let all: Composition = self.charge().steps().iter().map(of_all).collect();
        budget.accountant.epsilon(&all, budget.delta).ok().map(|spent| spent.epsilon)
    }
}

/// Half as many, so many, and twice as many.
fn around(rounds: NonZeroU32) -> impl Iterator<Item = NonZeroU32> {
    let two = NonZeroU32::MIN.saturating_add(1);
    let half = NonZeroU32::new(rounds.get() / 2).filter(|half| *half != rounds);
    half.into_iter().chain([rounds, rounds.saturating_mul(two)])
}

/// Half as many, so many, twice and ten times as many.
fn sizes(units: NonZeroU32) -> impl Iterator<Item = NonZeroU32> {
    let ten = NonZeroU32::MIN.saturating_add(9);
    around(units).chain([units.saturating_mul(ten)])
}

fn spending(terms: &PrivacyTerms, last: u32) -> Vec<SpentByRound> {
    let points = if terms.0.accountant == Accountant::Pld { SLOW_POINTS } else { POINTS }.min(last);
    let mut spent = vec![SpentByRound { round: 0, epsilon: Some(0.0) }];
    for point in 1..=points {
        #[expect(clippy::cast_possible_truncation, reason = "at most `last`")]
        let round = (u64::from(last) * u64::from(point) / u64::from(points)) as u32;
        if let Some(rounds) = NonZeroU32::new(round) {
            spent.push(SpentByRound { round, epsilon: terms.spent_after(rounds) });
        }
    }
    spent
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::privacy::dp::{
        ClipNorm, Delta, SamplingRate,
        ledger::Adjacency,
        terms::{Placement, Proposal},
    };

    fn terms(placement: Placement, rate: f64) -> PrivacyTerms {
        let sampling_rate = SamplingRate::new(rate).unwrap();
        let proposal = Proposal {
            placement,
            adjacency: Adjacency::AddRemove,
            clip: ClipNorm::new(0.5).unwrap(),
            noise_multiplier: NoiseMultiplier::new(1.0).unwrap(),
            sampling_rate,
            steps: NonZeroU32::MIN,
            epsilon: Epsilon::new(2.0).unwrap(),
            delta: Delta::new(1e-5).unwrap(),
            accountant: Proposal::accountant(placement, sampling_rate),
        };
        if rate < 1.0 {
            proposal.check().unwrap()
        } else {
            proposal.calibrated(eight()).unwrap().check().unwrap()
        }
    }

    fn eight() -> NonZeroU32 {
        NonZeroU32::new(8).unwrap()
    }

    fn hundred() -> NonZeroU32 {
        NonZeroU32::new(100).unwrap()
    }

    fn plan(placement: Placement) -> PrivacyPlan {
        PrivacyPlan::new(&terms(placement, 1.0), eight(), hundred()).unwrap()
    }

    #[test]
    fn more_noise_buys_more_rounds_and_less_epsilon_and_more_units_thin_it_out() {
        let plan = plan(Placement::Central);
        let noise = |choice: &PlanChoice| choice.noise_multiplier.unwrap();
        for of_epsilon in plan.choices.chunks(3) {
            assert!(of_epsilon.windows(2).all(|pair| pair[0].rounds < pair[1].rounds));
            assert!(of_epsilon.windows(2).all(|pair| noise(&pair[0]) < noise(&pair[1])));
        }
        assert!(plan.choices.windows(4).all(|pair| noise(&pair[0]) > noise(&pair[3])));
        let own = &plan.choices[7];
        assert!((noise(own).get() / plan.terms.noise_multiplier().get() - 1.0).abs() < 1e-6, "the job's own");
        let [half, .., ten] = own.means.as_slice() else { panic!("four cohorts") };
        assert!((half.sigma - noise(own).get() * 0.5 / 50.0).abs() < 1e-12);
        assert!((half.sigma / ten.sigma - 20.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_spent_grows_to_the_limit_at_the_last_attempt_that_is_paid_for() {
        for placement in [Placement::Central, Placement::Distributed] {
            let plan = plan(placement);
            let spent: Vec<f64> = plan.spent.iter().map(|point| point.epsilon.unwrap()).collect();
            assert!(spent.windows(2).all(|pair| pair[0] < pair[1]), "{spent:?}");
            assert_eq!((plan.attempts, plan.spent.last().unwrap().round), (8, 8));
            let last = *spent.last().unwrap();
            assert!(last <= 2.0 && last > 1.99, "{last}");
        }
    }

    #[test]
    fn noise_of_a_sampled_choice_holds_and_is_close() {
        let terms = terms(Placement::Local, 0.2);
        let choice = PlanChoice::new(&terms, terms.target().epsilon, eight(), hundred(), CLOSE);
        let (noise_multiplier, sampling_rate) = (choice.noise_multiplier.unwrap(), terms.sampling_rate());
        let step = MechanismStep { noise_multiplier, sampling_rate, rounds: choice.rounds };
        let delta = terms.target().delta.counted();
        let spent = Accountant::Pld.epsilon(&step.into(), delta).unwrap().epsilon;
        assert!(spent <= 2.0 && spent > 1.98, "{spent}");
        // A batch of 100 records is expected to have 20.
        assert!((choice.means[1].units - 20.0).abs() < 1e-9);
    }
}
