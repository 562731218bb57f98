//! A coordinator under siege: connections that are held open and say nothing, others that are reset, and few files.
//!
//! Read in this order: [`Siege`] is what is asked for and runs it; `attack` is what is done to the coordinator, `watch`
//! what it takes; [`Endured`] is what came of it.

mod attack;
mod watch;

use std::{fmt, time::Duration};

use anyhow::{Context, Result};
use federated_proto::v1::JobStatus;
use federated_server::operator::OperatorClient;
use tokio::time::Instant;

use crate::{
    ClientTls,
    crash::{
        crew::{Crew, Victim},
        run::{Disturbance, run},
    },
    patience::in_time,
    processes::{Program, Serving},
};
use attack::Attack;
use watch::Watch;

/// A round may take so many times as long as in calm.
const MOST_RATIO: f64 = 2.0;
/// The coordinator may take less memory than this.
const MOST_MEMORY: u64 = 300 << 20;
/// Somebody who may come in, does so within this time.
const MOST_WAIT: Duration = Duration::from_secs(10);
/// Participants, all of which are in every round.
const PARTICIPANTS: usize = 4;
/// Others with certificates, who do nothing but hold connections.
const IDLERS: usize = 4;
/// Rounds of each job.
const ROUNDS: u32 = 20;

/// Rounds in calm, and then under attack.
#[derive(Clone, Debug)]
pub struct Siege {
    /// The program whose roles are started.
    pub program: Program,
    /// How many files the coordinator may have open.
    pub open_files: u32,
    /// Connections that are held open.
    pub connections: usize,
    /// Connections that are opened and reset.
    pub resets: u64,
    /// Values of the model.
    pub entries: usize,
    /// How often a participant reads the model in each training.
    pub work: u32,
}

/// What came of a siege.
#[derive(Clone, Debug)]
pub struct Endured {
    /// The median round, in calm.
    pub calm: Duration,
    /// The median round, under siege.
    pub siege: Duration,
    /// Rounds under siege.
    pub rounds: usize,
    /// The most memory that the coordinator has had, in bytes.
    pub memory: u64,
    /// The most files that it was seen to have open.
    pub files: usize,
    /// How often somebody came in while connections were held and reset.
    pub comings: usize,
    /// The longest that a participant that was killed took from its start to its place.
    pub reconnect: Duration,
    /// The longest that an operator took to connect and see the status.
    pub operator: Duration,
    /// Connections that were opened to be held: those that were cut came again.
    pub opened: u64,
    /// Connections that were reset.
    pub resets: u64,
}

impl Siege {
    /// Runs it. A line on standard error tells of each job.
    ///
    /// # Errors
    /// When a process ends by itself, a job fails, or nothing happens for a minute: who was where.
    pub async fn run(self) -> Result<Endured> {
        let Self { program, open_files, connections, resets, entries, work } = self;
        let serving = Serving::default().open_files(open_files);
        let mut crew = Crew::start(program, None, serving, PARTICIPANTS, work).await?;
        let certified = idlers(&crew)?;
        let address = crew.cluster().address();
        let calm = run(&mut crew, "calm", ROUNDS, entries, &mut Disturbance::nothing()).await?;
        let calm = median(rounds(&calm.status)).context("rounds in calm")?;
        eprintln!("calm: a round takes {calm:.1?}");

        let watch = Watch::begin(crew.coordinator_id()?);
        let mut attack = Attack::begin(address, &certified, connections)?;
        in_time("the connections of the siege to be open", attack.in_place(connections)).await?;
        let hello = certified.first().context("a certificate")?.hello(address);
        attack.reset(address, &hello, resets);
        let (began, mut all, mut comings) = (Instant::now(), Vec::new(), Vec::new());
        while all.is_empty() || !attack.is_over() {
            let name = format!("siege-{}", all.len());
            let coming = (reconnect(&mut crew).await?, operator(&crew).await?);
            // One that ends after the last reset says nothing about coming in under siege.
            if !attack.is_over() {
                comings.push(coming);
            }
            let done = run(&mut crew, &name, ROUNDS, entries, &mut Disturbance::nothing()).await?;
            all.extend(rounds(&done.status));
            let (made, since) = (attack.resets_made(), began.elapsed());
            eprintln!("{name}: {ROUNDS} rounds in {:.1?}; {made} resets in {since:.1?}", done.elapsed);
        }
        let count = all.len();
        let siege = median(all).context("rounds under siege")?;
        let (participants, operators): (Vec<_>, Vec<_>) = comings.into_iter().unzip();
        let endured = Endured {
            calm,
            siege,
            rounds: count,
            memory: watch.peak_memory()?,
            files: watch.most_files(),
            comings: participants.len(),
            reconnect: participants.into_iter().max().context("a participant that came in under siege")?,
            operator: operators.into_iter().max().context("an operator who came in under siege")?,
            opened: attack.opened(),
            resets: attack.resets_made(),
        };
        drop(attack);
        crew.end().await?;
        Ok(endured)
    }
}

fn idlers(crew: &Crew) -> Result<Vec<ClientTls>> {
    let url = format!("https://{}", crew.cluster().address());
    let enrolled = (0..IDLERS).map(|number| {
        let name = format!("idler-{number}");
        crew.cluster().enroll(&name, &url)?;
        Ok(ClientTls::from_bundle(&crew.cluster().bundle(&name)))
    });
    enrolled.collect()
}

/// Kills a participant, which is started again; how long it takes to have a connection.
async fn reconnect(crew: &mut Crew) -> Result<Duration> {
    let who = Victim::Participant(0);
    crew.kill(who).await?;
    let began = Instant::now();
    in_time("a participant to connect", crew.connected(0)).await??;
    Ok(began.elapsed())
}

async fn operator(crew: &Crew) -> Result<Duration> {
    let (config, began) = (crew.operator()?, Instant::now());
    let status = async { OperatorClient::connect(&config).await?.status(None).await };
    in_time("an operator to connect", status).await??;
    Ok(began.elapsed())
}

/// How long each round took, from the end of the one before.
fn rounds(status: &JobStatus) -> Vec<Duration> {
    let ends = status.history.windows(2);
    ends.map(|pair| Duration::from_millis(pair[1].ended_ms - pair[0].ended_ms)).collect()
}

fn median(mut all: Vec<Duration>) -> Option<Duration> {
    all.sort_unstable();
    all.get(all.len() / 2).copied()
}

impl Endured {
    /// How many times as long a round took.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.siege.as_secs_f64() / self.calm.as_secs_f64()
    }

    /// Whether it is as it should be.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.ratio() <= MOST_RATIO
            && self.memory < MOST_MEMORY
            && self.reconnect.max(self.operator) <= MOST_WAIT
    }
}

impl fmt::Display for Endured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calm, siege, rounds, memory, files, comings, reconnect, operator, opened, resets } = self;
        writeln!(f, "{opened} connections opened to be held, {resets} reset; at most {files} files open")?;
        writeln!(
            f,
            "meanwhile {comings} times a participant came back, in at most {reconnect:.2?}, and an operator came in, in at most {operator:.2?}"
        )?;
        write!(
            f,
            "median round {calm:.1?}, under siege {siege:.1?} ({rounds} rounds), ratio {:.2}, peak memory {} MiB",
            self.ratio(),
            memory >> 20
        )
    }
}
