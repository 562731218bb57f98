use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

use super::{Enforcement, PrivacyReport, RunReport};

/// The report as a page that needs nothing else, for screens and for paper.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a>(pub &'a PrivacyReport);

const STYLE: &str = "body{font:16px/1.5 Georgia,serif;color:#222;background:#fff;max-width:52em;margin:2em auto;padding:0 1em}\
h1{font-size:1.6em;margin-bottom:0}h2{font-size:1.15em;margin-top:2em;border-bottom:1px solid #bbb}\
table{border-collapse:collapse;width:100%;font-size:.95em}th,td{text-align:left;vertical-align:top;padding:.25em .6em .25em 0;\
border-bottom:1px solid #e4e4e4}th{font-weight:normal;color:#555;width:14em}thead th{width:auto}\
code{font-size:.85em;overflow-wrap:anywhere}.alarm{border:2px solid #b00;color:#b00;padding:.5em 1em;margin:1em 0}\
.bar{height:.8em;background:#e4e4e4}.bar div{height:100%;background:#36c}\
@media print{body{margin:0;max-width:none;font-size:11pt}h2{break-after:avoid}tr{break-inside:avoid}}";

/// Text whose characters mean nothing to HTML.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Nothing that a terminal or a printer would obey.
                other if other.is_control() && other != '\n' => write!(f, "{}", other.escape_unicode())?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    writeln!(f, "<tr><th>{}</th><td>{}</td></tr>", Plain(name), Plain(value))
}

fn hash(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    writeln!(f, "<tr><th>{}</th><td><code>{}</code></td></tr>", Plain(name), Plain(value))
}

fn date(millis: u64) -> String {
    /// The first second of the year 10,000.
    const END: u64 = 253_402_300_800_000;
    if millis >= END {
        return format!("{millis} ms after 1970");
    }
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(millis)).to_string()
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let subject = Plain(&report.ledger.subject);
        writeln!(f, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")?;
        writeln!(
            f,
            "<meta name=\"viewport\" content=\"width=device-width\"><title>Privacy report: {subject}</title>"
        )?;
        writeln!(f, "<style>{STYLE}</style></head><body>\n<h1>Privacy report: {subject}</h1>")?;
        writeln!(f, "<p>Made {}.</p>", date(report.made_at_ms))?;
        alarms(f, report)?;
        promise(f, report)?;
        spending(f, report)?;
        report.run.as_ref().map_or(Ok(()), |run| of_run(f, run))?;
        writeln!(f, "<h2>What is not covered</h2><ul>")?;
        report.not_covered.iter().try_for_each(|item| writeln!(f, "<li>{}</li>", Plain(item)))?;
        writeln!(f, "</ul>")?;
        verification(f, report)?;
        writeln!(f, "</body></html>")
    }
}

fn alarms(f: &mut fmt::Formatter<'_>, report: &PrivacyReport) -> fmt::Result {
    if let Some(why) = &report.no_privacy {
        writeln!(f, "<p class=\"alarm\"><strong>NO PRIVACY</strong>: {}</p>", Plain(why))?;
    }
    if report.is_over_budget() {
        writeln!(f, "<p class=\"alarm\">More is spent than the limit allows. Nothing more is released.</p>")?;
    }
    let alarm =
        |found: &String| writeln!(f, "<p class=\"alarm\">Does not fit together: {}</p>", Plain(found));
    report.discrepancies.iter().try_for_each(alarm)
}

fn promise(f: &mut fmt::Formatter<'_>, report: &PrivacyReport) -> fmt::Result {
    let budget = &report.ledger.budget;
    writeln!(f, "<h2>What is promised</h2><table>")?;
    row(f, "Whose presence is hidden", &format!("one {}", budget.unit))?;
    row(f, "Adjacency", &budget.adjacency.to_string())?;
    row(f, "Epsilon, at the most", &budget.epsilon.to_string())?;
    row(f, "Delta", &report.delta().to_string())?;
    let counted = format!("{}, version {}", budget.accountant, report.ledger.accountant_version);
    row(f, "Counted by the accountant", &counted)?;
    if let Some(run) = &report.run {
        let terms = &run.facts.terms;
        row(f, "Placement of the noise", terms.placement().name())?;
        row(f, "Noise multiplier (sigma)", &format!("{:.6}", terms.noise_multiplier().get()))?;
        row(f, "Clip norm (C)", &terms.clip().to_string())?;
        row(f, "Noise on each value of a sum", &format!("{:.6}", run.sigma_of_sum))?;
        row(f, "Sampling rate (q)", &terms.sampling_rate().to_string())?;
        row(f, "Noisy sums in a round", &terms.steps().to_string())?;
        row(f, "Sampling that is assumed", &run.sampling.assumption)?;
        let enforced = match run.sampling.enforced {
            Enforcement::NotNeeded => "not needed",
            Enforcement::AtEachSite => "by code, at each site that runs this project's trainer",
        };
        row(f, "Enforced", enforced)?;
    }
    writeln!(f, "</table>")
}

fn spending(f: &mut fmt::Formatter<'_>, report: &PrivacyReport) -> fmt::Result {
    let ledger = &report.ledger;
    let part = (ledger.spent / ledger.budget.epsilon.get()).clamp(0.0, 1.0) * 100.0;
    writeln!(
        f,
        "<h2>What is spent</h2>\n<div class=\"bar\"><div style=\"width:{part:.1}%\"></div></div><table>"
    )?;
    row(f, "Epsilon spent", &format!("{:.6}", ledger.spent))?;
    row(f, "Epsilon remaining", &format!("{:.6}", report.remaining_epsilon))?;
    let reserved = format!("{}, of which {} for certain", ledger.reserved, ledger.released);
    row(f, "Releases", &reserved)?;
    row(f, "Refused, for the budget did not pay", &ledger.refused.to_string())?;
    row(f, "Lines cut off, each counted as a release", &ledger.torn.to_string())?;
    writeln!(
        f,
        "</table>\n<table><thead><tr><th>Release</th><th>sigma</th><th>q</th><th>Sums (T)</th></tr></thead>"
    )?;
    for release in &report.releases {
        let (name, sigma, sums) = (Plain(&release.release), release.noise_multiplier, release.sums);
        writeln!(
            f,
            "<tr><td>{name}</td><td>{sigma:.6}</td><td>{}</td><td>{sums}</td></tr>",
            release.sampling_rate
        )?;
    }
    writeln!(f, "</table>")
}

fn of_run(f: &mut fmt::Formatter<'_>, run: &RunReport) -> fmt::Result {
    writeln!(f, "<h2>Who saw what</h2><table>")?;
    run.seen.iter().try_for_each(|seen| row(f, &seen.who, &seen.what))?;
    let facts = &run.facts;
    writeln!(f, "</table>\n<h2>The run</h2><table>")?;
    row(f, "State", &facts.state)?;
    row(f, "Rounds planned", &facts.planned_rounds.to_string())?;
    row(f, "Values of the model", &facts.values.to_string())?;
    hash(f, "Configuration", &facts.configuration)?;
    hash(f, "Initial model", &facts.initial_model)?;
    hash(f, "Newest model", &facts.model)?;
    writeln!(
        f,
        "</table>\n<table><thead><tr><th>Round</th><th>Attempt</th><th>Asked</th><th>In the model</th></tr></thead>"
    )?;
    for round in &facts.rounds {
        write!(f, "<tr><td>{}</td><td>{}</td><td>{}</td>", round.round, round.attempt, round.cohort)?;
        match &round.abandoned {
            Some(reason) => writeln!(f, "<td>no model: {}</td></tr>", Plain(reason))?,
            None => {
                let (count, names) = (round.survivors.len(), round.survivors.join(", "));
                writeln!(f, "<td>{count}: {}</td></tr>", Plain(&names))?;
            }
        }
    }
    writeln!(f, "</table>")
}

fn verification(f: &mut fmt::Formatter<'_>, report: &PrivacyReport) -> fmt::Result {
    let ledger = &report.ledger;
    writeln!(f, "<h2>How to check it</h2>")?;
    writeln!(
        f,
        "<p>The ledger was read and each of its lines checked when this page was made. With a copy of it and the public key anyone \
         can do so again, offline, and compare the last line.</p>\n<table>"
    )?;
    row(f, "Lines of the ledger", &ledger.lines.to_string())?;
    row(f, "The last of them written", &date(ledger.last_at_ms))?;
    hash(f, "SHA-256 of the last line", &ledger.last_line)?;
    hash(f, "Signed with", &report.key)?;
    writeln!(f, "</table>")
}
