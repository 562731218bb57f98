//! Who shares secrets with whom in a session.

use std::iter;

use super::{
    keys::SessionId,
    parameters::{GraphKind, Parameters},
};
use crate::{fault::Fault, ids::Fingerprint};

const RING: &[u8] = b"flsa/v1 ring";

/// Who shares secrets with whom: everybody works it out from the session's identifier, which nobody can choose.
///
/// Participants are numbers below [`Parameters::participants`]. On a ring they stand in the order of the SHA-256 of
/// `flsa/v1 ring`, the session's identifier and their number (u32, little-endian), and everyone is a neighbour of the
/// `degree / 2` on either side.
///
/// # References
/// Bell et al., CCS 2020, section 4.1 (Harary graphs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    participants: u32,
    ring: Option<Ring>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Ring {
    /// Who stands where.
    order: Vec<u32>,
    /// Where everyone stands.
    places: Vec<usize>,
    /// Neighbours on either side.
    side: usize,
    most_dead: u32,
}

/// Part of the ring is dead, more than drops out by chance: somebody cuts it into pieces.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected at most {most} dead of {window} participants next to each other on the ring, found {found} from \
     place {place} on: give nothing to this session"
)]
#[non_exhaustive]
pub struct WindowError {
    /// The place on the ring where the window begins.
    pub place: usize,
    /// How many participants it holds.
    pub window: usize,
    /// Dead ones in it.
    pub found: u32,
    /// Most dead ones that are believed.
    pub most: u32,
}

impl WindowError {
    /// Whose fault it is: the coordinator says who is dead.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

impl Graph {
    /// The graph of a session.
    #[must_use]
    pub fn new(parameters: &Parameters, session: &SessionId) -> Self {
        let ring = match (parameters.graph_kind(), parameters.max_dead_in_window()) {
            (GraphKind::Ring, Some(most)) => {
                Some(Ring::new(parameters.participants(), parameters.degree() as usize / 2, most, session))
            }
            _ => None,
        };
        Self { participants: parameters.participants(), ring }
    }

    /// Those that participant `u` has masks with, in rising order, without itself; none for a number that is nobody's.
    pub fn neighbours(&self, u: u32) -> impl Iterator<Item = u32> + use<> {
        let mut neighbours: Vec<u32> = match &self.ring {
            _ if u >= self.participants => Vec::new(),
            None => (0..self.participants).filter(|other| *other != u).collect(),
            Some(ring) => ring.neighbours(u).collect(),
        };
        neighbours.sort_unstable();
        neighbours.into_iter()
    }

    /// Those that hold shares of the secrets of participant `u`, in rising order: where everyone shares with everyone it
    /// is one of them itself, on a ring it is not.
    #[must_use]
    pub fn holders(&self, u: u32) -> Vec<u32> {
        match &self.ring {
            None if u < self.participants => (0..self.participants).collect(),
            _ => self.neighbours(u).collect(),
        }
    }

    /// The place at which `holder` has its share of the secrets of `owner`: its rank among the holders, from 1 on; `None`
    /// when it holds none.
    #[must_use]
    pub fn share_x(&self, owner: u32, holder: u32) -> Option<u8> {
        let rank = match &self.ring {
            None => (owner < self.participants && holder < self.participants).then_some(holder)?,
            Some(_) => u32::try_from(self.holders(owner).binary_search(&holder).ok()?).ok()?,
        };
        u8::try_from(rank + 1).ok()
    }

    /// Checks that no part of the ring is so dead that somebody must have chosen who is. Where everyone shares with
    /// everyone nothing can be cut off, and nothing is checked.
    ///
    /// # Errors
    /// [`WindowError`] for the first part that is.
    pub fn check_window(&self, is_dead: impl Fn(u32) -> bool) -> Result<(), WindowError> {
        let Some(Ring { order, side, most_dead, .. }) = &self.ring else {
            return Ok(());
        };
        let dead: Vec<u32> = order.iter().map(|index| u32::from(is_dead(*index))).collect();
        let mut found: u32 = dead.iter().take(*side).sum();
        let entering = dead.iter().cycle().skip(*side);
        for (place, (leaving, entering)) in dead.iter().zip(entering).enumerate() {
            if found > *most_dead {
                return Err(WindowError { place, window: *side, found, most: *most_dead });
            }
            found = found + entering - leaving;
        }
        Ok(())
    }
}

impl Ring {
    fn new(participants: u32, side: usize, most_dead: u32, session: &SessionId) -> Self {
        let ticket = |index: u32| Fingerprint::of(&[RING, session.as_bytes(), &index.to_le_bytes()].concat());
        let mut tickets: Vec<_> = (0..participants).map(|index| (ticket(index), index)).collect();
        tickets.sort_unstable();
        let order: Vec<u32> = tickets.into_iter().map(|(_, index)| index).collect();
        let mut standing: Vec<(u32, usize)> = order.iter().copied().zip(0..).collect();
        standing.sort_unstable();
        Self { order, places: standing.into_iter().map(|(_, place)| place).collect(), side, most_dead }
    }

    fn neighbours(&self, u: u32) -> impl Iterator<Item = u32> {
        let count = self.order.len();
        let own = self.places.get(u as usize).copied();
        let places = own.into_iter().flat_map(move |own| {
            (1..=self.side).flat_map(move |away| {
                iter::once(own + away).chain(iter::once(own + count - away)).map(move |place| place % count)
            })
        });
        places.filter_map(|place| self.order.get(place).copied())
    }
}

#[cfg(test)]
mod tests;
