//! Holds the arrows of `docs/architecture.md` over `cargo metadata`, and what may be in `Cargo.lock`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// Which crates of the workspace each library crate may depend on, in whatever way.
const ARROWS: [(&str, &[&str]); 4] = [
    ("federated-core", &[]),
    ("federated-proto", &["federated-core"]),
    ("federated-server", &["federated-core", "federated-proto"]),
    ("federated-client", &["federated-core", "federated-proto"]),
];
/// Crates that are free to depend on all of these, and that none of these may depend on.
const LEAVES: [&str; 3] = ["federated-examples", "federated-benches", "federated-tests"];
/// What a pure library has no use for: a runtime, a network, a training framework.
const IMPURE: [&str; 8] = ["tokio", "tonic", "hyper", "h2", "mio", "socket2", "rustls", "burn"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn metadata() -> Metadata {
    // For this machine's platform alone: packages for others may not be here, and fetching them takes a network.
    let platform = format!("{}-unknown-{}-gnu", std::env::consts::ARCH, std::env::consts::OS);
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml"));
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        command.other_options(["--filter-platform".to_owned(), platform]);
    }
    command.exec().expect("cargo metadata should describe the workspace")
}

/// Name and versions of every package in `Cargo.lock`: all platforms, all optional dependencies.
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock is committed");
    let lock: toml::Table = text.parse().expect("Cargo.lock is TOML");
    let mut packages = BTreeMap::<String, BTreeSet<String>>::new();
    for package in lock["package"].as_array().expect("a list of packages") {
        let field = |key: &str| package[key].as_str().expect("a text").to_owned();
        packages.entry(field("name")).or_default().insert(field("version"));
    }
    packages
}

fn workspace(metadata: &Metadata) -> BTreeMap<&str, &Package> {
    metadata.workspace_packages().into_iter().map(|package| (package.name.as_str(), package)).collect()
}

#[test]
fn architecture_holds_the_arrows_between_the_crates() {
    let metadata = metadata();
    let members = workspace(&metadata);
    for (name, allowed) in ARROWS {
        let package = members.get(name).unwrap_or_else(|| panic!("{name} is missing"));
        let found: Vec<_> = package
            .dependencies
            .iter()
            .map(|dependency| dependency.name.as_str())
            .filter(|dependency| members.contains_key(dependency))
            .filter(|dependency| !allowed.contains(dependency))
            .collect();
        assert!(found.is_empty(), "{name} may depend on {allowed:?} only, found {found:?}");
    }
    // A further crate needs a record of the decision and a place in these tables.
    let known: BTreeSet<_> = ARROWS.iter().map(|(name, _)| *name).chain(LEAVES).collect();
    let found: BTreeSet<_> = members.keys().copied().collect();
    assert_eq!(found, known, "the crates of the workspace");
}

#[test]
fn architecture_keeps_the_core_free_of_runtime_network_and_training() {
    let metadata = metadata();
    let core = &workspace(&metadata)["federated-core"].id;
    let tree = normal_tree(&metadata, core);
    assert!(tree.contains("serde"), "the tree was not read: {tree:?}");
    let found: Vec<_> =
        tree.iter().filter(|name| IMPURE.contains(name) || name.starts_with("burn-")).collect();
    assert!(found.is_empty(), "federated-core depends on {found:?}");
}

/// The names of everything a package needs at run time, directly or not.
fn normal_tree<'a>(metadata: &'a Metadata, root: &'a PackageId) -> BTreeSet<&'a str> {
    let graph = metadata.resolve.as_ref().expect("a resolved graph");
    let nodes: BTreeMap<_, _> = graph.nodes.iter().map(|node| (&node.id, node)).collect();
    let (mut seen, mut open) = (BTreeSet::new(), vec![root]);
    while let Some(id) = open.pop() {
        let normal = nodes[id]
            .deps
            .iter()
            .filter(|dependency| dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal))
            .map(|dependency| &dependency.pkg);
        open.extend(normal.filter(|id| seen.insert(*id)));
    }
    seen.into_iter().map(|id| metadata[id].name.as_str()).collect()
}

#[test]
fn architecture_has_one_tls_stack() {
    let locked = locked();
    let foreign: Vec<_> = locked
        .keys()
        .filter(|name| {
            name.starts_with("aws-lc")
                // `openssl-probe` only looks for the system's certificates.
                || (name.starts_with("openssl") && *name != "openssl-probe")
                || *name == "native-tls"
                || *name == "boring"
        })
        .collect();
    assert!(foreign.is_empty(), "expected rustls with ring alone, found {foreign:?}");
    assert_eq!(locked["rustls"].len(), 1, "expected one rustls, found {:?}", locked["rustls"]);
    assert_eq!(locked["ring"].len(), 1, "expected one ring, found {:?}", locked["ring"]);
}

#[test]
fn architecture_has_every_burn_crate_at_the_pinned_version() {
    let locked = locked();
    let burn: Vec<_> =
        locked.iter().filter(|(name, _)| *name == "burn" || name.starts_with("burn-")).collect();
    assert!(burn.len() > 5, "expected burn's crates, found {burn:?}");
    for (name, versions) in burn {
        let versions: Vec<_> = versions.iter().collect();
        assert_eq!(versions, ["0.21.0"], "{name}");
    }
}

/// Every Rust source below a folder, read.
fn sources(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry of the folder").path());
    paths
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => {
                vec![std::fs::read_to_string(&path).expect("a source is text")]
            }
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn architecture_documents_every_reason_code() {
    let protocol = std::fs::read_to_string(root().join("docs/protocol.md")).expect("the protocol's page");
    let rooms = ["federated-core/src", "proto/src", "federated-server/src", "federated-client/src"];
    let sources: Vec<_> = rooms.iter().flat_map(|room| sources(&root().join(room))).collect();
    let codes: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| source.split("ReasonCode::new(\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(codes.len() > 40, "the codes were not found: {codes:?}");
    let missing: Vec<_> = codes.iter().filter(|code| !protocol.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty(), "docs/protocol.md lacks {missing:?}");
}

#[test]
fn architecture_keeps_the_readmes_job_file_valid() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("the README");
    let job = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a job file");
    let job = federated_core::config::JobConfig::parse(job).expect("the job file should be valid");
    assert_eq!(job.plan.job().as_str(), "first");
}
