//! The numbers in which differential privacy is said, each parsed: none is NaN, infinite or out of range.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// A number that cannot be what it is said to be.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantityError {
    /// Not a noise multiplier.
    #[error("expected a noise multiplier: a finite number above 0, found {found}")]
    NoiseMultiplier {
        /// The number.
        found: f64,
    },
    /// Not a sampling rate.
    #[error(
        "expected a sampling rate: a number above 0 and at most 1 (1: everyone takes part), found {found}"
    )]
    SamplingRate {
        /// The number.
        found: f64,
    },
    /// Not an epsilon.
    #[error("expected an epsilon: a finite number above 0, found {found}")]
    Epsilon {
        /// The number.
        found: f64,
    },
    /// Not a delta.
    #[error(
        "expected a delta: a number above 0 and below 1, well below one in the number of units, found {found}"
    )]
    Delta {
        /// The number.
        found: f64,
    },
    /// Not a clip norm.
    #[error("expected a clip norm: a finite number above 0, found {found}")]
    ClipNorm {
        /// The number.
        found: f64,
    },
}

impl QuantityError {
    /// Whose fault it is: these numbers are configured, or follow from what is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Caller
    }
}

/// Declares a number with a range: how it is made, read, written and shown.
macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $holds:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f64", into = "f64")]
        pub struct $name(f64);

        impl $name {
            /// Parses the number.
            ///
            /// # Errors
            #[doc = concat!("[`QuantityError::", stringify!($name), "`] out of range, and for NaN.")]
            pub fn new(found: f64) -> Result<Self, QuantityError> {
                let holds: fn(f64) -> bool = $holds;
                if found.is_finite() && holds(found) { Ok(Self(found)) } else { Err(QuantityError::$name { found }) }
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> f64 {
                self.0
            }
        }

        impl TryFrom<f64> for $name {
            type Error = QuantityError;

            fn try_from(found: f64) -> Result<Self, QuantityError> {
                Self::new(found)
            }
        }

        impl From<$name> for f64 {
            fn from(quantity: $name) -> Self {
                quantity.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

quantity! {
    /// The standard deviation of the noise on a sum, divided by the most that one unit can change the sum (`z` or sigma).
    NoiseMultiplier, |found| found > 0.0
}
quantity! {
    /// The chance with which each unit, by itself, takes part in a round (`q`); 1: everyone takes part in each.
    SamplingRate, |found| found > 0.0 && found <= 1.0
}
quantity! {
    /// How much more likely any outcome can become by one unit's taking part: by a factor of at most `exp(epsilon)`.
    Epsilon, |found| found > 0.0
}
quantity! {
    /// How much probability [`Epsilon`]'s bound may miss by. Well below one in the number of units, or it says nothing.
    Delta, |found| found > 0.0 && found < 1.0
}
quantity! {
    /// The largest Euclidean norm that one unit's contribution keeps (`C`); what is longer is scaled down to it.
    ClipNorm, |found| found > 0.0
}

/// The part of a delta that is kept back for what noise on a grid differs from the Gaussian that is counted: a hundredth.
pub(super) const KEPT_BACK: f64 = 0.01;

impl Delta {
    /// What accountants are asked with for this delta: 0.99 of it. The rest is kept back for what noise on a grid differs from the
    /// Gaussian that they count.
    #[must_use]
    pub fn counted(self) -> Self {
        // The smallest of all deltas has no smaller one.
        Self::new(self.0 * (1.0 - KEPT_BACK)).unwrap_or(self)
    }
}

impl SamplingRate {
    /// Everyone takes part in each round.
    pub const FULL: Self = Self(1.0);

    /// Whether everyone takes part in each round.
    #[must_use]
    pub fn is_full(self) -> bool {
        self >= Self::FULL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_infinity_zero_and_negatives_are_no_quantities() {
        for found in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, -1.0, -f64::MIN_POSITIVE] {
            assert!(NoiseMultiplier::new(found).is_err(), "{found}");
            assert!(SamplingRate::new(found).is_err(), "{found}");
            assert!(Epsilon::new(found).is_err(), "{found}");
            assert!(Delta::new(found).is_err(), "{found}");
            assert!(ClipNorm::new(found).is_err(), "{found}");
        }
    }

    #[test]
    fn what_is_counted_of_a_delta_is_a_delta_and_less() {
        let counted = |delta| Delta::new(delta).unwrap().counted().get();
        assert!((counted(1e-5) - 0.99e-5).abs() < 1e-18);
        assert!(counted(f64::from_bits(1)) > 0.0);
    }

    #[test]
    fn a_rate_may_be_one_and_a_delta_may_not() {
        assert!(SamplingRate::new(1.0).unwrap().is_full());
        assert!(!SamplingRate::new(0.999_999).unwrap().is_full());
        assert_eq!(Delta::new(1.0), Err(QuantityError::Delta { found: 1.0 }));
        let error = SamplingRate::new(1.5).unwrap_err().to_string();
        assert!(error.contains("at most 1") && error.ends_with("found 1.5"), "{error}");
    }

    #[test]
    fn a_quantity_is_read_as_a_number_and_refused_by_its_name() {
        #[derive(Debug, Serialize, Deserialize)]
        struct Table {
            epsilon: Epsilon,
        }
        let table: Table = toml::from_str("epsilon = 4").unwrap();
        assert_eq!(table.epsilon, Epsilon::new(4.0).unwrap());
        assert_eq!(toml::to_string(&table).unwrap().trim(), "epsilon = 4.0");
        let error = toml::from_str::<Table>("epsilon = nan").unwrap_err().to_string();
        assert!(error.contains("expected an epsilon: a finite number above 0, found NaN"), "{error}");
    }
}
