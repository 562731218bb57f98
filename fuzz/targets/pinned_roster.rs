#![no_main]
//! Files with the participants' long-lived keys.

use federated_core::privacy::secagg::PinnedRoster;
use federated_fuzz::{seed, sessions::pinned};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: seed([format!("# by name\n\n{}", pinned()).into_bytes()]),
    |bytes: &[u8]| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let Ok(roster) = text.parse::<PinnedRoster>() else { return };
        assert_eq!(roster.to_string().parse(), Ok(roster));
    }
);
