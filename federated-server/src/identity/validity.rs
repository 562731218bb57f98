use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

use super::IdentityError;

/// How far before now a new certificate becomes valid, so that a peer whose clock is slow accepts it.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
const DAY: u64 = 24 * 60 * 60;
/// The last second of the year 9999, where the dates of X.509 end.
const LAST_SECOND: u64 = 253_402_300_799;

/// From when until when a certificate is valid, in whole seconds between the years 1970 and 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    not_before: SystemTime,
    not_after: SystemTime,
}

impl Validity {
    /// Ten years, for certificate authorities, in days.
    pub const AUTHORITY_DAYS: u32 = 3650;
    /// One year, for servers, participants and operators, in days.
    pub const LEAF_DAYS: u32 = 365;

    /// From `not_before` to `not_after`; fractions of a second are cut off.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Validity`] if the end is not after the start, or one of them is before 1970 or after 9999.
    pub fn new(not_before: SystemTime, not_after: SystemTime) -> Result<Self, IdentityError> {
        let (start, end) = (seconds(not_before)?, seconds(not_after)?);
        if start >= end {
            return Err(IdentityError::Validity);
        }
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        Ok(Self { not_before: at(start), not_after: at(end) })
    }

    /// `days` days from `now`, starting five minutes earlier to allow for clocks that differ.
    ///
    /// # Errors
    ///
    /// [`IdentityError::Validity`] as for [`Validity::new`].
    pub fn days(now: SystemTime, days: u32) -> Result<Self, IdentityError> {
        let end = now.checked_add(Duration::from_secs(u64::from(days) * DAY));
        let start = now.checked_sub(CLOCK_SKEW);
        match (start, end) {
            (Some(start), Some(end)) if days > 0 => Self::new(start, end),
            _ => Err(IdentityError::Validity),
        }
    }

    /// The first second at which the certificate is valid.
    #[must_use]
    pub const fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// The last second at which the certificate is valid.
    #[must_use]
    pub const fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Start and end in the type that certificates are made from.
    pub(super) fn to_offset_date_times(self) -> Result<(OffsetDateTime, OffsetDateTime), IdentityError> {
        let convert = |moment| {
            i64::try_from(seconds(moment)?)
                .ok()
                .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
                .ok_or(IdentityError::Validity)
        };
        Ok((convert(self.not_before)?, convert(self.not_after)?))
    }
}

fn seconds(moment: SystemTime) -> Result<u64, IdentityError> {
    match moment.duration_since(UNIX_EPOCH) {
        Ok(since) if since.as_secs() <= LAST_SECOND => Ok(since.as_secs()),
        _ => Err(IdentityError::Validity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validity_starts_a_little_early_and_is_never_empty() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let validity = Validity::days(now, 2).unwrap();
        assert_eq!(validity.not_before(), now - CLOCK_SKEW);
        assert_eq!(validity.not_after(), now + Duration::from_secs(2 * DAY));
        assert!(Validity::days(now, 0).is_err());
        assert!(Validity::days(now, u32::MAX).is_err());
        assert!(Validity::new(now, now).is_err());
        assert!(Validity::days(UNIX_EPOCH, 1).is_err());
    }
}
