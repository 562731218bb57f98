//! The command line: one file for each subcommand, each with its arguments and a `run` that carries them out.
//!
//! [`init`], [`enroll`], [`renew`], [`withdraw`] and [`signing_key`] prepare a coordinator on this machine, [`serve`] runs
//! it, [`backup`] has copies of its state, [`explain`] says what a job will do, [`privacy`] counts what noise buys, [`ledger`]
//! looks at what a job has spent, and
//! [`start`], [`status`], [`model`] and what [`order`] has talk to one that runs, through [`operate`].

mod backup;
mod enroll;
mod explain;
mod init;
mod job_file;
mod ledger;
mod model;
mod operate;
mod order;
mod privacy;
mod renew;
mod serve;
mod signing_key;
mod start;
mod status;
mod withdraw;

use clap::{Parser, Subcommand};
use federated_server::{
    config::{LogConfig, LogFilter},
    telemetry,
};
use order::Order;

/// Runs federated learning over mutual TLS, and sets up who may take part.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Init),
    Enroll(enroll::Enroll),
    Renew(renew::Renew),
    Withdraw(withdraw::Withdraw),
    SigningKey(signing_key::SigningKey),
    Serve(serve::Serve),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Explain(explain::Explain),
    Privacy(privacy::Privacy),
    Ledger(ledger::LedgerCommand),
    Start(start::Start),
    Status(status::Status),
    /// Ends a job early; its newest model stays.
    Stop(order::OnJob),
    /// Begins no further round of a job until it is resumed; the round under way goes on to its end.
    Pause(order::OnJob),
    /// Goes on with a job after a pause.
    Resume(order::OnJob),
    /// Goes on with a job that failed or was stopped, at the round where it ended.
    Retry(order::OnJob),
    Model(model::Model),
}

/// Carries out what the command line asks for.
pub(crate) fn run() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Init(command) => quiet().and_then(|()| command.run()),
        Command::Enroll(command) => quiet().and_then(|()| command.run()),
        Command::Renew(command) => quiet().and_then(|()| command.run()),
        Command::Withdraw(command) => quiet().and_then(|()| command.run()),
        Command::SigningKey(command) => quiet().and_then(|()| command.run()),
        Command::Serve(command) => command.run(),
        Command::Backup(command) => quiet().and_then(|()| command.run()),
        Command::Restore(command) => quiet().and_then(|()| command.run()),
        Command::Explain(command) => command.run(),
        Command::Privacy(command) => command.run(),
        Command::Ledger(command) => quiet().and_then(|()| command.run()),
        Command::Start(command) => quiet().and_then(|()| command.run()),
        Command::Status(command) => quiet().and_then(|()| command.run()),
        Command::Stop(command) => quiet().and_then(|()| command.run(Order::Stop)),
        Command::Pause(command) => quiet().and_then(|()| command.run(Order::Pause)),
        Command::Resume(command) => quiet().and_then(|()| command.run(Order::Resume)),
        Command::Retry(command) => quiet().and_then(|()| command.run(Order::Retry)),
        Command::Model(command) => quiet().and_then(|()| command.run()),
    }
}

/// The runtime of a command that uses the network.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// The log of a short command: warnings only, because the command itself says what it did.
fn quiet() -> anyhow::Result<()> {
    let level = "warn".parse::<LogFilter>()?;
    Ok(telemetry::install(&LogConfig { level, ..LogConfig::default() })?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_of_all_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_bad_name_host_address_validity_or_quantity_is_refused_before_anything_is_written() {
        for line in [
            "enroll ../escape",
            "enroll Cleveland",
            "enroll a --address http://a:1",
            "enroll a --days 0",
            "withdraw a/b",
            "init x --listen localhost",
            "ledger verify",
            "ledger verify heart --file copy.jsonl",
            "ledger verify heart --key 07",
            "ledger show ../escape",
            "privacy epsilon --steps s.json --delta 1",
            "privacy epsilon --steps s.json --delta nan",
            "privacy noise --epsilon 0 --delta 1e-5 --sampling-rate 0.1 --rounds 5",
            "privacy noise --epsilon 1 --delta 1e-5 --sampling-rate 0 --rounds 5",
            "privacy noise --epsilon 1 --delta 1e-5 --sampling-rate 0.1 --rounds 0",
            "privacy noise --epsilon 1 --delta 1e-5 --sampling-rate 0.1 --rounds 5 --accountant moments",
        ] {
            let words = std::iter::once("federated-coordinator").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "`{line}` was accepted");
        }
    }
}
