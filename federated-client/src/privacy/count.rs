//! How many records a site says that it has: a number with noise, made once and counted as spent.

use std::{fs, io};

use federated_core::{
    ids::ParticipantName,
    privacy::dp::{
        ClipNorm, Epsilon, GridNoise, MechanismStep, NoiseMultiplier, NoiseSeed, SamplingRate,
        ledger::{KeptError, ReserveError},
    },
    time::Timestamp,
    update::ExampleCount,
};

use super::{NoiseError, SiteLedger, SiteLedgerError, folder::LedgerFolder};
use crate::{config::SiteBudget, signing};

/// The least standard deviation of the noise, in records.
const LEAST_NOISE: f64 = 10.0;
/// That noise spends little beside this epsilon; a site with a smaller limit adds more, in proportion.
const AMPLE: f64 = 4.0;

/// The standard deviation of the noise with which a site of this limit says how many records it has: 10, and more where the limit
/// is below an epsilon of 4. As precisions add up, it takes about a hundredth of the limit.
#[must_use]
pub fn count_noise(limit: Epsilon) -> f64 {
    LEAST_NOISE * (AMPLE / limit.get()).max(1.0)
}

/// How many records this site says that it has. The first time, noise ([`count_noise`]) is added to their number, which the site's
/// ledger pays for; afterwards it is what was said then, for as long as the file `count` beside the ledger is
/// kept.
///
/// It is the weight of private updates, and with it a site knows how large a batch is expected to be: the number itself may tell of
/// one record.
///
/// # Errors
/// [`SiteLedgerError`] when the ledger is in use or cannot be written, or the limit does not pay for it.
pub fn public_examples(
    budget: &SiteBudget,
    name: &ParticipantName,
    records: u64,
    now: Timestamp,
) -> Result<ExampleCount, SiteLedgerError> {
    let folder = LedgerFolder::at(&budget.folder);
    // Opened first, so that no other process says something else meanwhile.
    let mut ledger = SiteLedger::open(budget, name, now)?;
    let path = folder.root.join("count");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let said = text.trim().parse().ok().and_then(|count| ExampleCount::new(count).ok());
            return said.ok_or(SiteLedgerError::Count { path });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(SiteLedgerError::read(&path)(error)),
    }
    let failed = || SiteLedgerError::kept(&folder.ledger);
    let multiplier = NoiseMultiplier::new(count_noise(budget.epsilon)).map_err(NoiseError::from)?;
    let step = MechanismStep {
        noise_multiplier: multiplier,
        sampling_rate: SamplingRate::FULL,
        rounds: std::num::NonZeroU32::MIN,
    };
    // With the noise: a limit that was changed after a crash asks for another.
    let release = format!("number of records (noise {multiplier})");
    ledger.plan(&release, &step.into(), now).map_err(failed())?;
    let granted = match ledger.reserve(&release, "once", now) {
        Ok(granted) => granted,
        Err(ReserveError::OverBudget(error)) => return Err(SiteLedgerError::OverBudget(error)),
        Err(ReserveError::Kept(error)) => return Err(failed()(error)),
        Err(_) => return Err(failed()(KeptError::EndUnknown)),
    };
    let one = ClipNorm::new(1.0).map_err(NoiseError::from)?;
    let grid = GridNoise::new(multiplier, one, 1).map_err(NoiseError::from)?;
    let seed = NoiseSeed::new(signing::random()?);
    #[expect(clippy::cast_precision_loss, reason = "far fewer records than 2^52")]
    let mut count = [records as f64];
    grid.add_f64(&mut count, &mut seed.keystream(0)).map_err(NoiseError::from)?;
    let said = rounded(count[0]);
    folder.keep(&path, &u64::from(said).to_string())?;
    ledger.commit(granted, now).map_err(failed())?;
    Ok(said)
}

/// The nearest number that an update can weigh: 1 at least.
fn rounded(count: f64) -> ExampleCount {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 2^32 - 1")]
    let whole = count.round().clamp(1.0, f64::from(u32::MAX)) as u64;
    ExampleCount::new(whole).unwrap_or(ExampleCount::ONE)
}

#[cfg(test)]
mod tests {
    use federated_core::privacy::dp::Delta;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn budget(folder: &std::path::Path, epsilon: f64) -> SiteBudget {
        SiteBudget::new(Epsilon::new(epsilon).unwrap(), Delta::new(1e-5).unwrap(), folder.join("privacy"))
    }

    /// Noise of 10 is within 80 but for one time in 10^15.
    #[test]
    fn a_site_says_once_how_many_records_it_has_and_its_ledger_pays_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let (budget, name) = (budget(folder.path(), 4.0), "a".parse().unwrap());
        let first = public_examples(&budget, &name, 1_000, NOW).unwrap();
        assert!((920..=1_080).contains(&first.get()), "{first:?}");
        for records in [1_000, 5_000] {
            assert_eq!(public_examples(&budget, &name, records, NOW).unwrap(), first, "it is said once");
        }
        let ledger = SiteLedger::open(&budget, &name, NOW).unwrap();
        assert_eq!((ledger.ledger().reserved(), ledger.ledger().committed()), (1, 1));
        let spent = ledger.ledger().spent().unwrap().epsilon;
        assert!((0.2..0.5).contains(&spent), "{spent}");
    }

    #[test]
    fn a_limit_that_does_not_pay_for_it_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let name = "a".parse().unwrap();
        let mut ledger = SiteLedger::open(&budget(folder.path(), 4.0), &name, NOW).unwrap();
        let noise_multiplier = NoiseMultiplier::new(10.0).unwrap();
        let sampling_rate = SamplingRate::FULL;
        let step = MechanismStep { noise_multiplier, sampling_rate, rounds: std::num::NonZeroU32::MIN };
        ledger.plan("before", &step.into(), NOW).unwrap();
        drop(ledger.reserve("before", "once", NOW).unwrap());
        drop(ledger);
        let refused = public_examples(&budget(folder.path(), 0.2), &name, 1_000, NOW);
        assert!(matches!(refused, Err(SiteLedgerError::OverBudget(_))), "{refused:?}");
        assert!(!folder.path().join("privacy/count").exists());
    }

    #[test]
    fn a_small_limit_pays_for_a_rough_number() {
        let folder = tempfile::tempdir().unwrap();
        let (budget, name) = (budget(folder.path(), 0.5), "a".parse().unwrap());
        assert!((count_noise(budget.epsilon) - 80.0).abs() < 1e-9);
        public_examples(&budget, &name, 1_000, NOW).unwrap();
        let spent = SiteLedger::open(&budget, &name, NOW).unwrap().ledger().spent().unwrap().epsilon;
        assert!(spent < 0.1, "{spent}");
    }

    #[test]
    fn what_is_said_is_a_weight() {
        assert_eq!(rounded(-7.2), ExampleCount::ONE);
        assert_eq!(rounded(12.5).get(), 13);
        assert_eq!(u64::from(rounded(1e300)), ExampleCount::MAX);
    }
}
