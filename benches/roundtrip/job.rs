use crate::cli::Options;

/// Beyond what every participant adds to a value.
pub(crate) const CLIP: f64 = 2.0;
/// Those who stay have so many examples. Those who drop out have more: they notice when they come to mask their update, with
/// their keys shared out.
pub(crate) const MOST_EXAMPLES: u64 = 1;

/// The job file: everyone takes part in every round, and a round that fails is not tried again.
pub(crate) fn to_toml(options: &Options) -> String {
    let Options { clients, rounds, seed, compression, secagg, dropouts, .. } = options;
    let (compression, quorum) = (compression.to_toml(), clients.get() - dropouts);
    let secure = match secagg {
        false => String::new(),
        true => format!(
            "[privacy.secure_aggregation]\nclip = {CLIP:?}\nmax_examples = {MOST_EXAMPLES}\nmax_participants = {clients}\n"
        ),
    };
    format!(
        r#"name = "roundtrip"
rounds = {rounds}
attempts = 1
seed = {seed}
[model]
initial = "initial.safetensors"
[strategy]
kind = "fedavg"
local_epochs = 1
learning_rate = 1.0
[cohort]
min_participants = {clients}
quorum = {quorum}
{compression}{secure}"#
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use federated_core::config::JobConfig;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn the_job_is_one_that_a_coordinator_accepts() {
        let cli = Cli::parse_from(["roundtrip", "--clients", "3", "--rounds", "5", "--seed", "7"]);
        let job = JobConfig::parse(&to_toml(&cli.options)).unwrap();
        assert_eq!((job.plan.rounds().get(), job.plan.seed()), (5, 7));
        assert_eq!(job.plan.cohort().quorum.get(), 3);
    }

    #[test]
    fn secure_aggregation_is_the_job_s_when_asked_for() {
        let cli = Cli::parse_from(["roundtrip", "--clients", "16", "--secagg", "--dropouts", "2"]);
        let job = JobConfig::parse(&to_toml(&cli.options)).unwrap();
        let terms = job.secure.unwrap().terms;
        assert_eq!((terms.min_cohort(), terms.max_cohort()), (14, 16));
    }

    #[test]
    fn compression_is_the_job_s_when_asked_for() {
        let cli = Cli::parse_from(["roundtrip", "--compression", "int8+zstd"]);
        assert!(to_toml(&cli.options).ends_with("[compression]\ncodec = \"int8\"\nzstd = true\n"));
    }
}
