//! The program `federated-client` itself, against a real coordinator.
//!
//! Cargo builds it together with the tests of the whole workspace. Where only this package is tested it may be missing;
//! then these tests say so and pass.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use federated_core::model::from_safetensors;
use federated_tests::{Federation, Job, within};
use tokio::process::Command;

fn program() -> Option<PathBuf> {
    let here = env::current_exe().expect("this program");
    let path = here.parent()?.parent()?.join("federated-client").with_extension(env::consts::EXE_EXTENSION);
    if !path.exists() {
        // Past the test's captured output: a test that did not run must say so.
        let path = path.display();
        let _ = writeln!(
            std::io::stderr(),
            "skipped: there is no {path}; `cargo build -p federated-client` makes it"
        );
        return None;
    }
    Some(path)
}

fn command(program: &Path, arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("RUST_LOG", "warn").env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn output(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        within("the program to end", command.output()).await.expect("the program");
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// Adds a table of two classes that a line separates, and trains on the CPU.
fn with_table(bundle: &Path, shift: f32) {
    let rows = (0..40).map(|n| {
        let (x, y) = ((n as f32 * 0.7 + shift).sin(), (n as f32 * 1.3).cos());
        format!("{x},{y},{}\n", u8::from(x + y > 0.0))
    });
    let table: String = std::iter::once("x,y,ill\n".to_owned()).chain(rows).collect();
    fs::write(bundle.join("train.csv"), table).unwrap();
    let file = bundle.join("participant.toml");
    let text = fs::read_to_string(&file).unwrap().replace("device = \"auto\"", "device = \"cpu\"");
    fs::write(file, format!("{text}\n[data]\ncsv = \"train.csv\"\nlabel = \"ill\"\n")).unwrap();
}

#[tokio::test]
async fn check_succeeds_when_all_is_well_and_fails_with_the_remedy_when_not() {
    let Some(program) = program() else { return };
    let mut federation = Federation::start().await;
    let bundle = federation.enroll("a");
    with_table(&bundle, 0.0);
    let (code, text) = output(command(&program, &["check"], &bundle)).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("looked at: 0 problems") && text.contains("40 rows, 2 feature columns"), "{text}");

    federation.stop().await;
    fs::remove_file(bundle.join("train.csv")).unwrap();
    let (code, text) = output(command(&program, &["check"], &bundle)).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("looked at: 2 problems"), "{text}");
    assert!(
        text.contains("-> check that the coordinator runs and that a firewall lets this site out"),
        "{text}"
    );
}

#[tokio::test]
async fn run_takes_part_in_a_job_with_the_built_in_trainer() {
    let Some(program) = program() else { return };
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let mut running = Vec::new();
    for (name, shift) in [("a", 0.0), ("b", 0.4)] {
        let bundle = federation.enroll(name);
        with_table(&bundle, shift);
        let arguments = ["run", "--stop-after-jobs", "1", "--keep-final-model"];
        running.push((tokio::spawn(output(command(&program, &arguments, &bundle))), bundle));
    }
    let model = federation.scratch().join("initial.safetensors");
    let arguments = ["new-model", "--dense", "2,4,1", "--seed", "5", "--out", "initial.safetensors"];
    let (code, text) = output(command(&program, &arguments, federation.scratch())).await;
    assert_eq!(code, Some(0), "{text}");
    let model = from_safetensors(&fs::read(model).unwrap()).unwrap();
    assert!(text.contains(&model.layout().digest().to_string()), "{text}");
    operator.present(&["a", "b"]).await;
    operator.start(&Job { rounds: 2, local_epochs: 5, model, ..Job::new("table", 2) }).await;
    let (status, newest) = operator.completed("table").await;
    assert!(status.history.iter().all(|round| round.contributors == ["a", "b"] && round.examples == 80));
    for (process, bundle) in running {
        let (code, text) = process.await.unwrap();
        assert_eq!(code, Some(0), "{text}");
        let kept = fs::read(bundle.join("state/final/table.safetensors")).unwrap();
        assert_eq!(from_safetensors(&kept).unwrap(), newest);
    }
}

#[tokio::test]
async fn run_ends_with_the_reason_when_the_coordinator_turns_it_away() {
    let Some(program) = program() else { return };
    let federation = Federation::start().await;
    let bundle = federation.enroll("a");
    with_table(&bundle, 0.0);
    federation.withdraw("a");
    let (code, text) = output(command(&program, &["run"], &bundle)).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("PARTICIPANT_NOT_ENROLLED: participant `a` is not enrolled"), "{text}");
}
