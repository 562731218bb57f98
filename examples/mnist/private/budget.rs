use std::str::FromStr;

use anyhow::{Context, Error};
use federated_core::privacy::dp::Epsilon;

/// A budget as the command line has it: `epsilon=1.2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Budget {
    /// The most that may be spent.
    pub(crate) epsilon: Epsilon,
}

impl FromStr for Budget {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number = text.strip_prefix("epsilon=").and_then(|number| number.parse().ok());
        let number = number
            .with_context(|| format!("expected epsilon=NUMBER, for instance epsilon=1.2, found {text:?}"))?;
        Ok(Self { epsilon: Epsilon::new(number)? })
    }
}
