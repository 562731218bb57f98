//! `status`: how the coordinator and its jobs are, as text or JSON.

mod json;
mod text;

use clap::Args;
use federated_core::ids::JobName;
use federated_proto::v1;
use tokio_stream::StreamExt;

use super::operate::Connection;

/// Shows how the coordinator and its jobs are.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Only this job.
    job: Option<JobName>,
    /// Show every change, until the jobs have ended or the command is interrupted.
    #[arg(long)]
    watch: bool,
    /// One JSON object a line instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Status {
    pub(super) fn run(self) -> anyhow::Result<()> {
        super::runtime()?.block_on(async {
            let mut operator = self.connection.open().await?;
            if !self.watch {
                return self.show(&operator.status(self.job.as_ref()).await?);
            }
            let mut reports = operator.watch(self.job.as_ref()).await?;
            while let Some(report) = reports.next().await {
                let report = report?;
                self.show(&report)?;
                if !report.jobs.is_empty() && report.jobs.iter().all(has_ended) {
                    break;
                }
            }
            Ok(())
        })
    }

    #[expect(clippy::print_stdout, reason = "showing is what the command is for")]
    fn show(&self, report: &v1::StatusReport) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(&json::Report::from(report))?);
        } else {
            println!("{}", text::Report(report));
        }
        Ok(())
    }
}

fn has_ended(job: &v1::JobStatus) -> bool {
    use v1::JobState::{Completed, Failed, Stopped};
    matches!(job.state(), Completed | Failed | Stopped)
}

/// The state's name, for people and for programs.
fn state_name(job: &v1::JobStatus) -> &'static str {
    match job.state() {
        v1::JobState::Unspecified => "unknown",
        v1::JobState::Gathering => "gathering",
        v1::JobState::Training => "training",
        v1::JobState::Aggregating => "aggregating",
        v1::JobState::Completed => "completed",
        v1::JobState::Failed => "failed",
        v1::JobState::Stopped => "stopped",
        v1::JobState::Queued => "queued",
        v1::JobState::Paused => "paused",
    }
}

/// The name of where a member of the cohort is.
fn member_name(member: &v1::MemberStatus) -> &'static str {
    match member.state() {
        v1::MemberState::Unspecified => "unknown",
        v1::MemberState::Working => "working",
        v1::MemberState::Absent => "absent",
        v1::MemberState::Reported => "reported",
        v1::MemberState::Out => "out",
    }
}

/// A digest as it is written.
fn hexadecimal(bytes: &[u8]) -> String {
    federated_core::ids::Digest::try_from(bytes).map_or_else(|_| String::new(), |digest| digest.to_string())
}
