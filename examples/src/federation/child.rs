//! The example's processes: the program starts itself again under a hidden subcommand.
//!
//! A child says on its standard output that it is ready, keeps its log in a file, and ends when its standard input does:
//! also when the parent is killed, no process is left behind.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdin, Command},
    sync::oneshot,
};

/// How long a child may take for a graceful end before it is killed.
const GRACE: Duration = Duration::from_secs(10);
/// How many lines of a log are shown when its process fails.
const LAST_LINES: usize = 8;

/// One child; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct ChildProcess {
    name: String,
    child: Child,
    /// Kept apart, because waiting for a child closes what is its own.
    stdin: Option<ChildStdin>,
    log: PathBuf,
    arguments: Vec<String>,
}

impl ChildProcess {
    /// Starts this program again with these arguments; its log goes to the end of `folder/NAME.log`.
    pub(crate) fn start(name: &str, arguments: &[String], folder: &Path) -> Result<Self> {
        Self::start_with_log(name.to_owned(), arguments.to_vec(), folder.join(format!("{name}.log")))
    }

    fn start_with_log(name: String, arguments: Vec<String>, log: PathBuf) -> Result<Self> {
        let program = std::env::current_exe().context("this program's own file")?;
        let log_file = File::options().create(true).append(true).open(&log);
        let mut child = Command::new(program)
            .args(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file.with_context(|| log.display().to_string())?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("the process {name} cannot be started"))?;
        let stdin = child.stdin.take();
        Ok(Self { name, child, stdin, log, arguments })
    }

    /// Kills it with SIGKILL; returns when it is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() {
            return Err(self.ended().await);
        }
        Ok(self.child.kill().await?)
    }

    /// Starts it again, after it was killed.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        *self = Self::start_with_log(self.name.clone(), self.arguments.clone(), self.log.clone())?;
        Ok(())
    }

    /// Waits for the line with which the child says that it is ready.
    pub(crate) async fn ready(&mut self) -> Result<String> {
        let stdout = self.child.stdout.take().context("a child is waited for once")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).await?;
        if line.is_empty() {
            return Err(self.ended().await);
        }
        Ok(line.trim_end().to_owned())
    }

    /// Waits for the child to end, which it should not do by itself: the error says how it ended and its last words.
    pub(crate) async fn ended(&mut self) -> anyhow::Error {
        let status = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        anyhow!("the process {} ended ({status}); its log ends with:\n{}", self.name, last.join("\n"))
    }

    /// Asks for a graceful end, and waits for it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        drop(self.stdin.take());
        let ended = tokio::time::timeout(GRACE, self.child.wait()).await;
        let Ok(status) = ended else {
            self.child.kill().await?;
            return Err(anyhow!("the process {} did not end when asked to, and was killed", self.name));
        };
        if status?.success() { Ok(()) } else { Err(self.ended().await) }
    }
}

/// In a child: ready once the parent asks for the end, or is no more.
pub(crate) async fn parent_is_done() {
    let (done, told) = oneshot::channel();
    // A thread of its own: the runtime would wait for a blocking read before it ends.
    std::thread::spawn(move || {
        let mut nothing = Vec::new();
        let _closed = std::io::stdin().read_to_end(&mut nothing);
        let _gone = done.send(());
    });
    let _gone = told.await;
}
