use std::fmt;

use federated_core::privacy::dp::{
    ledger::PrivacyUnit,
    terms::{Placement, PlanChoice, PrivacyPlan},
};

/// The choices, for people.
pub(super) struct Table<'a> {
    pub(super) job: &'a str,
    pub(super) plan: &'a PrivacyPlan,
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, plan: PrivacyPlan { terms, rounds, attempts, choices, .. } } = self;
        let (accountant, noise) = (terms.accountant(), terms.noise_multiplier().get());
        let unit = terms.unit();
        writeln!(
            f,
            "job `{job}`: {} noise hides one {unit} ({}), delta {}\nclip norm {}, counted by the accountant {accountant} (version {})",
            terms.placement(),
            terms.adjacency(),
            terms.target().delta,
            terms.clip(),
            accountant.version()
        )?;
        writeln!(
            f,
            "as it is: epsilon {} with a noise multiplier of {noise:.4} pays for {attempts} attempts at rounds; the job has \
             {rounds} rounds",
            terms.target().epsilon
        )?;
        if attempts < &rounds.get() {
            writeln!(
                f,
                "  so it ends before its last round: raise noise_multiplier or epsilon, or ask for fewer rounds"
            )?;
        } else if *attempts == rounds.get() {
            writeln!(
                f,
                "  an attempt that is abandoned has spent all the same: `releases` makes room for some"
            )?;
        }
        if terms.unit() == PrivacyUnit::Record {
            let (steps, rate) = (terms.steps(), terms.sampling_rate());
            writeln!(
                f,
                "a round has {steps} steps at a site, each over every record with a chance of {rate}"
            )?;
        }
        writeln!(f)?;
        heading(f, unit, choices)?;
        choices.iter().try_for_each(|choice| row(f, choice))?;
        writeln!(f)?;
        match terms.placement() {
            Placement::Local => writeln!(
                f,
                "Noise is on the mean gradient of each step: noise multiplier x clip norm / records in a batch."
            ),
            Placement::Central => writeln!(
                f,
                "Noise is on each round's mean: noise multiplier x clip norm / participants asked."
            ),
            _ => writeln!(
                f,
                "Noise is on each round's mean: noise multiplier x clip norm / participants, and a little more when nobody drops out."
            ),
        }
    }
}

fn heading(f: &mut fmt::Formatter<'_>, unit: PrivacyUnit, choices: &[PlanChoice]) -> fmt::Result {
    let of = match unit {
        PrivacyUnit::Record => "records in a batch",
        _ => "participants",
    };
    writeln!(f, "                      noise   noise on each value of the mean over so many {of}")?;
    write!(f, "   epsilon   rounds multiplier")?;
    let with_means = choices.iter().find(|choice| !choice.means.is_empty());
    for mean in with_means.map_or(&[][..], |choice| &choice.means) {
        write!(f, "{:>12}", mean.units.round())?;
    }
    writeln!(f)
}

fn row(f: &mut fmt::Formatter<'_>, choice: &PlanChoice) -> fmt::Result {
    write!(f, "{:>10.4} {:>8}", choice.epsilon.get(), choice.rounds)?;
    match choice.noise_multiplier {
        Some(noise) => write!(f, " {:>10.4}", noise.get())?,
        None => write!(f, "   no noise is enough")?,
    }
    choice.means.iter().try_for_each(|mean| write!(f, "{:>12}", short(mean.sigma)))?;
    writeln!(f)
}

/// Four digits, however small.
fn short(number: f64) -> String {
    if (0.001..100_000.0).contains(&number) { format!("{number:.5}") } else { format!("{number:.3e}") }
}
