use crate::cli::Options;

/// The job file: everyone takes part in every round, and a round that fails is not tried again.
pub(crate) fn to_toml(options: &Options) -> String {
    let Options { clients, rounds, seed, compression, .. } = options;
    let compression = compression.to_toml();
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
{compression}"#
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
    fn compression_is_the_job_s_when_asked_for() {
        let cli = Cli::parse_from(["roundtrip", "--compression", "int8+zstd"]);
        assert!(to_toml(&cli.options).ends_with("[compression]\ncodec = \"int8\"\nzstd = true\n"));
    }
}
