use std::{fs, path::Path};

use anyhow::{Context, Result};

/// What a coordinator logs when an upload goes on.
const GOES_ON: &str = "an upload goes on where it broke off";

/// The bytes at which uploads went on, as the coordinator with this log accepted them, in their order.
pub(super) fn resumed(log: &Path) -> Result<Vec<u64>> {
    let text = fs::read_to_string(log).with_context(|| log.display().to_string())?;
    let events = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let offsets = events
        .filter(|event| event["message"] == GOES_ON)
        .map(|event| event["offset"].as_u64().context("the offset of an upload that goes on"));
    offsets.collect()
}
