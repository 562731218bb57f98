use std::{
    io::{BufReader, Read},
    path::Path,
};

use federated_core::{
    ids::{Digest, DigestBuilder},
    model::{ModelLayout, check_values, values_from_le_bytes},
};
use federated_proto::WireError;

use super::StoreError;

/// How many bytes are checked at a time; a multiple of four.
const BLOCK: usize = 1 << 20;

/// Reads values of this layout from a file that a peer filled, checks that each is usable, and gives their digest.
/// `path` is named when the file cannot be read.
///
/// # Errors
/// [`StoreError::Content`] naming the first value that is not usable, [`StoreError::Io`].
pub(super) fn check(file: impl Read, layout: &ModelLayout, path: &Path) -> Result<Digest, StoreError> {
    let mut file = BufReader::with_capacity(BLOCK, file);
    let mut block = vec![0; BLOCK];
    let (mut hasher, mut read, total) = (DigestBuilder::new(), 0_u64, layout.bytes());
    while read < total {
        let length = usize::try_from(total - read).unwrap_or(usize::MAX).min(BLOCK);
        let bytes = block.get_mut(..length).unwrap_or_default();
        file.read_exact(bytes).map_err(StoreError::io("read", path))?;
        hasher.update(bytes);
        check_values(layout, read / 4, &values_from_le_bytes(bytes)).map_err(WireError::from)?;
        read += length as u64;
    }
    Ok(hasher.finish())
}
