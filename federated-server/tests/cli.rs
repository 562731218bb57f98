//! The program `federated-coordinator`, from `init` to SIGTERM.

#![cfg(unix)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a helper of a test fails the test"
)]

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use federated_core::model::{ModelLayout, ModelParameters, TensorSpec, from_safetensors, to_safetensors};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// Only a test that fails waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

const JOB: &str = r#"
    name = "heart"
    rounds = 3
    model = { initial = "initial.safetensors" }
    strategy = { kind = "fedavg", learning_rate = 0.1 }
    cohort = { min_participants = 2 }
"#;

fn coordinator(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_federated-coordinator"));
    command.args(arguments).current_dir(folder).env("RUST_LOG", "info").env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn output(folder: &Path, arguments: &[&str]) -> Output {
    timeout(PATIENCE, coordinator(folder, arguments).output()).await.expect("an end in time").unwrap()
}

/// Runs a command that shall succeed, and gives what it prints.
async fn done(folder: &Path, arguments: &[&str]) -> String {
    let output = output(folder, arguments).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that shall fail, and gives what it says.
async fn refused(folder: &Path, arguments: &[&str]) -> String {
    let output = output(folder, arguments).await;
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A coordinator's folder `c` on a free port.
async fn federation() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let init = ["init", "c", "--host", "127.0.0.1", "--listen", &address];
    let said = done(folder.path(), &init).await;
    assert!(said.contains("c is ready."), "{said}");
    folder
}

/// Serves; the coordinator accepts connections when this returns.
async fn serve(folder: &Path) -> Child {
    let mut process = coordinator(folder, &["serve", "--dir", "c"]).spawn().unwrap();
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let listening = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("listening") {
                return;
            }
        }
        panic!("it ended instead of listening");
    };
    timeout(PATIENCE, listening).await.expect("it listens in time");
    // What it says later is read and left, so that it never waits for a reader.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    process
}

async fn terminated(mut process: Child) -> Option<i32> {
    let id = process.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    timeout(PATIENCE, process.wait()).await.expect("it stops in time").unwrap().code()
}

fn model() -> ModelParameters {
    let layout =
        ModelLayout::new(vec![TensorSpec::new("weight", [2, 1]), TensorSpec::new("bias", [1])]).unwrap();
    ModelParameters::new(layout, vec![0.5, -0.5, 0.1]).unwrap()
}

fn write_job(folder: &Path) {
    fs::write(folder.join("job.toml"), JOB).unwrap();
    fs::write(folder.join("initial.safetensors"), to_safetensors(&model()).unwrap()).unwrap();
}

async fn status(folder: &Path) -> serde_json::Value {
    let line = done(folder, &["status", "--dir", "c", "--json"]).await;
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[tokio::test]
async fn a_coordinator_is_made_serves_jobs_and_stops_in_good_order() {
    let folder = federation().await;
    let folder = folder.path();
    write_job(folder);
    let serving = serve(folder).await;
    assert_eq!(status(folder).await["jobs"], serde_json::json!([]));

    let said = done(folder, &["start", "job.toml", "--dir", "c"]).await;
    assert!(said.contains("started heart"), "{said}");
    let found = status(folder).await;
    let job = &found["jobs"][0];
    assert_eq!(
        (&job["job"], &job["state"], &job["rounds"]),
        (&"heart".into(), &"gathering".into(), &3.into())
    );
    assert_eq!(job["model_digest"], model().digest().to_string());
    let said = done(folder, &["status", "heart", "--dir", "c"]).await;
    assert!(said.contains("heart: gathering, round 1 of 3, attempt 1"), "{said}");
    let said = refused(folder, &["start", "job.toml", "--dir", "c"]).await;
    assert!(said.contains("JOB_EXISTS: there is a job `heart` already"), "{said}");
    let said = done(folder, &["model", "heart", "--out", "newest.safetensors", "--dir", "c"]).await;
    assert!(said.contains(&model().digest().to_string()), "{said}");
    assert_eq!(from_safetensors(&fs::read(folder.join("newest.safetensors")).unwrap()).unwrap(), model());

    // Watching ends with the job.
    let watching = coordinator(folder, &["status", "--watch", "--json", "--dir", "c"]).spawn().unwrap();
    done(folder, &["stop", "heart", "--dir", "c"]).await;
    let watched = timeout(PATIENCE, watching.wait_with_output()).await.expect("an end in time").unwrap();
    let last = String::from_utf8(watched.stdout).unwrap().lines().last().map(str::to_owned).unwrap();
    assert!(watched.status.success() && last.contains("\"state\":\"stopped\""), "{last}");
    let said = refused(folder, &["stop", "heart", "--dir", "c"]).await;
    assert!(said.contains("JOB_ENDED"), "{said}");
    assert_eq!(terminated(serving).await, Some(0));
}

#[tokio::test]
async fn a_job_that_was_started_outlives_sigterm_and_sigkill() {
    let folder = federation().await;
    let folder = folder.path();
    write_job(folder);
    let mut serving = serve(folder).await;
    done(folder, &["start", "job.toml", "--dir", "c"]).await;
    let second = refused(folder, &["serve", "--dir", "c"]).await;
    assert!(second.contains("is in use by another coordinator"), "{second}");
    serving.kill().await.unwrap();
    let serving = serve(folder).await;
    assert_eq!(status(folder).await["jobs"][0]["state"], "gathering");
    assert_eq!(terminated(serving).await, Some(0));
    let said = refused(folder, &["status", "--dir", "c"]).await;
    assert!(said.contains("cannot reach the coordinator") && said.contains("is `serve` running?"), "{said}");
    let serving = serve(folder).await;
    assert_eq!(status(folder).await["jobs"][0]["state"], "gathering");
    assert_eq!(terminated(serving).await, Some(0));
}

#[tokio::test]
async fn participants_are_enrolled_and_withdrawn_by_hand() {
    let folder = federation().await;
    let folder = folder.path();
    let said = done(folder, &["enroll", "cleveland", "--dir", "c"]).await;
    assert!(said.contains("cleveland is enrolled. Its bundle is in cleveland/."), "{said}");
    for file in ["participant.toml", "participant.pem", "participant.key", "ca.pem"] {
        assert!(folder.join("cleveland").join(file).exists(), "{file}");
    }
    let text = fs::read_to_string(folder.join("cleveland/participant.toml")).unwrap();
    assert!(text.contains("name = \"cleveland\"") && text.contains("https://127.0.0.1:"), "{text}");

    let said = refused(folder, &["enroll", "cleveland", "--dir", "c"]).await;
    assert!(said.contains("cleveland"), "{said}");
    let said = done(folder, &["enroll", "cleveland", "--dir", "c", "--out", "again"]).await;
    assert!(said.contains("Its former certificate counts no more"), "{said}");
    let said = done(folder, &["withdraw", "cleveland", "--dir", "c"]).await;
    assert!(said.contains("cleveland is withdrawn"), "{said}");
    let said = refused(folder, &["withdraw", "cleveland", "--dir", "c"]).await;
    assert!(said.contains("`cleveland` is not enrolled"), "{said}");
    let said = done(folder, &["renew", "--dir", "c"]).await;
    assert!(said.contains("127.0.0.1") && said.contains("valid until"), "{said}");
}

#[tokio::test]
async fn mistakes_on_the_command_line_and_in_files_are_named() {
    let folder = federation().await;
    let folder = folder.path();
    let said = refused(folder, &["init", "c"]).await;
    assert!(said.contains("coordinator.toml"), "{said}");
    let said = refused(folder, &["serve", "--dir", "nowhere"]).await;
    assert!(
        said.contains("nowhere/coordinator.toml") && said.contains("`federated-coordinator init` makes"),
        "{said}"
    );
    let output = output(folder, &["enroll", "No Name", "--dir", "c"]).await;
    assert_eq!(output.status.code(), Some(2));
    let said = refused(folder, &["start", "none.toml", "--dir", "c"]).await;
    assert!(said.contains("cannot read none.toml"), "{said}");
    fs::write(folder.join("job.toml"), JOB.replace("rounds = 3", "rounds = 0")).unwrap();
    let said = refused(folder, &["start", "job.toml", "--dir", "c"]).await;
    assert!(
        said.contains("job.toml") && said.contains("rounds: expected a number of at least 1, found 0"),
        "{said}"
    );
    fs::write(folder.join("job.toml"), JOB).unwrap();
    let said = refused(folder, &["start", "job.toml", "--dir", "c"]).await;
    assert!(said.contains("model.initial: cannot read") && said.contains("initial.safetensors"), "{said}");
    let file = folder.join("c/coordinator.toml");
    let text = fs::read_to_string(&file).unwrap().replace("stall = \"30s\"", "stall = 30");
    fs::write(file, text).unwrap();
    let said = refused(folder, &["serve", "--dir", "c"]).await;
    assert!(
        said.contains("coordinator.toml: line") && said.contains("limits.stall: invalid type: integer `30`"),
        "{said}"
    );
}

#[tokio::test]
async fn a_signing_key_is_made_once_and_its_public_half_is_printed() {
    let folder = federation().await;
    let key = || output(folder.path(), &["signing-key", "--dir", "c"]);
    let output = key().await;
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.trim().len() == 64 && printed.trim().chars().all(|c| c.is_ascii_hexdigit()), "{printed}");
    let hint = String::from_utf8(output.stderr).unwrap();
    assert!(hint.contains("does not use the key yet"), "{hint}");
    assert_eq!(key().await.stdout, printed.as_bytes(), "the same key");
    // As an operator would: the line of the template without its comment mark.
    let file = folder.path().join("c/coordinator.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("# signing_key", "signing_key")).unwrap();
    let output = key().await;
    assert!(output.stderr.is_empty() && output.stdout == printed.as_bytes(), "{output:?}");
    fs::write(folder.path().join("c/signing.key"), "damaged").unwrap();
    let said = refused(folder.path(), &["signing-key", "--dir", "c"]).await;
    assert!(said.contains("signing.key: expected 64 hexadecimal"), "{said}");
}
