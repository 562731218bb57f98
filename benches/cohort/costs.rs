use std::collections::BTreeMap;

use federated_core::privacy::secagg::Stage;

/// The stages, in their order.
pub(crate) const STAGES: [Stage; 5] =
    [Stage::AdvertiseKeys, Stage::ShareKeys, Stage::MaskedInput, Stage::Consistency, Stage::Unmask];

/// What a stage costs a participant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Of processor time.
    pub(crate) seconds: f64,
    /// Bytes that it sends.
    pub(crate) up: u64,
    /// Bytes that it is sent.
    pub(crate) down: u64,
}

/// What a session costs a participant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Costs(BTreeMap<Stage, Cost>);

impl Costs {
    pub(crate) fn add(&mut self, stage: Stage, cost: Cost) {
        let sum = self.0.entry(stage).or_default();
        sum.seconds += cost.seconds;
        sum.up += cost.up;
        sum.down += cost.down;
    }

    /// Those of a stage; `None` when the participant had no part in it.
    pub(crate) fn of(&self, stage: Stage) -> Option<Cost> {
        self.0.get(&stage).copied()
    }

    /// Those of all stages; `None` when the participant dropped out.
    pub(crate) fn total(&self) -> Option<Cost> {
        STAGES.into_iter().try_fold(Cost::default(), |sum, stage| {
            let Cost { seconds, up, down } = self.of(stage)?;
            Some(Cost { seconds: sum.seconds + seconds, up: sum.up + up, down: sum.down + down })
        })
    }
}

/// What a work costs beside the least that it can.
#[derive(Clone, Debug, Default)]
pub(crate) struct Beside {
    /// Bytes of keystream in the work.
    pub(crate) keystream: u64,
    /// Each time it was done, the seconds.
    pub(crate) work: Vec<f64>,
    /// The same for its floor.
    pub(crate) floor: Vec<f64>,
}
