use std::{fs, path::Path, time::SystemTime};

use super::*;
use crate::identity::{PeerIdentity, Role, Roster, tls};

fn initialised() -> (tempfile::TempDir, CoordinatorConfig) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = InitOptions::new(folder.path().join("coordinator"));
    options.hosts = vec!["coordinator.example".to_owned()];
    let config = init(&options, SystemTime::now()).unwrap();
    (folder, config)
}

fn dir(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("coordinator")
}

fn enrolment(folder: &tempfile::TempDir, out: &str) -> EnrollOptions {
    let mut options = EnrollOptions::new(dir(folder), "cleveland".parse().unwrap());
    options.out = Some(folder.path().join(out));
    options
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
}

#[test]
fn init_writes_a_file_that_says_what_an_empty_one_would() {
    let (folder, config) = initialised();
    assert_eq!(config, CoordinatorConfig::defaults_in(&dir(&folder)));
    assert_eq!(config, CoordinatorConfig::in_dir(&dir(&folder)).unwrap());
    tls::server_config(&config.tls, SystemTime::now()).unwrap();
    tls::client_config(&config.operator.tls, SystemTime::now()).unwrap();
    assert!(config.state.is_dir() && Roster::new(config.enrolled).names().unwrap().is_empty());
}

#[test]
fn the_address_asked_for_stands_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = InitOptions::new(folder.path());
    options.listen = "127.0.0.1:9000".parse().unwrap();
    let config = init(&options, SystemTime::now()).unwrap();
    assert_eq!(config.listen, options.listen);
    assert_eq!(config.operator.address.to_string(), "https://localhost:9000");
}

#[test]
fn with_a_port_of_the_system_s_choice_an_enrolment_must_say_where_to_connect() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = InitOptions::new(dir(&folder));
    options.listen = "127.0.0.1:0".parse().unwrap();
    let config = init(&options, SystemTime::now()).unwrap();
    assert_eq!(config.listen, options.listen);
    assert_eq!(config.operator.address.to_string(), "https://localhost:8443");

    let mut options = enrolment(&folder, "bundle");
    let error = enroll(&options, SystemTime::now()).unwrap_err();
    assert!(matches!(error, SetupError::Address(_)) && error.to_string().contains("--address"), "{error}");
    options.address = Some("https://localhost:9000".parse().unwrap());
    enroll(&options, SystemTime::now()).unwrap();
}

#[test]
fn init_refuses_to_overwrite() {
    let (folder, config) = initialised();
    let before = fs::read(&config.tls.key).unwrap();
    let error = init(&InitOptions::new(dir(&folder)), SystemTime::now()).unwrap_err();
    assert!(matches!(error, SetupError::AlreadyInitialised { .. }), "{error}");

    // Without its configuration file the folder still holds keys that nobody wants replaced.
    fs::remove_file(dir(&folder).join(CoordinatorConfig::FILE)).unwrap();
    let error = init(&InitOptions::new(dir(&folder)), SystemTime::now()).unwrap_err();
    assert!(error.to_string().contains("ca.key"), "{error}");
    assert_eq!(fs::read(&config.tls.key).unwrap(), before);
}

#[test]
fn an_init_that_cannot_be_done_leaves_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = InitOptions::new(dir(&folder));
    options.hosts = vec!["https://coordinator.example".to_owned()];
    assert!(init(&options, SystemTime::now()).is_err());
    options.hosts = Vec::new();
    options.days = 0;
    assert!(init(&options, SystemTime::now()).is_err());
    assert!(!options.dir.exists());
}

#[cfg(unix)]
#[test]
fn only_their_owner_may_read_keys() {
    let (folder, config) = initialised();
    let bundle = enroll(&enrolment(&folder, "bundle"), SystemTime::now()).unwrap();
    let ca_key = config.tls.ca.with_extension("key");
    for key in [ca_key, config.tls.key, config.operator.tls.key, bundle.folder.join("participant.key")] {
        assert_eq!(mode(&key), 0o600, "{}", key.display());
        assert_eq!(mode(key.parent().unwrap()), 0o700, "{}", key.display());
    }
}

#[test]
fn a_bundle_has_all_that_a_site_needs() {
    let (folder, config) = initialised();
    let bundle = enroll(&enrolment(&folder, "bundle"), SystemTime::now()).unwrap();
    assert_eq!(bundle.address.to_string(), "https://coordinator.example:8443");
    assert!(!bundle.replaced);

    let text = fs::read_to_string(bundle.folder.join("participant.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["name"].as_str(), Some("cleveland"));
    assert_eq!(table["coordinator"].as_str(), Some("https://coordinator.example:8443"));
    let keys = |table: &toml::Table| table.keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(keys(&table), "coordinator device log name policy state tls");
    assert_eq!(keys(table["policy"].as_table().unwrap()), "max_local_epochs max_model min_cohort");

    let file = |name: &str| bundle.folder.join(table["tls"][name].as_str().unwrap());
    let files =
        crate::config::TlsFiles { ca: file("ca"), certificate: file("certificate"), key: file("key") };
    tls::client_config(&files, SystemTime::now()).unwrap();
    let certificate = renew::read(&files.certificate).unwrap();
    let peer = PeerIdentity::from_certificate(&certificate).unwrap();
    assert_eq!(peer.role, Role::Participant("cleveland".parse().unwrap()));
    Roster::new(&config.enrolled).check(&peer).unwrap();

    assert!(withdraw(&dir(&folder), &"cleveland".parse().unwrap()).unwrap());
    assert!(Roster::new(&config.enrolled).check(&peer).is_err());
}

#[test]
fn enrolling_again_replaces_the_certificate_but_never_a_folder() {
    let (folder, config) = initialised();
    let first = enroll(&enrolment(&folder, "first"), SystemTime::now()).unwrap();
    let error = enroll(&enrolment(&folder, "first"), SystemTime::now()).unwrap_err();
    assert!(matches!(error, SetupError::BundleExists { .. }), "{error}");
    let second = enroll(&enrolment(&folder, "second"), SystemTime::now()).unwrap();
    assert!(second.replaced);

    let check = |bundle: &Bundle| {
        let certificate = renew::read(&bundle.folder.join("participant.pem")).unwrap();
        Roster::new(&config.enrolled).check(&PeerIdentity::from_certificate(&certificate).unwrap())
    };
    check(&second).unwrap();
    assert_eq!(check(&first).unwrap_err().reason().unwrap().as_str(), "CERTIFICATE_SUPERSEDED");
}

#[test]
fn an_address_that_the_certificate_does_not_name_is_refused_until_renewed() {
    let (folder, config) = initialised();
    let mut options = enrolment(&folder, "bundle");
    options.address = Some("https://elsewhere.example:443".parse().unwrap());
    let error = enroll(&options, SystemTime::now()).unwrap_err();
    assert!(error.to_string().contains("coordinator.example, localhost, 127.0.0.1"), "{error}");
    assert!(!folder.path().join("bundle").exists());

    let operator = renew::read(&config.operator.tls.certificate).unwrap();
    let renewal = renew(&dir(&folder), &["elsewhere.example".to_owned()], 30, SystemTime::now()).unwrap();
    assert_eq!(renewal.hosts, ["elsewhere.example", "localhost", "127.0.0.1"]);
    enroll(&options, SystemTime::now()).unwrap();
    assert_ne!(operator, renew::read(&config.operator.tls.certificate).unwrap());
    tls::server_config(&config.tls, SystemTime::now()).unwrap();
    let renewal = renew(&dir(&folder), &[], 30, SystemTime::now()).unwrap();
    assert_eq!(renewal.hosts.len(), 3);
}

#[test]
fn commands_on_a_folder_without_a_coordinator_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = enroll(&enrolment(&folder, "bundle"), SystemTime::now()).unwrap_err();
    assert!(error.to_string().contains("coordinator.toml") && error.to_string().contains("init"), "{error}");
}
