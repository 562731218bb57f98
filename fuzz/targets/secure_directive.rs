#![no_main]
//! What a coordinator says in secure aggregation.

use std::sync::Arc;

use federated_core::{
    ids::{Digest, Fingerprint, TaskId},
    privacy::secagg::{CoordinatorMessage, GroupSum, SignedResult, SumResult},
};
use federated_fuzz::{
    seed,
    sessions::{self, Honest},
    survives, task,
};
use federated_proto::v1;
use libfuzzer_sys::fuzz_target;
use prost::Message;

fn wire(message: &CoordinatorMessage) -> Vec<u8> {
    v1::SecureDirective { task: Some((&task()).into()), message: Some(message.into()) }.encode_to_vec()
}

fn result() -> Vec<u8> {
    let survivors = (0..sessions::N).map(sessions::name).collect();
    let group = Arc::new(GroupSum { session: [1; 32].into(), survivors, sum: Fingerprint::of(b"sum") });
    let result = SumResult { task: task(), group, model: Digest::of(b"model") };
    v1::SecureDirective::from(&result.sign(&sessions::signing(0))).encode_to_vec()
}

fuzz_target!(
    init: seed(Honest::new(true).told.iter().flatten().flatten().map(wire).chain([result()])),
    |bytes: &[u8]| {
        let _ = survives::<v1::SecureDirective, SignedResult>(bytes);
        let Ok(directive) = v1::SecureDirective::decode(bytes) else { return };
        let _ = directive.task.map(TaskId::try_from);
        let Some(Ok(message)) = directive.message.map(CoordinatorMessage::try_from) else { return };
        let again = v1::SecureDirective::decode(&wire(&message)[..]).expect("a message that was written here");
        assert_eq!(again.message.map(CoordinatorMessage::try_from), Some(Ok(message)));
    }
);
