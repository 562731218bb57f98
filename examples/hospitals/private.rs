//! Differential privacy: `--dp epsilon=4`. Each hospital adds noise to its own steps, and no hospital lets more of a patient be told
//! than the budget.

use std::{
    fmt,
    fs::{self, File},
    io::Write,
    num::NonZeroU32,
    path::Path,
    str::FromStr,
    time::SystemTime,
};

use anyhow::{Context, Result, bail, ensure};
use federated_client::privacy::{LedgerCopy, count_noise};
use federated_core::{
    ids::JobName,
    privacy::{
        dp::{
            Accountant, Delta, Epsilon, NoiseMultiplier, SamplingRate, Target, least_noise,
            ledger::Ledger,
            report::{Page, PrivacyReport},
        },
        secagg::VerifyingPublic,
    },
};
use federated_server::{
    backup::jobs, config::CoordinatorConfig, identity::load_signing_key, store::JobLedger,
};

use crate::hospitals::hospital::Hospital;

/// Where a hospital's ledger lies, beside its bundle.
const FOLDER: &str = "privacy";
/// The part of the budget that the training may spend. The rest pays for the number of patients and the moments of the columns: as
/// standard deviations of noise add up, a tenth of epsilon is worth about a fifth of what there is.
const TRAINING: f64 = 0.9;
/// Of what that leaves, in squares of `1 / noise multiplier`, the part that the moments may spend. The rest is for rounding: the
/// accountant of a hospital's books counts a little more than the one that calibrates.
const STATISTICS: f64 = 0.9;
/// With more noise than this the moments say nothing.
const MOST_NOISE: f64 = 50.0;
/// What a patient's gradient is clipped to: about the median length at the start, for inputs of deviation 1 and 20 weights.
const CLIP: f64 = 1.0;
/// Of a hospital's patients the share that it trains on.
pub(crate) const TRAIN_SHARE: f64 = 2.0 / 3.0;

/// What the hospitals allow to be told of a patient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Budget {
    epsilon: Epsilon,
    delta: Delta,
    /// Instead of the least that pays for all rounds.
    noise: Option<NoiseMultiplier>,
}

impl FromStr for Budget {
    type Err = anyhow::Error;

    /// `epsilon=4`, with `delta=1e-5` and `noise=1.1` behind commas if wanted.
    fn from_str(text: &str) -> Result<Self> {
        let (mut epsilon, mut delta, mut noise) = (None, Delta::new(1e-5)?, None);
        for part in text.split(',') {
            let expected =
                || format!("expected epsilon=NUMBER[,delta=NUMBER][,noise=NUMBER], found `{text}`");
            let (key, value) = part.split_once('=').with_context(expected)?;
            let number: f64 = value.parse().with_context(expected)?;
            match key {
                "epsilon" => epsilon = Some(Epsilon::new(number)?),
                "delta" => delta = Delta::new(number)?,
                "noise" => noise = Some(NoiseMultiplier::new(number)?),
                _ => bail!(expected()),
            }
        }
        let epsilon = epsilon.with_context(|| format!("expected epsilon=NUMBER, found `{text}`"))?;
        Ok(Self { epsilon, delta, noise })
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epsilon {} at delta {}", self.epsilon, self.delta)
    }
}

impl Budget {
    /// What the training job says.
    pub(crate) fn training_table(&self) -> String {
        let (epsilon, delta) = (self.epsilon.get() * TRAINING, self.delta.get());
        let noise =
            self.noise.map_or_else(String::new, |noise| format!("noise_multiplier = {:?}\n", noise.get()));
        format!(
            "[privacy.dp]\nplacement = \"local\"\nepsilon = {epsilon:?}\ndelta = {delta:?}\nclip = {CLIP:?}\n{noise}"
        )
    }

    /// What the job of the moments says; nothing when the budget leaves too little for them.
    pub(crate) fn statistics_table(&self) -> Result<Option<String>> {
        let precision = |epsilon: f64| -> Result<f64> {
            let target = Target { epsilon: Epsilon::new(epsilon)?, delta: self.delta };
            let noise = least_noise(Accountant::Gaussian, target, SamplingRate::FULL, NonZeroU32::MIN)?;
            Ok(noise.get().powi(-2))
        };
        let (all, training) = (precision(self.epsilon.get())?, precision(self.epsilon.get() * TRAINING)?);
        let noise = (STATISTICS * (all - training) - count_noise(self.epsilon).powi(-2)).max(0.0).powf(-0.5);
        if noise > MOST_NOISE {
            return Ok(None);
        }
        let Self { epsilon, delta, .. } = self;
        Ok(Some(format!(
            "[privacy.dp]\nplacement = \"local\"\nepsilon = {:?}\ndelta = {:?}\nclip = 1.0\nnoise_multiplier = {noise:?}\n",
            epsilon.get(),
            delta.get()
        )))
    }

    /// What a hospital's `participant.toml` says: a limit of its own for all that so many repetitions release, and nothing
    /// without noise.
    pub(crate) fn furnish(&self, bundle: &Path, repetitions: usize) -> Result<()> {
        let epsilon = self.epsilon.get() * repetitions as f64;
        let delta = self.delta.get() * repetitions as f64;
        let table = format!("\n[privacy]\nepsilon = {epsilon:?}\ndelta = {delta:?}\nrequired = true\n");
        let mut config = File::options().append(true).open(bundle.join("participant.toml"))?;
        config.write_all(table.as_bytes()).context("the participant's configuration")
    }
}

/// The books of a federation: the ledger of the job at the coordinator, and each hospital's own, which lie in its folder.
#[derive(Debug)]
pub(crate) struct Books<'a> {
    /// Where copies go.
    to: Option<&'a Path>,
}

impl<'a> Books<'a> {
    /// Checks all ledgers, gives the report of each job and what each hospital's ledger holds; copies go to `to`, each ledger with
    /// the key that checks it, and each report for programs and as a page.
    pub(crate) async fn of(federation: &Path, seed: Option<u64>, to: Option<&'a Path>) -> Result<String> {
        let books = Self { to };
        let coordinator = federation.join("coordinator");
        let seed = seed.context("there is a seed")?;
        let key = load_signing_key(&coordinator.join("signing.key"))?.public();
        let jobs = jobs(&CoordinatorConfig::in_dir(&coordinator)?).await?;
        let mut text = String::new();
        for kind in ["statistics", "training"] {
            let name: JobName = format!("{kind}-{seed}").parse()?;
            // A budget may leave nothing for statistics.
            let Some(job) = jobs.iter().find(|job| *job.name() == name) else { continue };
            let ledger = books.ledger(kind, &JobLedger::path(&coordinator.join("state"), &name), &key)?;
            let facts = job.privacy_facts().context("each job has a privacy budget")?;
            let report = PrivacyReport::of_job(facts, &ledger, &key, SystemTime::now().into())?;
            let json = serde_json::to_string_pretty(&report)? + "\n";
            books.keep(&format!("{kind}-report.json"), json.as_bytes())?;
            books.keep(&format!("{kind}-report.html"), Page(&report).to_string().as_bytes())?;
            text += &format!("\n{report}");
        }
        text += "\nthe hospitals' own books\n";
        for hospital in Hospital::ALL {
            let copy = LedgerCopy::of_folder(&federation.join(hospital.name()).join(FOLDER))?;
            text += &line(hospital.name(), &books.ledger(hospital.name(), copy.path(), &copy.key())?)?;
        }
        Ok(text)
    }

    /// Checks a ledger and keeps a copy of it, with its key.
    fn ledger(&self, name: &str, path: &Path, key: &VerifyingPublic) -> Result<Ledger> {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let ledger = Ledger::verify(&bytes, key).with_context(|| path.display().to_string())?;
        self.keep(&format!("{name}.jsonl"), &bytes)?;
        self.keep(&format!("{name}.key"), format!("{key}\n").as_bytes())?;
        Ok(ledger)
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let Some(to) = self.to else { return Ok(()) };
        fs::create_dir_all(to).with_context(|| to.display().to_string())?;
        let file = to.join(name);
        ensure!(!file.exists(), "{}: expected nothing, found a file; choose another folder", file.display());
        fs::write(&file, bytes).with_context(|| file.display().to_string())
    }
}

/// What a ledger holds, in a line.
fn line(whose: &str, ledger: &Ledger) -> Result<String> {
    let (budget, spent) = (ledger.budget(), ledger.spent()?);
    Ok(format!(
        "{whose:<12} spent epsilon {:.3} of {} at delta {}, counted by {}; {} released, {} refused\n",
        spent.epsilon,
        budget.epsilon,
        budget.delta,
        budget.accountant,
        ledger.reserved(),
        ledger.refused()
    ))
}

#[cfg(test)]
mod tests {
    use federated_core::privacy::dp::{Composition, MechanismStep};

    use super::*;

    #[test]
    fn a_budget_is_read_as_it_is_written_on_the_command_line() {
        let budget: Budget = "epsilon=4".parse().unwrap();
        assert_eq!(budget.to_string(), "epsilon 4 at delta 0.00001");
        assert!(budget.training_table().contains("epsilon = 3.6\ndelta = 1e-5\nclip = 1.0\n"));
        let budget: Budget = "epsilon=1,delta=1e-6,noise=2.5".parse().unwrap();
        assert!(budget.training_table().contains("delta = 1e-6\nclip = 1.0\nnoise_multiplier = 2.5\n"));
        for wrong in [
            "4",
            "epsilon",
            "delta=1e-5",
            "epsilon=0",
            "epsilon=4,sigma=2",
            "epsilon=nan",
            "epsilon=4,delta=2",
        ] {
            assert!(wrong.parse::<Budget>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_the_training_leaves_pays_for_the_moments() {
        let table = |text: &str| text.parse::<Budget>().unwrap().statistics_table().unwrap();
        assert_eq!(table("epsilon=0.05"), None);
        for epsilon in [0.5, 2.0, 4.0, 8.0] {
            let text = table(&format!("epsilon={epsilon}")).unwrap();
            let noise: f64 = text.trim().rsplit(' ').next().unwrap().parse().unwrap();
            assert!((1.0..MOST_NOISE).contains(&noise), "{text}");
            // All of it, as a hospital's books count.
            let target = |epsilon| Target {
                epsilon: Epsilon::new(epsilon).unwrap(),
                delta: Delta::new(1e-5).unwrap(),
            };
            let training = least_noise(
                Accountant::Gaussian,
                target(TRAINING * epsilon),
                SamplingRate::FULL,
                NonZeroU32::MIN,
            );
            let step = |noise| MechanismStep {
                noise_multiplier: noise,
                sampling_rate: SamplingRate::FULL,
                rounds: NonZeroU32::MIN,
            };
            let number = count_noise(Epsilon::new(epsilon).unwrap());
            let [noise, number] = [noise, number].map(|noise| step(NoiseMultiplier::new(noise).unwrap()));
            let all = Composition::from_iter([noise, number, step(training.unwrap())]);
            let spent = Accountant::Pld.epsilon(&all, Delta::new(1e-5).unwrap()).unwrap().epsilon;
            assert!(spent <= epsilon && spent > 0.97 * epsilon, "{spent} of {epsilon}");
        }
    }

    #[test]
    fn a_hospital_gets_a_limit_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("participant.toml");
        let text = "name = \"va\"\ncoordinator = \"https://localhost:1\"\n\
                    tls = { ca = \"a\", certificate = \"b\", key = \"c\" }\n";
        fs::write(&file, text).unwrap();
        "epsilon=4".parse::<Budget>().unwrap().furnish(folder.path(), 1).unwrap();
        let config = federated_client::config::ParticipantConfig::load(&file).unwrap();
        assert!(config.policy.private_only);
        let privacy = config.privacy.unwrap();
        assert!((privacy.epsilon.get() - 4.0).abs() < 1e-12);
        assert_eq!(privacy.folder, folder.path().join(FOLDER));
    }
}
