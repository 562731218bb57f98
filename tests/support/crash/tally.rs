use std::{fmt, hint::black_box};

use anyhow::{Result, ensure};
use clap::Args;
use federated_client::trainer::{LocalTrainer, StopSignal, TrainerError};
use federated_core::{
    ids::TaskId,
    metrics::Metrics,
    model::{ModelLayout, ModelParameters, TensorSpec},
    task::TrainTask,
    update::{ClientUpdate, ExampleCount},
};

/// Most rounds of a job that is tallied: with the fractions of a share they fill the 24 bits of a float's significand.
pub const MOST_ROUNDS: u32 = 20;
/// Values of the initial model are multiples of one of so many parts of 1.
const FRACTIONS: u64 = 16;

/// Which entries of a tally a participant marks, and how long it works for that.
#[derive(Clone, Copy, Debug, Args)]
pub struct Share {
    /// Its place among the participants, from 0.
    #[arg(long)]
    pub place: usize,
    /// How many participants there are: a power of 2, so that their mean is exact.
    #[arg(long)]
    pub of: usize,
    /// How often it reads the model before it is done.
    #[arg(long)]
    pub work: u32,
}

/// A trainer that marks each round in entries of its own: once as many participants as there are have done so, and their
/// mean was added, the bit of that round is set in every entry.
///
/// An update that was added twice carries into the next bit, and one that was not leaves its bit unset.
pub struct Tally {
    share: Share,
    on_begin: Box<dyn FnMut(&TaskId) + Send>,
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").field("share", &self.share).finish_non_exhaustive()
    }
}

/// What a tally shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Participants with entries that are larger than they must be.
    pub over: usize,
    /// Participants with entries that are smaller.
    pub under: usize,
}

impl Tally {
    /// A trainer that calls `on_begin` with every task.
    pub fn new(share: Share, on_begin: impl FnMut(&TaskId) + Send + 'static) -> Self {
        Self { share, on_begin: Box::new(on_begin) }
    }

    /// The model before the first round: small parts of 1, so that no two pieces of it are alike.
    ///
    /// # Errors
    /// When there is no such model.
    pub fn initial(entries: usize) -> Result<ModelParameters> {
        let layout = ModelLayout::new(vec![TensorSpec::new("tally", [entries as u64])])?;
        Ok(ModelParameters::new(layout, (0..entries).map(fraction).collect())?)
    }

    /// Counts what is in a model after so many rounds of so many participants.
    ///
    /// # Errors
    /// When so many rounds cannot be told apart.
    pub fn count(model: &ModelParameters, rounds: u32, of: usize) -> Result<Counted> {
        ensure!((1..=MOST_ROUNDS).contains(&rounds), "expected 1 to {MOST_ROUNDS} rounds, found {rounds}");
        let all = ((1_u32 << rounds) - 1) as f32;
        let (mut over, mut under) = (vec![false; of], vec![false; of]);
        for (at, value) in model.values().iter().enumerate() {
            let expected = fraction(at) + all;
            over[at % of] |= *value > expected;
            under[at % of] |= *value < expected;
        }
        let count = |places: Vec<bool>| places.into_iter().filter(|place| *place).count();
        Ok(Counted { over: count(over), under: count(under) })
    }
}

/// What is in the entry before the first round.
fn fraction(at: usize) -> f32 {
    let mixed = (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (mixed % FRACTIONS) as f32 / FRACTIONS as f32
}

impl LocalTrainer for Tally {
    fn example_count(&self) -> u64 {
        1
    }

    fn train(
        &mut self,
        task: &TrainTask,
        model: ModelParameters,
        stop: &StopSignal,
    ) -> Result<ClientUpdate, TrainerError> {
        (self.on_begin)(&task.id);
        let Share { place, of, work } = self.share;
        for _ in 0..work {
            if stop.is_raised() {
                return Err(TrainerError::Stopped);
            }
            let mix = |sum: u32, value: &f32| sum.rotate_left(5) ^ value.to_bits();
            black_box(model.values().iter().fold(0, mix));
        }
        let mark = (1_u32 << (task.id.round.get() - 1)) as f32 * of as f32;
        let own = |at: usize| if at % of == place { mark } else { 0.0 };
        let delta = (0..model.values().len()).map(own).collect();
        Ok(ClientUpdate {
            delta: ModelParameters::new(model.layout().clone(), delta)?,
            examples: ExampleCount::new(1)?,
            metrics: Metrics::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the rounds leave when round 2 of participant 1 counts so often.
    fn model(times: f32) -> ModelParameters {
        let initial = Tally::initial(64).unwrap();
        let mark = |at: usize| if at % 4 == 1 { 1.0 + 2.0 * times + 4.0 } else { 7.0 };
        let values = initial.values().iter().enumerate().map(|(at, value)| value + mark(at)).collect();
        ModelParameters::new(initial.layout().clone(), values).unwrap()
    }

    #[test]
    fn an_update_that_is_added_twice_or_not_at_all_shows() {
        let count = |times| Tally::count(&model(times), 3, 4).unwrap();
        assert_eq!(count(1.0), Counted { over: 0, under: 0 });
        assert_eq!(count(2.0), Counted { over: 1, under: 0 });
        assert_eq!(count(0.0), Counted { over: 0, under: 1 });
    }

    #[test]
    fn as_many_rounds_as_are_allowed_are_exact() {
        let all = ((1_u32 << MOST_ROUNDS) - 1) as f32;
        for at in 0..1_000 {
            let value = f64::from(fraction(at)) + f64::from(all);
            assert_eq!(f64::from(fraction(at) + all), value);
        }
    }
}
