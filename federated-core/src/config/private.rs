use std::num::NonZeroU32;

use super::{ConfigError, SecureConfig, job::at_least_one, raw::RawDifferentialPrivacy};
use crate::{
    aggregate::AggregationRule,
    config::StrategyKind,
    privacy::dp::{
        Accountant, ClipNorm, Delta, Epsilon, NoiseMultiplier, SamplingRate,
        ledger::{Adjacency, PrivacyUnit},
        terms::{Placement, PrivacyTerms, Proposal},
    },
    round::RunPlan,
    strategy::BatchSize,
};

const TABLE: &str = "privacy.dp";

fn at(key: &str) -> String {
    format!("{TABLE}.{key}")
}

/// What else the job says, that noise has to go with.
pub(super) struct Beside<'a> {
    pub plan: &'a RunPlan,
    pub strategy: StrategyKind,
    pub aggregation: AggregationRule,
    pub masked: bool,
    /// Whether metrics are in the masked sum.
    pub metrics: bool,
}

/// Checks the table `[privacy.dp]`, and that the rest of the job goes with it.
pub(super) fn differential_privacy(
    raw: &RawDifferentialPrivacy,
    beside: &Beside<'_>,
) -> Result<PrivacyTerms, ConfigError> {
    let expected = "\"local\", \"central\" or \"distributed\"";
    let placement: Placement = raw
        .placement
        .parse()
        .map_err(|_| ConfigError::text(at("placement"), expected, &raw.placement, ""))?;
    check_unit(raw, placement)?;
    check_beside(placement, beside)?;
    let sampling_rate = raw
        .sampling_rate
        .map_or(Ok(SamplingRate::FULL), |rate| quantity("sampling_rate", SamplingRate::new(rate), rate))?;
    let accountant = match raw.accountant.as_deref() {
        None => Proposal::accountant(placement, sampling_rate),
        Some(name) => name.parse::<Accountant>().map_err(|_| {
            ConfigError::text(
                at("accountant"),
                "\"gaussian\", \"rdp\" or \"pld\"",
                name,
                "leave it out for the closest",
            )
        })?,
    };
    let delta = quantity("delta", Delta::new(raw.delta), raw.delta)?;
    if placement != Placement::Local {
        check_delta(delta, beside.plan)?;
    }
    let proposal = Proposal {
        placement,
        adjacency: adjacency(raw)?,
        clip: quantity("clip", ClipNorm::new(raw.clip), raw.clip)?,
        noise_multiplier: raw.noise_multiplier.map_or_else(
            || NoiseMultiplier::new(1.0).map_err(|error| ConfigError::value(TABLE, "noise", error, "")),
            |noise| quantity("noise_multiplier", NoiseMultiplier::new(noise), noise),
        )?,
        sampling_rate,
        steps: steps(placement, beside.strategy, sampling_rate),
        epsilon: quantity("epsilon", Epsilon::new(raw.epsilon), raw.epsilon)?,
        delta,
        accountant,
    };
    let nonsense = |error| ConfigError::value(TABLE, "privacy that can be kept", error, "");
    proposal.check().map_err(nonsense)?;
    if raw.noise_multiplier.is_some() {
        if let Some(releases) = raw.releases {
            let hint = "the noise is given, so nothing is calibrated; remove one of the two";
            return Err(ConfigError::value(
                at("releases"),
                "nothing beside noise_multiplier",
                releases,
                hint,
            ));
        }
        return proposal.check().map_err(nonsense);
    }
    let releases = releases(raw, beside.plan)?;
    proposal.calibrated(releases).and_then(Proposal::check).map_err(nonsense)
}

fn quantity<T, E: std::fmt::Display>(key: &str, parsed: Result<T, E>, found: f64) -> Result<T, ConfigError> {
    parsed.map_err(|error| {
        let text = error.to_string();
        let expected = text.strip_prefix("expected ").and_then(|text| text.rsplit_once(", found"));
        ConfigError::value(at(key), expected.map_or("another number", |(expected, _)| expected), found, "")
    })
}

/// Each place hides one unit; another one is refused with the place that hides it.
fn check_unit(raw: &RawDifferentialPrivacy, placement: Placement) -> Result<(), ConfigError> {
    let named = match raw.unit.as_deref() {
        None => return Ok(()),
        Some("record") => PrivacyUnit::Record,
        Some("participant") => PrivacyUnit::Participant,
        Some(other) => return Err(ConfigError::text(at("unit"), "\"record\" or \"participant\"", other, "")),
    };
    if named == placement.unit() {
        return Ok(());
    }
    let (expected, hint) = match placement {
        Placement::Local => (
            "\"record\"",
            "noise in each site's steps hides its records; placement = \"central\" hides participants",
        ),
        Placement::Central => (
            "\"participant\"",
            "whole updates cannot be clipped record by record; placement = \"local\" hides records",
        ),
        Placement::Distributed => (
            "\"participant\"",
            "whole updates cannot be clipped record by record; placement = \"local\", with or without secure aggregation, \
             hides records",
        ),
    };
    Err(ConfigError::text(at("unit"), expected, raw.unit.as_deref().unwrap_or_default(), hint))
}

fn adjacency(raw: &RawDifferentialPrivacy) -> Result<Adjacency, ConfigError> {
    match raw.adjacency.as_deref() {
        None | Some("add-remove") => Ok(Adjacency::AddRemove),
        Some("replace-one") => Ok(Adjacency::ReplaceOne),
        Some(other) => {
            Err(ConfigError::text(at("adjacency"), "\"add-remove\" or \"replace-one\"", other, ""))
        }
    }
}

fn check_beside(placement: Placement, beside: &Beside<'_>) -> Result<(), ConfigError> {
    let placed = |expected: &str, hint: &str| {
        Err(ConfigError::text(at("placement"), expected, placement.name(), hint))
    };
    match (placement, beside.masked) {
        (Placement::Central, true) => {
            return placed(
                "\"distributed\" or \"local\" with [privacy.secure_aggregation]",
                "the coordinator cannot clip updates that it cannot read",
            );
        }
        (Placement::Distributed, false) => {
            return placed(
                "\"central\" or \"local\" without [privacy.secure_aggregation]",
                "a share of the noise protects nobody unless the updates are masked; or add that table",
            );
        }
        _ => {}
    }
    if beside.metrics {
        let hint = "metrics have no noise: nothing but updates is released";
        return Err(ConfigError::value(
            "privacy.secure_aggregation.metrics",
            "none with [privacy.dp]",
            "some",
            hint,
        ));
    }
    if placement != Placement::Local {
        if beside.aggregation != AggregationRule::Mean {
            let hint = "noise is calibrated to what one participant can change a sum by; placement = \"local\" goes with any";
            return Err(ConfigError::value(
                "aggregation.kind",
                "\"mean\" with noise on the sum",
                "another",
                hint,
            ));
        }
        return Ok(());
    }
    match beside.strategy {
        StrategyKind::FedAvg(work) if work.batch != BatchSize::All => {
            let hint = "each record is in a step with the chance privacy.dp.sampling_rate; remove it";
            Err(ConfigError::value(
                "strategy.batch_size",
                "nothing with noise in each step",
                "a number",
                hint,
            ))
        }
        _ => Ok(()),
    }
}

/// A delta of one in the number of units allows to publish one of them.
fn check_delta(delta: Delta, plan: &RunPlan) -> Result<(), ConfigError> {
    let cohort = plan.cohort();
    let named = cohort.eligible.as_ref().map_or(0, std::collections::BTreeSet::len);
    let participants = u32::try_from(named).unwrap_or(u32::MAX).max(cohort.min_participants.get());
    if delta.get() < 1.0 / f64::from(participants) {
        return Ok(());
    }
    let expected = format!("below 1 in {participants}, the number of participants");
    Err(ConfigError::value(at("delta"), expected, delta, "such a delta allows to publish one of them"))
}

/// The noisy sums of a round: a pass over the records takes one step for each chance of being in one.
fn steps(placement: Placement, strategy: StrategyKind, rate: SamplingRate) -> NonZeroU32 {
    match (placement, strategy) {
        (Placement::Local, StrategyKind::FedAvg(work)) => {
            let steps = (f64::from(work.epochs.get()) / rate.get()).round().clamp(1.0, f64::from(u32::MAX));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 2^32 - 1")]
            let steps = steps as u32;
            NonZeroU32::new(steps).unwrap_or(NonZeroU32::MIN)
        }
        _ => NonZeroU32::MIN,
    }
}

/// How many attempts at rounds the noise is to pay for.
fn releases(raw: &RawDifferentialPrivacy, plan: &RunPlan) -> Result<NonZeroU32, ConfigError> {
    let Some(releases) = raw.releases else { return Ok(plan.rounds()) };
    let given = at_least_one(&at("releases"), releases)?;
    if given < plan.rounds() {
        let expected = format!("at least rounds ({})", plan.rounds());
        let hint = "each attempt at a round spends, so give a few more for those that fail";
        return Err(ConfigError::value(at("releases"), expected, given, hint));
    }
    Ok(given)
}

/// The same secure aggregation with noise that is shared out, if the terms say so.
pub(super) fn share_out(secure: SecureConfig, terms: &PrivacyTerms) -> Result<SecureConfig, ConfigError> {
    if terms.placement() != Placement::Distributed {
        return Ok(secure);
    }
    let vector = secure.terms.vector();
    #[expect(clippy::cast_possible_truncation, reason = "the clip of a masked value is an f32")]
    let clip = terms.clip().get() as f32;
    let path = "privacy.secure_aggregation.clip";
    if vector.clip().to_bits() != clip.to_bits() {
        let hint = "noise is calibrated to it";
        let expected = format!("{clip}, as privacy.dp.clip");
        return Err(ConfigError::value(path, expected, vector.clip(), hint));
    }
    let nonsense = |error| ConfigError::value(TABLE, "noise that can be shared out", error, "");
    let terms = secure.terms.noised(terms.noise_multiplier()).map_err(nonsense)?;
    Ok(SecureConfig { terms, ..secure })
}

#[cfg(test)]
mod tests {
    use crate::config::JobConfig;

    const SECURE: &str = "[privacy.secure_aggregation]\nclip = 1.0\nmax_examples = 100";

    fn parse(strategy: &str, rest: &str, table: &str) -> Result<JobConfig, String> {
        let job = format!(
            r#"
            name = "heart"
            rounds = 30
            model = {{ initial = "initial.safetensors" }}
            strategy = {{ {strategy}, learning_rate = 0.1 }}
            cohort = {{ min_participants = 4 }}
            {rest}
            [privacy.dp]
            {table}
            "#
        );
        JobConfig::parse(&job).map_err(|error| error.to_string())
    }

    const LOCAL: &str = "placement = \"local\"\nepsilon = 4.0\ndelta = 1e-5\nclip = 1.0";
    const FEDAVG: &str = "kind = \"fedavg\", local_epochs = 2";

    #[test]
    fn noise_is_calibrated_to_the_rounds_unless_it_is_given() {
        let terms = |table: &str| parse(FEDAVG, "", table).unwrap().privacy.unwrap();
        let sampled = terms(&format!("{LOCAL}\nsampling_rate = 0.05"));
        assert_eq!((sampled.steps().get(), sampled.accountant().name()), (40, "pld"));
        assert!((1.9..2.2).contains(&sampled.noise_multiplier().get()), "{sampled:?}");
        let full = terms(LOCAL);
        assert_eq!((full.steps().get(), full.accountant().name()), (2, "gaussian"));
        let spare = terms(&format!("{LOCAL}\nreleases = 60"));
        assert!(spare.noise_multiplier() > full.noise_multiplier());
        let given = terms(&format!("{LOCAL}\nnoise_multiplier = 0.5"));
        assert!((given.noise_multiplier().get() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn noise_that_is_shared_out_is_in_the_masked_vector() {
        let table = LOCAL.replace("local", "distributed");
        let rest = SECURE.replace("max_examples = 100", "max_examples = 1");
        let job = parse(FEDAVG, &rest, &table).unwrap();
        let noise = job.secure.unwrap().terms.vector().noise().unwrap();
        // Of four, three must stay, and one of these may be corrupt.
        assert_eq!(noise.contributors.get(), 3);
        assert_eq!(noise.multiplier, job.privacy.unwrap().noise_multiplier());
        for (rest, expected) in [
            (
                SECURE.to_owned(),
                "expected 1 example at most and no metrics where noise is shared out, found 100",
            ),
            (
                rest.replace("clip = 1.0", "clip = 2.0"),
                "secure_aggregation.clip: expected 1, as privacy.dp.clip, found 2",
            ),
        ] {
            let found = parse(FEDAVG, &rest, &table).unwrap_err();
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_the_reason_and_what_would_do() {
        let central = LOCAL.replace("local", "central");
        let distributed = LOCAL.replace("local", "distributed");
        let with = |table: &str, more: &str| format!("{table}\n{more}");
        for (strategy, rest, table, expected) in [
            (FEDAVG, SECURE, central.clone(), "placement: expected \"distributed\" or \"local\" with"),
            (
                FEDAVG,
                &format!("{SECURE}\nmetrics = {{ loss = 1.0 }}"),
                LOCAL.to_owned(),
                "metrics: expected none",
            ),
            (FEDAVG, "", distributed, "placement: expected \"central\" or \"local\" without"),
            (FEDAVG, "", LOCAL.replace("local", "cloud"), "placement: expected \"local\", \"central\""),
            (FEDAVG, "", with(LOCAL, "unit = \"participant\""), "placement = \"central\" hides participants"),
            (FEDAVG, "", with(&central, "unit = \"record\""), "placement = \"local\" hides records"),
            (
                FEDAVG,
                "",
                with(&central, "sampling_rate = 0.5"),
                "expected a sampling rate of 1 where updates are summed",
            ),
            (
                FEDAVG,
                "aggregation = { kind = \"median\" }",
                central.clone(),
                "expected \"mean\" with noise on the sum",
            ),
            (FEDAVG, "", central.replace("1e-5", "0.3"), "delta: expected below 1 in 4"),
            (
                "kind = \"fedavg\", batch_size = 8",
                "",
                LOCAL.to_owned(),
                "strategy.batch_size: expected nothing with noise",
            ),
            (FEDAVG, "", LOCAL.replace("4.0", "-1.0"), "privacy.dp.epsilon: expected an epsilon"),
            (FEDAVG, "", LOCAL.replace("4.0", "nan"), "privacy.dp.epsilon: expected an epsilon"),
            (FEDAVG, "", with(LOCAL, "releases = 10"), "releases: expected at least rounds (30), found 10"),
            (
                FEDAVG,
                "",
                with(LOCAL, "releases = 40\nnoise_multiplier = 1.0"),
                "expected nothing beside noise_multiplier",
            ),
            (
                FEDAVG,
                "",
                with(LOCAL, "sampling_rate = 0.5\naccountant = \"gaussian\""),
                "privacy that can be kept",
            ),
            (
                FEDAVG,
                "",
                with(LOCAL, "sampling_rate = 0.5\nadjacency = \"replace-one\""),
                "use add-remove, or a rate of 1",
            ),
            (
                FEDAVG,
                "",
                with(LOCAL, "accountant = \"moments\""),
                "expected \"gaussian\", \"rdp\" or \"pld\"",
            ),
        ] {
            let found = parse(strategy, rest, &table).unwrap_err();
            assert!(found.contains(expected), "{table}: {found}");
        }
    }
}
