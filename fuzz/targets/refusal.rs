#![no_main]
//! How an error travels, from a peer that may say anything.

use arbitrary::Arbitrary;
use bytes::Bytes;
use federated_proto::{
    details,
    refusal::{MAX_MESSAGE_BYTES, Refusal},
};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Trailers {
    status: Option<i8>,
    message: Vec<u8>,
    details: Vec<u8>,
    reason: Vec<u8>,
}

fuzz_target!(|trailers: Trailers| {
    let mut map = HeaderMap::new();
    let mut put = |name: &'static str, value: Vec<u8>| {
        if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
            map.insert(name, value);
        }
    };
    if let Some(status) = trailers.status {
        put("grpc-status", status.to_string().into_bytes());
    }
    put("grpc-message", trailers.message);
    put("grpc-status-details-bin", trailers.details);
    put("federated-reason", trailers.reason);
    let Some(status) = details::status(&map) else { return };
    let Some(refusal) = Refusal::from_status(&status) else { return };
    assert!(refusal.reason.len() <= 64 && refusal.reason.chars().all(|c| c == '\t' || !c.is_control()));
    assert!(refusal.message.len() <= MAX_MESSAGE_BYTES && !refusal.message.contains(char::is_control));
});
