#![no_main]
//! The small requests of participants and operators: who begins, what is asked about, what is declined.

use federated_core::ids::{JobName, TaskId};
use federated_fuzz::{model, seed, survives, task};
use federated_proto::{
    convert,
    refusal::{MAX_MESSAGE_BYTES, cut},
    v1, version,
};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fn seeds() -> Vec<Vec<u8>> {
    let (task, digest) = (Some(v1::TaskId::from(&task())), v1::ModelRef::from(&model()).digest);
    let (reason, message) = ("TRAINING_FAILED".to_owned(), "no\nmemory".to_owned());
    let numbered = |number: u8, message: Vec<u8>| [vec![number], message].concat();
    vec![
        numbered(
            0,
            v1::NegotiateRequest { minor_min: 0, minor_max: 9, software: "x 1".to_owned() }.encode_to_vec(),
        ),
        numbered(1, v1::AttendRequest { minor: 2 }.encode_to_vec()),
        numbered(2, v1::QueryUploadRequest { task: task.clone(), digest: digest.clone() }.encode_to_vec()),
        numbered(3, v1::DeclineTaskRequest { task: task.clone(), reason, message }.encode_to_vec()),
        numbered(4, v1::FetchModelRequest { digest, offset: 7 }.encode_to_vec()),
        numbered(5, task.unwrap_or_default().encode_to_vec()),
        numbered(6, v1::StopJobRequest { job: "heart".to_owned() }.encode_to_vec()),
    ]
}

fn request(kind: u8, bytes: &[u8]) -> Option<()> {
    match kind % 7 {
        0 => {
            let request = v1::NegotiateRequest::decode(bytes).ok()?;
            let minor = version::negotiate(&request).ok()?;
            assert!((request.minor_min..=request.minor_max).contains(&minor) && minor <= version::MINOR_MAX);
            assert!(cut(&request.software).len() <= MAX_MESSAGE_BYTES);
        }
        1 => {
            let minor = v1::AttendRequest::decode(bytes).ok()?.minor;
            let spoken = v1::NegotiateRequest { minor_min: minor, minor_max: minor, software: String::new() };
            assert!(
                version::negotiate(&spoken).is_ok_and(|agreed| agreed == minor) || minor > version::MINOR_MAX
            );
        }
        2 => {
            let request = v1::QueryUploadRequest::decode(bytes).ok()?;
            TaskId::try_from(request.task?).ok()?;
            convert::digest("digest", &request.digest).ok()?;
        }
        3 => {
            let request = v1::DeclineTaskRequest::decode(bytes).ok()?;
            let message = cut(&request.message);
            assert!(message.len() <= MAX_MESSAGE_BYTES && !message.contains(char::is_control));
            TaskId::try_from(request.task?).ok()?;
        }
        4 => {
            let request = v1::FetchModelRequest::decode(bytes).ok()?;
            convert::digest("digest", &request.digest).ok()?;
        }
        5 => {
            survives::<v1::TaskId, TaskId>(bytes)?;
        }
        _ => {
            // Every order to a job has its name as the only field.
            v1::StopJobRequest::decode(bytes).ok()?.job.parse::<JobName>().ok()?;
        }
    }
    Some(())
}

fuzz_target!(init: seed(seeds()), |bytes: &[u8]| {
    if let Some((kind, bytes)) = bytes.split_first() {
        request(*kind, bytes);
    }
});
