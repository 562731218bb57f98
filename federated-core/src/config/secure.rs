use std::num::NonZeroU32;

use super::{ConfigError, job::at_least_one, raw::RawSecureAggregation};
use crate::{
    aggregate::AggregationRule,
    compression::Encoding,
    ids::ParticipantName,
    privacy::secagg::{
        Fraction, Grouping, Modulus, PinnedRoster, Terms, TermsError, VectorPlan, VerifyingPublic,
    },
    round::RunPlan,
    update::ExampleCount,
};

/// The most participants when the job file neither names them nor says how many: as many as can hold each other's shares.
const MOST_PARTICIPANTS: u32 = 255;
/// The fewest with whom a sum hides anything.
const FEWEST_PARTICIPANTS: u32 = 3;
/// The fewest groups of which one can be outvoted.
const FEWEST_GROUPS: u32 = 3;

/// How a job's updates are aggregated securely.
#[derive(Clone, Debug, PartialEq)]
pub struct SecureConfig {
    /// What everyone agrees on.
    pub terms: Terms,
    /// In how many groups a cohort is summed.
    pub grouping: Grouping,
    /// The participants' long-lived keys, if the job file has them.
    pub roster: Option<PinnedRoster>,
}

const TABLE: &str = "privacy.secure_aggregation";

fn at(key: &str) -> String {
    format!("{TABLE}.{key}")
}

/// Checks the table `[privacy.secure_aggregation]`, and that the rest of the job goes with it.
pub(super) fn secure_aggregation(
    raw: RawSecureAggregation,
    plan: &RunPlan,
    aggregation: AggregationRule,
    compression: Encoding,
) -> Result<SecureConfig, ConfigError> {
    if !raw.required {
        let hint = "beside masked updates one in the clear would be seen; remove the table to aggregate in the clear";
        return Err(ConfigError::value(at("required"), "true", false, hint));
    }
    if !compression.is_plain() {
        let hint = "a masked vector cannot be compressed; a smaller modulus_bits makes it shorter";
        return Err(ConfigError::value("compression", "none with secure aggregation", compression, hint));
    }
    let grouping = grouping(&raw, aggregation)?;
    let cohort = plan.cohort();
    let named = cohort.eligible.as_ref().map(|names| u32::try_from(names.len()).unwrap_or(u32::MAX));
    let groups = grouping.groups();
    let max_cohort = raw.max_participants.or(named).unwrap_or(MOST_PARTICIPANTS).div_ceil(groups.get());
    let begins = usize::try_from(cohort.min_participants.get()).unwrap_or(usize::MAX);
    let selected = u32::try_from(cohort.selected(begins)).unwrap_or(u32::MAX);
    let min_cohort = if grouping == Grouping::WHOLE {
        cohort.quorum.get().max(FEWEST_PARTICIPANTS).min(max_cohort)
    } else {
        min_group(&raw, groups, selected)?
    };
    if selected < FEWEST_PARTICIPANTS {
        let hint = "of two updates each participant knows the other's from the sum";
        return Err(ConfigError::value("cohort.min_participants", "at least 3 to be asked", selected, hint));
    }
    let vector = vector(&raw, max_cohort)?;
    let (gamma, delta) = (fraction("gamma", raw.gamma)?, fraction("delta", raw.delta)?);
    let terms = Terms::new(gamma, delta, (min_cohort, max_cohort), raw.min_survivors, vector);
    let terms = terms.map_err(|error| match error {
        TermsError::Survivors { least, most, found } => {
            let hint = "the quorum of the smallest cohort, to its size";
            ConfigError::value(at("min_survivors"), format!("{least} to {most}"), found, hint)
        }
        error => ConfigError::value(TABLE, "parameters that hold", error, ""),
    })?;
    Ok(SecureConfig { terms, grouping, roster: raw.roster.map(roster).transpose()? })
}

/// In how many groups, which the rule that combines their sums must be able to work on.
fn grouping(raw: &RawSecureAggregation, rule: AggregationRule) -> Result<Grouping, ConfigError> {
    let refuse = |expected: &str, found: &str, hint: &str| {
        Err(ConfigError::text("aggregation.kind", expected, found, hint))
    };
    let Some(groups) = raw.groups else {
        if let Some(min_group) = raw.min_group {
            let hint = "there is one sum; give the number of groups too, or remove it";
            return Err(ConfigError::value(at("min_group"), "nothing without groups", min_group, hint));
        }
        let hint = "only a sum can be computed without seeing each update; set privacy.secure_aggregation.groups to \
                    combine the sums of several groups by a median or trimmed mean, or remove one of the two tables";
        return match rule {
            AggregationRule::Mean => Ok(Grouping::WHOLE),
            _ => refuse("\"mean\" with secure aggregation in one sum", "another", hint),
        };
    };
    match rule {
        AggregationRule::Median | AggregationRule::TrimmedMean(_) => {}
        AggregationRule::Mean => {
            let hint = "the mean of all needs one sum only, and several show more; remove privacy.secure_aggregation.groups";
            return refuse("\"median\" or \"trimmed-mean\" of the groups' sums", "mean", hint);
        }
        AggregationRule::Krum(_) => {
            let hint = "the sums of a few groups do not have the neighbours that Krum looks for";
            return refuse("\"median\" or \"trimmed-mean\" of the groups' sums", "krum", hint);
        }
    }
    let fewest = u64::from(FEWEST_GROUPS).max(rule.min_updates());
    let hint = "so many that those with a liar among them are outvoted";
    let groups = NonZeroU32::new(groups)
        .filter(|groups| u64::from(groups.get()) >= fewest)
        .ok_or_else(|| ConfigError::value(at("groups"), format!("at least {fewest}"), groups, hint))?;
    // A majority, so that whoever makes groups fail cannot choose which are left.
    let least = rule.min_updates().max(u64::from(groups.get() / 2 + 1));
    let least = u32::try_from(least).ok().and_then(NonZeroU32::new).unwrap_or(groups);
    Ok(Grouping::new(groups, least))
}

/// The fewest participants of a group, of which there must be enough for each.
fn min_group(raw: &RawSecureAggregation, groups: NonZeroU32, selected: u32) -> Result<u32, ConfigError> {
    let min_group = at_least_one(&at("min_group"), raw.min_group.unwrap_or(FEWEST_PARTICIPANTS))?.get();
    if min_group < FEWEST_PARTICIPANTS {
        let hint = "of two updates each participant knows the other's from the sum";
        return Err(ConfigError::value(at("min_group"), "at least 3", min_group, hint));
    }
    let needed = groups.get().saturating_mul(min_group);
    if selected < needed {
        let expected = format!("at least {needed} to be asked, for {groups} groups of {min_group} or more");
        let hint = "raise it, or have fewer or smaller groups";
        return Err(ConfigError::value("cohort.min_participants", expected, selected, hint));
    }
    Ok(min_group)
}

fn fraction(key: &str, found: f64) -> Result<Fraction, ConfigError> {
    let expected = "a number between 0 and 1 with at most six decimal places";
    Fraction::try_from(found).map_err(|_| ConfigError::value(at(key), expected, found, ""))
}

fn vector(raw: &RawSecureAggregation, max_cohort: u32) -> Result<VectorPlan, ConfigError> {
    let modulus = Modulus::try_from(raw.modulus_bits)
        .map_err(|_| ConfigError::value(at("modulus_bits"), "16, 24 or 32", raw.modulus_bits, ""))?;
    let max_examples = ExampleCount::new(raw.max_examples).map_err(|_| {
        let hint = "the most examples that any site trains on: a site with more declines";
        ConfigError::value(at("max_examples"), "1 to 4294967295", raw.max_examples, hint)
    })?;
    VectorPlan::new(modulus, raw.clip, max_examples, max_cohort, raw.metrics.clone())
        .map_err(|error| ConfigError::value(TABLE, "a vector whose sum cannot wrap around", error, ""))
}

fn roster(raw: std::collections::BTreeMap<String, String>) -> Result<PinnedRoster, ConfigError> {
    let hint = "a participant's `federated-client secagg-key` prints both";
    let member = |(name, key): (String, String)| {
        let path = at(&format!("roster.{name}"));
        let parsed: Result<ParticipantName, _> = name.parse();
        let name = parsed.map_err(|_| ConfigError::value(&path, "a participant's name", &name, hint))?;
        let public: Result<VerifyingPublic, _> = key.parse();
        let expected = "a public key of 64 hexadecimal digits";
        Ok((name, public.map_err(|_| ConfigError::value(&path, expected, &key, hint))?))
    };
    raw.into_iter().map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::JobConfig,
        ids::Digest,
        job::{Explanation, JobTerms},
        model::{ModelLayout, TensorSpec},
    };

    const TABLE: &str = "clip = 1.0\nmax_examples = 100";

    fn parse(rest: &str, table: &str) -> Result<JobConfig, String> {
        let job = format!(
            r#"
            name = "heart"
            rounds = 1
            model = {{ initial = "initial.safetensors" }}
            strategy = {{ kind = "fedsgd", learning_rate = 0.1 }}
            {rest}
            [privacy.secure_aggregation]
            {table}
            "#
        );
        JobConfig::parse(&job).map_err(|error| error.to_string())
    }

    const COHORT: &str =
        "cohort = { min_participants = 4, quorum = 3, participants = [\"a\", \"b\", \"c\", \"d\"] }";

    #[test]
    fn what_is_left_out_has_sensible_defaults() {
        let terms = parse(COHORT, TABLE).unwrap().secure.unwrap().terms;
        assert_eq!((terms.min_cohort(), terms.max_cohort(), terms.min_survivors()), (3, 4, 3));
        assert_eq!((terms.vector().modulus(), terms.vector().value_bits()), (Modulus::B32, 30));
        let open = parse("cohort = { min_participants = 4 }", TABLE).unwrap().secure.unwrap().terms;
        assert_eq!((open.min_cohort(), open.max_cohort()), (4, 255));
    }

    #[test]
    fn whatever_cannot_be_safe_is_refused_with_its_reason() {
        let two = "cohort = { min_participants = 2 }";
        let median = format!("{COHORT}\naggregation = {{ kind = \"median\" }}");
        let short = format!("{COHORT}\ncompression = {{ codec = \"int8\" }}");
        let with = |more: &str| format!("{TABLE}\n{more}");
        for (rest, table, expected) in [
            (two, TABLE.to_owned(), "cohort.min_participants: expected at least 3"),
            (
                &median,
                TABLE.to_owned(),
                "aggregation.kind: expected \"mean\" with secure aggregation in one sum",
            ),
            (
                COHORT,
                with("groups = 3"),
                "aggregation.kind: expected \"median\" or \"trimmed-mean\" of the groups' sums",
            ),
            (&median, with("groups = 2"), "privacy.secure_aggregation.groups: expected at least 3, found 2"),
            (&median, with("groups = 3"), "cohort.min_participants: expected at least 9 to be asked"),
            (&median, with("groups = 3\nmin_group = 2"), "min_group: expected at least 3, found 2"),
            (COHORT, with("min_group = 3"), "min_group: expected nothing without groups, found 3"),
            (&short, TABLE.to_owned(), "compression: expected none with secure aggregation, found int8"),
            (COHORT, with("required = false"), "privacy.secure_aggregation.required: expected true"),
            (
                COHORT,
                with("gamma = 1.5"),
                "privacy.secure_aggregation.gamma: expected a number between 0 and 1",
            ),
            (
                COHORT,
                with("modulus_bits = 20"),
                "privacy.secure_aggregation.modulus_bits: expected 16, 24 or 32",
            ),
            (COHORT, with("min_survivors = 2"), "min_survivors: expected 3 to 3, found 2"),
            (COHORT, "clip = 0.0\nmax_examples = 1".to_owned(), "privacy.secure_aggregation: expected"),
            (COHORT, "clip = 1.0\nmax_examples = 0".to_owned(), "max_examples: expected 1 to 4294967295"),
            (COHORT, with("modulus_bits = 16\nmax_participants = 1000"), "wrap around"),
            (
                COHORT,
                with("roster = { A = \"00\" }"),
                "privacy.secure_aggregation.roster.A: expected a participant",
            ),
            (COHORT, with("roster = { a = \"00\" }"), "roster.a: expected a public key of 64"),
            (COHORT, with("secret = 1"), "unknown field `secret`"),
        ] {
            let found = parse(rest, &table).unwrap_err();
            assert!(found.contains(expected), "{table}: {found}");
        }
    }

    #[test]
    fn groups_have_the_size_that_is_left_for_each_and_a_majority_of_them_counts() {
        let cohort = "cohort = { min_participants = 20, quorum = 12 }\naggregation = { kind = \"trimmed-mean\", trim = 1 }";
        let config =
            parse(cohort, "clip = 1.0\nmax_examples = 100\nmax_participants = 23\ngroups = 5\nmin_group = 4");
        let secure = config.unwrap().secure.unwrap();
        assert_eq!((secure.grouping.groups().get(), secure.grouping.least().get()), (5, 3));
        assert_eq!((secure.terms.min_cohort(), secure.terms.max_cohort()), (4, 5));
    }

    #[test]
    fn an_explanation_says_threshold_quorum_dropouts_and_bytes() {
        let config = parse(COHORT, TABLE).unwrap();
        let layout = ModelLayout::new(vec![TensorSpec::new("w", [1_000_000])]).unwrap();
        let text = Explanation(&JobTerms::new(config, layout, Digest::of(b"initial"))).to_string();
        for expected in [
            "uploads 4.0 MB a round (masked)",
            "sums of 3 updates or more",
            "4 participants: 3 neighbours (k), threshold 3 (t), quorum 3 (Q); 1 may drop out",
            "each makes 16.0 MB of masks (about 0.01 s on one core) and sends 264 B of shares",
            "in 30 bits modulo 2^32",
        ] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
    }

    #[test]
    fn an_explanation_says_how_many_groups_there_are_and_what_they_withstand() {
        let job = "cohort = { min_participants = 9 }\naggregation = { kind = \"median\" }";
        let config = parse(job, "clip = 1.0\nmax_examples = 100\nmax_participants = 9\ngroups = 3").unwrap();
        let layout = ModelLayout::new(vec![TensorSpec::new("w", [100])]).unwrap();
        let text = Explanation(&JobTerms::new(config, layout, Digest::of(b"initial"))).to_string();
        for expected in [
            "3 groups, each summed by itself",
            "at least 2 of them",
            "3 participants of a group: 2 neighbours",
        ] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
    }
}
