use std::path::{Path, PathBuf};

use federated_core::{
    config::ConfigError as Mistake,
    privacy::dp::{
        Accountant, Delta, Epsilon,
        ledger::{Adjacency, Budget, PrivacyUnit},
    },
};

use super::raw::RawPrivacy;

/// What this site allows to be released from its records: over all jobs, for good.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SiteBudget {
    /// The most that may be spent in all.
    pub epsilon: Epsilon,
    /// The delta it holds with: well below one in the number of records.
    pub delta: Delta,
    /// The folder of the ledger; `privacy` beside the configuration file by default. Not in the state folder, which may be
    /// deleted: without its ledger a site has nothing to refuse with.
    pub folder: PathBuf,
}

impl SiteBudget {
    /// A limit, with its ledger in `folder`.
    #[must_use]
    pub const fn new(epsilon: Epsilon, delta: Delta, folder: PathBuf) -> Self {
        Self { epsilon, delta, folder }
    }

    /// The same as a ledger has it: one record more or less is what must not show. A part of delta is kept back for what noise on
    /// a grid differs from the Gaussian that is counted ([`Delta::counted`]).
    #[must_use]
    pub fn budget(&self) -> Budget {
        Budget {
            unit: PrivacyUnit::Record,
            adjacency: Adjacency::AddRemove,
            epsilon: self.epsilon,
            delta: self.delta.counted(),
            accountant: Accountant::Pld,
        }
    }

    pub(super) fn parse(raw: RawPrivacy, folder: &Path) -> Result<Self, Mistake> {
        let RawPrivacy { epsilon, delta, folder: own, .. } = raw;
        let hint = "it is the limit of all that is ever released from this site's records; 1 to 10 is usual";
        let epsilon = Epsilon::new(epsilon)
            .map_err(|_| Mistake::value("privacy.epsilon", "a finite number above 0", epsilon, hint))?;
        let hint = "it should be well below one in the number of this site's records";
        let delta = Delta::new(delta)
            .map_err(|_| Mistake::value("privacy.delta", "a number above 0 and below 1", delta, hint))?;
        let own = own.unwrap_or_else(|| "privacy".into());
        if own.as_os_str().is_empty() {
            let hint = "leave it out for the folder `privacy` beside this file";
            return Err(Mistake::text("privacy.folder", "the name of a folder", "", hint));
        }
        Ok(Self { epsilon, delta, folder: folder.join(own) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigError, ParticipantConfig};

    fn parse(table: &str) -> Result<ParticipantConfig, ConfigError> {
        let text = format!(
            "name = \"a\"\ncoordinator = \"https://a:1\"\n\
             tls = {{ ca = \"ca.pem\", certificate = \"participant.pem\", key = \"participant.key\" }}\n{table}"
        );
        ParticipantConfig::parse(&text, Path::new("/srv/site/participant.toml"))
    }

    #[test]
    fn a_site_has_a_limit_of_its_own_beside_its_configuration() {
        let config = parse("[privacy]\nepsilon = 8\ndelta = 1e-5").unwrap();
        let privacy = config.privacy.unwrap();
        assert_eq!((privacy.epsilon.get(), privacy.delta.get()), (8.0, 1e-5));
        assert_eq!(privacy.folder, Path::new("/srv/site/privacy"));
        assert!(!config.policy.private_only);
        let config =
            parse("[privacy]\nepsilon = 0.5\ndelta = 1e-6\nrequired = true\nfolder = \"/var/books\"")
                .unwrap();
        assert!(config.policy.private_only);
        assert_eq!(config.privacy.unwrap().folder, Path::new("/var/books"));
        assert_eq!(parse("").unwrap().privacy, None);
    }

    #[test]
    fn each_mistake_names_the_key_and_what_was_expected_and_found() {
        for (table, expected) in [
            ("epsilon = 0\ndelta = 1e-5", "privacy.epsilon: expected a finite number above 0, found 0"),
            ("epsilon = inf\ndelta = 1e-5", "privacy.epsilon: expected a finite number above 0, found inf"),
            ("epsilon = nan\ndelta = 1e-5", "privacy.epsilon: expected a finite number above 0, found NaN"),
            ("epsilon = 1\ndelta = 1", "privacy.delta: expected a number above 0 and below 1, found 1"),
            ("epsilon = 1\ndelta = 1e-5\nfolder = \"\"", "privacy.folder: expected the name of a folder"),
            ("epsilon = 1", "missing field `delta`"),
            ("epsilon = 1\ndelta = 1e-5\nunit = \"record\"", "unknown field `unit`"),
        ] {
            let error = parse(&format!("[privacy]\n{table}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
