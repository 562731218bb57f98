use federated_proto::refusal::Refusal;
use tonic::{Code, Status};

/// The reason code of a refused call; empty when there is none.
#[must_use]
pub fn reason(status: &Status) -> String {
    Refusal::from_status(status).map_or_else(String::new, |refusal| refusal.reason)
}

/// Checks that a call was refused with this status, this reason, and words that contain `words`.
///
/// # Panics
/// When it succeeded or was refused otherwise.
#[track_caller]
pub fn assert_refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, why: &str, words: &str) {
    let status = result.expect_err("the call should be refused");
    let found = (status.code(), reason(&status));
    assert_eq!(found, (code, why.to_owned()), "{status:?}");
    assert!(status.message().contains(words), "expected {words:?} in {:?}", status.message());
}
