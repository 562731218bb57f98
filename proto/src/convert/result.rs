//! What came of a session of secure aggregation, with the coordinator's signature.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use federated_core::{
    ids::{Fingerprint, ParticipantName, TaskId},
    privacy::secagg::{GroupSum, SessionId, Signature, SignedResult, SumResult},
};

use super::{digest, range, required};
use crate::{
    WireError,
    v1::{self, secure_directive::Message as Told},
};

impl From<&SignedResult> for v1::SecureDirective {
    fn from(SignedResult { result, signature }: &SignedResult) -> Self {
        let copied = Bytes::copy_from_slice;
        let wire = v1::SignedResult {
            session: copied(result.group.session.as_bytes()),
            survivors: result.survivors().iter().map(ToString::to_string).collect(),
            sum: copied(result.group.sum.as_bytes()),
            model: copied(result.model.as_bytes()),
            signature: copied(signature.as_bytes()),
        };
        Self { task: Some((&result.task).into()), message: Some(Told::Result(wire)) }
    }
}

impl TryFrom<v1::SecureDirective> for SignedResult {
    type Error = WireError;

    fn try_from(wire: v1::SecureDirective) -> Result<Self, WireError> {
        let task: TaskId = required("secure.task", wire.task)?.try_into()?;
        let Told::Result(wire) = required("secure.message", wire.message)? else {
            return Err(range("secure.message", "a result", "a stage of a session"));
        };
        let session = SessionId::from(fixed("session", &wire.session)?);
        let sum = Fingerprint::from(fixed("sum", &wire.sum)?);
        let group = GroupSum { session, survivors: survivors(wire.survivors)?, sum };
        let model = digest("model", &wire.model)?;
        let signature = Signature::from(fixed("signature", &wire.signature)?);
        Ok(Self { result: SumResult { task, group: Arc::new(group), model }, signature })
    }
}

fn fixed<const N: usize>(field: &'static str, bytes: &[u8]) -> Result<[u8; N], WireError> {
    bytes.try_into().map_err(|_| range(field, format!("{N} bytes"), bytes.len()))
}

/// Names as they are signed: in their order, each once.
fn survivors(names: Vec<String>) -> Result<BTreeSet<ParticipantName>, WireError> {
    let field = "survivors";
    let mut survivors = BTreeSet::new();
    for name in names {
        let name: ParticipantName = name.parse().map_err(|source| WireError::Id { field, source })?;
        if survivors.last().is_some_and(|last| *last >= name) {
            return Err(range(field, "names in their order", name));
        }
        survivors.insert(name);
    }
    Ok(survivors)
}

#[cfg(test)]
mod tests {
    use federated_core::ids::{Digest, RoundNumber};

    use super::*;

    fn wire() -> v1::SecureDirective {
        let task = TaskId { job: "heart".parse().unwrap(), round: RoundNumber::FIRST, attempt: 1 };
        let survivors = ["a", "b"].iter().map(|name| name.parse().unwrap()).collect();
        let group = GroupSum { session: [1; 32].into(), survivors, sum: Fingerprint::from([2; 32]) };
        let result = SumResult { task, group: Arc::new(group), model: Digest::from([3; 32]) };
        (&SignedResult { result, signature: [4; 64].into() }).into()
    }

    #[test]
    fn a_result_says_the_same_after_its_trip() {
        let read = SignedResult::try_from(wire()).unwrap();
        assert_eq!(v1::SecureDirective::from(&read), wire());
    }

    #[test]
    fn names_out_of_order_and_bytes_of_another_length_are_refused() {
        let changed = |change: fn(&mut v1::SignedResult)| {
            let mut wire = wire();
            if let Some(Told::Result(result)) = &mut wire.message {
                change(result);
            }
            SignedResult::try_from(wire).unwrap_err().to_string()
        };
        for error in [
            changed(|result| result.survivors.reverse()),
            changed(|result| result.survivors.push("b".to_owned())),
            changed(|result| result.survivors.push("../x".to_owned())),
            changed(|result| result.session.truncate(31)),
            changed(|result| result.model = Bytes::new()),
            changed(|result| result.signature.truncate(63)),
        ] {
            assert!(error.contains("found") || error.contains("not a valid name"), "{error}");
        }
        let stage =
            v1::SecureDirective { message: Some(Told::Survivors(v1::Survivors::default())), ..wire() };
        assert!(SignedResult::try_from(stage).is_err());
    }
}
