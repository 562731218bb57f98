use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
};

/// How many lines of a log are shown when its process fails.
const LAST_LINES: usize = 8;

/// The program that is started for a [`Role`](super::Role).
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    open_files: Option<u32>,
}

impl Program {
    /// This program.
    ///
    /// # Errors
    /// When the system does not tell where it is.
    pub fn this() -> Result<Self> {
        Ok(Self::at(std::env::current_exe().context("this program's own file")?))
    }

    /// Another program, for tests: theirs has no roles.
    #[must_use]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), open_files: None }
    }

    /// The same, with processes that may have at most so many files open, connections among them.
    #[must_use]
    pub fn open_files(self, most: u32) -> Self {
        Self { open_files: Some(most), ..self }
    }

    /// The shell sets what this process cannot set for another, and becomes the program: it keeps its number.
    fn command(&self) -> Command {
        let Some(most) = self.open_files else { return Command::new(&self.path) };
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -n {most} && exec \"$0\" \"$@\"")).arg(&self.path);
        command
    }

    /// Starts it; its log goes to the end of `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        log: &Path,
    ) -> Result<Process> {
        let log_file = File::options().create(true).append(true).open(log);
        let mut child = self
            .command()
            .args(arguments)
            .env("RUST_LOG", "info")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log_file.with_context(|| log.display().to_string())?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", self.path.display()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("a child's standard output")?;
        let output = Output::Waits(BufReader::new(stdout).lines());
        Ok(Process { child, _stdin: stdin, output, log: log.to_owned() })
    }
}

/// A process that runs. It is killed when this value is dropped, and ends by itself when this program is no more.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Kept open: a role ends when its standard input does.
    _stdin: Option<ChildStdin>,
    output: Output,
    log: PathBuf,
}

/// What becomes of the lines that a process prints.
#[derive(Debug)]
enum Output {
    /// They wait until they are asked for.
    Waits(Lines<BufReader<ChildStdout>>),
    /// They are told as they come.
    Told(JoinHandle<()>),
}

/// What a process printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A line.
    Line(String),
    /// It prints nothing any more.
    End,
}

impl Process {
    /// The next line that it prints.
    ///
    /// # Errors
    /// When it ends instead: how, and its last words.
    pub async fn line(&mut self) -> Result<String> {
        let Output::Waits(lines) = &mut self.output else { bail!("its lines are told as they come") };
        match lines.next_line().await? {
            Some(line) => Ok(line),
            None => Err(self.failed().await),
        }
    }

    /// From here on `said` is given every line as it comes, and then the end.
    ///
    /// # Errors
    /// When somebody is told already.
    pub fn tell(&mut self, mut said: impl FnMut(Said) + Send + 'static) -> Result<()> {
        let told = tokio::spawn(std::future::ready(()));
        let Output::Waits(mut lines) = std::mem::replace(&mut self.output, Output::Told(told)) else {
            bail!("its lines are told as they come");
        };
        self.output = Output::Told(tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                said(Said::Line(line));
            }
            said(Said::End);
        }));
        Ok(())
    }

    /// The number of the process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("the process has ended")
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// When it has ended by itself: how, and its last words.
    pub async fn runs(&mut self) -> Result<()> {
        if self.child.try_wait()?.is_some() { Err(self.failed().await) } else { Ok(()) }
    }

    /// Waits until it has printed this line.
    ///
    /// # Errors
    /// As [`Process::line`].
    pub async fn says(&mut self, wanted: &str) -> Result<()> {
        while self.line().await? != wanted {}
        Ok(())
    }

    /// Kills it with SIGKILL, and returns when it is gone and all that it had printed was told.
    ///
    /// # Errors
    /// When it had ended already.
    pub async fn kill(mut self) -> Result<()> {
        ensure!(self.child.try_wait()?.is_none(), "it ended before it was killed: {}", self.failed().await);
        self.child.kill().await?;
        if let Output::Told(told) = &mut self.output {
            told.await?;
        }
        Ok(())
    }

    /// Waits until it has ended by itself, as it should.
    ///
    /// # Errors
    /// When it fails: how, and its last words.
    pub async fn ended(mut self) -> Result<()> {
        match &mut self.output {
            Output::Waits(lines) => while lines.next_line().await?.is_some() {},
            Output::Told(told) => told.await?,
        }
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
