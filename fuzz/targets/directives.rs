#![no_main]
//! What a coordinator says on the stream that stays open, of whatever kind.

use std::time::Duration;

use federated_core::{
    compression::Encoding,
    ids::{JobName, TaskId},
    privacy::secagg::{CoordinatorMessage, SignedResult},
    task::TrainTask,
};
use federated_fuzz::{model, seed, sessions::Honest, task, train_task};
use federated_proto::{
    convert::ModelContent,
    refusal::{MAX_MESSAGE_BYTES, cut},
    v1::{self, directive::Kind},
};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fn seeds() -> impl Iterator<Item = Vec<u8>> {
    let (id, message) = (Some(v1::TaskId::from(&task())), "enough".to_owned());
    let train = v1::TrainTask::new(&train_task(Encoding::PLAIN, true), Duration::ZERO);
    let ended = v1::JobEnded {
        job: "heart".to_owned(),
        outcome: v1::JobOutcome::Failed.into(),
        message: message.clone(),
        model: Some((&model()).into()),
    };
    let told = Honest::new(false).told[3][0].clone().expect("everyone is told");
    let secure = v1::SecureDirective { task: id.clone(), message: Some((&told).into()) };
    let kinds = [
        Kind::Withdraw(v1::Withdraw { id, reason: "ROUND_CLOSED".to_owned(), message }),
        Kind::Heartbeat(v1::Heartbeat {}),
        Kind::Train(train),
        Kind::JobEnded(ended),
        Kind::Secure(secure),
    ];
    kinds.into_iter().map(|kind| v1::Directive { kind: Some(kind) }.encode_to_vec())
}

fn told(text: &str) {
    let text = cut(text);
    assert!(text.len() <= MAX_MESSAGE_BYTES && !text.contains(char::is_control));
}

fuzz_target!(init: seed(seeds()), |bytes: &[u8]| {
    let Ok(directive) = v1::Directive::decode(bytes) else { return };
    match directive.kind {
        None | Some(Kind::Heartbeat(_)) => {}
        Some(Kind::Train(wire)) => {
            let _ = wire.id.clone().map(TaskId::try_from);
            if let Err(error) = TrainTask::try_from(wire) {
                told(&error.to_string());
            }
        }
        Some(Kind::Withdraw(wire)) => {
            told(&wire.reason);
            told(&wire.message);
            let _ = wire.id.map(TaskId::try_from);
        }
        Some(Kind::JobEnded(wire)) => {
            told(&wire.message);
            let _ = wire.outcome();
            let _ = wire.job.parse::<JobName>();
            let _ = wire.model.map(ModelContent::try_from);
        }
        Some(Kind::Secure(wire)) => {
            let _ = SignedResult::try_from(wire.clone());
            let _ = wire.task.map(TaskId::try_from);
            let _ = wire.message.map(CoordinatorMessage::try_from);
        }
    }
});
