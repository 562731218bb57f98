use proptest::prelude::*;

use super::*;

fn fraction(fraction: f64) -> Fraction {
    fraction.try_into().unwrap()
}

fn parameters(participants: u32, gamma: f64, delta: f64) -> Result<Parameters, ParameterError> {
    Parameters::new(participants, fraction(gamma), fraction(delta))
}

#[test]
fn a_third_of_few_participants_may_be_corrupt() {
    for (participants, expected) in [(3, 3), (4, 3), (5, 4), (10, 7), (20, 14), (100, 67)] {
        let found = parameters(participants, 0.333_333, 0.0).unwrap();
        assert_eq!((u32::from(found.threshold()), found.quorum()), (expected, expected), "{participants}");
        assert_eq!((found.graph_kind(), found.degree()), (GraphKind::Complete, participants - 1));
        assert_eq!(found.tolerated_dropouts(), participants - expected);
        assert_eq!(found.max_dead_in_window(), None);
    }
    let found = parameters(255, 0.333_333, 0.1).unwrap();
    assert_eq!((found.threshold(), found.graph_kind()), (171, GraphKind::Complete));
}

/// The rows of the design, and others from the same formula in Python with exact fractions for the probabilities.
#[test]
fn rings_are_those_of_the_formula_in_exact_arithmetic() {
    let rows = [
        (300, 0.05, 0.05, (38, 27, 6)),
        (500, 0.1, 0.1, (82, 57, 17)),
        (1_000, 0.33, 0.05, (132, 109, 13)),
        (1_000, 0.1, 0.1, (96, 67, 21)),
        (256, 0.333_333, 0.1, (116, 92, 12)),
        (256, 0.3, 0.3, (230, 154, 52)),
        (256, 0.0, 0.45, (232, 117, 115)),
        (256, 0.8, 0.05, (220, 208, 0)),
        (1_000, 0.333_333, 0.1, (218, 171, 33)),
        (1_000, 0.0, 0.1, (36, 19, 17)),
        (1_000_000, 0.333_333, 0.05, (214, 175, 26)),
    ];
    for (participants, gamma, delta, expected) in rows {
        let found = parameters(participants, gamma, delta).unwrap();
        let window = found.max_dead_in_window().unwrap();
        assert_eq!((found.degree(), found.threshold(), window), expected, "{participants} {gamma} {delta}");
        assert_eq!(found.graph_kind(), GraphKind::Ring);
        assert_eq!(found.tolerated_dropouts(), fraction(delta).of(participants));
    }
    let quorum = parameters(1_000, 0.1, 0.1).unwrap().quorum();
    assert_eq!(quorum, 551, "the same formula for every number of participants");
}

#[test]
fn the_error_says_what_is_possible() {
    let text = |participants, gamma, delta| parameters(participants, gamma, delta).unwrap_err().to_string();
    assert!(text(2, 0.0, 0.0).starts_with("expected at least 3 participants, found 2"));
    assert_eq!(
        text(3, 0.333_333, 0.333_333),
        "of 3 participants 1 may be corrupt, so 3 must stay to the end, and 1 may drop out: more than there are; \
         these fractions need at least 4 participants"
    );
    assert!(text(10, 1.0, 0.0).contains("so 11 must stay"));
    assert!(text(10, 1.0, 0.0).ends_with("gamma + 2 delta must be below 1, and lower for few participants"));
    assert!(text(256, 0.5, 0.3).contains("gamma + 2 delta of at most 0.9"));
    assert!(text(256, 0.333_333, 0.283_334).contains("gamma + 2 delta of at most 0.9"));
    assert!(text(10_000, 0.333_333, 0.1).contains("more than 254 neighbours"));
    assert!(text(1_000, 0.9, 0.0).contains("groups of at most 255"));
    assert!(parameters(u32::MAX, 0.05, 0.05).is_ok());
}

#[test]
fn a_fraction_has_at_most_six_places() {
    for found in [-0.1, 1.000_001, 1.0 / 3.0, 0.000_000_5, f64::NAN, f64::INFINITY] {
        assert!(Fraction::try_from(found).is_err(), "{found}");
    }
    for millionths in 0..=1_000_000 {
        let found = Fraction::from_millionths(millionths).unwrap();
        assert_eq!(Fraction::try_from(f64::from(found)), Ok(found));
    }
    assert!(Fraction::from_millionths(1_000_001).is_err());
    assert_eq!(fraction(0.05).to_string(), "0.05");
    assert_eq!(fraction(0.1 + 0.2), fraction(0.3), "what floats make of a sum");
}

#[test]
fn a_fraction_of_participants_is_rounded_down_as_if_it_had_more_places() {
    let cases = [
        (333_333, 3, 1),
        (333_333, 300, 100),
        (666_667, 3, 2),
        (333_332, 3, 0),
        (100_000, 9, 0),
        (100_000, 10, 1),
        (50_000, 300, 15),
        (1_000_000, u32::MAX, u32::MAX),
        (0, 1_000_000, 0),
    ];
    for (millionths, count, expected) in cases {
        assert_eq!(
            Fraction::from_millionths(millionths).unwrap().of(count),
            expected,
            "{millionths} of {count}"
        );
    }
}

proptest! {
    /// Two quorums have more participants in common than are corrupt; the corrupt with half of the others, which a
    /// coordinator that tells two stories can bring together, stay below the threshold; and enough may drop out.
    #[test]
    fn everyone_with_everyone_is_safe_and_live(
        participants in 3_u32..=255, gamma in 0_u32..=1_000_000, delta in 0_u32..=1_000_000,
    ) {
        let [gamma, delta] = [gamma, delta].map(|millionths| Fraction::from_millionths(millionths).unwrap());
        match Parameters::new(participants, gamma, delta) {
            Ok(found) => {
                prop_assert!(2 * found.quorum() > participants + gamma.of(participants));
                prop_assert_eq!(u32::from(found.threshold()), found.quorum());
                prop_assert!(found.threshold() >= 2);
                prop_assert!(found.tolerated_dropouts() >= delta.of(participants));
                prop_assert_eq!(found.tolerated_dropouts() + found.quorum(), participants);
            }
            Err(ParameterError::Infeasible { least: Some(least), .. }) => {
                prop_assert!(least > participants);
                prop_assert!(Parameters::new(least, gamma, delta).is_ok());
            }
            Err(error) => prop_assert!(matches!(error, ParameterError::Infeasible { .. }), "{}", error),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_ring_has_shares_for_all_holders_and_a_window_that_can_be_dead(
        participants in 256_u32..100_000, gamma in 0_u32..=500_000, delta in 0_u32..=500_000,
    ) {
        let [gamma, delta] = [gamma, delta].map(|millionths| Fraction::from_millionths(millionths).unwrap());
        if let Ok(found) = Parameters::new(participants, gamma, delta) {
            let threshold = u32::from(found.threshold());
            prop_assert!(found.degree() % 2 == 0 && found.degree() <= 254);
            prop_assert!(2 <= threshold && threshold <= found.degree());
            prop_assert!(2 * threshold > found.degree(), "a share to either half gives a secret only once");
            prop_assert!(found.max_dead_in_window().unwrap() < found.degree() / 2);
            prop_assert!(found.quorum() + found.tolerated_dropouts() <= participants);
        }
    }
}
