//! The program's processes: it starts itself again under a hidden subcommand.
//!
//! A child says what it has to say in lines on its standard output, keeps its log in a file, and ends when its standard
//! input does: also when the parent is killed, no process is left behind.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use futures::future::try_join_all;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// How long a child may take for its end before it is killed.
const GRACE: Duration = Duration::from_secs(30);
/// How many lines of a log are shown when its process fails.
const LAST_LINES: usize = 8;

/// One child; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    name: String,
    child: tokio::process::Child,
    /// Kept apart, because waiting for a child closes what is its own.
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Child {
    /// Starts this program again with these arguments; its log goes to `folder/NAME.log`.
    pub(crate) fn start(name: &str, arguments: &[String], folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let program = std::env::current_exe().context("this program's own file")?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).with_context(|| log.display().to_string())?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("the process {name} cannot be started"))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("a child's standard output")?;
        Ok(Self { name: name.to_owned(), child, stdin, lines: BufReader::new(stdout).lines(), log })
    }

    /// The next line that the child prints. An error says how it ended instead, with its last words.
    pub(crate) async fn line(&mut self) -> Result<String> {
        match self.lines.next_line().await? {
            Some(line) => Ok(line),
            None => Err(self.failed().await),
        }
    }

    /// Asks the child for its end.
    pub(crate) fn ask_to_end(&mut self) {
        drop(self.stdin.take());
    }

    /// Waits for the child to end, which it should do now.
    pub(crate) async fn ended(mut self) -> Result<()> {
        let Ok(status) = timeout(GRACE, self.child.wait()).await else {
            self.child.kill().await?;
            bail!("the process {} did not end when it should, and was killed", self.name);
        };
        if status?.success() { Ok(()) } else { Err(self.failed().await) }
    }

    async fn failed(&mut self) -> anyhow::Error {
        let status = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        anyhow!("the process {} ended ({status}); its log ends with:\n{}", self.name, last.join("\n"))
    }
}

/// In a child: blocks until the parent asks for the end, or is no more.
pub(crate) fn wait_for_parent() {
    let _closed = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

/// The same for a child with a runtime.
pub(crate) async fn parent_is_done() {
    let (done, told) = tokio::sync::oneshot::channel();
    // A thread of its own: the runtime would wait for a blocking read before it ends.
    std::thread::spawn(move || {
        wait_for_parent();
        let _gone = done.send(());
    });
    let _gone = told.await;
}

/// Waits for one line of JSON from each child.
pub(crate) async fn reports<T: DeserializeOwned>(children: &mut [Child]) -> Result<Vec<T>> {
    let report = async |child: &mut Child| -> Result<T> { Ok(serde_json::from_str(&child.line().await?)?) };
    try_join_all(children.iter_mut().map(report)).await
}

/// Waits for all children to end.
pub(crate) async fn all_ended(children: Vec<Child>) -> Result<()> {
    try_join_all(children.into_iter().map(Child::ended)).await.map(drop)
}
