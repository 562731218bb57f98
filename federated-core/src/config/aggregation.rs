use std::num::NonZeroU32;

use super::{ConfigError, job::at_least_one, raw::RawAggregation};
use crate::aggregate::{AggregationRule, Krum, TrimmedMean};

/// Checks the table `[aggregation]`: every round that counts has at least `quorum` updates, and the rule must be able to
/// work on so many.
pub(super) fn aggregation(raw: &RawAggregation, quorum: NonZeroU32) -> Result<AggregationRule, ConfigError> {
    match raw.kind.as_str() {
        "mean" => unused(raw, &["trim", "byzantine", "keep"]).map(|()| AggregationRule::Mean),
        "median" => unused(raw, &["trim", "byzantine", "keep"]).map(|()| AggregationRule::Median),
        "trimmed-mean" => {
            unused(raw, &["byzantine", "keep"])?;
            let hint = "how many values are dropped at each end of a column: as many as may lie";
            trimmed_mean(required("aggregation.trim", raw.trim, hint)?, quorum)
        }
        "krum" => {
            unused(raw, &["trim", "keep"])?;
            krum(byzantine(raw)?, NonZeroU32::MIN, quorum)
        }
        "multi-krum" => {
            unused(raw, &["trim"])?;
            let keep = required("aggregation.keep", raw.keep, "how many updates make the mean")?;
            krum(byzantine(raw)?, keep, quorum)
        }
        other => {
            let expected = "\"mean\", \"median\", \"trimmed-mean\", \"krum\" or \"multi-krum\"";
            Err(ConfigError::text("aggregation.kind", expected, other, ""))
        }
    }
}

/// Refuses settings that the kind does not have.
fn unused(raw: &RawAggregation, names: &[&str]) -> Result<(), ConfigError> {
    let settings = [
        ("trim", raw.trim, "only \"trimmed-mean\" drops values"),
        ("byzantine", raw.byzantine, "only \"krum\" and \"multi-krum\" count liars"),
        ("keep", raw.keep, "only \"multi-krum\" keeps more than one update"),
    ];
    let given =
        |(name, value, hint): (&str, Option<u32>, &'static str)| Some((name.to_owned(), value?, hint));
    match settings.into_iter().filter_map(given).find(|(name, ..)| names.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, found, hint)) => {
            let hint = format!("{hint}; remove it, or use another aggregation.kind");
            Err(ConfigError::value(format!("aggregation.{name}"), "nothing", found, hint))
        }
    }
}

fn required(path: &str, number: Option<u32>, hint: &str) -> Result<NonZeroU32, ConfigError> {
    let number = number.ok_or_else(|| ConfigError::value(path, "a number of at least 1", "nothing", hint))?;
    at_least_one(path, number)
}

fn byzantine(raw: &RawAggregation) -> Result<NonZeroU32, ConfigError> {
    required("aggregation.byzantine", raw.byzantine, "how many participants may lie: Krum's f")
}

fn trimmed_mean(trim: NonZeroU32, quorum: NonZeroU32) -> Result<AggregationRule, ConfigError> {
    let rule = TrimmedMean::new(trim);
    if u64::from(quorum.get()) >= rule.min_updates() {
        return Ok(AggregationRule::TrimmedMean(rule));
    }
    let expected = format!("less than half of cohort.quorum ({quorum})");
    let hint = format!("nothing would be left: trim less, or raise the quorum to {}", rule.min_updates());
    Err(ConfigError::value("aggregation.trim", expected, trim, hint))
}

fn krum(byzantine: NonZeroU32, keep: NonZeroU32, quorum: NonZeroU32) -> Result<AggregationRule, ConfigError> {
    let rule = Krum::new(byzantine, keep);
    let (updates, liars) = (u64::from(quorum.get()), u64::from(byzantine.get()));
    if updates < 2 * liars + 3 {
        let expected = format!("a number f with 2 f + 3 at most cohort.quorum ({quorum})");
        let hint = format!("Krum withstands f liars among 2 f + 3: raise the quorum to {}", 2 * liars + 3);
        return Err(ConfigError::value("aggregation.byzantine", expected, byzantine, hint));
    }
    if updates < rule.min_updates() {
        let expected = format!("at most cohort.quorum - byzantine - 2 ({})", updates - liars - 2);
        let hint = format!(
            "so many have honest neighbours: keep fewer, or raise the quorum to {}",
            rule.min_updates()
        );
        return Err(ConfigError::value("aggregation.keep", expected, keep, hint));
    }
    Ok(AggregationRule::Krum(rule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::JobConfig;

    fn parse(quorum: u32, aggregation: &str) -> Result<AggregationRule, String> {
        let text = format!(
            r#"
            name = "heart"
            rounds = 30
            model = {{ initial = "initial.safetensors" }}
            strategy = {{ kind = "fedsgd", learning_rate = 0.03 }}
            cohort = {{ min_participants = {quorum} }}
            {aggregation}
            "#
        );
        let job = JobConfig::parse(&text).map_err(|error| error.to_string())?;
        Ok(job.strategy.aggregation)
    }

    fn number(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn each_kind_becomes_its_rule_where_the_quorum_allows_it() {
        let krum = |byzantine, keep| AggregationRule::Krum(Krum::new(number(byzantine), number(keep)));
        let trimmed = |trim| AggregationRule::TrimmedMean(TrimmedMean::new(number(trim)));
        for (quorum, text, rule) in [
            (1, "", AggregationRule::Mean),
            (1, "aggregation = { kind = \"mean\" }", AggregationRule::Mean),
            (1, "aggregation = { kind = \"median\" }", AggregationRule::Median),
            (3, "aggregation = { kind = \"trimmed-mean\", trim = 1 }", trimmed(1)),
            (5, "aggregation = { kind = \"krum\", byzantine = 1 }", krum(1, 1)),
            (5, "aggregation = { kind = \"multi-krum\", byzantine = 1, keep = 2 }", krum(1, 2)),
            (9, "aggregation = { kind = \"multi-krum\", byzantine = 3, keep = 4 }", krum(3, 4)),
        ] {
            assert_eq!(parse(quorum, text), Ok(rule), "{text}");
            assert!(u64::from(quorum) >= rule.min_updates());
        }
    }

    #[test]
    fn each_mistake_is_named_with_what_was_expected_found_and_what_to_do() {
        let too_many = "aggregation.trim: expected less than half of cohort.quorum (4), found 2 \
                        (nothing would be left: trim less, or raise the quorum to 5)";
        for (quorum, fields, expected) in [
            (4, "kind = \"trimmed-mean\", trim = 2", too_many),
            (4, "kind = \"trimmed-mean\", trim = 4294967295", "raise the quorum to 8589934591"),
            (
                4,
                "kind = \"trimmed-mean\", trim = 0",
                "aggregation.trim: expected a number of at least 1, found 0",
            ),
            (
                4,
                "kind = \"trimmed-mean\"",
                "aggregation.trim: expected a number of at least 1, found nothing",
            ),
            (4, "kind = \"krum\"", "aggregation.byzantine: expected a number of at least 1, found nothing"),
            (
                4,
                "kind = \"krum\", byzantine = 1",
                "expected a number f with 2 f + 3 at most cohort.quorum (4), found 1",
            ),
            (4, "kind = \"krum\", byzantine = 4294967295", "raise the quorum to 8589934593"),
            (
                5,
                "kind = \"krum\", byzantine = 0",
                "aggregation.byzantine: expected a number of at least 1, found 0",
            ),
            (
                5,
                "kind = \"krum\", byzantine = 1, keep = 1",
                "aggregation.keep: expected nothing, found 1 (only \"multi-krum\"",
            ),
            (
                5,
                "kind = \"multi-krum\", byzantine = 1",
                "aggregation.keep: expected a number of at least 1, found nothing",
            ),
            (
                5,
                "kind = \"multi-krum\", byzantine = 1, keep = 3",
                "aggregation.keep: expected at most cohort.quorum - byzantine - 2 (2), found 3 \
                 (so many have honest neighbours: keep fewer, or raise the quorum to 6)",
            ),
            (
                5,
                "kind = \"mean\", trim = 1",
                "aggregation.trim: expected nothing, found 1 (only \"trimmed-mean\"",
            ),
            (5, "kind = \"median\", byzantine = 1", "aggregation.byzantine: expected nothing, found 1"),
            (
                5,
                "kind = \"trimmed-mean\", trim = 1, byzantine = 1",
                "aggregation.byzantine: expected nothing",
            ),
            (5, "kind = \"mode\"", "aggregation.kind: expected \"mean\", \"median\""),
            (5, "trim = 1", "missing field `kind`"),
            (5, "kind = \"mean\", beta = 0.1", "unknown field `beta`"),
        ] {
            let found = parse(quorum, &format!("aggregation = {{ {fields} }}")).unwrap_err();
            assert!(found.contains(expected), "{fields}: {found}");
        }
    }

    #[test]
    fn a_strategy_with_a_rule_survives_a_checkpoint() {
        let rule = AggregationRule::Krum(Krum::new(number(2), number(3)));
        let bytes = crate::checkpoint::encode(&rule).unwrap();
        assert_eq!(crate::checkpoint::decode::<AggregationRule>(&bytes), Ok(rule));
    }
}
