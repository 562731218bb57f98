#![no_main]
//! What a coordinator says in secure aggregation.

use federated_core::{ids::TaskId, privacy::secagg::CoordinatorMessage};
use federated_fuzz::{seed, sessions::Honest, task};
use federated_proto::v1;
use libfuzzer_sys::fuzz_target;
use prost::Message;

fn wire(message: &CoordinatorMessage) -> Vec<u8> {
    v1::SecureDirective { task: Some((&task()).into()), message: Some(message.into()) }.encode_to_vec()
}

fuzz_target!(
    init: seed(Honest::new(true).told.iter().flatten().flatten().map(wire)),
    |bytes: &[u8]| {
        let Ok(directive) = v1::SecureDirective::decode(bytes) else { return };
        let _ = directive.task.map(TaskId::try_from);
        let Some(Ok(message)) = directive.message.map(CoordinatorMessage::try_from) else { return };
        let again = v1::SecureDirective::decode(&wire(&message)[..]).expect("a message that was written here");
        assert_eq!(again.message.map(CoordinatorMessage::try_from), Some(Ok(message)));
    }
);
