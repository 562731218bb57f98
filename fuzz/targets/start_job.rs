#![no_main]
//! What an operator wants to run: a job file and a model, in a message.

use federated_core::config::JobConfig;
use federated_fuzz::{model, seed};
use federated_proto::{convert::ModelContent, v1};
use libfuzzer_sys::fuzz_target;
use prost::Message;

const JOB: &str = include_str!("../job.toml");

fuzz_target!(
    init: seed([v1::StartJobHeader { job_toml: JOB.to_owned(), model: Some((&model()).into()) }.encode_to_vec()]),
    |bytes: &[u8]| {
        let Ok(header) = v1::StartJobHeader::decode(bytes) else { return };
        let _ = JobConfig::parse(&header.job_toml);
        let Some(Ok(model)) = header.model.map(ModelContent::try_from) else { return };
        assert_eq!(ModelContent::try_from(v1::ModelRef::from(&model)), Ok(model));
    }
);
