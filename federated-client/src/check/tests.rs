use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};

use super::*;
use crate::{config::SecureFiles, signing};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// 2026-01-01.
const NOW: Duration = Duration::from_secs(1_767_225_600);

fn now() -> SystemTime {
    UNIX_EPOCH + NOW
}

/// A bundle in `folder` whose certificate is valid for `days` from a day before [`now`].
fn bundle(folder: &Path, name: &str, days: u32) -> ParticipantConfig {
    let start = time::OffsetDateTime::from(now() - DAY);
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    (authority.not_before, authority.not_after) = (start, start + 3_650 * DAY);
    let ca = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    let urn = format!("urn:federated:participant:{name}");
    params.subject_alt_names = vec![SanType::URI(urn.as_str().try_into().unwrap())];
    (params.not_before, params.not_after) = (start, start + (days + 1) * DAY);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    fs::write(folder.join("participant.pem"), certificate.pem()).unwrap();
    write_private(&folder.join("participant.key"), &key.serialize_pem());
    let address = "https://127.0.0.1:1".parse().unwrap();
    let mut config = ParticipantConfig::new("cleveland".parse().unwrap(), address, folder);
    config.device = crate::device::Device::Cpu;
    config
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

fn find<'a>(findings: &'a [Finding], name: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.name == name).unwrap()
}

#[test]
fn a_good_bundle_has_nothing_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    let findings = files::check(&bundle(folder.path(), "cleveland", 365), now());
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{findings:?}");
    assert!(find(&findings, "tls.certificate").detail.contains("2027-01-01"), "{findings:?}");
}

#[test]
fn missing_and_damaged_files_are_named_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let config = bundle(folder.path(), "cleveland", 365);
    fs::remove_file(&config.tls.certificate).unwrap();
    write_private(&config.tls.key, "not a key");
    let findings = files::check(&config, now());
    let certificate = find(&findings, "tls.certificate");
    assert_eq!(certificate.verdict, Verdict::Problem);
    assert!(certificate.detail.contains("participant.pem"), "{certificate:?}");
    assert!(certificate.remedy.as_ref().unwrap().contains("enroll"), "{certificate:?}");
    let key = find(&findings, "tls.key");
    assert!(key.detail.contains("expected") && key.detail.contains("a private key"), "{key:?}");
}

#[test]
fn expired_early_and_ending_certificates_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let config = bundle(folder.path(), "cleveland", 60);
    let at = |moment| {
        let findings = files::check(&config, moment);
        let finding = find(&findings, "tls.certificate").clone();
        (finding.verdict, finding.detail, finding.remedy.unwrap_or_default())
    };
    let (verdict, detail, remedy) = at(now() + 61 * DAY);
    assert_eq!(verdict, Verdict::Problem);
    assert!(detail.contains("it expired on 2026-03-02"), "{detail}");
    assert!(remedy.contains("federated-coordinator enroll cleveland"), "{remedy}");
    let (verdict, detail, remedy) = at(now() - 2 * DAY);
    assert_eq!(verdict, Verdict::Problem);
    assert!(detail.contains("not valid before") && remedy.contains("clock"), "{detail} {remedy}");
    assert_eq!(at(now() + 31 * DAY).0, Verdict::Warning);
    assert_eq!(at(now() + 29 * DAY).0, Verdict::Ok);
}

#[test]
fn someone_else_s_certificate_and_a_key_of_another_bundle_are_problems() {
    let folder = tempfile::tempdir().unwrap();
    let config = bundle(folder.path(), "hungary", 365);
    let findings = files::check(&config, now());
    let finding = find(&findings, "name");
    assert_eq!(finding.verdict, Verdict::Problem);
    assert!(finding.detail.contains("`hungary`") && finding.detail.contains("`cleveland`"), "{finding:?}");

    let config = bundle(folder.path(), "cleveland", 365);
    write_private(&config.tls.key, &KeyPair::generate().unwrap().serialize_pem());
    let findings = files::check(&config, now());
    assert!(
        findings.iter().any(|finding| finding.name == "tls.key" && finding.verdict == Verdict::Problem),
        "{findings:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let config = bundle(folder.path(), "cleveland", 365);
    fs::set_permissions(&config.tls.key, fs::Permissions::from_mode(0o644)).unwrap();
    let findings = files::check(&config, now());
    let key = find(&findings, "tls.key");
    assert_eq!(key.verdict, Verdict::Warning);
    assert!(key.remedy.as_ref().unwrap().starts_with("chmod 600 "), "{key:?}");
}

/// The files of secure aggregation in `folder`, with so many participants in the roster.
fn secured(folder: &Path, members: usize) -> ParticipantConfig {
    let mut config = bundle(folder, "cleveland", 365);
    let files = SecureFiles {
        signing_key: folder.join("signing.key"),
        pinned_roster: folder.join("roster"),
        min_cohort: 3,
        min_threshold: 2,
        coordinator_key: None,
        require_signed_result: false,
    };
    let mut roster = format!("cleveland {}\n", signing::make_key(&files.signing_key).unwrap());
    for member in 1..members {
        let key = folder.join(format!("{member}.key"));
        roster += &format!("site-{member} {}\n", signing::make_key(&key).unwrap());
    }
    fs::write(&files.pinned_roster, roster).unwrap();
    config.secure_aggregation = Some(files);
    config
}

fn remedy<'a>(findings: &'a [Finding], name: &str, verdict: Verdict) -> &'a str {
    let finding = find(findings, name);
    assert_eq!(finding.verdict, verdict, "{finding:?}");
    finding.remedy.as_deref().unwrap()
}

#[test]
fn key_roster_and_floors_of_secure_aggregation_are_looked_at_where_there_are_some() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = secured(folder.path(), 4);
    let findings = secure::check(&config);
    assert_eq!(findings.len(), 4);
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Ok), "{findings:?}");
    let roster = &find(&findings, "secure_aggregation.pinned_roster").detail;
    assert!(roster.ends_with("4 participants, this one with its own key"), "{roster}");
    config.secure_aggregation = None;
    let findings = secure::check(&config);
    assert!(findings.len() == 1 && findings[0].detail.contains("declined"), "{findings:?}");
}

#[test]
fn a_signing_key_that_is_missing_or_damaged_is_a_problem_and_the_roster_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let config = secured(folder.path(), 4);
    let files = config.secure_aggregation.as_ref().unwrap();
    write_private(&files.signing_key, "not a key");
    for _ in ["damaged", "missing"] {
        let findings = secure::check(&config);
        let remedied = remedy(&findings, "secure_aggregation.signing_key", Verdict::Problem);
        assert!(remedied.contains("federated-client secagg-key"), "{remedied}");
        remedy(&findings, "secure_aggregation.pinned_roster", Verdict::Warning);
        assert_eq!(find(&findings, "secure_aggregation.min_cohort").verdict, Verdict::Ok);
        let _ = fs::remove_file(&files.signing_key);
    }
}

#[cfg(unix)]
#[test]
fn a_signing_key_that_others_may_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let config = secured(folder.path(), 4);
    let key = folder.path().join("signing.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let findings = secure::check(&config);
    let remedied = remedy(&findings, "secure_aggregation.signing_key", Verdict::Warning);
    assert_eq!(remedied, format!("chmod 600 {}", key.display()));
}

#[test]
fn a_roster_that_is_missing_damaged_or_lacks_this_participant_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    let config = secured(folder.path(), 4);
    let path = folder.path().join("roster");
    let lines = fs::read_to_string(&path).unwrap();
    let other_key = lines.replace("cleveland", "hungary");
    let cases = [
        (other_key.as_str(), "for `cleveland`, found none", "secagg-key"),
        (&lines.replacen("cleveland", "site-1", 1), "line 2: expected each name", "mend it"),
        ("cleveland", "line 1: expected a participant's name", "mend it"),
    ];
    let tried = |detail: &str, remedied: &str| {
        let findings = secure::check(&config);
        assert_eq!(findings.len(), if detail.contains("cleveland") { 4 } else { 2 }, "{findings:?}");
        let found = find(&findings, "secure_aggregation.pinned_roster");
        assert!(found.detail.contains(detail), "{found:?}");
        let remedy = remedy(&findings, "secure_aggregation.pinned_roster", Verdict::Problem);
        assert!(remedy.contains(remedied), "{remedy}");
    };
    for (text, detail, remedied) in cases {
        fs::write(&path, text).unwrap();
        tried(detail, remedied);
    }
    fs::remove_file(&path).unwrap();
    tried("cannot read", "agreed on out of band");
}

#[test]
fn floors_that_no_session_reaches_are_problems() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = secured(folder.path(), 4);
    let mut with = |min_cohort, min_threshold| {
        let files = config.secure_aggregation.as_mut().unwrap();
        (files.min_cohort, files.min_threshold) = (min_cohort, min_threshold);
        secure::check(&config)
    };
    // Of four, three are needed where a third may be corrupt.
    assert!(with(4, 3).iter().all(|finding| finding.verdict == Verdict::Ok));
    let findings = with(5, 4);
    assert!(
        remedy(&findings, "secure_aggregation.min_cohort", Verdict::Problem).contains("complete the roster")
    );
    assert!(remedy(&findings, "secure_aggregation.min_threshold", Verdict::Warning).contains("gamma"));
    remedy(&with(3, 5), "secure_aggregation.min_threshold", Verdict::Problem);
}

#[tokio::test]
async fn a_coordinator_that_is_not_there_is_told_by_the_step_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = bundle(folder.path(), "cleveland", 365);
    // A port that was just free: nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    config.coordinator = format!("https://127.0.0.1:{port}").parse().unwrap();
    let findings = coordinator::check(&config).await;
    assert_eq!(find(&findings, "coordinator: name").verdict, Verdict::Ok);
    let network = find(&findings, "coordinator: network");
    assert_eq!(network.verdict, Verdict::Problem);
    assert!(network.remedy.as_ref().unwrap().contains("firewall"), "{network:?}");
    fs::remove_file(&config.tls.ca).unwrap();
    assert!(coordinator::check(&config).await[0].detail.contains("not tried"));
}

#[tokio::test]
async fn the_table_and_the_device_are_tried() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = bundle(folder.path(), "cleveland", 365);
    let csv = folder.path().join("train.csv");
    fs::write(&csv, "age,sick\n0.5,1\n0.1,0\n").unwrap();
    config.data = Some(crate::config::TableFile { csv, label: "sick".to_owned() });
    let findings = local::check(&config).await;
    let data = find(&findings, "data");
    assert!(data.detail.contains("2 rows, 1 feature columns, label `sick`"), "{data:?}");
    assert_eq!(find(&findings, "device").verdict, Verdict::Ok);
    config.data.as_mut().unwrap().label = "ill".to_owned();
    let findings = local::check(&config).await;
    assert_eq!(find(&findings, "data").verdict, Verdict::Problem);
}
