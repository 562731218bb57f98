use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use federated_client::{
    config::{ParticipantConfig, SiteBudget},
    privacy::LedgerCopy,
};
use federated_core::privacy::{dp::ledger::Ledger, secagg::VerifyingPublic};

/// Looks at this site's privacy ledger: what was ever released from its records, against its limit.
#[derive(Args)]
pub(super) struct LedgerCommand {
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    /// Prints what is spent, what is left, and what became of each release.
    Show(Show),
    /// Checks every line of the ledger, or of a copy of it.
    Verify(Verify),
    /// Writes a copy that anyone with the public key can check.
    Export(Export),
    /// Prints the public key that the lines are signed with.
    Key(Place),
}

#[derive(Args)]
struct Place {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "participant.toml")]
    config: PathBuf,
}

#[derive(Args)]
struct Show {
    #[command(flatten)]
    place: Place,
    /// Prints one line of JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Verify {
    /// A copy, as `export` writes it. Default: this site's own ledger.
    file: Option<PathBuf>,
    /// The public key, as `ledger key` prints it. Default: this site's.
    #[arg(long, value_name = "HEX")]
    key: Option<VerifyingPublic>,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Export {
    /// The file to make.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl Place {
    fn budget(&self) -> anyhow::Result<SiteBudget> {
        let file = self.config.display();
        ParticipantConfig::load(&self.config)?.privacy.with_context(|| {
            format!("{file}: expected a table [privacy] with epsilon and delta, found none: this site has no ledger")
        })
    }

    fn copy(&self) -> anyhow::Result<LedgerCopy> {
        Ok(LedgerCopy::of_folder(&self.budget()?.folder)?)
    }
}

impl LedgerCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let to = &mut io::stdout().lock();
        match self.question {
            Question::Show(question) => question.run(to),
            Question::Verify(question) => question.run(to),
            Question::Export(question) => question.run(to),
            Question::Key(place) => {
                let key = place.copy()?.key();
                writeln!(to, "{key}").context("standard output")
            }
        }
    }
}

impl Show {
    fn run(self, to: &mut impl Write) -> anyhow::Result<()> {
        let copy = self.place.copy()?;
        let summary = copy.ledger().summary()?;
        if self.json {
            return writeln!(to, "{}", serde_json::to_string(&summary)?).context("standard output");
        }
        write!(to, "{summary}\nsigned with {}\n", copy.key()).context("standard output")?;
        if copy.cut_off() > 0 {
            let bytes = copy.cut_off();
            writeln!(to, "a last line is cut off after {bytes} bytes: it is being written, or counts as spent at the next start")
                .context("standard output")?;
        }
        Ok(())
    }
}

impl Verify {
    fn run(self, to: &mut impl Write) -> anyhow::Result<()> {
        let folder = || self.place.budget().map(|budget| budget.folder);
        let file = match &self.file {
            Some(file) => file.clone(),
            None => LedgerCopy::file_in(&folder()?),
        };
        let key = match self.key {
            Some(key) => key,
            None => folder()
                .and_then(|folder| Ok(LedgerCopy::key_in(&folder)?))
                .context("expected the public key that the ledger was signed with: give it with --key")?,
        };
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let ledger = Ledger::verify(&bytes, &key).with_context(|| file.display().to_string())?;
        let summary = ledger.summary()?;
        let (lines, spent, limit, last) =
            (summary.lines, summary.spent, summary.budget.epsilon, &summary.last_line);
        writeln!(
            to,
            "{}: {lines} lines, each signed with {key} and after the one before it; spent {spent:.6} of epsilon {limit}; \
             the last line is {last}",
            file.display()
        )
        .context("standard output")
    }
}

impl Export {
    fn run(self, to: &mut impl Write) -> anyhow::Result<()> {
        let copy = self.place.copy()?;
        copy.export(&self.out)?;
        let (out, lines, key) = (self.out.display(), copy.ledger().lines(), copy.key());
        writeln!(to, "{out}: {lines} lines; check it with `federated-client ledger verify {out} --key {key}`")
            .context("standard output")
    }
}
