use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use serde::Serialize;

use super::{Budget, Ledger, LedgerError, ReleaseStory};

/// A ledger on a page: as text for people, as JSON for programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Whose data it is about.
    pub subject: String,
    /// How much may be spent.
    pub budget: Budget,
    /// The version of the accountant.
    pub accountant_version: u32,
    /// The epsilon that is spent.
    pub spent: f64,
    /// Releases that were reserved, and are spent.
    pub reserved: u64,
    /// Of those, the ones that were released for certain.
    pub released: u64,
    /// Releases that would have exceeded the budget.
    pub refused: u64,
    /// Lines that were cut off; each counts as a release.
    pub torn: u64,
    /// Whole lines.
    pub lines: u64,
    /// When the last of them was written, in milliseconds since 1970.
    pub last_at_ms: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub last_line: String,
    /// Everything that was planned, by name.
    pub releases: Vec<ReleaseSummary>,
}

/// What became of the releases of one name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReleaseSummary {
    /// The name.
    pub name: String,
    /// How many were reserved.
    pub reserved: u64,
    /// Of those, how many were released for certain.
    pub released: u64,
    /// How many would have exceeded the budget.
    pub refused: u64,
    /// How many more the budget allows at the least, if nothing else is released.
    pub left_at_least: u32,
}

impl Ledger {
    /// The ledger on a page.
    ///
    /// # Errors
    /// [`LedgerError::Accountant`] when what is spent cannot be counted.
    pub fn summary(&self) -> Result<Summary, LedgerError> {
        let spent = self.spent()?;
        let release = |(name, story): (&str, &ReleaseStory)| {
            Ok(ReleaseSummary {
                name: name.to_owned(),
                reserved: story.reserved(),
                released: story.committed(),
                refused: story.refused(),
                left_at_least: self.left_at_least(name)?,
            })
        };
        Ok(Summary {
            subject: self.subject().to_owned(),
            budget: *self.budget(),
            accountant_version: spent.accountant.version(),
            spent: spent.epsilon,
            reserved: self.reserved(),
            released: self.committed(),
            refused: self.refused(),
            torn: self.torn(),
            lines: self.lines(),
            last_at_ms: self.last_at().as_millis(),
            last_line: self.last_line().to_string(),
            releases: self.releases().map(release).collect::<Result<_, LedgerError>>()?,
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Budget { unit, adjacency, epsilon, delta, accountant } = self.budget;
        writeln!(f, "privacy ledger of {}", self.subject.escape_debug())?;
        writeln!(f, "  protects   a {unit}, adjacency {adjacency}")?;
        writeln!(f, "  limit      epsilon {epsilon} with delta {delta}")?;
        let version = self.accountant_version;
        writeln!(
            f,
            "  spent      epsilon {:.6} by the accountant {accountant} (version {version})",
            self.spent
        )?;
        if self.spent > epsilon.get() {
            writeln!(f, "             which is above the limit: nothing more is released")?;
        }
        let Self { reserved, released, refused, torn, lines, last_line, .. } = self;
        writeln!(
            f,
            "  releases   {reserved} reserved, of which {released} released for certain; {refused} refused"
        )?;
        writeln!(f, "  torn       {torn} lines, each counted as the costliest release")?;
        writeln!(f, "  lines      {lines}, the last of {}", Date(self.last_at_ms))?;
        writeln!(f, "  last line  {last_line}")?;
        // Names come from outside: a terminal shall not obey them.
        let names = self.releases.iter().map(|release| release.name.escape_debug().to_string());
        let names: Vec<String> = names.collect();
        let width = names.iter().map(|name| name.chars().count()).fold("release".len(), usize::max);
        writeln!(f, "\n{:<width$}  reserved  released  refused  left at least", "release")?;
        for (name, release) in names.iter().zip(&self.releases) {
            let ReleaseSummary { reserved, released, refused, left_at_least, .. } = release;
            writeln!(f, "{name:<width$}  {reserved:>8}  {released:>8}  {refused:>7}  {left_at_least:>13}")?;
        }
        Ok(())
    }
}

/// Milliseconds since 1970 as a date, if it has four digits for the year.
struct Date(u64);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The first second of the year 10,000.
        const END: u64 = 253_402_300_800;
        if self.0 / 1000 >= END {
            return write!(f, "{} ms after 1970", self.0);
        }
        write!(f, "{}", humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(self.0)))
    }
}
