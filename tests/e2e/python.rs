//! A participant in another language, written from `proto/` and `docs/protocol.md` alone, beside two of the library.
//!
//! Its packages are installed by the test's own set-up. Where Python 3.11, pip or the package registry is missing, the
//! test says so and passes.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use federated_client::trainer::{LocalTrainer, StopSignal, TrainerError};
use federated_core::{
    metrics::Metrics,
    model::ModelParameters,
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};
use federated_tests::{Client, Federation, Job, model, within};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/python");
const FEATURES: u64 = 4;

/// A Python with the participant's packages, or why there is none.
fn python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-participant");
    let (python, installed) = (folder.join("bin/python"), folder.join("installed.txt"));
    let wanted = fs::read_to_string(Path::new(FOLDER).join("requirements.txt")).expect("requirements.txt");
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    succeeds(Command::new("python3").args(["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]))
        .map_err(|_| "there is no Python 3.11 or newer".to_owned())?;
    succeeds(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    // Without a network this shall end soon.
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=1", "--timeout=20"];
    succeeds(
        Command::new(&python).args(pip).arg("--requirement").arg(Path::new(FOLDER).join("requirements.txt")),
    )?;
    fs::write(installed, wanted).map_err(|error| error.to_string())?;
    Ok(python)
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} failed: {}", words.trim().lines().last().unwrap_or_default()))
}

/// Least squares on examples of its own, by gradient descent on all of them.
struct Linear(Vec<([f32; FEATURES as usize], f32)>);

impl Linear {
    /// The examples follow from `phase`; all sites share the weights behind them.
    fn new(phase: f32) -> Self {
        let example = |n: usize| {
            let features = std::array::from_fn(|j| (phase + (n * 7 + j * 3) as f32).sin() / 2.0);
            let target = features.iter().zip(1..).map(|(x, j)| x * (j as f32).sin()).sum::<f32>() + 0.5;
            (features, target)
        };
        Self((0..32).map(example).collect())
    }
}

fn error(values: &[f32], (features, target): &([f32; FEATURES as usize], f32)) -> f32 {
    features.iter().zip(values).map(|(x, w)| x * w).sum::<f32>() + values[FEATURES as usize] - target
}

impl LocalTrainer for Linear {
    fn example_count(&self) -> u64 {
        self.0.len() as u64
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        _: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        let (layout, start) = (model.layout().clone(), model.into_values());
        let mut values = start.clone();
        let step = 2.0 * task.work.learning_rate / self.0.len() as f32;
        for _ in 0..task.work.epochs.get() {
            let mut gradient = [0.0; FEATURES as usize + 1];
            for example in &self.0 {
                let inputs = example.0.iter().chain(&[1.0]);
                gradient.iter_mut().zip(inputs).for_each(|(sum, x)| *sum += error(&values, example) * x);
            }
            values.iter_mut().zip(gradient).for_each(|(value, slope)| *value -= step * slope);
        }
        let loss = self.0.iter().map(|example| error(&values, example).powi(2)).sum::<f32>();
        let mut metrics = Metrics::new();
        metrics.insert("loss", f64::from(loss / self.0.len() as f32))?;
        values.iter_mut().zip(start).for_each(|(value, start)| *value -= start);
        let delta = ModelParameters::new(layout, values)?;
        Ok(ClientUpdate { delta, examples: ExampleCount::new(self.example_count())?, metrics })
    }
}

#[tokio::test]
async fn a_participant_in_python_finishes_three_rounds_beside_two_of_the_library() {
    let python = match tokio::task::spawn_blocking(python).await.expect("no panic") {
        Ok(python) => python,
        Err(why) => {
            // Past the test's captured output: a test that did not run must say so.
            let _ = writeln!(std::io::stderr(), "skipped: the Python participant was not run: {why}");
            return;
        }
    };
    let federation = Federation::start().await;
    let mut operator = federation.operator().await;
    let clients = [("a", 0.3), ("b", 1.9)]
        .map(|(name, phase)| Client::start(&federation.enroll(name), Linear::new(phase)));
    let process = tokio::process::Command::new(python)
        .arg(Path::new(FOLDER).join("participant.py"))
        .arg("--bundle")
        .arg(federation.enroll("python"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a process");
    let mut output = tokio::spawn(process.wait_with_output());
    tokio::select! {
        () = operator.present(&["a", "b", "python"]) => {}
        output = &mut output => panic!("the Python participant ended before the job began: {output:?}"),
    }
    let job = Job { rounds: 3, local_epochs: 20, model: model(FEATURES, 0.0), ..Job::new("line", 3) };
    operator.start(&job).await;
    let (status, _) = operator.completed("line").await;
    for round in &status.history {
        assert_eq!(
            (round.contributors.as_slice(), round.attempt),
            (&["a", "b", "python"].map(str::to_owned)[..], 1)
        );
    }
    let losses: Vec<_> = status.history.iter().map(|round| round.metrics["loss"]).collect();
    assert!(losses.is_sorted_by(|earlier, later| later < earlier), "training together helps: {losses:?}");
    assert!(status.incidents.is_empty(), "{:?}", status.incidents);
    let output =
        within("the Python participant to end", output).await.expect("no panic").expect("its output");
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{words}\n{}", String::from_utf8_lossy(&output.stderr));
    // The end of the job may overtake the last receipt; the coordinator has counted that update by then.
    assert_eq!(words.matches("task line/round").count(), 3, "{words}");
    for client in clients {
        client.ended().await.unwrap();
    }
}
