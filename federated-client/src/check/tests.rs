use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};

use super::*;

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
