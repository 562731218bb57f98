//! The library's participant turned away: each time it stops with the reason and what to do.

use std::time::{Duration, SystemTime};

use federated_client::{
    ClientError, FederatedClient,
    config::ParticipantConfig,
    transport::{RefusedCertificate, TransportError},
};
use federated_server::identity::{CertificateAuthority, Credential, Validity};
use federated_tests::{AddConstant, Client, FaultProxy, Federation, Job, model};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The configuration of a participant `c` that shows this certificate.
fn showing(federation: &Federation, credential: &Credential) -> ParticipantConfig {
    let config = Client::config(&federation.enroll("c"));
    std::fs::write(&config.tls.certificate, credential.certificate_pem()).unwrap();
    std::fs::write(&config.tls.key, credential.private_key_pem()).unwrap();
    config
}

/// The participant stops with an error, and the others do not notice.
async fn is_turned_away(federation: &Federation, config: ParticipantConfig) -> ClientError {
    let error = Client::start_with(config, AddConstant::new(100.0, 1)).ended().await.unwrap_err();
    let mut operator = federation.operator().await;
    let others = ["a", "b"].map(|name| Client::start(&federation.enroll(name), AddConstant::new(2.0, 1)));
    operator.present(&["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
    for other in others {
        other.ended().await.unwrap();
    }
    error
}

fn is_refused(error: &ClientError, why: RefusedCertificate, words: &str) {
    let ClientError::Transport(TransportError::CertificateRefused { because, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(*because, why);
    let text = error.to_string();
    assert!(text.contains(words), "{text}");
    assert!(text.contains("ask the operator to run `federated-coordinator enroll c`"), "{text}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_stops_the_participant_with_the_reason() {
    let federation = Federation::start().await;
    let year = Validity::days(SystemTime::now(), 365).unwrap();
    let stranger = CertificateAuthority::create(year).unwrap();
    let credential = stranger.issue_participant(&"c".parse().unwrap(), year).unwrap();
    let error = is_turned_away(&federation, showing(&federation, &credential)).await;
    is_refused(
        &error,
        RefusedCertificate::UnknownAuthority,
        "an authority that the coordinator does not know",
    );
}

#[tokio::test]
async fn an_expired_certificate_stops_the_participant_with_the_reason() {
    let federation = Federation::start().await;
    let now = SystemTime::now();
    let validity = Validity::new(now - 2 * DAY, now - DAY).unwrap();
    let credential = federation.authority().issue_participant(&"c".parse().unwrap(), validity).unwrap();
    let error = is_turned_away(&federation, showing(&federation, &credential)).await;
    is_refused(&error, RefusedCertificate::Expired, "it has expired or is not valid yet");
}

#[tokio::test]
async fn the_bundle_of_another_site_stops_the_participant_before_it_connects() {
    let federation = Federation::start().await;
    let mut config = Client::config(&federation.enroll("cleveland"));
    config.name = "hungary".parse().unwrap();
    let client = FederatedClient::builder().config(config).trainer(AddConstant::new(1.0, 1));
    let error = client.build().unwrap_err().to_string();
    assert!(error.contains("`cleveland`, found `hungary`"), "{error}");
    assert!(error.ends_with("use the bundle that was made for `hungary`"), "{error}");
}

#[tokio::test]
async fn an_operators_certificate_makes_no_participant() {
    let federation = Federation::start().await;
    let week = Validity::days(SystemTime::now(), 7).unwrap();
    let credential = federation.authority().issue_operator(&"c".parse().unwrap(), week).unwrap();
    let config = showing(&federation, &credential);
    let client = FederatedClient::builder().config(config).trainer(AddConstant::new(1.0, 1));
    let error = client.build().unwrap_err().to_string();
    assert!(error.contains("which is none, found `c`"), "{error}");
}

#[tokio::test]
async fn a_replaced_certificate_stops_the_participant_with_the_reason() {
    let federation = Federation::start().await;
    let former = Client::config(&federation.enroll("c"));
    let _newer = federation.enroll("c");
    let error = is_turned_away(&federation, former).await.to_string();
    assert!(
        error.contains("CERTIFICATE_SUPERSEDED: this certificate of `c` was replaced by a newer one"),
        "{error}"
    );
}

#[tokio::test]
async fn a_withdrawn_participant_stops_with_the_reason() {
    let federation = Federation::start().await;
    let config = Client::config(&federation.enroll("c"));
    federation.withdraw("c");
    let error = is_turned_away(&federation, config).await.to_string();
    assert!(error.contains("PARTICIPANT_NOT_ENROLLED: participant `c` is not enrolled"), "{error}");
}

#[tokio::test]
async fn a_coordinator_of_another_authority_is_not_talked_to() {
    let (ours, theirs) = (Federation::start().await, Federation::start().await);
    let mut config = Client::config(&ours.enroll("c"));
    config.coordinator = theirs.url().parse().unwrap();
    let error = Client::start_with(config, AddConstant::new(1.0, 1)).ended().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Transport(TransportError::UntrustedCoordinator { .. })),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(text.contains("does not come from this site's authority"), "{text}");
}

#[tokio::test]
async fn a_coordinator_under_a_host_that_its_certificate_does_not_name_is_not_talked_to() {
    let federation = Federation::start().await;
    let mut config = Client::config(&federation.enroll("c"));
    // The coordinator listens on 127.0.0.1 alone: a proxy stands for a machine with another name.
    let proxy = FaultProxy::start_at("127.0.0.2:0", federation.address(), []).await;
    config.coordinator = proxy.url().parse().unwrap();
    let error = Client::start_with(config, AddConstant::new(1.0, 1)).ended().await.unwrap_err();
    assert!(matches!(error, ClientError::Transport(TransportError::WrongHost { .. })), "{error:?}");
}

#[tokio::test]
async fn of_two_processes_with_one_certificate_the_earlier_stops() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let bundle = federation.enroll("b");
    let first = Client::start(&bundle, AddConstant::new(100.0, 1));
    operator.present(&["b"]).await;
    let mut config = Client::config(&bundle);
    config.state = federation.scratch().join("state-of-the-second");
    let second = Client::start_with(config, AddConstant::new(3.0, 1));
    let error = first.ended().await.unwrap_err().to_string();
    assert!(
        error.contains("SUPERSEDED_SESSION: this participant attends on another connection now"),
        "{error}"
    );
    let a = Client::start(&federation.enroll("a"), AddConstant::new(1.0, 1));
    operator.present(&["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
    for client in [a, second] {
        client.ended().await.unwrap();
    }
}
