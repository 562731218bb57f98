use clap::Args;
use federated_core::ids::JobName;
use federated_server::operator::OperatorClient;

use super::operate::Connection;

/// What is done with a job that there is already.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Stop,
    Pause,
    Resume,
    Retry,
}

/// The arguments of all these commands.
#[derive(Debug, Args)]
pub(super) struct OnJob {
    /// The job's name.
    job: JobName,
    #[command(flatten)]
    connection: Connection,
}

impl OnJob {
    #[expect(clippy::print_stdout, reason = "a command says what it did")]
    pub(super) fn run(self, order: Order) -> anyhow::Result<()> {
        super::runtime()?.block_on(async {
            let mut operator = self.connection.open().await?;
            carry_out(&mut operator, order, &self.job).await
        })?;
        let done = match order {
            Order::Stop => "stopped",
            Order::Pause => "will begin no further round of",
            Order::Resume | Order::Retry => "goes on with",
        };
        println!("{done} {}", self.job);
        Ok(())
    }
}

async fn carry_out(operator: &mut OperatorClient, order: Order, job: &JobName) -> anyhow::Result<()> {
    Ok(match order {
        Order::Stop => operator.stop(job).await,
        Order::Pause => operator.pause(job).await,
        Order::Resume => operator.resume(job).await,
        Order::Retry => operator.retry(job).await,
    }?)
}
