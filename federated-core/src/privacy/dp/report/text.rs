use std::fmt;

use super::{PrivacyReport, RunReport};

/// Text that a terminal does not obey, wherever it comes from.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| {
            if character.is_control() {
                write!(f, "{}", character.escape_unicode())
            } else {
                write!(f, "{character}")
            }
        })
    }
}

/// For a terminal.
impl fmt::Display for PrivacyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.no_privacy {
            writeln!(f, "NO PRIVACY: {why}\n")?;
        }
        for discrepancy in &self.discrepancies {
            writeln!(f, "DOES NOT FIT: {}", Shown(discrepancy))?;
        }
        self.run.as_ref().map_or(Ok(()), |run| write_run(f, run))?;
        write!(f, "{}", self.ledger)?;
        writeln!(f, "\n  remaining  epsilon {:.6}", self.remaining_epsilon)?;
        writeln!(f, "  signed by  {}", self.key)?;
        for release in &self.releases {
            writeln!(
                f,
                "  sums       {} with sigma {:.4} and q {} ({})",
                release.sums,
                release.noise_multiplier,
                release.sampling_rate,
                Shown(&release.release)
            )?;
        }
        writeln!(f, "\nnot covered:")?;
        self.not_covered.iter().try_for_each(|item| writeln!(f, "- {item}"))
    }
}

fn write_run(f: &mut fmt::Formatter<'_>, run: &RunReport) -> fmt::Result {
    let RunReport { facts, sigma_of_sum, seen, sampling } = run;
    let terms = &facts.terms;
    writeln!(f, "job `{}`: {}", facts.job, Shown(&facts.state))?;
    writeln!(f, "  placement  {}", terms.placement())?;
    writeln!(
        f,
        "  noise      multiplier {:.4}, clip norm {}: {sigma_of_sum:.6} on each value of a sum; {} sums a round",
        terms.noise_multiplier().get(),
        terms.clip(),
        terms.steps()
    )?;
    writeln!(f, "  promised   epsilon {} with delta {}", terms.target().epsilon, terms.target().delta)?;
    writeln!(f, "  sampling   {} ({:?})", sampling.assumption, sampling.enforced)?;
    for seen in seen {
        writeln!(f, "  saw        {}: {}", seen.who, seen.what)?;
    }
    writeln!(f, "  config     {}", facts.configuration)?;
    writeln!(f, "  models     from {} to {}", facts.initial_model, facts.model)?;
    for round in &facts.rounds {
        write!(f, "  round {:<4} attempt {}: ", round.round, round.attempt)?;
        match &round.abandoned {
            None => writeln!(f, "{} asked, {} in the model", round.cohort, round.survivors.len())?,
            Some(reason) => writeln!(f, "no model: {}", Shown(reason))?,
        }
    }
    writeln!(f)
}
