//! `privacy`: what noise buys and costs, before and after a job.
//!
//! `epsilon` and `noise` ([`count`]) are about numbers alone; [`plan`] about a job that is not started; [`report`] about one that
//! runs or has ended.

mod count;
mod plan;
mod report;

use clap::{Args, Subcommand};

/// Counts what rounds of noise spend, and how much noise a budget needs.
#[derive(Debug, Args)]
pub(super) struct Privacy {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    Epsilon(count::EpsilonOf),
    Noise(count::NoiseFor),
    Plan(plan::Plan),
    Report(report::Report),
}

impl Privacy {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.question {
            Question::Epsilon(question) => question.run(),
            Question::Noise(question) => question.run(),
            Question::Plan(question) => question.run(),
            Question::Report(question) => question.run(),
        }
    }
}
