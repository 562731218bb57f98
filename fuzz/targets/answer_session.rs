#![no_main]
//! What a participant says in secure aggregation.

use federated_core::{ids::TaskId, privacy::secagg::ParticipantMessage};
use federated_fuzz::{seed, sessions::Honest, task};
use federated_proto::v1;
use libfuzzer_sys::fuzz_target;
use prost::Message;

fn wire(task: &TaskId, message: &ParticipantMessage) -> v1::AnswerSessionRequest {
    v1::AnswerSessionRequest { task: Some(task.into()), message: Some(message.into()) }
}

fuzz_target!(
    init: seed(Honest::new(true).answers.iter().flatten().flatten().map(|answer| wire(&task(), answer).encode_to_vec())),
    |bytes: &[u8]| {
        let Ok(request) = v1::AnswerSessionRequest::decode(bytes) else { return };
        let parsed: Result<(TaskId, ParticipantMessage), _> = request.try_into();
        let Ok((task, message)) = parsed else { return };
        let again = wire(&task, &message).try_into();
        assert_eq!(again, Ok((task, message)));
    }
);
