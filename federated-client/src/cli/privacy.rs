use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    time::SystemTime,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use federated_core::privacy::dp::report::{Page, PrivacyReport};

use super::ledger::Place;

/// Tells what this site's privacy budget has paid for.
#[derive(Args)]
pub(super) struct Privacy {
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    Report(Report),
}

/// Says what was ever released from this site's records, against its limit, and what that does not cover.
///
/// It is made of the site's own ledger, of which every line is checked. A participant may run meanwhile.
#[derive(Args)]
struct Report {
    #[command(flatten)]
    place: Place,
    /// Writes a page for people into this file, too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Prints one line of JSON.
    #[arg(long)]
    json: bool,
}

impl Privacy {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Question::Report(Report { place, html, json }) = self.question;
        let copy = place.copy()?;
        let report = PrivacyReport::of_site(copy.ledger(), &copy.key(), SystemTime::now().into())?;
        if let Some(file) = html {
            let page = Page(&report).to_string();
            fs::write(&file, page).with_context(|| format!("cannot write {}", file.display()))?;
        }
        let to = &mut io::stdout().lock();
        if json {
            writeln!(to, "{}", serde_json::to_string(&report)?).context("standard output")
        } else {
            write!(to, "{report}").context("standard output")
        }
    }
}
