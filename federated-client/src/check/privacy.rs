use super::Finding;
use crate::{
    config::{ParticipantConfig, SiteBudget},
    privacy::{LedgerCopy, SiteLedgerError},
};

const NAME: &str = "privacy";
/// A larger part of the limit that is spent is worth a warning.
const NEARLY: f64 = 0.9;

/// The site's ledger against its limit; nothing where none is configured. Counting takes a second at the most, so it is away
/// from the threads that serve the network.
pub(super) async fn check(config: &ParticipantConfig) -> Option<Finding> {
    let budget = config.privacy.clone()?;
    let checked = tokio::task::spawn_blocking(move || ledger(&budget)).await;
    Some(checked.unwrap_or_else(|error| Finding::error(NAME, &error)))
}

fn ledger(config: &SiteBudget) -> Finding {
    let SiteBudget { epsilon, delta, .. } = config;
    let spent = match LedgerCopy::of_folder(&config.folder) {
        Ok(copy) => copy.ledger().spent(),
        Err(SiteLedgerError::Absent { folder }) => {
            let limit = format!("the limit is epsilon {epsilon} with delta {delta}");
            return Finding::ok(
                NAME,
                format!("{limit}; a ledger is made in {} at the start", folder.display()),
            );
        }
        Err(error) => return Finding::error(NAME, &error),
    };
    match spent {
        Ok(spent) => {
            let detail = format!("{:.3} of epsilon {epsilon} with delta {delta} is spent", spent.epsilon);
            if spent.epsilon < NEARLY * epsilon.get() {
                return Finding::ok(NAME, detail);
            }
            let remedy = "raise `privacy.epsilon` if the site agrees; jobs that need more are declined";
            Finding::warning(NAME, detail, remedy)
        }
        Err(error) => Finding::error(NAME, &error),
    }
}

#[cfg(test)]
mod tests {
    use federated_core::{
        privacy::dp::{Composition, Delta, Epsilon, MechanismStep, NoiseMultiplier, SamplingRate},
        time::Timestamp,
    };

    use super::*;
    use crate::{check::Verdict, privacy::SiteLedger};

    const NOW: Timestamp = Timestamp::from_millis(0);

    #[test]
    fn the_ledger_is_looked_at_and_a_limit_that_is_near_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let limit = |epsilon| {
            let (epsilon, delta) = (Epsilon::new(epsilon).unwrap(), Delta::new(1e-5).unwrap());
            SiteBudget::new(epsilon, delta, folder.path().join("privacy"))
        };
        let none = ledger(&limit(1.0));
        assert_eq!(none.verdict, Verdict::Ok);
        assert!(none.detail.contains("a ledger is made in"), "{none:?}");
        let mut site = SiteLedger::open(&limit(1.0), &"a".parse().unwrap(), NOW).unwrap();
        let step = MechanismStep {
            noise_multiplier: NoiseMultiplier::new(5.0).unwrap(),
            sampling_rate: SamplingRate::FULL,
            rounds: 1.try_into().unwrap(),
        };
        site.plan("heart", &Composition::from(step), NOW).unwrap();
        let _granted = site.reserve("heart", "1", NOW).unwrap();
        assert_eq!(ledger(&limit(8.0)).verdict, Verdict::Ok, "also while it is open");
        let near = ledger(&limit(0.75));
        assert_eq!(near.verdict, Verdict::Warning, "{near:?}");
        assert!(near.detail.starts_with("0.7"), "{near:?}");
        std::fs::remove_file(folder.path().join("privacy/ledger.jsonl")).unwrap();
        let gone = ledger(&limit(8.0));
        assert_eq!(gone.verdict, Verdict::Problem);
        assert_eq!(gone.remedy.as_deref(), Some("restore it from a backup"));
    }
}
