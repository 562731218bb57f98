//! The engine: any distribution over the integers that rises to a mode and falls off log-concavely, drawn exactly.

use num_bigint::BigUint;

use super::{Keystream, alias::Alias};

/// `2^64 p(y) / p(mode)` lies between them; at most 2^64.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) low: u128,
    pub(super) high: u128,
}

impl Bounds {
    /// Below a unit.
    pub(super) const TINY: Self = Self { low: 0, high: 1 };

    /// What is within `error` of `value`.
    pub(super) fn around(value: u64, error: u64) -> Self {
        let most = 1 << 64;
        let high = (u128::from(value) + u128::from(error)).min(most);
        Self { low: value.saturating_sub(error).into(), high }
    }
}

/// A log-concave distribution over the integers, known up to a factor.
pub(super) trait Shape {
    /// Where it is largest.
    fn mode(&self) -> i64;

    /// About its standard deviation.
    fn spread(&self) -> f64;

    /// Proven bounds of `2^64 p(y) / p(mode)`, quickly. Best within 2^11 units of each other.
    fn bounds(&self, y: i64) -> Bounds;

    /// Proven bounds of `2^bits p(y) / p(mode)` that come as near to each other as wanted when `bits` grow.
    fn precise(&self, y: i64, bits: u64) -> (BigUint, BigUint);
}

/// Integers that are proposed together, each as likely as the other.
#[derive(Clone, Copy)]
struct Strip {
    /// The lowest.
    first: i64,
    /// A word below it accepts whichever integer it was.
    sure: u64,
}

/// Where a tail begins, and which way it goes.
struct Tail {
    start: i64,
    outward: i64,
    /// A block of the tail holds `2^bits` integers; each further block is proposed half as often.
    bits: u32,
}

/// A sampler of a [`Shape`].
pub(super) struct Strips<S> {
    pub(super) shape: S,
    alias: Alias,
    strips: Box<[Strip]>,
    /// How often each strip is proposed, of 2^64; the tails are last.
    weights: Box<[u64]>,
    /// An integer `y` of a strip of weight `w` is accepted with probability `scale p(y) / (p(mode) w)`.
    scale: u64,
    /// A strip holds `2^bits` integers.
    bits: u32,
    tails: [Tail; 2],
}

/// Strips go out to where the distribution falls below this, in units of 2^-64.
const EDGE: u128 = 1 << 12;

impl<S: Shape> Strips<S> {
    pub(super) fn new(shape: S) -> Self {
        Self::with_edge(shape, EDGE)
    }

    /// Strips out to where the distribution falls below `edge`: what it is changes how fast samples come, and nothing
    /// of them.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number of bits")]
    pub(super) fn with_edge(shape: S, edge: u128) -> Self {
        // 16 to 32 strips in a standard deviation.
        let bits = (shape.spread().log2().floor() as i64 - 4).clamp(0, 40) as u32;
        let width = 1_i64 << bits;
        let mode = shape.mode();
        // Of each strip: its lowest integer, and the integers nearest to and farthest from the mode.
        let mut edges = Vec::new();
        let mut near = mode;
        while shape.bounds(near).high > edge {
            edges.push((near, near, near + width - 1));
            near += width;
        }
        let (right, rights) = (near, edges.len());
        near = mode - 1;
        while shape.bounds(near).high > edge {
            edges.push((near - width + 1, near, near - width + 1));
            near -= width;
        }
        let tails = [
            Tail::new(&shape, right, 1, (rights as i64 / 2) * width, bits),
            Tail::new(&shape, near, -1, ((edges.len() - rights) as i64 / 2) * width, bits),
        ];
        let highest = edges.iter().map(|(_, near, _)| shape.bounds(*near).high);
        let tops: Vec<_> = highest.chain(tails.iter().map(|tail| tail.top(&shape, bits))).collect();
        let (scale, weights) = weigh(&tops);
        let strips = edges.iter().zip(&weights).map(|((first, _, far), weight)| Strip {
            first: *first,
            sure: sure(scale, shape.bounds(*far).low, *weight),
        });
        let beyond = [Strip { first: 0, sure: 0 }; 2];
        let strips = strips.chain(beyond).collect();
        Self { alias: Alias::new(&weights), strips, weights: weights.into(), scale, bits, tails, shape }
    }

    /// One integer.
    #[inline(always)]
    pub(super) fn draw(&self, keystream: &mut Keystream) -> i64 {
        let below = (1_u64 << self.bits) - 1;
        loop {
            let at = self.alias.draw(keystream);
            let word = keystream.next();
            let Some(strip) = self.strips.get(at) else { continue };
            // The low bits choose the integer; those above are the first of the word that decides.
            let y = strip.first.wrapping_add_unsigned(word & below);
            if word | below < strip.sure {
                return y;
            }
            if let Some(y) = self.decide(at, y, word, keystream) {
                return y;
            }
        }
    }

    /// Whether the integer is accepted, where the first bits do not tell.
    #[inline(never)]
    fn decide(&self, at: usize, y: i64, word: u64, keystream: &mut Keystream) -> Option<i64> {
        let weight = self.weights.get(at).copied()?;
        let strips = self.weights.len().saturating_sub(2);
        if let Some(tail) = at.checked_sub(strips).and_then(|side| self.tails.get(side)) {
            return self.decide_in_tail(tail, weight, keystream);
        }
        let below = (1_u64 << self.bits) - 1;
        let word = if below == 0 { word } else { word & !below | keystream.next() & below };
        let (Bounds { low, high }, scale, weight) =
            (self.shape.bounds(y), u128::from(self.scale), u128::from(weight));
        if u128::from(word) < scale * low / weight {
            return Some(y);
        }
        // At least the product over the weight, rounded up: `scale * high` stays below 2^128.
        if u128::from(word) > scale * high / weight {
            return None;
        }
        self.refine(y, self.scale.into(), weight.into(), word.into(), keystream)
    }

    /// `word` are the first 64 bits of a uniform number that is below `scale p(y) / (p(mode) weight)` or not: reads
    /// on until it shows.
    #[cold]
    #[inline(never)]
    fn refine(
        &self,
        y: i64,
        scale: BigUint,
        weight: BigUint,
        mut word: BigUint,
        keystream: &mut Keystream,
    ) -> Option<i64> {
        let mut bits = 64;
        loop {
            let (low, high) = self.shape.precise(y, bits);
            if word < &scale * low / &weight {
                return Some(y);
            }
            if word > &scale * high / &weight {
                return None;
            }
            word = (word << 64) + keystream.next();
            bits += 64;
        }
    }

    /// A block of the tail, an integer of the block, and whether it is accepted.
    #[cold]
    #[inline(never)]
    fn decide_in_tail(&self, tail: &Tail, weight: u64, keystream: &mut Keystream) -> Option<i64> {
        let mut block = 0_u32;
        loop {
            let word = keystream.next();
            block += word.leading_zeros();
            if word != 0 {
                break;
            }
        }
        let inside = keystream.next() & ((1_u64 << tail.bits) - 1);
        let outward = (i128::from(block) << tail.bits) + i128::from(inside);
        let y = i64::try_from(i128::from(tail.start) + i128::from(tail.outward) * outward).ok()?;
        let scale = BigUint::from(self.scale) << (u64::from(block) + 1 + u64::from(tail.bits - self.bits));
        self.refine(y, scale, weight.into(), keystream.next().into(), keystream)
    }
}

impl Tail {
    /// The tail from `start` outward. Its blocks are so wide that the distribution at least halves over one: it does
    /// so where that can be checked, half-way to the tail, and then everywhere beyond, as it is log-concave.
    fn new(shape: &impl Shape, start: i64, outward: i64, half_way: i64, strip_bits: u32) -> Self {
        let inside = shape.mode() + outward * half_way;
        let mut bits = strip_bits + 3;
        while 2 * shape.bounds(inside + outward * (1_i64 << bits)).high > shape.bounds(inside).low
            && bits < 56
        {
            bits += 1;
        }
        Self { start, outward, bits }
    }

    /// What the weight of the tail must be at least: that of its first block, twice, in strips' widths.
    fn top(&self, shape: &impl Shape, strip_bits: u32) -> u128 {
        shape.bounds(self.start).high << (1 + self.bits - strip_bits)
    }
}

/// Weights that sum to 2^64, each at least `scale top / 2^64`, and the scale, below 2^64. What is over goes to the first.
#[expect(clippy::cast_possible_truncation, reason = "the weights and the scale are below 2^64")]
fn weigh(tops: &[u128]) -> (u64, Vec<u64>) {
    let sum: u128 = tops.iter().sum::<u128>().max(1 << 64);
    let spare = 2 * tops.len() as u128 + 2;
    // ((2^64 - spare) 2^64) / sum, in two steps as 2^128 has no place.
    let scale = (((1 << 64) - spare) << 63) / sum.div_ceil(2);
    let mut weights: Vec<u64> = tops.iter().map(|top| ((scale * top) >> 64) as u64 + 1).collect();
    let total = weights.iter().fold(0_u64, |sum, weight| sum.wrapping_add(*weight));
    if let Some(first) = weights.first_mut() {
        *first = first.wrapping_sub(total);
    }
    (scale as u64, weights)
}

/// A word below it, as its first 64 bits, makes a uniform number smaller than `scale low / (2^64 weight)`.
#[expect(clippy::cast_possible_truncation, reason = "clamped")]
fn sure(scale: u64, low: u128, weight: u64) -> u64 {
    (u128::from(scale) * low / u128::from(weight)).min(u64::MAX.into()) as u64
}
