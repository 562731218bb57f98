//! A line: a record, its number, its moment, the SHA-256 of the line before it, and a signature under all of them.
//!
//! The signature is over the very bytes that stand in the line, so that nobody has to write them again in the same way.

use serde::{Deserialize, Serialize};

use super::{LedgerError, Record};
use crate::{
    ids::Fingerprint,
    privacy::secagg::{Signature, SigningSecret, VerifyingPublic},
    time::Timestamp,
};

/// What the signature stands behind.
const BEFORE_SIGNATURE: &str = ",\"signature\":\"";
const END: &str = "\"}";
/// What is signed begins with it, so that no other signature of the key is one of these.
const PURPOSE: &[u8] = b"federated ledger v1\n";

/// What the next line continues.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Link {
    /// The number of the next line, from 0.
    pub(super) sequence: u64,
    /// The SHA-256 of the line before it.
    pub(super) previous: Fingerprint,
}

impl Link {
    pub(super) fn first() -> Self {
        Self { sequence: 0, previous: Fingerprint::of(PURPOSE) }
    }

    /// What continues after so many further bytes, a line without its line break.
    pub(super) fn after(self, line: &[u8]) -> Self {
        Self { sequence: self.sequence + 1, previous: Fingerprint::of(line) }
    }

    /// The line's number for people.
    pub(super) const fn place(self) -> u64 {
        self.sequence + 1
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    sequence: u64,
    previous: String,
    at_ms: u64,
    record: Record,
}

fn signed(body: &str) -> Vec<u8> {
    [PURPOSE, body.as_bytes()].concat()
}

/// Writes a line, with its line break.
pub(super) fn write(
    link: Link,
    at: Timestamp,
    record: &Record,
    signing: &SigningSecret,
) -> Result<String, LedgerError> {
    let body = Body {
        sequence: link.sequence,
        previous: link.previous.to_string(),
        at_ms: at.as_millis(),
        record: record.clone(),
    };
    let unwritable = |_| LedgerError::Line { line: link.place(), expected: "a record that JSON can hold" };
    let mut line = serde_json::to_string(&body).map_err(unwritable)?;
    // Without its closing brace, which the signature brings along.
    line.pop();
    let signature = signing.sign(&signed(&line));
    Ok(format!("{line}{BEFORE_SIGNATURE}{signature}{END}\n"))
}

/// A line's text in front of its signature, if that is the owner's.
fn signed_body<'a>(place: u64, line: &'a [u8], key: &VerifyingPublic) -> Result<&'a str, LedgerError> {
    let wrong = |expected| LedgerError::Line { line: place, expected };
    let text = std::str::from_utf8(line).map_err(|_| wrong("text"))?;
    let (body, rest) = text.rsplit_once(BEFORE_SIGNATURE).ok_or_else(|| wrong("a signature at its end"))?;
    let found = rest.strip_suffix(END).ok_or_else(|| wrong("a signature at its end"))?;
    let signature: Signature = found.parse().map_err(|_| wrong("a signature of 128 hexadecimal digits"))?;
    // Digits in capitals would be the same signature in other bytes.
    if signature.to_string() != found {
        return Err(wrong("a signature in small letters"));
    }
    key.verify(&signed(body), &signature).map_err(|_| LedgerError::Signature { line: place })?;
    Ok(body)
}

/// Whether it is a whole line of the owner's, wherever it belongs.
pub(super) fn is_signed(line: &[u8], key: &VerifyingPublic) -> bool {
    signed_body(0, line, key).is_ok()
}

/// Reads a line, without its line break, that continues there.
pub(super) fn read(
    link: Link,
    line: &[u8],
    key: &VerifyingPublic,
) -> Result<(Timestamp, Record), LedgerError> {
    let wrong = |expected| LedgerError::Line { line: link.place(), expected };
    let body = signed_body(link.place(), line, key)?;
    let body: Body = serde_json::from_str(&format!("{body}}}"))
        .map_err(|_| wrong("a record of this or an earlier version"))?;
    if body.sequence != link.sequence || body.previous != link.previous.to_string() {
        return Err(wrong("the line that follows the one before it"));
    }
    Ok((Timestamp::from_millis(body.at_ms), body.record))
}
