use std::ops::Add;

/// What travelled while an attempt at a round went on, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Updates that got their receipts.
    pub up: u64,
    /// What these would be without compression.
    pub up_plain: u64,
    /// Models, by downloads that ended.
    pub down: u64,
}

impl Add for Traffic {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            up: self.up.saturating_add(other.up),
            up_plain: self.up_plain.saturating_add(other.up_plain),
            down: self.down.saturating_add(other.down),
        }
    }
}
