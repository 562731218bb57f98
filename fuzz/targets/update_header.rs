#![no_main]
//! What a participant says of its update.

use federated_fuzz::{header, seed, survives};
use federated_proto::{convert::UpdateHeader, v1};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(
    init: seed(["f32", "int8", "top-k:0.5+zstd"].map(|encoding| {
        v1::UpdateHeader::from(&header(encoding.parse().expect("an encoding"))).encode_to_vec()
    })),
    |bytes: &[u8]| {
        survives::<v1::UpdateHeader, UpdateHeader>(bytes);
    }
);
