//! Secure aggregation: `--secure-aggregation`, and `--kill HOSPITAL` in the midst of it.

use std::{
    fs::{self, File},
    io::Write,
    num::NonZeroU32,
    path::Path,
};

use anyhow::{Context, Result, ensure};
use federated_client::signing::make_key;
use federated_proto::v1::{JobState, JobStatus, MemberState};
use tempfile::TempDir;

use crate::hospitals::{experiment::Outcome, hospital::Hospital};

/// By how much the AUC may differ from that in the clear: rounding is all that should make a difference.
pub(crate) const ROUNDING_COSTS: f64 = 0.005;
/// The same when a hospital is missing in one round.
pub(crate) const KILL_COSTS: f64 = 0.01;
/// How many must report: the threshold of four, so that one may be lost.
pub(crate) const QUORUM: u32 = 3;

const KEY: &str = "signing.key";
const ROSTER: &str = "roster";

/// A hospital's side of it, in `participant.toml`: it sends nothing in the clear, and insists on the threshold of four.
const CONFIG: &str = "\n[secure_aggregation]\nrequired = true\nsigning_key = \"signing.key\"\n\
                      pinned_roster = \"roster\"\nmin_cohort = 3\nmin_threshold = 3\n";

/// The job's side of it, for statistics and training.
///
/// A hospital has up to 303 patients. Times the share of 400 that it trains on, the largest number of its statistics is
/// 1.5, of its updates 0.2, and the largest loss 0.5 (ten seeds, both strategies, both splits). A clip of five times that
/// costs nothing: of the modulus' 32 bits the sum of four leaves 30, and a step of 8 / (2^29 - 1) is finer than that of
/// an `f32` near 1.
pub(crate) const JOB_TABLE: &str = "[privacy.secure_aggregation]\nclip = 8.0\nmax_examples = 400\n";
/// The last line of that table where metrics are summed too.
pub(crate) const METRICS: &str = "metrics = { loss = 4.0 }\n";

/// The hospitals' long-lived keys and the roster of all, which the coordinator never delivers.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    folder: TempDir,
    roster: String,
}

impl SigningKeys {
    /// Makes a key for each hospital.
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let line = |hospital: Hospital| {
            Ok(format!("{hospital} {}\n", make_key(&folder.path().join(hospital.name()))?))
        };
        let roster = Hospital::ALL.into_iter().map(line).collect::<Result<_>>()?;
        Ok(Self { folder, roster })
    }

    /// Puts a hospital's key and the roster beside its bundle, and names them in its configuration.
    pub(crate) fn furnish(&self, hospital: Hospital, bundle: &Path) -> Result<()> {
        fs::rename(self.folder.path().join(hospital.name()), bundle.join(KEY)).context("the signing key")?;
        fs::write(bundle.join(ROSTER), &self.roster).context("the pinned roster")?;
        let mut config = File::options().append(true).open(bundle.join("participant.toml"))?;
        config.write_all(CONFIG.as_bytes()).context("the participant's configuration")
    }
}

/// A hospital that is killed (SIGKILL) while its update is masked, and started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kill {
    /// Which.
    pub(crate) hospital: Hospital,
    /// In which round of the training.
    pub(crate) round: NonZeroU32,
}

impl Kill {
    /// Whether it is time: keys are exchanged, and of the masked updates this hospital's alone is missing.
    pub(crate) fn is_due(self, status: &JobStatus) -> bool {
        let mut states = Hospital::ALL.into_iter().map(|hospital| {
            let member = status.cohort.iter().find(|member| member.participant == hospital.name());
            (hospital, member.map(|member| member.state()))
        });
        let awaited =
            |hospital| if hospital == self.hospital { MemberState::Working } else { MemberState::Reported };
        status.state() == JobState::Training
            && status.round == self.round.get()
            && states.all(|(hospital, state)| state == Some(awaited(hospital)))
    }

    /// Checks that the others completed the round at the first attempt, and that the hospital that was started again
    /// said why it is not among them. Gives what happened, in words.
    pub(crate) fn check(self, status: &JobStatus) -> Result<String> {
        let Self { hospital: lost, round } = self;
        let others: Vec<&str> =
            Hospital::ALL.into_iter().filter(|hospital| *hospital != lost).map(Hospital::name).collect();
        let first = status.history.iter().find(|report| report.round == round.get());
        let first = first.with_context(|| format!("there was no round {round}"))?;
        ensure!(
            first.completed && first.contributors == others,
            "round {round}: expected the updates of {others:?} at the first attempt, found {:?}; {}",
            first.contributors,
            first.message
        );
        let reason = "SECAGG_SESSION_LOST";
        let told = status
            .incidents
            .iter()
            .any(|incident| incident.participant == lost.name() && incident.reason == reason);
        ensure!(told, "{lost} was expected to decline with {reason}; found {:?}", status.incidents);
        Ok(format!(
            "round {round}: {lost} was killed while it masked and started again, and declined with {reason}; the round \
             was completed by {}",
            others.join(", ")
        ))
    }
}

/// Holds each seed's AUC against that in the clear: a line for each, and whether all differ by at most `most`.
pub(crate) fn verdict(clear: &[Outcome], secure: &[Outcome], most: f64) -> Result<(String, bool)> {
    let (mut lines, mut holds) = (String::new(), true);
    for (clear, secure) in clear.iter().zip(secure) {
        let auc = |outcome: &Outcome| outcome.federated.auc.context("an AUC needs both labels");
        let (with, without) = (auc(secure)?, auc(clear)?);
        let difference = (with - without).abs();
        holds &= difference <= most;
        lines += &format!(
            "seed {}: AUC {without:.4} in the clear, {with:.4} with secure aggregation, difference {difference:.4} (at \
             most {most})\n",
            secure.seed
        );
    }
    Ok((lines, holds))
}

#[cfg(test)]
mod tests {
    use federated_client::config::ParticipantConfig;
    use federated_proto::v1::{Incident, MemberStatus, RoundReport};

    use super::*;
    use crate::hospitals::json::tests::outcome;

    const KILL: Kill = Kill { hospital: Hospital::Va, round: NonZeroU32::new(2).unwrap() };

    fn status(states: [MemberState; 4]) -> JobStatus {
        let member = |(hospital, state): (Hospital, MemberState)| MemberStatus {
            participant: hospital.name().to_owned(),
            state: state.into(),
            ..MemberStatus::default()
        };
        let cohort = Hospital::ALL.into_iter().zip(states).map(member).collect();
        JobStatus { state: JobState::Training.into(), round: 2, cohort, ..JobStatus::default() }
    }

    #[test]
    fn a_hospital_gets_its_own_key_and_the_roster_of_all() {
        let (keys, bundles) = (SigningKeys::new().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(keys.roster.lines().count(), 4);
        let file = bundles.path().join("participant.toml");
        let text = "name = \"va\"\ncoordinator = \"https://localhost:1\"\n\
                    tls = { ca = \"a\", certificate = \"b\", key = \"c\" }\n";
        fs::write(&file, text).unwrap();
        keys.furnish(Hospital::Va, bundles.path()).unwrap();
        let config = ParticipantConfig::load(&file).unwrap();
        assert!(config.policy.secure_aggregation_only);
        let files = config.secure_aggregation.unwrap();
        assert_eq!((files.min_cohort, files.min_threshold), (3, 3));
        let key = federated_client::signing::load_key(&files.signing_key).unwrap();
        let roster = fs::read_to_string(files.pinned_roster).unwrap();
        assert!(roster.contains(&format!("va {}\n", key.public())), "{roster}");
    }

    #[test]
    fn a_kill_is_due_when_its_update_alone_is_missing() {
        use MemberState::{Absent, Reported, Working};
        assert!(KILL.is_due(&status([Reported, Reported, Reported, Working])));
        assert!(!KILL.is_due(&JobStatus { round: 1, ..status([Reported, Reported, Reported, Working]) }));
        for states in [
            [Working; 4],
            [Reported; 4],
            [Reported, Working, Reported, Working],
            [Reported, Reported, Working, Reported],
            [Reported, Reported, Reported, Absent],
        ] {
            assert!(!KILL.is_due(&status(states)), "{states:?}");
        }
    }

    #[test]
    fn the_others_complete_the_round_at_the_first_attempt_and_the_lost_one_says_why_not() {
        let round = |contributors: &[&str], completed| RoundReport {
            round: 2,
            completed,
            contributors: contributors.iter().map(|name| (*name).to_owned()).collect(),
            ..RoundReport::default()
        };
        let incident = Incident {
            participant: "va".to_owned(),
            reason: "SECAGG_SESSION_LOST".to_owned(),
            ..Incident::default()
        };
        let others = ["cleveland", "hungarian", "switzerland"];
        let good = JobStatus {
            history: vec![round(&others, true)],
            incidents: vec![incident],
            ..JobStatus::default()
        };
        assert!(KILL.check(&good).unwrap().contains("round 2: va was killed"));
        for history in [
            Vec::new(),
            vec![round(&[], false), round(&others, true)],
            vec![round(&Hospital::ALL.map(Hospital::name), true)],
        ] {
            assert!(KILL.check(&JobStatus { history, ..good.clone() }).is_err());
        }
        assert!(KILL.check(&JobStatus { incidents: Vec::new(), ..good }).is_err());
    }

    #[test]
    fn every_seed_is_held_against_the_same_seed_in_the_clear() {
        let run = |aucs: [f64; 2]| {
            let mut outcomes = [outcome(3, 0.5), outcome(4, 0.5)];
            outcomes.iter_mut().zip(aucs).for_each(|(outcome, auc)| outcome.federated.auc = Some(auc));
            outcomes
        };
        let clear = run([0.9, 0.8]);
        let (text, holds) = verdict(&clear, &run([0.9, 0.8041]), ROUNDING_COSTS).unwrap();
        assert!(holds);
        let line = "seed 4: AUC 0.8000 in the clear, 0.8041 with secure aggregation, difference 0.0041 (at most 0.005)";
        assert_eq!(text.lines().nth(1), Some(line));
        assert!(!verdict(&clear, &run([0.894, 0.8]), ROUNDING_COSTS).unwrap().1);
        assert!(!verdict(&clear, &run([0.9, 0.806]), ROUNDING_COSTS).unwrap().1);
        assert!(verdict(&clear, &run([0.894, 0.806]), KILL_COSTS).unwrap().1);
    }
}
