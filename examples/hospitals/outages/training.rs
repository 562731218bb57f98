use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use federated_core::{
    ids::{Fingerprint, ParticipantName},
    model::ModelParameters,
};
use federated_proto::v1::{JobState, JobStatus};
use tokio::time::{sleep_until, timeout};
use tokio_stream::StreamExt;

use crate::{
    federation::Federation,
    hospitals::outages::{patients::Dealt, site::Site},
};

/// How long a change of the job may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A job of the sites.
#[derive(Clone, Copy, Debug)]
pub(super) struct Training {
    pub(super) rounds: u32,
    /// How many updates a round needs.
    pub(super) quorum: usize,
    pub(super) seed: u64,
}

/// A job that is done.
#[derive(Debug)]
pub(super) struct Trained {
    pub(super) model: ModelParameters,
    pub(super) elapsed: Duration,
    pub(super) kills: usize,
    attempts: usize,
    /// Updates that counted, of all rounds.
    contributions: usize,
}

impl fmt::Display for Trained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { elapsed, kills, attempts, contributions, .. } = self;
        write!(f, "{attempts} attempts in {elapsed:.1?}, {kills} kills, {contributions} updates counted")
    }
}

/// The kills of one round after another.
#[derive(Debug)]
struct Kills {
    each_round: usize,
    /// The longest time from a round's beginning to a kill.
    within: Duration,
    seed: u64,
    round: u32,
    due: BTreeMap<tokio::time::Instant, usize>,
    dead: BTreeSet<usize>,
    made: usize,
}

impl Training {
    /// Runs the job on a federation of its own, so that nothing but the kills can make a difference. With `kills`, so many
    /// sites are killed in every round, within so much time from its beginning.
    pub(super) async fn run(&self, dealt: &Dealt, kills: Option<(usize, Duration)>) -> Result<Trained> {
        let names: Vec<ParticipantName> =
            (0..dealt.sites.len()).map(|site| format!("site-{site}").parse()).collect::<Result<_, _>>()?;
        let mut tables = dealt.sites.iter();
        let furnish = |_: &ParticipantName, bundle: &std::path::Path| {
            Site::furnish(tables.next().context("a table for every site")?, bundle)
        };
        let mut federation = Federation::start("outages", &names, furnish).await?;
        let (each_round, within) = kills.unwrap_or_default();
        let (seed, due, dead) = (self.seed, BTreeMap::new(), BTreeSet::new());
        let mut kills = Kills { each_round, within, seed, round: 0, due, dead, made: 0 };
        let trained = self.follow(&mut federation, names.len(), &mut kills).await;
        federation.stop().await?;
        trained
    }

    async fn follow(&self, federation: &mut Federation, sites: usize, kills: &mut Kills) -> Result<Trained> {
        let (mut operator, began) = (federation.operator(), Instant::now());
        let job = operator.start(&self.job(sites), &Dealt::initial(self.seed)?).await?;
        let mut reports = operator.watch(Some(&job)).await?;
        loop {
            let next = kills.due.first_key_value().map(|(at, site)| (*at, *site));
            let at = next.map_or_else(tokio::time::Instant::now, |(at, _)| at);
            let report = tokio::select! {
                report = timeout(PATIENCE, reports.next()) => report,
                () = sleep_until(at), if next.is_some() => {
                    kills.kill_next(federation).await?;
                    continue;
                }
            };
            let report = report.with_context(|| format!("waited {PATIENCE:?} for a change of the job"))?;
            let status = report.context("the report ended")??.jobs.into_iter().next().context("a status")?;
            match status.state() {
                JobState::Completed => {
                    kills.end_round(federation).await?;
                    return Ok(Trained {
                        model: operator.download(status.model.clone().context("a job has a model")?).await?,
                        elapsed: began.elapsed(),
                        kills: kills.made,
                        attempts: status.history.len(),
                        contributions: contributions(&status),
                    });
                }
                JobState::Failed | JobState::Stopped => bail!("it did not complete: {}", status.message),
                JobState::Training if status.round > kills.round => {
                    kills.end_round(federation).await?;
                    kills.begin_round(status.round, sites);
                }
                JobState::Gathering if kills.round > 0 => kills.end_round(federation).await?,
                _ => {}
            }
        }
    }

    /// All sites begin a round; whoever is gone is left out at once.
    fn job(&self, sites: usize) -> String {
        let Self { rounds, quorum, seed } = self;
        format!(
            "name = \"outages\"\nrounds = {rounds}\nattempts = 10\nseed = {seed}\n\
             [model]\ninitial = \"initial.safetensors\"\n\
             [strategy]\nkind = \"fedavg\"\nlearning_rate = 0.03\nlocal_epochs = 2\nbatch_size = 16\n\
             [cohort]\nmin_participants = {sites}\nquorum = {quorum}\n\
             [timeouts]\ndeadline = \"10m\"\nabsence = \"0s\"\nretry = \"0s\"\n"
        )
    }
}

fn contributions(status: &JobStatus) -> usize {
    let completed = status.history.iter().filter(|round| round.completed);
    completed.map(|round| round.contributors.len()).sum()
}

impl Kills {
    fn begin_round(&mut self, round: u32, sites: usize) {
        self.round = round;
        let draw = |site: &usize| Fingerprint::of(format!("kill {} {round} {site}", self.seed).as_bytes());
        let mut order: Vec<usize> = (0..sites).collect();
        order.sort_by_cached_key(draw);
        let now = tokio::time::Instant::now();
        for site in order.into_iter().take(self.each_round) {
            let share = f64::from(draw(&site).as_bytes()[31]) / 255.0;
            // One at a time, so that each has its own entry.
            let mut at = now + self.within.mul_f64(share);
            while self.due.contains_key(&at) {
                at += Duration::from_nanos(1);
            }
            self.due.insert(at, site);
        }
    }

    async fn kill_next(&mut self, federation: &mut Federation) -> Result<()> {
        if let Some((_, site)) = self.due.pop_first() {
            eprintln!("round {}: site {site} is killed", self.round);
            federation.participant(site)?.kill().await?;
            self.dead.insert(site);
            self.made += 1;
        }
        Ok(())
    }

    /// Kills that the round was too short for are made now; then all come back.
    async fn end_round(&mut self, federation: &mut Federation) -> Result<()> {
        while !self.due.is_empty() {
            self.kill_next(federation).await?;
        }
        for site in std::mem::take(&mut self.dead) {
            federation.participant(site)?.start_again()?;
        }
        Ok(())
    }
}
