use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, Subcommand};
use federated_core::{
    ids::JobName,
    privacy::{
        dp::ledger::{Ledger, TornTail},
        secagg::VerifyingPublic,
    },
};
use federated_server::{config::CoordinatorConfig, identity::load_signing_key, store::JobLedger};

/// Looks at a job's privacy ledger: what was released, against the job's limit.
#[derive(Debug, Args)]
pub(super) struct LedgerCommand {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// Prints what is spent, what is left, and what became of each release.
    Show(Show),
    /// Checks every line of a job's ledger, or of a copy of it.
    Verify(Verify),
    /// Writes a copy that anyone with the public key, as `signing-key` prints it, can check.
    Export(Export),
}

#[derive(Debug, Args)]
struct Show {
    /// The job.
    job: JobName,
    /// The folder that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Prints one line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Verify {
    /// The job.
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    job: Option<JobName>,
    /// A copy, as `export` writes it, instead of a job's ledger.
    #[arg(long)]
    file: Option<PathBuf>,
    /// The public key, as `signing-key` prints it. Default: this coordinator's.
    #[arg(long, value_name = "HEX")]
    key: Option<VerifyingPublic>,
    /// The folder that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct Export {
    /// The job.
    job: JobName,
    /// The file to make.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The folder that `init` made.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

/// A ledger as it is at one moment; the coordinator may write it meanwhile.
struct Found {
    bytes: Vec<u8>,
    ledger: Ledger,
    tail: Option<TornTail>,
    key: VerifyingPublic,
}

fn own_key(dir: &Path) -> anyhow::Result<VerifyingPublic> {
    let file = dir.join(CoordinatorConfig::FILE);
    let key = CoordinatorConfig::in_dir(dir)?.signing_key.with_context(|| {
        let file = file.display();
        format!("{file}: expected a `signing_key`, found none; `federated-coordinator signing-key` makes it")
    })?;
    Ok(load_signing_key(&key)?.public())
}

fn ledger_of(dir: &Path, job: &JobName) -> anyhow::Result<PathBuf> {
    Ok(JobLedger::path(&CoordinatorConfig::in_dir(dir)?.state, job))
}

impl Found {
    fn of(dir: &Path, job: &JobName) -> anyhow::Result<Self> {
        let (key, path) = (own_key(dir)?, ledger_of(dir, job)?);
        let bytes = read(&path)?;
        let (ledger, tail) = Ledger::read(&bytes, &key).with_context(|| path.display().to_string())?;
        Ok(Self { bytes, ledger, tail, key })
    }

    /// The length of a last line that is cut off.
    fn cut_off(&self) -> usize {
        self.tail.as_ref().map_or(0, TornTail::len)
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| {
        format!("cannot read {}; only jobs with differential privacy have a ledger", path.display())
    })
}

impl LedgerCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.question {
            Question::Show(question) => question.run(),
            Question::Verify(question) => question.run(),
            Question::Export(question) => question.run(),
        }
    }
}

impl Show {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    fn run(self) -> anyhow::Result<()> {
        let found = Found::of(&self.dir, &self.job)?;
        let summary = found.ledger.summary()?;
        if self.json {
            println!("{}", serde_json::to_string(&summary)?);
            return Ok(());
        }
        println!("{summary}\nsigned with {}", found.key);
        if found.tail.is_some() {
            let bytes = found.cut_off();
            println!(
                "a last line is cut off after {bytes} bytes: it is being written, or counts as spent at the next start"
            );
        }
        Ok(())
    }
}

impl Verify {
    #[expect(clippy::print_stdout, reason = "a command's result goes to standard output")]
    fn run(self) -> anyhow::Result<()> {
        let path = match (self.file, self.job) {
            (Some(file), _) => file,
            (None, Some(job)) => ledger_of(&self.dir, &job)?,
            (None, None) => anyhow::bail!("expected a job, or a copy with --file"),
        };
        let key = self.key.map_or_else(
            || {
                own_key(&self.dir)
                    .context("expected the key of the ledger's owner: give its public half with --key")
            },
            Ok,
        )?;
        let ledger = Ledger::verify(&read(&path)?, &key).with_context(|| path.display().to_string())?;
        let summary = ledger.summary()?;
        let (lines, spent, limit, last) =
            (summary.lines, summary.spent, summary.budget.epsilon, &summary.last_line);
        println!(
            "{}: {lines} lines, each signed with {key} and after the one before it; spent {spent:.6} of epsilon {limit}; \
             the last line is {last}",
            path.display()
        );
        Ok(())
    }
}

impl Export {
    #[expect(clippy::print_stdout, reason = "a command says what it did")]
    fn run(self) -> anyhow::Result<()> {
        let found = Found::of(&self.dir, &self.job)?;
        let whole = found.bytes.get(..found.bytes.len().saturating_sub(found.cut_off())).unwrap_or_default();
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&self.out)?;
            file.write_all(whole)?;
            file.sync_all()
        };
        let out = self.out.display();
        write().with_context(|| format!("cannot write {out}; a file that is there is not written over"))?;
        let (lines, key) = (found.ledger.lines(), found.key);
        println!(
            "{out}: {lines} lines; check it with `federated-coordinator ledger verify --file {out} --key {key}`"
        );
        Ok(())
    }
}
