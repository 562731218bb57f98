use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{AggregateError, Chosen, PairwiseDistances, SquaredDistance, UpdateSelector};

/// Krum and multi-Krum: of n updates, of which f may lie, those count that lie closest to n - f - 2 others.
///
/// The score of an update is the sum of the squared distances to its n - f - 2 nearest others, where n is the number of
/// updates that came, at least the quorum. The `keep` updates with the lowest scores are chosen, and their plain mean is
/// the result: Krum keeps one, which is the result itself. Equal scores are told apart by the places of the updates,
/// the first one first.
///
/// It chooses an honest update when liars are far away from the honest ones. A liar who stays among them may be chosen,
/// but cannot move the result far. The example counts are ignored.
///
/// # References
/// Blanchard et al., "Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent", NeurIPS 2017, section 4
/// (Krum), Proposition 4.2 (2 f + 2 < n) and section 5 (multi-Krum). Damaskinos et al., "AggregaThor: Byzantine
/// Machine Learning via Robust Gradient Aggregation", MLSys 2019: multi-Krum may keep up to n - f - 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Krum {
    byzantine: NonZeroU32,
    keep: NonZeroU32,
}

impl Krum {
    /// Withstands `byzantine` liars (f) and keeps `keep` updates; it takes at least [`Krum::min_updates`] updates.
    #[must_use]
    pub const fn new(byzantine: NonZeroU32, keep: NonZeroU32) -> Self {
        Self { byzantine, keep }
    }

    /// How many liars it withstands (f).
    #[must_use]
    pub const fn byzantine(self) -> NonZeroU32 {
        self.byzantine
    }

    /// How many updates it keeps.
    #[must_use]
    pub const fn keep(self) -> NonZeroU32 {
        self.keep
    }

    /// The fewest updates it can choose among: the larger of `2 f + 3` and `f + 2 + keep`.
    #[must_use]
    pub fn min_updates(self) -> u64 {
        let (byzantine, keep) = (u64::from(self.byzantine.get()), u64::from(self.keep.get()));
        (2 * byzantine + 3).max(byzantine + 2 + keep)
    }

    fn score(distances: &PairwiseDistances, update: usize, neighbours: usize) -> SquaredDistance {
        let others = (0..distances.updates()).filter(|other| *other != update);
        let mut others: Vec<_> = others.filter_map(|other| distances.between(update, other)).collect();
        others.sort_unstable();
        others.into_iter().take(neighbours).fold(SquaredDistance::ZERO, SquaredDistance::wrapping_add)
    }
}

impl UpdateSelector for Krum {
    fn choose(&self, distances: &PairwiseDistances) -> Result<Chosen, AggregateError> {
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let (updates, expected) = (distances.updates(), size(self.min_updates()));
        if updates < expected {
            return Err(AggregateError::TooFew { expected, found: updates });
        }
        let neighbours = updates - size(u64::from(self.byzantine.get())) - 2;
        let mut scores: Vec<_> =
            (0..updates).map(|update| (Self::score(distances, update, neighbours), update)).collect();
        scores.sort_unstable();
        let keep = size(u64::from(self.keep.get()));
        Chosen::new(distances, scores.into_iter().take(keep).map(|(_, update)| update))
    }
}
