//! How many must hold together: what follows from the number of participants and from what is assumed of them.
//!
//! Up to 255 participants everyone shares with everyone. Beyond, everyone shares with the same number of others, its
//! neighbours on a ring: few enough that the work stays small, and enough that with a probability of 1 - 2^-40 no
//! participant has so many corrupt neighbours that they learn its secrets, nor are the honest ones cut apart, and with
//! 1 - 2^-20 enough neighbours of everyone stay to the end.
//!
//! # References
//! Bonawitz et al., CCS 2017, section 6.2 (a server that lies); Bell et al., CCS 2020, section 4.2 and appendix C (the
//! sparse graph, a semi-malicious server).

mod error;
mod fraction;
mod ring;
#[cfg(test)]
mod tests;

pub use error::ParameterError;
pub use fraction::Fraction;

/// Shares have places 1 to 255.
const MOST_HOLDERS: u32 = 255;
const LEAST_PARTICIPANTS: u32 = 3;

/// Who shares secrets with whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GraphKind {
    /// Everyone with everyone.
    Complete,
    /// Everyone with those next to it on a ring, as many on either side.
    Ring,
}

/// What a session of so many participants needs to be safe, and what it bears.
///
/// Nobody chooses these numbers: every participant works them out for itself from the size of the roster, the fraction
/// that may be corrupt (gamma) and the fraction that may drop out (delta).
///
/// # Examples
/// ```
/// use federated_core::privacy::secagg::{Fraction, Parameters};
///
/// let (third, tenth) = (Fraction::from_millionths(333_333)?, Fraction::try_from(0.1)?);
/// let hospitals = Parameters::new(4, third, tenth)?;
/// assert_eq!((hospitals.threshold(), hospitals.tolerated_dropouts()), (3, 1));
/// let phones = Parameters::new(1_000, tenth, tenth)?;
/// assert_eq!((phones.degree(), phones.max_dead_in_window()), (96, Some(21)));
/// # Ok::<(), federated_core::privacy::secagg::ParameterError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parameters {
    participants: u32,
    threshold: u8,
    quorum: u32,
    tolerated_dropouts: u32,
    ring: Option<ring::Ring>,
}

impl Parameters {
    /// Works out the parameters for `participants` participants, of whom a fraction `gamma` may be corrupt and, beside
    /// them, a fraction `delta` may drop out.
    ///
    /// # Errors
    /// [`ParameterError`] when nothing is safe for these numbers; it says what would be.
    pub fn new(participants: u32, gamma: Fraction, delta: Fraction) -> Result<Self, ParameterError> {
        if participants < LEAST_PARTICIPANTS {
            return Err(ParameterError::TooFew { least: LEAST_PARTICIPANTS, found: participants });
        }
        let quorum = self::quorum(participants, gamma);
        if participants > MOST_HOLDERS {
            let ring = ring::Ring::smallest(participants, gamma, delta)?;
            let tolerated_dropouts = delta.of(participants);
            return Ok(Self {
                participants,
                threshold: ring.threshold,
                quorum,
                tolerated_dropouts,
                ring: Some(ring),
            });
        }
        let needed = |count| self::quorum(count, gamma).saturating_add(delta.of(count));
        let threshold = u8::try_from(quorum).ok().filter(|_| needed(participants) <= participants);
        let infeasible = || ParameterError::Infeasible {
            participants,
            corrupt: gamma.of(participants),
            dropouts: delta.of(participants),
            quorum,
            least: (participants..=MOST_HOLDERS).find(|participants| needed(*participants) <= *participants),
        };
        let threshold = threshold.ok_or_else(infeasible)?;
        Ok(Self { participants, threshold, quorum, tolerated_dropouts: participants - quorum, ring: None })
    }

    /// Participants in the session, `n` in the papers; at least 3.
    #[must_use]
    pub const fn participants(&self) -> u32 {
        self.participants
    }

    /// Shares that give a secret back, `t` in the papers; at least 2.
    #[must_use]
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// Participants that must have signed the same transcript before anyone gives up a share. Two such groups always
    /// have an honest participant in common, who signs once.
    #[must_use]
    pub const fn quorum(&self) -> u32 {
        self.quorum
    }

    /// Who shares with whom.
    #[must_use]
    pub const fn graph_kind(&self) -> GraphKind {
        if self.ring.is_some() { GraphKind::Ring } else { GraphKind::Complete }
    }

    /// Neighbours of every participant, `k` in the papers; even on a ring.
    #[must_use]
    pub fn degree(&self) -> u32 {
        self.ring.map_or(self.participants - 1, |ring| ring.degree)
    }

    /// How many of `degree / 2` participants next to each other on the ring may be dead before a participant no longer
    /// believes that they dropped out by themselves; `None` where everyone shares with everyone.
    #[must_use]
    pub fn max_dead_in_window(&self) -> Option<u32> {
        self.ring.map(|ring| ring.max_dead_in_window)
    }

    /// Participants that may drop out, wherever they are: all beyond the quorum where everyone shares with everyone,
    /// `delta` of them on a ring.
    #[must_use]
    pub const fn tolerated_dropouts(&self) -> u32 {
        self.tolerated_dropouts
    }
}

/// More than half of everyone and of the corrupt, who may be counted twice.
fn quorum(participants: u32, gamma: Fraction) -> u32 {
    u32::midpoint(participants, gamma.of(participants)).saturating_add(1)
}
