use super::{
    Ledger, LedgerError, Record,
    line::{self, Link},
};
use crate::{ids::Fingerprint, privacy::secagg::VerifyingPublic, time::Timestamp};

/// What is written behind a line that was cut off.
pub(super) const CUT_OFF: &str = " (cut off)";

/// What is left of a last line that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    bytes: Vec<u8>,
}

impl TornTail {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its length.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing, which is never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Ledger {
    /// Reads a ledger and checks every line of it.
    ///
    /// # Errors
    /// [`LedgerError`] for the first line that is not as its owner wrote it, and [`LedgerError::Torn`] when the last one is cut
    /// off.
    pub fn verify(bytes: &[u8], key: &VerifyingPublic) -> Result<Self, LedgerError> {
        let (ledger, tail) = Self::read(bytes, key)?;
        match tail {
            None => Ok(ledger),
            Some(TornTail { bytes }) => match first_line(&bytes) {
                None => Err(LedgerError::Torn { bytes: bytes.len() }),
                Some(whole) => line::read(ledger.link, whole, key).and(Ok(ledger)),
            },
        }
    }

    /// The same for whoever goes on writing it: a last line that was cut off is to be noted with [`mend`](Self::mend).
    ///
    /// # Errors
    /// [`LedgerError`] for the first line that is not as its owner wrote it.
    pub fn read(bytes: &[u8], key: &VerifyingPublic) -> Result<(Self, Option<TornTail>), LedgerError> {
        let first = first_line(bytes).ok_or(LedgerError::NotOpened { found: "no whole line" })?;
        let mut ledger = match line::read(Link::first(), first, key)? {
            (at, Record::Opened { subject, budget }) => {
                Self::opened(subject, budget, Link::first().after(first), at)
            }
            _ => return Err(LedgerError::NotOpened { found: "another record" }),
        };
        let mut rest = bytes.get(first.len() + 1..).unwrap_or_default();
        while !rest.is_empty() {
            let read =
                first_line(rest).map(|whole| line::read(ledger.link, whole, key).map(|read| (whole, read)));
            let (cut_off, whole, (at, record)) = match read {
                Some(Ok((whole, read))) => (None, whole, read),
                failed => match ledger.noted(rest, key) {
                    Some((cut_off, whole, read)) => (Some(cut_off), whole, read),
                    None => return ledger.torn_tail(rest, failed.and_then(Result::err), key),
                },
            };
            ledger.follow(&record, at, whole, cut_off.is_some())?;
            let passed = cut_off.map_or(0, |cut_off| cut_off + 1) + whole.len() + 1;
            rest = rest.get(passed..).unwrap_or_default();
        }
        Ok((ledger, None))
    }

    /// After bytes that are no line, the record that says so: their number, the record's line, and what it says.
    fn noted<'a>(
        &self,
        rest: &'a [u8],
        key: &VerifyingPublic,
    ) -> Option<(usize, &'a [u8], (Timestamp, Record))> {
        let mut breaks = rest.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(place, _)| place);
        breaks.find_map(|cut_off| {
            let whole = first_line(rest.get(cut_off + 1..)?)?;
            let read = line::read(self.link, whole, key).ok()?;
            let before = rest.get(..cut_off)?;
            matches!(&read.1, Record::Torn { bytes, sha256 }
                if *bytes == before.len() as u64 && *sha256 == Fingerprint::of(before).to_string())
            .then_some((cut_off, whole, read))
        })
    }

    /// What is left of a last line, unless there was more than one: then it was no crash that did this.
    fn torn_tail(
        self,
        rest: &[u8],
        error: Option<LedgerError>,
        key: &VerifyingPublic,
    ) -> Result<(Self, Option<TornTail>), LedgerError> {
        let mut pieces = rest.strip_suffix(b"\n").unwrap_or(rest).split(|byte| *byte == b'\n');
        let last = pieces.next_back();
        // A crash while the first was noted leaves more than one, all but the last marked.
        let marked = pieces.clone().all(|piece| piece.ends_with(CUT_OFF.as_bytes()));
        let whole = pieces.chain(last).any(|piece| line::is_signed(piece, key));
        match error {
            Some(error) if whole || !marked => Err(error),
            _ => Ok((self, Some(TornTail { bytes: rest.to_vec() }))),
        }
    }
}

/// The bytes before the first line break, if there is one.
fn first_line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    bytes.get(..end)
}
