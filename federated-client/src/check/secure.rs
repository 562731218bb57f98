use federated_core::privacy::secagg::{Fraction, Parameters, PinnedRoster};

use super::{Finding, files::key_file};
use crate::{
    config::{ParticipantConfig, SecureFiles},
    signing::{SigningError, check_own, load_key, load_roster},
};

const KEY: &str = "secure_aggregation.signing_key";
const ROSTER: &str = "secure_aggregation.pinned_roster";
const COHORT: &str = "secure_aggregation.min_cohort";
const THRESHOLD: &str = "secure_aggregation.min_threshold";
/// The share of corrupt participants in a job that says none: a third.
const DEFAULT_MILLIONTHS: u32 = 333_333;

/// Key, roster and floors. The roster is looked at also when the key cannot be read.
pub(super) fn check(config: &ParticipantConfig) -> Vec<Finding> {
    let Some(files) = &config.secure_aggregation else {
        let detail = "not configured: jobs with secure aggregation are declined";
        return vec![Finding::ok("secure_aggregation", detail)];
    };
    let key = load_key(&files.signing_key);
    let mut findings = vec![match &key {
        Ok(_) => key_file(KEY, &files.signing_key),
        Err(error) => Finding::error(KEY, error),
    }];
    match load_roster(&files.pinned_roster) {
        Err(error) => findings.push(Finding::error(ROSTER, &error)),
        Ok(roster) => {
            let own = key.ok().map(|key| check_own(files, &roster, &config.name, &key.public()));
            findings.push(own_entry(files, &roster, own));
            findings.extend([min_cohort(files, &roster), min_threshold(files, &roster)]);
        }
    }
    findings
}

fn own_entry(files: &SecureFiles, roster: &PinnedRoster, own: Option<Result<(), SigningError>>) -> Finding {
    let members = format!("{}: {} participants", files.pinned_roster.display(), roster.len());
    match own {
        Some(Ok(())) => Finding::ok(ROSTER, format!("{members}, this one with its own key")),
        Some(Err(error)) => Finding::error(ROSTER, &error),
        None => {
            let detail = format!("{members}; whether this one is among them with its own key was not tried");
            Finding::warning(ROSTER, detail, "solve the problem with the signing key first")
        }
    }
}

/// Nobody outside of the roster is taken part with.
fn min_cohort(files: &SecureFiles, roster: &PinnedRoster) -> Finding {
    let (least, members) = (files.min_cohort, roster.len());
    if u64::from(least) > members as u64 {
        let detail =
            format!("expected at most the {members} participants of the roster, found {least}: none will do");
        return Finding::problem(COHORT, detail, "lower it, or complete the roster");
    }
    Finding::ok(COHORT, format!("sums of fewer than {least} of the {members} are refused"))
}

fn min_threshold(files: &SecureFiles, roster: &PinnedRoster) -> Finding {
    let (least, members) = (files.min_threshold, roster.len());
    if usize::from(least) > members {
        let detail =
            format!("expected at most the {members} participants of the roster, found {least}: none will do");
        return Finding::problem(THRESHOLD, detail, "lower it, or complete the roster");
    }
    match usual_threshold(members) {
        Some(usual) if usual < least => {
            let detail = format!(
                "{least}, but of all {members} in the roster only {usual} need to join forces where a job assumes that a \
                 third is corrupt, as it does by default: such jobs are declined"
            );
            let remedy = "lower it, or agree with the operator on a larger gamma";
            Finding::warning(THRESHOLD, detail, remedy)
        }
        _ => Finding::ok(THRESHOLD, format!("at least {least} must join forces to unmask an update")),
    }
}

/// The threshold of a job with the default gamma in which the whole roster takes part.
fn usual_threshold(members: usize) -> Option<u8> {
    let gamma = Fraction::from_millionths(DEFAULT_MILLIONTHS).ok()?;
    let parameters = Parameters::new(u32::try_from(members).ok()?, gamma, Fraction::ZERO);
    parameters.ok().map(|parameters| parameters.threshold())
}
