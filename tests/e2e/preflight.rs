//! What `check` finds before a participant takes part, against a real coordinator.

use std::time::{Duration, SystemTime};

use federated_client::{
    check::{Finding, Verdict, check},
    config::ParticipantConfig,
    device::Device,
};
use federated_tests::{Client, Federation};

async fn problems(config: &ParticipantConfig) -> Vec<Finding> {
    let findings = check(config, SystemTime::now()).await;
    assert!(findings.len() > 5, "{findings:?}");
    findings.into_iter().filter(|finding| finding.verdict == Verdict::Problem).collect()
}

fn bundle(federation: &Federation, name: &str) -> ParticipantConfig {
    ParticipantConfig { device: Device::Cpu, ..Client::config(&federation.enroll(name)) }
}

fn is(problems: &[Finding], name: &str, words: &str, remedy: &str) {
    let [problem] = problems else { panic!("expected one problem, found {problems:#?}") };
    let found = problem.remedy.as_deref().unwrap_or_default();
    assert_eq!(problem.name, name, "{problem:?}");
    assert!(problem.detail.contains(words) && found.contains(remedy), "{problem:?}");
}

#[tokio::test]
async fn a_fresh_bundle_has_no_problem_and_the_visit_disturbs_nobody() {
    let federation = Federation::start().await;
    let mut attending = federation.participant("c").await;
    let mut line = attending.attend().await;
    let problems = problems(&bundle(&federation, "a")).await;
    assert!(problems.is_empty(), "{problems:#?}");
    attending.negotiate(0, 0).await.expect("still connected");
    federation.operator().await.present(&["c"]).await;
    drop(line.next());
}

#[tokio::test]
async fn each_problem_with_the_coordinator_is_told_with_its_remedy() {
    let mut federation = Federation::start().await;
    let former = bundle(&federation, "a");
    let newer = bundle(&federation, "a");
    let found = problems(&former).await;
    is(&found, "coordinator: version", "CERTIFICATE_SUPERSEDED", "use the bundle of the last enrolment");

    federation.withdraw("a");
    let found = problems(&newer).await;
    is(&found, "coordinator: version", "PARTICIPANT_NOT_ENROLLED", "ask the coordinator's operator");

    let other = Federation::start().await;
    let mut config = bundle(&federation, "b");
    let address = config.coordinator.clone();
    config.coordinator = other.url().parse().unwrap();
    let found = problems(&config).await;
    is(
        &found,
        "coordinator: TLS",
        "does not come from this site's authority",
        "check that `tls.ca` is the file",
    );

    federation.stop().await;
    config.coordinator = address;
    let found = problems(&config).await;
    is(&found, "coordinator: network", "cannot reach 127.0.0.1", "check that the coordinator runs");
}

#[tokio::test]
async fn a_bundle_that_is_out_of_date_is_found_before_it_is_needed() {
    let federation = Federation::start().await;
    let config = bundle(&federation, "a");
    let later = SystemTime::now() + Duration::from_secs(400 * 24 * 60 * 60);
    let findings = check(&config, later).await;
    let certificate = findings.iter().find(|finding| finding.name == "tls.certificate").unwrap();
    assert_eq!(certificate.verdict, Verdict::Problem, "{certificate:?}");
    assert!(certificate.remedy.as_deref().is_some_and(|remedy| remedy.contains("enroll")), "{certificate:?}");
}
