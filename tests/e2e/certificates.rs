//! Who may come in: certificates that are missing, foreign, out of date, replaced, withdrawn, or of the wrong kind.

use std::time::{Duration, SystemTime};

use federated_proto::v1;
use federated_server::identity::{CertificateAuthority, Validity};
use federated_tests::{
    ClientTls, Federation, Job, RawParticipant, Site, Update, assert_refused, model, reason,
};
use rustls::AlertDescription;
use tonic::{Code, Status};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A peer that TLS does not let in sees the alert, gets no answer to a call, and does not disturb the others.
async fn is_kept_out(federation: &Federation, offender: &ClientTls, alert: AlertDescription) {
    assert_eq!(offender.alert(federation.address()).await, alert);
    let mut raw = RawParticipant::connect(federation.address(), offender).await;
    let status = raw.negotiate(0, 0).await.expect_err("no answer");
    assert_eq!(reason(&status), "", "{status:?}");

    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(federation, ["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    for site in &mut sites {
        site.contribute(2.0, 1).await;
    }
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
}

#[tokio::test]
async fn a_peer_without_a_certificate_is_kept_out() {
    let federation = Federation::start().await;
    let offender = ClientTls::nobody(&federation.authority());
    is_kept_out(&federation, &offender, AlertDescription::CertificateRequired).await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_kept_out() {
    let federation = Federation::start().await;
    let year = Validity::days(SystemTime::now(), 365).unwrap();
    let stranger = CertificateAuthority::create(year).unwrap();
    // The name is enrolled; only the authority is not the federation's.
    let _ = federation.enroll("c");
    let credential = stranger.issue_participant(&"c".parse().unwrap(), year).unwrap();
    let offender = ClientTls::of(&credential, &federation.authority());
    is_kept_out(&federation, &offender, AlertDescription::UnknownCA).await;
}

#[tokio::test]
async fn an_expired_certificate_is_kept_out() {
    let federation = Federation::start().await;
    let now = SystemTime::now();
    let offender = federation.enroll_for("c", Validity::new(now - 2 * DAY, now - DAY).unwrap());
    is_kept_out(&federation, &offender, AlertDescription::CertificateExpired).await;
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_kept_out() {
    let federation = Federation::start().await;
    let now = SystemTime::now();
    let offender = federation.enroll_for("c", Validity::new(now + DAY, now + 2 * DAY).unwrap());
    is_kept_out(&federation, &offender, AlertDescription::CertificateExpired).await;
}

#[tokio::test]
async fn a_servers_certificate_opens_no_connection() {
    let federation = Federation::start().await;
    let (authority, week) = (federation.authority(), Validity::days(SystemTime::now(), 7).unwrap());
    let credential = authority.issue_server(&["127.0.0.1".to_owned()], week).unwrap();
    let offender = ClientTls::of(&credential, &authority);
    is_kept_out(&federation, &offender, AlertDescription::UnsupportedCertificate).await;
}

/// Every call of the participants' service.
async fn every_participants_call(raw: &mut RawParticipant, task: &v1::TrainTask) -> Vec<Result<(), Status>> {
    let update = Update::constant(task, 1.0, 1);
    let attend = v1::AttendRequest { minor: 0 };
    let model = task.model.clone().unwrap();
    vec![
        raw.negotiate(0, 0).await.map(drop),
        raw.client().attend(attend).await.map(drop),
        raw.fetch(&model.digest, 0).await.map(drop),
        raw.query(&update).await.map(drop),
        raw.submit(&update).await.map(drop),
        raw.decline(task, "TRAINING_FAILED", "").await,
    ]
}

#[tokio::test]
async fn an_operators_certificate_cannot_take_part() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    let task = sites[0].contribute(1.0, 1).await;
    let mut raw = RawParticipant::connect(federation.address(), &federation.operator_tls()).await;
    for result in every_participants_call(&mut raw, &task).await {
        let words = "this service is for participants: use a participant's certificate";
        assert_refused(result, Code::PermissionDenied, "ROLE_FORBIDDEN", words);
    }
    sites[1].contribute(3.0, 1).await;
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
}

#[tokio::test]
async fn a_participants_certificate_cannot_operate() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    operator.start(&Job::new("heart", 2)).await;
    let tls = ClientTls::from_bundle(&federation.enroll("c"));
    let channel = tls.channel(federation.address()).await;
    let mut client = v1::operation_client::OperationClient::new(channel);
    let (job, nothing) = ("heart".to_owned(), Vec::<v1::StartJobRequest>::new());
    let status = v1::GetStatusRequest { job: job.clone() };
    let fetch = v1::FetchModelRequest::default();
    let results = [
        client.start_job(tokio_stream::iter(nothing)).await.map(drop),
        client.get_status(status.clone()).await.map(drop),
        client.watch_status(status).await.map(drop),
        client.stop_job(v1::StopJobRequest { job }).await.map(drop),
        client.download_model(fetch).await.map(drop),
    ];
    for result in results {
        let words = "this service is for operators: use an operator's certificate";
        assert_refused(result, Code::PermissionDenied, "ROLE_FORBIDDEN", words);
    }
    for site in &mut sites {
        site.contribute(2.0, 1).await;
    }
    assert_eq!(operator.completed("heart").await.1, model(2, 2.0));
}

#[tokio::test]
async fn after_a_second_enrolment_only_the_newer_certificate_counts() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut sites = Site::join_all(&federation, ["a", "b"]).await;
    let mut former = federation.participant("c").await;
    former.negotiate(0, 0).await.expect("it is enrolled");
    let newer = federation.enroll("c");
    let mut newer = RawParticipant::connect(federation.address(), &ClientTls::from_bundle(&newer)).await;
    let line = newer.attend().await;
    operator.start(&Job::new("heart", 3)).await;
    let task = sites[0].contribute(1.0, 1).await;
    for result in every_participants_call(&mut former, &task).await {
        let words =
            "this certificate of `c` was replaced by a newer one: use the bundle of the last enrolment";
        assert_refused(result, Code::Unauthenticated, "CERTIFICATE_SUPERSEDED", words);
    }
    sites[1].contribute(2.0, 1).await;
    Site { raw: newer, line }.contribute(3.0, 1).await;
    let (status, found) = operator.completed("heart").await;
    assert_eq!(status.history[0].contributors, ["a", "b", "c"]);
    assert_eq!(found, model(2, 2.0));
}

#[tokio::test]
async fn a_withdrawn_participant_is_out_at_once_and_the_round_goes_on_without_it() {
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let [mut a, mut b, mut c] = Site::join_all(&federation, ["a", "b", "c"]).await;
    let job = Job { quorum: 2, absence: "100ms", ..Job::new("heart", 3) };
    operator.start(&job).await;
    let task = c.line.task().await;
    federation.withdraw("c");
    for result in every_participants_call(&mut c.raw, &task).await {
        let words = "participant `c` is not enrolled: the operator runs `federated-coordinator enroll c`";
        assert_refused(result, Code::Unauthenticated, "PARTICIPANT_NOT_ENROLLED", words);
    }
    a.contribute(1.0, 1).await;
    b.contribute(3.0, 1).await;
    // Its open stream ends too: a participant that may not answer must not be waited for.
    let status = c.line.closed().await;
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::Unauthenticated, "PARTICIPANT_NOT_ENROLLED".to_owned())
    );
    let (status, found) = operator.completed("heart").await;
    assert_eq!(status.history[0].contributors, ["a", "b"]);
    assert_eq!(found, model(2, 2.0));
}
