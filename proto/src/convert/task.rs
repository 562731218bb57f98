use std::{num::NonZeroU32, time::Duration};

use federated_core::{
    privacy::dp::{
        NoiseMultiplier,
        terms::{Placement, PrivacyTerms},
    },
    strategy::{BatchSize, LocalWork},
    task::{SecureTask, TrainTask},
};

use super::{ModelContent, encoding, range, required};
use crate::{WireError, v1};

impl v1::TrainTask {
    /// The message for a task that closes in `remaining`.
    #[must_use]
    pub fn new(task: &TrainTask, remaining: Duration) -> Self {
        let model = ModelContent { layout: task.layout.clone(), digest: task.model };
        Self {
            id: Some((&task.id).into()),
            rounds: task.rounds,
            model: Some((&model).into()),
            local_epochs: task.work.epochs.get(),
            batch_size: match task.work.batch {
                BatchSize::Examples(size) => size.get(),
                _ => 0,
            },
            learning_rate: task.work.learning_rate,
            seed: task.seed,
            cohort_size: task.cohort_size,
            settings: task.settings.clone(),
            remaining_ms: u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX),
            encoding: encoding::to_wire(task.encoding),
            secure_aggregation: task.secure.as_deref().map(Into::into),
            privacy: task.privacy.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::TrainTask> for TrainTask {
    type Error = WireError;

    fn try_from(wire: v1::TrainTask) -> Result<Self, WireError> {
        let model = ModelContent::try_from(required("train.model", wire.model)?)?;
        let learning_rate = wire.learning_rate;
        if !(learning_rate.is_finite() && learning_rate > 0.0) {
            return Err(range("train.learning_rate", "a finite number above 0", learning_rate));
        }
        let epochs =
            NonZeroU32::new(wire.local_epochs).ok_or_else(|| range("train.local_epochs", "at least 1", 0))?;
        let batch = NonZeroU32::new(wire.batch_size).map_or(BatchSize::All, BatchSize::Examples);
        let secure: Option<Box<SecureTask>> =
            wire.secure_aggregation.map(TryInto::try_into).transpose()?.map(Box::new);
        let privacy: Option<PrivacyTerms> = wire.privacy.map(TryInto::try_into).transpose()?;
        check_noise(secure.as_deref(), privacy.as_ref())?;
        Ok(Self {
            id: required("train.id", wire.id)?.try_into()?,
            rounds: wire.rounds,
            layout: model.layout,
            model: model.digest,
            work: LocalWork { epochs, batch, learning_rate },
            seed: wire.seed,
            cohort_size: wire.cohort_size,
            encoding: encoding::from_wire("train.encoding", wire.encoding)?,
            settings: wire.settings,
            secure,
            privacy,
        })
    }
}

/// Noise that is shared out is in the masked vector, as much of it as is said to be counted.
fn check_noise(secure: Option<&SecureTask>, privacy: Option<&PrivacyTerms>) -> Result<(), WireError> {
    let shared = secure.and_then(|secure| secure.terms.vector().noise()).map(|noise| noise.multiplier);
    let counted = privacy
        .filter(|terms| terms.placement() == Placement::Distributed)
        .map(PrivacyTerms::noise_multiplier);
    if shared == counted {
        return Ok(());
    }
    let said = |noise: Option<NoiseMultiplier>| noise.map_or("none".to_owned(), |noise| noise.to_string());
    Err(range("train.secure_aggregation.noise_multiplier", said(counted), said(shared)))
}

#[cfg(test)]
mod tests {
    use federated_core::{
        ids::{Digest, RoundNumber, TaskId},
        model::{ModelLayout, TensorSpec},
    };

    use super::*;

    fn task(batch: BatchSize) -> TrainTask {
        TrainTask {
            id: TaskId { job: "heart".parse().unwrap(), round: RoundNumber::FIRST, attempt: 2 },
            rounds: 9,
            layout: ModelLayout::new(vec![TensorSpec::new("w", [2])]).unwrap(),
            model: Digest::of(b"model"),
            work: LocalWork { epochs: NonZeroU32::new(3).unwrap(), batch, learning_rate: 0.1 },
            seed: u64::MAX,
            cohort_size: 4,
            encoding: "top-k:0.01+zstd".parse().unwrap(),
            settings: [("optimizer".to_owned(), "sgd".to_owned())].into(),
            secure: None,
            privacy: None,
        }
    }

    #[test]
    fn a_task_survives_the_trip() {
        for batch in [BatchSize::All, BatchSize::Examples(NonZeroU32::new(16).unwrap())] {
            let wire = v1::TrainTask::new(&task(batch), Duration::from_secs(5));
            assert_eq!(wire.remaining_ms, 5_000);
            assert_eq!(TrainTask::try_from(wire).unwrap(), task(batch));
        }
    }

    #[test]
    fn impossible_work_is_refused() {
        let wire = v1::TrainTask::new(&task(BatchSize::All), Duration::ZERO);
        for learning_rate in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(TrainTask::try_from(v1::TrainTask { learning_rate, ..wire.clone() }).is_err());
        }
        assert!(TrainTask::try_from(v1::TrainTask { local_epochs: 0, ..wire.clone() }).is_err());
        assert!(TrainTask::try_from(v1::TrainTask { model: None, ..wire }).is_err());
    }
}
