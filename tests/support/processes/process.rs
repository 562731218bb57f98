use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// How many lines of a log are shown when its process fails.
const LAST_LINES: usize = 8;

/// The program that is started for a [`Role`](super::Role).
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// This program.
    ///
    /// # Errors
    /// When the system does not tell where it is.
    pub fn this() -> Result<Self> {
        Ok(Self(std::env::current_exe().context("this program's own file")?))
    }

    /// Another program, for tests: theirs has no roles.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Starts it; its log goes to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        log: &Path,
    ) -> Result<Process> {
        let mut child = Command::new(&self.0)
            .args(arguments)
            .env("RUST_LOG", "info")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log).with_context(|| log.display().to_string())?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.0.display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("a child's standard output")?;
        Ok(Process { child, _stdin: stdin, lines: BufReader::new(stdout).lines(), log: log.to_owned() })
    }
}

/// A process that runs. It is killed when this value is dropped, and ends by itself when this program is no more.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Kept open: a role ends when its standard input does.
    _stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Process {
    /// The next line that it prints.
    ///
    /// # Errors
    /// When it ends instead: how, and its last words.
    pub async fn line(&mut self) -> Result<String> {
        match self.lines.next_line().await? {
            Some(line) => Ok(line),
            None => Err(self.failed().await),
        }
    }

    /// Waits until it has printed this line.
    ///
    /// # Errors
    /// As [`Process::line`].
    pub async fn says(&mut self, wanted: &str) -> Result<()> {
        while self.line().await? != wanted {}
        Ok(())
    }

    /// Kills it with SIGKILL, and returns when it is gone.
    ///
    /// # Errors
    /// When it had ended already.
    pub async fn kill(mut self) -> Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "it ended before it was killed: {}", self.failed().await);
        Ok(self.child.kill().await?)
    }

    /// Waits until it has ended by itself, as it should.
    ///
    /// # Errors
    /// When it fails: how, and its last words.
    pub async fn ended(mut self) -> Result<()> {
        while self.lines.next_line().await?.is_some() {}
        if self.child.wait().await?.success() { Ok(()) } else { Err(self.failed().await) }
    }

    async fn failed(&mut self) -> anyhow::Error {
        let status = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        anyhow!("a process ended ({status}); {} ends with:\n{}", self.log.display(), last.join("\n"))
    }
}
