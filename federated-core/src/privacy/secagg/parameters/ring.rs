//! The smallest ring that is safe.

use std::f64::consts::LN_2;

use super::{Fraction, MOST_HOLDERS, ParameterError};

/// Most neighbours: an even number of holders.
const MOST_DEGREE: u32 = MOST_HOLDERS - 1;
/// Exponents of two: what either of the two ways to lose secrecy may have, of 2^-40 in all.
const SECURITY: f64 = 41.0;
/// What a participant with too few neighbours left may have.
const CORRECTNESS: f64 = 20.0;
const MOST_MILLIONTHS: u32 = 900_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ring {
    pub(super) degree: u32,
    pub(super) threshold: u8,
    pub(super) max_dead_in_window: u32,
}

impl Ring {
    /// The ring of least degree on which `participants` participants are safe and can finish.
    pub(super) fn smallest(
        participants: u32,
        gamma: Fraction,
        delta: Fraction,
    ) -> Result<Self, ParameterError> {
        if gamma.millionths() + 2 * delta.millionths() > MOST_MILLIONTHS {
            return Err(ParameterError::RingFractions { gamma, delta });
        }
        let (corrupt, dropouts) = (gamma.of(participants), delta.of(participants));
        let corrupt_neighbours = Hypergeometric::new(participants, corrupt);
        let live_neighbours = Hypergeometric::new(participants, participants - dropouts);
        let one_in = |bits: f64| -bits * LN_2 - f64::from(participants).ln();
        let fitting = |degree: u32| {
            if !stays_connected(participants, corrupt.saturating_add(dropouts), degree) {
                return None;
            }
            // More corrupt neighbours than this are as good as impossible ...
            let corrupt = corrupt_neighbours.bound_above(degree, one_in(SECURITY));
            // ... and so are shares of as many honest neighbours for either secret when the coordinator tells each of
            // them what it likes: the ceiling of (corrupt + degree - 1.25) / 2.
            let corrupt = (4 * (corrupt + degree) - 5).div_ceil(8);
            let live = live_neighbours.bound_below(degree, one_in(CORRECTNESS));
            let threshold = u8::try_from((corrupt + 1).max(2)).ok()?;
            let window = degree / 2;
            let corrupt_window = corrupt_neighbours.bound_above(window, one_in(SECURITY));
            let max_dead_in_window = window.checked_sub(corrupt_window + 1)?;
            (live > corrupt).then_some(Self { degree, threshold, max_dead_in_window })
        };
        let none = ParameterError::RingDegree { participants, gamma, delta, most: MOST_DEGREE };
        (2..=MOST_DEGREE).step_by(2).find_map(fitting).ok_or(none)
    }
}

/// Whether the honest participants that stay are still one piece, but for a chance of 2^-41, once those who are corrupt
/// or drop out are taken away: to cut the ring, `degree / 2` of them must be next to each other in two places.
fn stays_connected(participants: u32, gone: u32, degree: u32) -> bool {
    if degree > gone {
        return true;
    }
    let all_gone: f64 =
        (0..degree).map(|place| f64::from(gone - place).ln() - f64::from(participants - place).ln()).sum();
    let cuts = f64::from(participants).ln() + f64::from(participants - degree - 1).ln() - LN_2;
    cuts + all_gone < -SECURITY * LN_2
}

/// How many of some participants, chosen at random, are of one kind.
struct Hypergeometric {
    /// ln C(of this kind, x), ln C(of the other kind, x) and ln C(all, x) for x = 0, 1, ...
    kind: Vec<f64>,
    others: Vec<f64>,
    all: Vec<f64>,
}

impl Hypergeometric {
    fn new(participants: u32, kind: u32) -> Self {
        Self {
            kind: ln_binomials(kind),
            others: ln_binomials(participants.saturating_sub(kind)),
            all: ln_binomials(participants),
        }
    }

    /// ln P[x of this kind among `chosen`], for x = 0 ..= `chosen`.
    fn ln_probabilities(&self, chosen: u32) -> Vec<f64> {
        let count = chosen as usize + 1;
        let all = self.all.get(chosen as usize).copied().unwrap_or(f64::NEG_INFINITY);
        let others = self.others.iter().take(count).rev();
        self.kind.iter().zip(others).map(|(kind, others)| kind + others - all).collect()
    }

    /// The least x with ln P[more than x] <= `bound`.
    fn bound_above(&self, chosen: u32, bound: f64) -> u32 {
        chosen - rare(self.ln_probabilities(chosen).into_iter().rev(), bound).min(chosen)
    }

    /// The largest x with ln P[fewer than x] <= `bound`.
    fn bound_below(&self, chosen: u32, bound: f64) -> u32 {
        rare(self.ln_probabilities(chosen).into_iter(), bound)
    }
}

/// How many of these probabilities together are at most the bound, from the first on.
fn rare(ln_probabilities: impl Iterator<Item = f64>, bound: f64) -> u32 {
    let sums = ln_probabilities.scan(0.0_f64, |sum, ln| {
        *sum += ln.exp();
        Some(*sum)
    });
    (0..).zip(sums).find(|(_, sum)| sum.ln() > bound).map_or(0, |(count, _)| count)
}

/// ln C(count, x) for x = 0 ..= 254; minus infinity where there are not so many.
fn ln_binomials(count: u32) -> Vec<f64> {
    let steps = (0..MOST_DEGREE).map(|taken| match count.saturating_sub(taken) {
        0 => f64::NEG_INFINITY,
        left => f64::from(left).ln() - f64::from(taken + 1).ln(),
    });
    let sums = steps.scan(0.0, |sum, step| {
        *sum += step;
        Some(*sum)
    });
    std::iter::once(0.0).chain(sums).collect()
}
