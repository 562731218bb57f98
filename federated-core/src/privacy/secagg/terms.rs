use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Fraction, ParameterError, Parameters, VectorError, VectorNoise, VectorPlan};
use crate::{
    fault::Fault,
    privacy::dp::{NoiseMultiplier, distributed::NoiseShare},
};

/// Why terms cannot be safe.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TermsError {
    /// The bounds of the roster contradict each other.
    #[error("expected at most {most} participants or fewer to begin with, found {least}")]
    Bounds {
        /// The fewest.
        least: u32,
        /// The most.
        most: u32,
    },
    /// For some size of the roster there are no parameters that hold.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// Fewer survivors would be enough than can unmask anything, or more than there are participants.
    #[error("expected between {least} and {most} survivors, found {found}")]
    Survivors {
        /// The fewest that make sense.
        least: u32,
        /// The most.
        most: u32,
        /// What was found.
        found: u32,
    },
    /// The sum of so many vectors could wrap around.
    #[error("expected vectors of which {most} can be added, found vectors for {found}")]
    Vector {
        /// How many participants there may be.
        most: u32,
        /// For how many the vector is made.
        found: u32,
    },
}

impl TermsError {
    /// Whose fault it is: terms are written by the caller.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// What a job says about secure aggregation. The same in all its rounds, and part of every session's [`Header`].
///
/// The threshold and the graph are not among them: they follow from how many participants there are
/// ([`Parameters::new`]), and everyone computes them by itself.
///
/// [`Header`]: super::Header
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The share of participants that may be corrupt: the paper's gamma.
    pub(super) corrupt: Fraction,
    /// The share that may drop out: the paper's delta.
    pub(super) dropouts: Fraction,
    pub(super) min_cohort: u32,
    pub(super) max_cohort: u32,
    pub(super) min_survivors: u32,
    pub(super) vector: VectorPlan,
}

impl Terms {
    /// Checks terms: from `min_cohort` to `max_cohort` participants, of whose vectors at least `min_survivors` are summed;
    /// as many as the quorum of the smallest cohort when `None`.
    ///
    /// # Errors
    /// [`TermsError`] when there is a size of the cohort for which they cannot be safe, or the sum could wrap around.
    pub fn new(
        corrupt: Fraction,
        dropouts: Fraction,
        (min_cohort, max_cohort): (u32, u32),
        min_survivors: Option<u32>,
        vector: VectorPlan,
    ) -> Result<Self, TermsError> {
        if min_cohort > max_cohort {
            return Err(TermsError::Bounds { least: min_cohort, most: max_cohort });
        }
        let smallest = Parameters::new(min_cohort, corrupt, dropouts)?;
        Parameters::new(max_cohort, corrupt, dropouts)?;
        let least = smallest.quorum();
        let min_survivors = min_survivors.unwrap_or(least);
        if !(least..=min_cohort).contains(&min_survivors) {
            return Err(TermsError::Survivors { least, most: min_cohort, found: min_survivors });
        }
        if vector.max_participants() < max_cohort {
            return Err(TermsError::Vector { most: max_cohort, found: vector.max_participants() });
        }
        Ok(Self { corrupt, dropouts, min_cohort, max_cohort, min_survivors, vector })
    }

    /// The same with noise of this multiplier on each sum, which is divided among those who are sure to add their share: the
    /// fewest survivors without the share of them that may be corrupt.
    ///
    /// # Errors
    /// [`VectorError`] when vectors do not go with noise.
    pub fn noised(self, multiplier: NoiseMultiplier) -> Result<Self, VectorError> {
        let corrupt = f64::from(self.corrupt.millionths()) / 1e6;
        // The variance is of no matter here: who divides it is.
        let contributors = NoiseShare::new(1.0, self.min_survivors, corrupt)?.contributors();
        let contributors = NonZeroU32::new(contributors).unwrap_or(NonZeroU32::MIN);
        let vector = self.vector.noised(VectorNoise { multiplier, contributors })?;
        Ok(Self { vector, ..self })
    }

    /// The parameters for a roster of so many.
    ///
    /// # Errors
    /// [`ParameterError`] when there are none that hold.
    pub fn parameters(&self, participants: u32) -> Result<Parameters, ParameterError> {
        Parameters::new(participants, self.corrupt, self.dropouts)
    }

    /// The share of participants that may be corrupt.
    #[must_use]
    pub const fn corrupt(&self) -> Fraction {
        self.corrupt
    }

    /// The share that may drop out.
    #[must_use]
    pub const fn dropouts(&self) -> Fraction {
        self.dropouts
    }

    /// The fewest participants whose keys a session begins with.
    #[must_use]
    pub const fn min_cohort(&self) -> u32 {
        self.min_cohort
    }

    /// The most participants in a session.
    #[must_use]
    pub const fn max_cohort(&self) -> u32 {
        self.max_cohort
    }

    /// The fewest participants whose vectors may be summed.
    #[must_use]
    pub const fn min_survivors(&self) -> u32 {
        self.min_survivors
    }

    /// How an update becomes a vector of integers.
    #[must_use]
    pub const fn vector(&self) -> &VectorPlan {
        &self.vector
    }
}
