#![no_main]
//! Model files.

use federated_core::model::{ModelParameters, from_safetensors, to_safetensors};
use federated_fuzz::{layout, seed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: seed([ModelParameters::zeros(layout()).and_then(|model| to_safetensors(&model)).expect("a model")]),
    |bytes: &[u8]| {
        let Ok(model) = from_safetensors(bytes) else { return };
        let file = to_safetensors(&model).expect("a model that was read");
        let again = from_safetensors(&file).expect("a file that was written here");
        assert_eq!((again.layout(), again.digest()), (model.layout(), model.digest()));
    }
);
