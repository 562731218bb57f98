use std::{fmt, time::Duration};

use federated_core::config::ConfigError as Mistake;

/// Where it is written down what happened to every job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalConfig {
    /// In a SQLite file in the state folder.
    #[default]
    State,
    /// In a PostgreSQL database of its own. Several coordinators may share it: one works, the others stand by.
    Postgres {
        /// The database.
        url: PostgresUrl,
        /// How long a coordinator that is gone holds the others up.
        lease: Duration,
    },
}

impl JournalConfig {
    /// How long a coordinator that is gone holds the others up, unless the configuration says otherwise.
    pub const LEASE: Duration = Duration::from_secs(5);

    /// Reads the setting `journal.url`: `postgres://user@host/database`.
    ///
    /// # Errors
    /// [`federated_core::config::ConfigError`] for another address.
    pub fn parse(url: &str, lease: Duration) -> Result<Self, Mistake> {
        let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if !is_postgres {
            let expected = "an address such as \"postgres://user@host/database\"";
            let hint = "leave journal.url out to keep the journal in the state folder, in SQLite";
            return Err(Mistake::text("journal.url", expected, url, hint));
        }
        Ok(Self::Postgres { url: PostgresUrl(url.to_owned()), lease })
    }
}

/// The address of a database, which may hold a password: it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresUrl(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_by_an_address_that_is_not_shown() {
        let journal =
            JournalConfig::parse("postgres://me:secret@db/federated", JournalConfig::LEASE).unwrap();
        assert!(!format!("{journal:?}").contains("secret"));
        for wrong in ["mysql://db/federated", "db", ""] {
            assert!(JournalConfig::parse(wrong, JournalConfig::LEASE).is_err(), "{wrong}");
        }
    }
}
