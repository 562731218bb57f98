use anyhow::{Context, Result, anyhow, ensure};
use federated_proto::v1::{JobState, JobStatus};
use federated_server::operator::OperatorClient;

use crate::{
    child::{Child, all_ended, reports},
    cli::Options,
    folder::RunFolder,
    job,
    measure::{ServerFigures, Usage},
    model::{self, Expectation},
    participants::Participants,
};

/// What one federation was like.
#[derive(Clone, Debug)]
pub(crate) struct Federated {
    /// The coordinator's part.
    pub(crate) coordinator: ServerFigures,
    /// The processes of the participants.
    pub(crate) participants: Vec<Usage>,
    /// How long the first round took, by the coordinator's history, in seconds.
    pub(crate) round1_s: f64,
    /// The largest error of the final model, and what it may be.
    pub(crate) error: f64,
    pub(crate) tolerance: f64,
}

/// Runs a federation from its certificates to its final model.
pub(crate) async fn run(options: &Options) -> Result<Federated> {
    let folder = RunFolder::make(options.dir.as_deref())?;
    let arguments = ["coordinator".to_owned(), folder.coordinator().display().to_string()];
    let mut coordinator = Child::start("coordinator", &arguments, folder.path())?;
    let address = coordinator.line().await?;
    folder.enroll(options.clients.get(), &address)?;
    if options.secagg {
        folder.sign_up(options.clients.get())?;
    }

    let mut operator = OperatorClient::connect(&folder.operator(&address)?).await?;
    // The model goes as soon as it is sent: a large one takes the memory that participants need.
    let job =
        operator.start(&job::to_toml(options), &model::initial(options.params.get(), options.seed)?).await?;
    let stay = options.clients.get() - options.dropouts;
    let start = |share: (u32, u32)| {
        let arguments = Participants::arguments(folder.path(), share, stay);
        Child::start(&format!("participants-{}", share.0), &arguments, folder.path())
    };
    let mut children = options.shares().into_iter().map(start).collect::<Result<Vec<_>>>()?;
    let participants = tokio::select! {
        reported = reports(&mut children) => reported?,
        early = coordinator.line() => {
            return Err(early.map_or_else(|error| error, |line| anyhow!("the coordinator said `{line}` too early")));
        }
    };
    all_ended(children).await?;

    let status = operator.status(Some(&job)).await?.jobs.into_iter().next().context("the job's status")?;
    let round1_s = completed(&status)?;
    let model = operator.download(status.model.context("a job has a model")?).await?;
    let expectation = Expectation::new(options.seed, options.rounds.get(), stay, options.secagg);
    let error = expectation.largest_error(model.values());
    // An open call would hold up the coordinator's end.
    drop(operator);
    coordinator.ask_to_end();
    let figures: ServerFigures = serde_json::from_str(&coordinator.line().await?)?;
    coordinator.ended().await?;
    let (expected, found) = (options.rounds.get() as usize, figures.ends.len());
    ensure!(found == expected, "the coordinator's log has the ends of {found} rounds instead of {expected}");
    Ok(Federated { coordinator: figures, participants, round1_s, error, tolerance: expectation.tolerance() })
}

/// How long the first round of a job took, if all were completed.
fn completed(status: &JobStatus) -> Result<f64> {
    let state = status.state();
    ensure!(state == JobState::Completed, "the job did not complete: {state:?}: {}", status.message);
    let first = status.history.first().context("a completed job has a history")?;
    Ok(first.ended_ms.saturating_sub(first.began_ms) as f64 / 1e3)
}
