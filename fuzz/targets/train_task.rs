#![no_main]
//! What a coordinator wants a participant to do, with the terms of secure aggregation.

use std::time::Duration;

use federated_core::task::TrainTask;
use federated_fuzz::{seed, train_task};
use federated_proto::v1;
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(
    init: seed([("f32", false), ("top-k:0.01+zstd", false), ("f32", true)].map(|(encoding, secure)| {
        let task = train_task(encoding.parse().expect("an encoding"), secure);
        v1::TrainTask::new(&task, Duration::from_secs(5)).encode_to_vec()
    })),
    |bytes: &[u8]| {
        let Ok(Ok(task)) = v1::TrainTask::decode(bytes).map(TrainTask::try_from) else { return };
        if let Some(header) = task.header() {
            let _ = header.hash();
            let vector = header.terms.vector();
            assert!(vector.byte_len(task.layout.elements()) >= vector.prefix_bytes() as u64);
        }
        let again = TrainTask::try_from(v1::TrainTask::new(&task, Duration::ZERO));
        assert_eq!(again, Ok(task));
    }
);
