use std::fmt;

use anyhow::{Context, Result};

/// The first thing in a file that is not what this project makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where in the file it is.
    pub at: String,
    /// What the file has there.
    pub expected: String,
    /// What this project makes.
    pub made: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, expected, made } = self;
        write!(f, "{at}: the file has {expected}, made was {made}")
    }
}

impl std::error::Error for Difference {}

/// Compares one thing with what the file has at `at`.
pub(super) fn equal<T: PartialEq + fmt::Display>(at: &str, expected: &T, made: &T) -> Result<()> {
    if expected == made {
        return Ok(());
    }
    Err(Difference { at: at.to_owned(), expected: expected.to_string(), made: made.to_string() }.into())
}

/// Compares a list with the file's, element by element.
pub(super) fn equal_all(at: &str, expected: &[u64], made: &[u64]) -> Result<()> {
    equal(&format!("the length of {at}"), &expected.len(), &made.len())?;
    expected
        .iter()
        .zip(made)
        .enumerate()
        .try_for_each(|(nth, (expected, made))| equal(&format!("{at}[{nth}]"), expected, made))
}

/// Compares bytes with the file's, written in hexadecimal: a difference in how they are written is one too.
pub(super) fn equal_hex(at: &str, expected: &str, made: &[u8]) -> Result<()> {
    equal(at, &expected.to_owned(), &made.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads bytes in hexadecimal.
pub(super) fn bytes(at: &str, hex: &str) -> Result<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = hex.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect::<Option<_>>().with_context(|| format!("{at}: expected hexadecimal digits, found `{hex}`"))
}

/// Reads 32 bytes in hexadecimal.
pub(super) fn bytes32(at: &str, hex: &str) -> Result<[u8; 32]> {
    <[u8; 32]>::try_from(bytes(at, hex)?)
        .ok()
        .with_context(|| format!("{at}: expected 32 bytes, found `{hex}`"))
}
