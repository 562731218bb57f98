//! How two minor versions of `federated.v1` meet.
//!
//! The major version is the package's name. Within it, peers agree on the highest minor version that both speak. A
//! minor version only adds: unknown fields and unknown kinds of directives are skipped.

use crate::{WireError, v1};

/// Lowest minor version spoken here.
pub const MINOR_MIN: u32 = 0;
/// Highest minor version spoken here.
pub const MINOR_MAX: u32 = 3;
/// The lowest minor version in which a task may ask for an encoded update.
pub const MINOR_ENCODINGS: u32 = 1;
/// The lowest minor version in which a task may ask for a masked update.
pub const MINOR_SECURE_AGGREGATION: u32 = 2;
/// The lowest minor version in which a task may ask for differential privacy.
pub const MINOR_PRIVACY: u32 = 3;

/// The highest minor version that both sides speak.
///
/// # Errors
/// [`WireError::Version`] when there is none, [`WireError::Range`] when the peer's range is empty.
pub fn negotiate(request: &v1::NegotiateRequest) -> Result<u32, WireError> {
    let (theirs_min, theirs_max) = (request.minor_min, request.minor_max);
    if theirs_min > theirs_max {
        let (expected, found) = (format!("at most {theirs_max}"), theirs_min.to_string());
        return Err(WireError::Range { field: "minor_min", expected, found });
    }
    let (ours_min, ours_max) = (MINOR_MIN, MINOR_MAX);
    if theirs_max < ours_min || theirs_min > ours_max {
        return Err(WireError::Version { ours_min, ours_max, theirs_min, theirs_max });
    }
    Ok(theirs_max.min(ours_max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_is_chosen() {
        let request =
            |minor_min, minor_max| v1::NegotiateRequest { minor_min, minor_max, software: String::new() };
        assert_eq!(negotiate(&request(0, 7)), Ok(MINOR_MAX), "a newer peer that still speaks ours");
        assert_eq!(negotiate(&request(0, 0)), Ok(0), "an older peer");
        assert!(matches!(negotiate(&request(MINOR_MAX + 1, 7)), Err(WireError::Version { .. })));
        assert!(matches!(negotiate(&request(4, 3)), Err(WireError::Range { .. })));
    }
}
