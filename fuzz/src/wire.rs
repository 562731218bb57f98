use std::{fmt::Debug, num::NonZeroU32, time::Duration};

use federated_core::{
    compression::Encoding,
    ids::{Digest, RoundNumber, TaskId},
    metrics::Metrics,
    model::{ModelLayout, TensorSpec},
    round::UpdateKind,
    strategy::{BatchSize, LocalWork},
    task::{SecureTask, TrainTask},
    update::ExampleCount,
};
use federated_proto::convert::{ModelContent, UpdateHeader};
use prost::Message;

use crate::sessions;

/// Reads a message as its receiver does. What is accepted says the same after another trip.
pub fn survives<W, T>(bytes: &[u8]) -> Option<T>
where
    W: Message + Default + for<'a> From<&'a T>,
    T: TryFrom<W, Error: Debug> + PartialEq + Debug,
{
    let parsed = T::try_from(W::decode(bytes).ok()?).ok()?;
    let again = W::decode(&W::from(&parsed).encode_to_vec()[..]).expect("a message that was written here");
    assert_eq!(T::try_from(again).expect("what was accepted once"), parsed);
    Some(parsed)
}

/// These bytes with some of them changed.
pub fn patched(mut bytes: Vec<u8>, patches: &[(u16, u8)]) -> Vec<u8> {
    for (place, change) in patches {
        let length = bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(usize::from(*place) % length) {
            *byte ^= change;
        }
    }
    bytes
}

pub fn layout() -> ModelLayout {
    let tensors = vec![TensorSpec::new("w", [4, 2]), TensorSpec::new("b", [2]), TensorSpec::new("s", [])];
    ModelLayout::new(tensors).expect("a layout")
}

pub fn model() -> ModelContent {
    ModelContent { layout: layout(), digest: Digest::of(b"model") }
}

pub fn task() -> TaskId {
    TaskId { job: "heart".parse().expect("a name"), round: RoundNumber::FIRST, attempt: 1 }
}

pub fn header(encoding: Encoding) -> UpdateHeader {
    let mut metrics = Metrics::new();
    metrics.insert("loss", 0.5).expect("a metric");
    let examples = ExampleCount::new(7).expect("a count");
    UpdateHeader {
        task: task(),
        bytes: encoding.max_encoded_bytes(layout().elements()),
        layout: layout(),
        content: Digest::of(b"update"),
        kind: UpdateKind::Open { encoding, examples, metrics },
    }
}

pub fn train_task(encoding: Encoding, secure: bool) -> TrainTask {
    let epochs = NonZeroU32::new(3).expect("above 0");
    let batch = NonZeroU32::new(16).map_or(BatchSize::All, BatchSize::Examples);
    let terms = sessions::session_header().terms;
    TrainTask {
        id: task(),
        rounds: 9,
        layout: layout(),
        model: model().digest,
        work: LocalWork { epochs, batch, learning_rate: 0.1 },
        seed: 7,
        cohort_size: 4,
        encoding,
        settings: [("optimizer".to_owned(), "sgd".to_owned())].into(),
        secure: secure.then(|| Box::new(SecureTask { terms, deadline: Duration::from_secs(60) })),
        privacy: None,
    }
}
