//! How a file of vectors looks. What is left out is not checked; what is not known is refused, but for remarks.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default, rename = "note")]
    _note: Option<String>,
    #[serde(default)]
    pub(super) sessions: Vec<Session>,
    #[serde(default)]
    pub(super) shamir: OneOrMany<Split>,
    #[serde(default)]
    pub(super) shamir_published: OneOrMany<Published>,
}

/// A session in which everyone shares with everyone.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Session {
    #[serde(default, rename = "note")]
    _note: Option<String>,
    pub(super) modulus_bits: u32,
    pub(super) session_id: String,
    pub(super) model_hash: String,
    pub(super) participants: Vec<Participant>,
    #[serde(default)]
    pub(super) pair_seeds: Vec<Pair>,
    pub(super) sum_all: Vec<u64>,
    #[serde(default)]
    pub(super) long_mask: OneOrMany<LongMask>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Participant {
    pub(super) index: u32,
    pub(super) mask_secret_key: String,
    pub(super) mask_public_key: String,
    pub(super) self_mask_secret: String,
    pub(super) self_seed: String,
    pub(super) input: Vec<u64>,
    pub(super) masked_input: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pair {
    pub(super) lo: u32,
    pub(super) hi: u32,
    pub(super) seed: String,
    pub(super) mask: Vec<u64>,
}

/// A mask between two participants that is given by the SHA-256 of its bytes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LongMask {
    pub(super) lo: u32,
    pub(super) hi: u32,
    pub(super) elements: usize,
    pub(super) sha256: String,
}

/// A secret that was shared out with these coefficients.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Split {
    #[serde(default, rename = "note")]
    _note: Option<String>,
    pub(super) polynomial: String,
    pub(super) threshold: usize,
    pub(super) secret: String,
    pub(super) coefficients: Vec<String>,
    pub(super) shares: Vec<Share>,
}

/// A secret that shares give back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Published {
    #[serde(default, rename = "source")]
    _source: Option<String>,
    pub(super) threshold: usize,
    pub(super) shares: Vec<Share>,
    pub(super) secret: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Share {
    pub(super) x: u8,
    pub(super) y: String,
}

/// Where one is usual, several may stand in a list.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// All of them, each with where in the file it is.
pub(super) fn named<'a, T>(name: &'a str, items: &'a OneOrMany<T>) -> impl Iterator<Item = (String, &'a T)> {
    let (items, listed) = match items {
        OneOrMany::One(item) => (std::slice::from_ref(item), false),
        OneOrMany::Many(items) => (items.as_slice(), true),
    };
    let at = move |nth| if listed { format!("{name}[{nth}]") } else { name.to_owned() };
    items.iter().enumerate().map(move |(nth, item)| (at(nth), item))
}
