use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use federated_core::privacy::dp::ledger::Append;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{RngCore, SeedableRng},
};

/// Randomness from a seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(ChaCha20Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0.next_u32() % end
    }

    pub(crate) fn one_in(&mut self, many: u32) -> bool {
        self.below(many) == 0
    }
}

/// When the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// Before anything of a line is written.
    BeforeWrite,
    /// Between writing and the end of `fsync`: any part of the line may stay.
    Unsynced,
    /// The line is on disk, and nobody was told.
    Durable,
    /// Between a reservation and its release.
    Reserved,
    /// Between a release and its commitment.
    Released,
    /// While a line that was cut off is noted.
    Mending,
}

impl Moment {
    pub(crate) const ALL: [Self; 6] =
        [Self::BeforeWrite, Self::Unsynced, Self::Durable, Self::Reserved, Self::Released, Self::Mending];
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the power is gone")]
pub(crate) struct PowerCut;

#[derive(Debug)]
struct Platter {
    durable: Vec<u8>,
    /// Written and not synced.
    pending: Vec<u8>,
    /// After so many moments the power goes.
    fuse: u32,
    mending: bool,
    /// Says that all is on disk and keeps it in its memory.
    lies: bool,
    cuts: BTreeMap<Moment, u64>,
}

/// A disk with one file that only grows.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Rc<RefCell<Platter>>);

impl Disk {
    pub(crate) fn new(lies: bool, fuse: u32) -> Self {
        let (durable, pending, cuts) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self(Rc::new(RefCell::new(Platter { durable, pending, fuse, mending: false, lies, cuts })))
    }

    /// A moment passes, or the power goes in it.
    pub(crate) fn pass(&self, moment: Moment) -> Result<(), PowerCut> {
        let mut platter = self.0.borrow_mut();
        let moment = if platter.mending { Moment::Mending } else { moment };
        match platter.fuse.checked_sub(1) {
            Some(fuse) => platter.fuse = fuse,
            None => {
                *platter.cuts.entry(moment).or_default() += 1;
                return Err(PowerCut);
            }
        }
        Ok(())
    }

    /// The power is back. Of what was not synced a part is there, or a part and zeros.
    pub(crate) fn power_back(&self, dice: &mut Dice) {
        let mut platter = self.0.borrow_mut();
        let pending = std::mem::take(&mut platter.pending);
        let end = u32::try_from(pending.len()).expect("a few lines");
        let kept = usize::try_from(dice.below(end + 1)).expect("a few lines");
        platter.durable.extend(pending.iter().take(kept));
        if dice.one_in(8) {
            platter.durable.extend(pending.iter().skip(kept).map(|_| 0));
        }
        platter.fuse = dice.below(24);
        platter.mending = false;
    }

    /// What a process reads.
    pub(crate) fn read(&self) -> Vec<u8> {
        let platter = self.0.borrow();
        [platter.durable.as_slice(), &platter.pending].concat()
    }

    /// What no loss of power takes.
    pub(crate) fn durable(&self) -> Vec<u8> {
        self.0.borrow().durable.clone()
    }

    /// Takes a file away that was never given its name.
    pub(crate) fn clear(&self) {
        let mut platter = self.0.borrow_mut();
        platter.durable.clear();
        platter.pending.clear();
    }

    fn sync(&self) {
        let platter = &mut *self.0.borrow_mut();
        if !platter.lies {
            platter.durable.append(&mut platter.pending);
        }
    }

    pub(crate) fn mending(&self, mending: bool) {
        self.0.borrow_mut().mending = mending;
    }

    pub(crate) fn cuts(&self) -> BTreeMap<Moment, u64> {
        self.0.borrow().cuts.clone()
    }
}

impl Append for Disk {
    type Error = PowerCut;

    fn append(&mut self, bytes: &[u8]) -> Result<(), PowerCut> {
        self.pass(Moment::BeforeWrite)?;
        self.0.borrow_mut().pending.extend(bytes);
        self.pass(Moment::Unsynced)?;
        self.sync();
        self.pass(Moment::Durable)
    }
}
