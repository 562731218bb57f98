use std::num::NonZeroU32;

use super::*;
use crate::privacy::{
    dp::{
        ClipNorm, Delta, Epsilon, NoiseMultiplier, SamplingRate,
        ledger::{Adjacency, Reservation},
        terms::{Placement, Proposal},
    },
    secagg::SigningSecret,
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn terms(placement: Placement, rate: f64) -> PrivacyTerms {
    let sampling_rate = SamplingRate::new(rate).unwrap();
    let proposal = Proposal {
        placement,
        adjacency: Adjacency::AddRemove,
        clip: ClipNorm::new(0.5).unwrap(),
        noise_multiplier: NoiseMultiplier::new(7.0).unwrap(),
        sampling_rate,
        steps: NonZeroU32::MIN,
        epsilon: Epsilon::new(1.0).unwrap(),
        delta: Delta::new(1e-5).unwrap(),
        accountant: Proposal::accountant(placement, sampling_rate),
    };
    proposal.check().unwrap()
}

fn key() -> SigningSecret {
    SigningSecret::from_seed([7; 32].into())
}

/// A ledger with so many rounds reserved and committed, and one refused when the budget does not pay for it.
fn ledger(terms: &PrivacyTerms, rounds: u32) -> Ledger {
    let (mut ledger, _) = Ledger::open("heart", terms.budget(), &key(), NOW).unwrap();
    ledger = ledger.plan("round", &terms.charge(), &key(), NOW).unwrap().0;
    for round in 1..=rounds {
        let occasion = format!("round {round}");
        ledger = match ledger.reserve("round", &occasion, &key(), NOW).unwrap() {
            Reservation::Granted { ledger, granted, .. } => ledger.commit(granted, &key(), NOW).unwrap().0,
            Reservation::Refused { ledger, .. } => ledger,
        };
    }
    ledger
}

fn facts(terms: PrivacyTerms, rounds: u32) -> RunFacts {
    let round = |round| RoundFacts {
        round,
        attempt: 1,
        cohort: 4,
        survivors: ["a", "b", "c"].map(str::to_owned).into(),
        model: Some("ab".repeat(32)),
        abandoned: None,
        refused: false,
    };
    RunFacts {
        job: "heart".to_owned(),
        state: "failed: <b>no & 'more'</b>".to_owned(),
        terms,
        planned_rounds: 9,
        least_summed: (terms.placement() == Placement::Distributed).then_some(3),
        values: 250,
        configuration: "cd".repeat(32),
        initial_model: "00".repeat(32),
        model: "ab".repeat(32),
        rounds: (1..=rounds).map(round).collect(),
    }
}

fn report(terms: PrivacyTerms, paid: u32, logged: u32) -> PrivacyReport {
    PrivacyReport::of_job(facts(terms, logged), &ledger(&terms, paid), &key().public(), NOW).unwrap()
}

#[test]
fn the_report_says_what_the_design_asks_for() {
    let report = report(terms(Placement::Central, 1.0), 4, 3);
    assert_eq!(report.discrepancies, Vec::<String>::new());
    assert_eq!((report.ledger.reserved, report.ledger.refused), (3, 1), "a fourth would exceed epsilon 1");
    assert!((report.ledger.spent + report.remaining_epsilon - 1.0).abs() < 1e-9);
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    for place in [
        "/ledger/budget/unit",
        "/ledger/budget/adjacency",
        "/run/terms/placement",
        "/run/terms/noise_multiplier",
        "/run/terms/clip",
        "/run/terms/sampling_rate",
        "/releases/0/sums",
        "/run/terms/delta",
        "/ledger/spent",
        "/ledger/budget/accountant",
        "/ledger/accountant_version",
        "/remaining_epsilon",
        "/ledger/refused",
        "/run/seen/1/what",
        "/run/rounds/0/cohort",
        "/run/rounds/0/survivors/2",
        "/run/model",
        "/run/configuration",
        "/run/sampling/assumption",
        "/run/sampling/enforced",
        "/not_covered/0",
        "/ledger/last_line",
        "/key",
    ] {
        assert!(json.pointer(place).is_some_and(|value| !value.is_null()), "{place} is not in {json:#}");
    }
    assert_eq!(json["releases"][0]["sums"], 3);
    assert!(json.get("no_privacy").is_none());
}

#[test]
fn the_page_needs_nothing_else_and_takes_no_text_for_markup() {
    for placement in Placement::ALL {
        let report = report(terms(placement, 1.0), 2, 2);
        let page = Page(&report).to_string();
        assert!(page.contains("failed: &lt;b&gt;no &amp; &#39;more&#39;&lt;/b&gt;"), "{page}");
        assert!(!page.contains("<b>") && !page.contains("http") && !page.contains("<script"), "{page}");
        assert!(page.contains(&report.ledger.last_line) && page.contains(&report.key), "{page}");
        assert!(page.contains("2023-11-14T22:13:20Z"), "{page}");
        for tag in ["table", "tr", "ul", "h2", "div"] {
            let (opened, closed) =
                (page.matches(&format!("<{tag}")).count(), page.matches(&format!("</{tag}>")).count());
            assert!(opened >= closed && closed > 0, "{tag}");
        }
        assert!(report.to_string().contains("not covered:\n- Who took part"), "{report}");
    }
}

#[test]
fn a_log_with_more_rounds_than_were_paid_for_is_noticed() {
    let terms = terms(Placement::Central, 1.0);
    let missing = report(terms, 1, 3).discrepancies;
    assert!(
        missing.len() == 1 && missing[0].contains("3 attempts at rounds, and the ledger pays for 1"),
        "{missing:?}"
    );
    let other = RunFacts { job: "lung".to_owned(), ..facts(self::terms(Placement::Distributed, 1.0), 1) };
    let found = PrivacyReport::of_job(other, &ledger(&terms, 1), &key().public(), NOW).unwrap();
    assert_eq!(found.discrepancies.len(), 2, "{:?}", found.discrepancies);
    assert!(Page(&found).to_string().contains("Does not fit together: the ledger is about `heart`"));
}

#[test]
fn text_from_outside_is_shown_and_not_obeyed() {
    let facts = RunFacts {
        state: "failed: it's \u{1b}[2J gone".to_owned(),
        ..facts(terms(Placement::Central, 1.0), 1)
    };
    let ledger = ledger(&facts.terms, 1);
    let report = PrivacyReport::of_job(facts, &ledger, &key().public(), NOW).unwrap();
    assert!(report.to_string().starts_with("job `heart`: failed: it's \\u{1b}[2J gone\n"), "{report}");
    assert!(!Page(&report).to_string().contains('\u{1b}'));
}

#[test]
fn a_simulated_run_is_marked_everywhere() {
    let report = report(terms(Placement::Local, 0.25), 1, 1).simulated();
    assert!(report.to_string().starts_with("NO PRIVACY: "), "{report}");
    assert!(Page(&report).to_string().contains("<strong>NO PRIVACY</strong>"));
    assert!(serde_json::to_string(&report).unwrap().contains("\"no_privacy\":"));
}

#[test]
fn sampling_is_said_with_who_enforces_it() {
    let sampled = claims::sampling(&terms(Placement::Local, 0.25));
    assert_eq!(sampled.enforced, Enforcement::AtEachSite);
    assert!(
        sampled.assumption.starts_with("Poisson: each record is in a step's batch with a chance of 0.25")
    );
    assert_eq!(claims::sampling(&terms(Placement::Central, 1.0)).enforced, Enforcement::NotNeeded);
}

#[test]
fn a_site_sees_all_its_jobs_and_no_run() {
    let terms = terms(Placement::Local, 1.0);
    let report = PrivacyReport::of_site(&ledger(&terms, 2), &key().public(), NOW).unwrap();
    assert!(report.run.is_none() && report.releases.len() == 1);
    assert!(Page(&report).to_string().contains("Epsilon remaining"));
}
