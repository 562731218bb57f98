use std::{fmt, num::NonZeroU32};

use super::JobTerms;
use crate::{
    aggregate::AggregationRule,
    config::StrategyKind,
    privacy::{
        dp::{
            ledger::{Adjacency, PrivacyUnit},
            terms::PrivacyTerms,
        },
        secagg::{Grouping, SealedShares},
    },
    round::{CohortPolicy, SecurePlan, Timeouts},
    strategy::{BatchSize, LocalWork},
};

/// What a job will do, in words: for operators before they start it.
///
/// # Examples
/// ```
/// use federated_core::{
///     config::JobConfig,
///     ids::Digest,
///     job::{Explanation, JobTerms},
///     model::{ModelLayout, TensorSpec},
/// };
///
/// let config = JobConfig::parse(
///     r#"
///     name = "heart"
///     rounds = 30
///     model = { initial = "initial.safetensors" }
///     strategy = { kind = "fedavg", local_epochs = 2, batch_size = 16, learning_rate = 0.03 }
///     cohort = { min_participants = 4, quorum = 3 }
///     "#,
/// )?;
/// let layout = ModelLayout::new(vec![TensorSpec::new("w", [250])])?;
/// let terms = JobTerms::new(config, layout, Digest::of(b"initial"));
/// assert!(Explanation(&terms).to_string().contains("30 rounds of a model of 250 values"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Explanation<'a>(pub &'a JobTerms);

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JobTerms { plan, layout, compression, settings, .. } = self.0;
        let (elements, bytes) = (layout.elements(), layout.bytes());
        writeln!(
            f,
            "job `{}`: {} rounds of a model of {elements} values in {} tensors ({})",
            plan.job(),
            plan.rounds(),
            layout.tensors().len(),
            Bytes(bytes)
        )?;
        self.work(f)?;
        cohort(f, plan.cohort())?;
        timeouts(f, plan.timeouts(), plan.attempts().get())?;
        let range = match plan.secure() {
            None => compression.encoded_bytes(elements),
            Some(secure) => {
                let masked = secure.terms.vector().byte_len(elements);
                masked..=masked
            }
        };
        let form = if plan.secure().is_some() { "masked".to_owned() } else { compression.to_string() };
        let up = if range.start() == range.end() {
            Bytes(*range.end()).to_string()
        } else {
            format!("{} to {}", Bytes(*range.start()), Bytes(*range.end()))
        };
        writeln!(
            f,
            "travels      each participant downloads {} and uploads {up} a round ({form})",
            Bytes(bytes)
        )?;
        let rounds = u64::from(plan.rounds().get());
        let both = bytes.saturating_add(*range.end()).saturating_mul(rounds);
        writeln!(
            f,
            "             in all rounds at most {} for each participant, without repeats",
            Bytes(both)
        )?;
        writeln!(
            f,
            "disk         the coordinator holds three models ({}) and the updates of a round ({up} each)",
            Bytes(bytes.saturating_mul(3))
        )?;
        writeln!(f, "chance       seed {} decides who is selected and how each trains", plan.seed())?;
        if !settings.is_empty() {
            let keys: Vec<&str> = settings.keys().map(String::as_str).collect();
            writeln!(f, "trainers     get the settings {}", keys.join(", "))?;
        }
        match (plan.secure(), self.0.privacy.as_ref()) {
            (None, None) => {
                writeln!(f, "protection   the coordinator sees each update by itself; nothing is added to it")
            }
            (secure, privacy) => {
                secure.map_or(Ok(()), |secure| secure_aggregation(f, secure, elements))?;
                privacy.map_or(Ok(()), |terms| differential_privacy(f, terms, plan.rounds()))
            }
        }
    }
}

impl Explanation<'_> {
    fn work(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let strategy = &self.0.strategy;
        match strategy.kind {
            StrategyKind::FedAvg(LocalWork { epochs, batch, learning_rate }) => {
                write!(f, "work         federated averaging: {epochs} passes over the site's examples in ")?;
                match batch {
                    BatchSize::All => write!(f, "one batch")?,
                    BatchSize::Examples(examples) => write!(f, "batches of {examples}")?,
                }
                writeln!(f, ", learning rate {learning_rate}")?;
            }
            StrategyKind::FedSgd { learning_rate } => {
                writeln!(
                    f,
                    "work         one gradient over all of the site's examples, step size {learning_rate}"
                )?;
            }
        }
        let combined = match strategy.aggregation {
            AggregationRule::Mean => "the mean, weighted by examples: one participant can move it anywhere",
            AggregationRule::Median => "the median of each value",
            AggregationRule::TrimmedMean(_) => "the mean of each value without the largest and smallest",
            AggregationRule::Krum(_) => "those updates only that lie closest to the others (Krum)",
        };
        writeln!(f, "combined     {combined}")
    }
}

fn differential_privacy(f: &mut fmt::Formatter<'_>, terms: &PrivacyTerms, rounds: NonZeroU32) -> fmt::Result {
    let (placement, target, steps) = (terms.placement(), terms.target(), terms.steps());
    let (unit, adjacency) = match (terms.unit(), terms.adjacency()) {
        (PrivacyUnit::Record, Adjacency::AddRemove) => ("a record", "added or removed"),
        (PrivacyUnit::Record, Adjacency::ReplaceOne) => ("a record", "replaced"),
        (PrivacyUnit::Participant, Adjacency::AddRemove) => ("a participant", "added or removed"),
        (PrivacyUnit::Participant, Adjacency::ReplaceOne) => ("a participant", "replaced"),
    };
    writeln!(
        f,
        "privacy      {placement} noise: whether {unit} was {adjacency} is hidden, with epsilon {} at delta {}",
        target.epsilon, target.delta
    )?;
    writeln!(f, "             {}", placement.who_sees())?;
    writeln!(
        f,
        "             each sum is clipped to {} a unit and has noise of {:.4} times that; {steps} sums a round, each unit in \
         one with chance {}",
        terms.clip(),
        terms.noise_multiplier().get(),
        terms.sampling_rate()
    )?;
    let pays = terms.attempts();
    writeln!(
        f,
        "             the budget pays for {pays} attempts at rounds (counted by \"{}\"), and the job has {rounds} rounds",
        terms.accountant()
    )
}

/// Keystream that a core makes in a second, in bytes: for an estimate, from a slow machine of today.
const KEYSTREAM_RATE: f64 = 2e9;

fn secure_aggregation(f: &mut fmt::Formatter<'_>, secure: &SecurePlan, elements: u64) -> fmt::Result {
    let SecurePlan { terms, grouping, .. } = secure;
    writeln!(
        f,
        "protection   secure aggregation: the coordinator sees sums of {} updates or more, and no update by itself",
        terms.min_survivors()
    )?;
    if *grouping != Grouping::WHOLE {
        let (groups, least) = (grouping.groups(), grouping.least());
        writeln!(
            f,
            "             {groups} groups, each summed by itself, and the sums combined; at least {least} of them; whoever \
             lies moves the sum of its own group alone"
        )?;
    }
    let (least, most) = (terms.min_cohort(), terms.max_cohort());
    let of_a_group = if *grouping == Grouping::WHOLE { "" } else { " of a group" };
    let sizes = if least == most { vec![least] } else { vec![least, most] };
    for participants in sizes {
        let Ok(parameters) = terms.parameters(participants) else { continue };
        let (threshold, quorum) = (parameters.threshold(), parameters.quorum());
        let (degree, dropouts) = (parameters.degree(), parameters.tolerated_dropouts());
        writeln!(
            f,
            "             {participants} participants{of_a_group}: {degree} neighbours (k), threshold {threshold} (t), quorum {quorum} \
             (Q); {dropouts} may drop out"
        )?;
        let shares = u64::from(degree) * SealedShares::BYTES as u64;
        let keystream = u64::from(degree + 1) * terms.vector().byte_len(elements);
        #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
        let seconds = keystream as f64 / KEYSTREAM_RATE;
        writeln!(
            f,
            "             each makes {} of masks (about {seconds:.2} s on one core) and sends {} of shares",
            Bytes(keystream),
            Bytes(shares)
        )?;
    }
    let vector = terms.vector();
    let metrics: Vec<&str> = vector.metrics().keys().map(String::as_str).collect();
    let metrics = if metrics.is_empty() { "no metrics".to_owned() } else { metrics.join(", ") };
    writeln!(
        f,
        "             values clipped to {}, in {} bits modulo 2^{}; at most {} examples a site; {metrics} in the sum",
        vector.clip(),
        vector.value_bits(),
        vector.modulus().bits(),
        vector.max_examples().get()
    )
}

fn cohort(f: &mut fmt::Formatter<'_>, cohort: &CohortPolicy) -> fmt::Result {
    match &cohort.eligible {
        None => writeln!(f, "cohort       everyone who is enrolled may take part")?,
        Some(names) => {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            writeln!(f, "cohort       {} may take part: {}", names.len(), names.join(", "))?;
        }
    }
    let least = usize::try_from(cohort.min_participants.get()).unwrap_or(usize::MAX);
    let (selected, target) = (cohort.selected(least), cohort.target(least));
    writeln!(f, "a round      begins when {least} are present; of so many {selected} are asked")?;
    writeln!(f, "             ends when {target} updates are in, or nobody is left who could send one")?;
    writeln!(f, "             counts with {} updates or more, else it is abandoned", cohort.quorum)
}

fn timeouts(f: &mut fmt::Formatter<'_>, timeouts: Timeouts, attempts: u32) -> fmt::Result {
    let [deadline, absence, retry] =
        [timeouts.deadline, timeouts.absence, timeouts.retry].map(humantime::format_duration);
    writeln!(f, "time-outs    deadline {deadline}: then a round ends with the updates that are in")?;
    writeln!(
        f,
        "             absence {absence}: so long one may be disconnected before it goes on without them"
    )?;
    writeln!(
        f,
        "             retry {retry}: the pause before an abandoned round is tried again, {attempts} times in all"
    )
}

/// A number of bytes for people.
struct Bytes(u64);

impl fmt::Display for Bytes {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0 as f64;
        match self.0 {
            0..10_000 => write!(f, "{} B", self.0),
            10_000..1_000_000 => write!(f, "{:.1} kB", bytes / 1e3),
            1_000_000..10_000_000_000 => write!(f, "{:.1} MB", bytes / 1e6),
            _ => write!(f, "{:.1} GB", bytes / 1e9),
        }
    }
}
