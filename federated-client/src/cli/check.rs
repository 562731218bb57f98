use std::{
    io::{self, Write},
    process::ExitCode,
    time::SystemTime,
};

use federated_client::check::{Finding, Verdict};
use tokio::runtime::Runtime;

use super::Site;

/// Prints a line a finding, with its remedy below; fails when there is a problem.
pub(super) fn check(runtime: &Runtime, site: &Site) -> anyhow::Result<ExitCode> {
    let config = site.load()?;
    let findings = runtime.block_on(federated_client::check::check(&config, SystemTime::now()));
    print(&mut io::stdout().lock(), &findings)?;
    let problem = findings.iter().any(|finding| finding.verdict == Verdict::Problem);
    Ok(if problem { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn print(to: &mut impl Write, findings: &[Finding]) -> io::Result<()> {
    let width = findings.iter().map(|finding| finding.name.len()).max().unwrap_or(0);
    for finding in findings {
        let Finding { name, verdict, detail, remedy, .. } = finding;
        writeln!(to, "{verdict:<8} {name:<width$}  {detail}")?;
        if let Some(remedy) = remedy {
            writeln!(to, "{:<8} {:<width$}  -> {remedy}", "", "")?;
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (problems, warnings) = (count(Verdict::Problem), count(Verdict::Warning));
    writeln!(to, "{} looked at: {problems} problems, {warnings} warnings", findings.len())
}
