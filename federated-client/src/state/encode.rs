use bytes::Bytes;
use federated_core::{
    compression::{Codec, ErrorFeedback, encode},
    task::TrainTask,
};

use super::{StateError, residual::Residuals};

/// Encodes the values of an update as its task asks. Gives the bytes, and the memory of the values where it is free.
///
/// Top-k leaves most of an update out: what the job's earlier ones left out is added first, and what this one leaves
/// out is kept for the next.
pub(super) fn encoded(
    task: &TrainTask,
    mut delta: Vec<f32>,
    residuals: &Residuals,
) -> Result<(Bytes, Vec<f32>), StateError> {
    let encoding = task.encoding;
    if !matches!(encoding.codec, Codec::TopK(_)) {
        return Ok((encode(encoding, &delta, task.seed)?.into(), delta));
    }
    residuals.before(&task.id, delta.len())?.compensate(&mut delta)?;
    let bytes = encode(encoding, &delta, task.seed)?;
    residuals.propose(&task.id, &ErrorFeedback::after(delta, encoding, &bytes)?)?;
    Ok((bytes.into(), Vec::new()))
}
