//! A federation whose processes are killed at random moments, and how it is seen that nothing is lost.
//!
//! Read in this order: [`CrashTest`] is what is asked for and runs it; `run` is one job with its kills, drawn with
//! [`Dice`]; `crew` are the processes, of which each participant trains a [`Tally`] and says a [`Word`] of every step;
//! `board` is what they said. The [`Verdict`] compares that with what the coordinator counted and what the models show.

mod board;
pub(crate) mod crew;
mod dice;
pub(crate) mod run;
mod tally;
mod verdict;
mod word;

use std::path::PathBuf;

use anyhow::{Result, ensure};

pub use dice::Dice;
pub use tally::{Counted, MOST_ROUNDS, Share, Tally};
pub use verdict::Verdict;
pub use word::Word;

use crate::processes::{Program, Serving};
use crew::{Crew, Victim};
use run::{Disturbance, run};

/// A job that is run once undisturbed, and again and again with kills until enough were made.
#[derive(Clone, Debug)]
pub struct CrashTest {
    /// The program whose roles are started.
    pub program: Program,
    /// Where the temporary folder is made; where the system has them when absent.
    pub dir: Option<PathBuf>,
    /// How the coordinator serves.
    pub serving: Serving,
    /// How many processes are killed in all.
    pub kills: u32,
    /// What the moments and victims follow from.
    pub seed: u64,
    /// Rounds of each job, at most [`MOST_ROUNDS`].
    pub rounds: u32,
    /// Values of the model.
    pub entries: usize,
    /// How often a participant reads the model in each training.
    pub work: u32,
}

impl CrashTest {
    /// Participants, all of which are in every round.
    pub const PARTICIPANTS: usize = 4;

    /// Runs all jobs. A line on standard error tells of each kill and each job.
    ///
    /// # Errors
    /// When a process ends by itself, a job fails, or nothing happens for a minute: who was where.
    pub async fn run(self) -> Result<Verdict> {
        let Self { program, dir, serving, kills, seed, rounds, entries, work } = self;
        ensure!((1..=MOST_ROUNDS).contains(&rounds), "expected 1 to {MOST_ROUNDS} rounds, found {rounds}");
        let mut crew = Crew::start(program, dir.as_deref(), serving, Self::PARTICIPANTS, work).await?;
        let undisturbed = run(&mut crew, "undisturbed", rounds, entries, &mut Disturbance::nothing()).await?;
        let pause = undisturbed.elapsed / rounds;
        eprintln!("undisturbed: {rounds} rounds in {:.1?}, {:.1?} each", undisturbed.elapsed, pause);
        let mut disturbance =
            Disturbance { dice: Dice::new(seed), left: kills, pause, ..Disturbance::nothing() };
        let mut jobs = vec![undisturbed];
        while disturbance.left > 0 {
            let (name, before) = (format!("disturbed-{}", jobs.len()), disturbance.left);
            let done = run(&mut crew, &name, rounds, entries, &mut disturbance).await?;
            let (made, attempts) = (before - disturbance.left, done.status.history.len());
            eprintln!("{name}: {rounds} rounds in {:.1?}, {attempts} attempts, {made} kills", done.elapsed);
            jobs.push(done);
        }
        let board = crew.end().await?;
        Verdict::new(&jobs, &board, disturbance.made, Self::PARTICIPANTS)
    }
}
