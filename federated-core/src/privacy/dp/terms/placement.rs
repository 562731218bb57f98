use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::TermsError;
use crate::privacy::dp::ledger::PrivacyUnit;

/// Where noise is added, and with it who sees what without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "whoever adds noise must know of every place")]
pub enum Placement {
    /// At each site, in each gradient step (DP-SGD): nothing without noise leaves it. Hides a record.
    Local,
    /// At the coordinator, to the sum of clipped updates (DP-FedAvg): it sees the updates themselves. Hides a participant.
    Central,
    /// A share of it at each site, inside secure aggregation: nobody sees anything without noise, and there is no more of it
    /// than at the coordinator. Hides a participant.
    Distributed,
}

impl Placement {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Local, Self::Central, Self::Distributed];

    /// The name, as job files and reports have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Central => "central",
            Self::Distributed => "distributed",
        }
    }

    /// Whose presence noise at this place hides.
    #[must_use]
    pub const fn unit(self) -> PrivacyUnit {
        match self {
            Self::Local => PrivacyUnit::Record,
            Self::Central | Self::Distributed => PrivacyUnit::Participant,
        }
    }

    /// Who sees what has no noise.
    #[must_use]
    pub const fn who_sees(self) -> &'static str {
        match self {
            Self::Local => "each site sees its own records; what leaves it has noise",
            Self::Central => "the coordinator sees each participant's clipped update; models have noise",
            Self::Distributed => "nobody sees an update; the coordinator sees sums that have noise",
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Placement {
    type Err = TermsError;

    fn from_str(text: &str) -> Result<Self, TermsError> {
        let named = Self::ALL.into_iter().find(|place| place.name() == text);
        named.ok_or_else(|| TermsError::Placement { found: text.to_owned() })
    }
}
