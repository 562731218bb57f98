use std::collections::BTreeMap;

use bytes::Bytes;
use federated_core::{
    compression::Encoding,
    ids::{Digest, TaskId},
    metrics::{MAX_METRICS, Metrics, MetricsError},
    model::{ModelError, ModelLayout},
    round::UpdateKind,
    update::ExampleCount,
};

use super::{digest, encoding, required};
use crate::{WireError, v1};

/// What a checked [`v1::UpdateHeader`] says about the update that follows.
///
/// The size is checked when parsing: it is one that so many values can have in that encoding. That of a masked vector depends
/// on the job, and is checked against it.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateHeader {
    /// The task it answers.
    pub task: TaskId,
    /// Its tensors.
    pub layout: ModelLayout,
    /// BLAKE3 digest of its values as they travel.
    pub content: Digest,
    /// How many bytes travel.
    pub bytes: u64,
    /// How its values travel, and what is said beside them.
    pub kind: UpdateKind,
}

impl TryFrom<v1::UpdateHeader> for UpdateHeader {
    type Error = WireError;

    fn try_from(wire: v1::UpdateHeader) -> Result<Self, WireError> {
        let task = required("header.task", wire.task)?.try_into()?;
        let layout = ModelLayout::try_from(required("header.layout", wire.layout)?)?;
        let (content, bytes) = (digest("header.digest", &wire.digest)?, wire.size_bytes);
        let kind = match wire.masked {
            Some(v1::MaskedInput {}) => {
                if wire.examples != 0 || !wire.metrics.is_empty() || wire.encoding.is_some() {
                    let (expected, found) = ("neither examples nor metrics nor encoding", "some of them");
                    return Err(WireError::Unexpected { expected, found });
                }
                UpdateKind::Masked
            }
            None => {
                let encoding = encoding::from_wire("header.encoding", wire.encoding)?;
                check_size(&layout, encoding, bytes)?;
                let (examples, metrics) = (ExampleCount::new(wire.examples)?, metrics(wire.metrics)?);
                UpdateKind::Open { encoding, examples, metrics }
            }
        };
        Ok(Self { task, layout, content, bytes, kind })
    }
}

impl From<&UpdateHeader> for v1::UpdateHeader {
    fn from(header: &UpdateHeader) -> Self {
        let plain = Self {
            task: Some((&header.task).into()),
            layout: Some((&header.layout).into()),
            digest: Bytes::copy_from_slice(header.content.as_bytes()),
            size_bytes: header.bytes,
            ..Self::default()
        };
        match &header.kind {
            UpdateKind::Open { encoding, examples, metrics } => Self {
                examples: (*examples).into(),
                metrics: metrics.iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                encoding: encoding::to_wire(*encoding),
                ..plain
            },
            UpdateKind::Masked => Self { masked: Some(v1::MaskedInput {}), ..plain },
        }
    }
}

fn metrics(wire: BTreeMap<String, f64>) -> Result<Metrics, WireError> {
    if wire.len() > MAX_METRICS {
        return Err(MetricsError::TooMany { found: wire.len() }.into());
    }
    let mut metrics = Metrics::new();
    for (name, value) in wire {
        metrics.insert(name, value)?;
    }
    Ok(metrics)
}

fn check_size(layout: &ModelLayout, encoding: Encoding, found: u64) -> Result<(), WireError> {
    let lengths = encoding.encoded_bytes(layout.elements());
    if lengths.contains(&found) {
        return Ok(());
    }
    if encoding.is_plain() {
        let (expected, found) = (layout.elements(), found / 4);
        return Err(ModelError::ValueCount { expected, found }.into());
    }
    Err(WireError::EncodedLength { encoding, least: *lengths.start(), most: *lengths.end(), found })
}

#[cfg(test)]
mod tests {
    use federated_core::{ids::RoundNumber, model::TensorSpec};
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    fn header() -> UpdateHeader {
        let mut metrics = Metrics::new();
        metrics.insert("loss", 0.5).unwrap();
        UpdateHeader {
            task: TaskId { job: "heart".parse().unwrap(), round: RoundNumber::FIRST, attempt: 1 },
            layout: ModelLayout::new(vec![TensorSpec::new("w", [2])]).unwrap(),
            content: Digest::of(b"update"),
            bytes: 10,
            kind: UpdateKind::Open {
                encoding: "int8".parse().unwrap(),
                examples: ExampleCount::new(7).unwrap(),
                metrics,
            },
        }
    }

    #[test]
    fn a_header_survives_the_trip_and_unknown_fields_are_skipped() {
        let wire = v1::UpdateHeader::from(&header());
        let mut bytes = wire.encode_to_vec();
        // Field 1000, a varint: what a later version might add.
        bytes.extend_from_slice(&[0xc0, 0x3e, 0x01]);
        let parsed = UpdateHeader::try_from(v1::UpdateHeader::decode(&bytes[..]).unwrap()).unwrap();
        assert_eq!(parsed, header());
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_reason() {
        let wire = v1::UpdateHeader::from(&header());
        let reason = |wire: v1::UpdateHeader| UpdateHeader::try_from(wire).unwrap_err().reason();
        assert_eq!(reason(v1::UpdateHeader { examples: 0, ..wire.clone() }).as_str(), "UPDATE_EXAMPLE_COUNT");
        assert_eq!(reason(v1::UpdateHeader { size_bytes: 9, ..wire.clone() }).as_str(), "UPDATE_WRONG_SIZE");
        let plain = v1::UpdateHeader { encoding: None, size_bytes: 9, ..wire.clone() };
        assert_eq!(reason(plain).as_str(), "UPDATE_WRONG_SIZE");
        let encoding = Some(v1::UpdateEncoding { codec: 99, ..Default::default() });
        let unknown = v1::UpdateHeader { encoding, ..wire.clone() };
        assert_eq!(reason(unknown).as_str(), "UPDATE_WRONG_ENCODING");
        let metrics = [("loss".to_owned(), f64::NAN)].into();
        assert_eq!(reason(v1::UpdateHeader { metrics, ..wire.clone() }).as_str(), "METRICS_INVALID");
        assert_eq!(reason(v1::UpdateHeader { task: None, ..wire }).as_str(), "MESSAGE_INVALID");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(wire) = v1::UpdateHeader::decode(&bytes[..]) {
                let _ = UpdateHeader::try_from(wire);
            }
            if let Ok(wire) = v1::TrainTask::decode(&bytes[..]) {
                let _ = federated_core::task::TrainTask::try_from(wire);
            }
        }
    }
}
