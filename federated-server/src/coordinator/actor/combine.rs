//! How the updates of an attempt become a new model: read one by one, or masked and together.

use std::{collections::BTreeMap, sync::Arc};

use federated_core::{
    ids::{Digest, ParticipantName, TaskId},
    model::ModelLayout,
    privacy::secagg::{CoordinatorSession, Mask, PreparedMask},
    round::Receipt,
    strategy::Strategy,
};

use crate::{
    coordinator::message::Published,
    store::{Division, MaskedReduction, Reduction, Store},
};

/// What is combined.
pub(super) struct Combination {
    pub(super) task: TaskId,
    pub(super) layout: ModelLayout,
    /// The model that the updates start from.
    pub(super) base: Digest,
    pub(super) strategy: Box<dyn Strategy>,
    pub(super) contributions: BTreeMap<ParticipantName, Receipt>,
    /// Of masked updates: what takes the masks off their sum.
    pub(super) session: Option<Arc<CoordinatorSession>>,
    /// Whether each update is compared with its digest first.
    pub(super) verify: bool,
}

impl Combination {
    /// Makes the new model; or says for the operator why there is none.
    pub(super) fn run(self, store: &Store) -> Result<Published, String> {
        match &self.session {
            None => self.read(store),
            Some(session) => self.unmask(store, session),
        }
    }

    fn read(&self, store: &Store) -> Result<Published, String> {
        let Self { task, layout, base, strategy, contributions, verify, .. } = self;
        let (base, strategy, division, verify) = (*base, strategy.as_ref(), Division::default(), *verify);
        let reduction = Reduction { task, layout, base, contributions, strategy, division, verify };
        let model = reduction.run(store).map_err(|error| error.to_string())?;
        Ok(Published { model, sum: None })
    }

    fn unmask(&self, store: &Store, session: &CoordinatorSession) -> Result<Published, String> {
        let unmasking = session.unmasking().map_err(|error| error.to_string())?;
        for liar in &unmasking.liars {
            tracing::warn!(task = %self.task, participant = %liar, "sent shares that are not those it was given");
        }
        let masks = unmasking.masks.iter().map(Mask::prepare).collect::<Result<Vec<PreparedMask>, _>>();
        let masks = masks.map_err(|error| error.to_string())?;
        let survivors =
            self.contributions.iter().map(|(name, receipt)| (name.clone(), receipt.content)).collect();
        let reduction = MaskedReduction {
            task: &self.task,
            layout: &self.layout,
            base: self.base,
            survivors: &survivors,
            masks: &masks,
            plan: session.header().terms.vector(),
            strategy: self.strategy.as_ref(),
            division: Division::default(),
            verify: self.verify,
        };
        let unmasked = reduction.run(store).map_err(|error| error.to_string())?;
        tracing::info!(task = %self.task, sum = %unmasked.sum, masks = masks.len(), "the sum is unmasked");
        let totals = unmasked.totals;
        Ok(Published { model: unmasked.model, sum: Some((totals.examples, totals.metrics)) })
    }
}
