//! The `federated.v1` protocol: generated messages and services, and the one parser between the wire and the core.
//!
//! Hostile bytes end here: what [`convert`] gives out is made of checked types. Read in this order: [`v1`] is what
//! travels, [`convert`] turns it into core types and back, [`chunk`] cuts contents into chunks and puts them together,
//! [`pieces`] and [`transfer`] move them without copying, [`refusal`] is how an error travels, [`details`] what is taken out of it, and
//! [`version`] how two minor versions meet.

#![forbid(unsafe_code)]

pub mod chunk;
pub mod convert;
pub mod details;
mod error;
pub mod pieces;
pub mod refusal;
pub mod transfer;
pub mod version;

pub use error::WireError;

/// The generated messages and services of `federated.v1`; `proto/federated/v1/*.proto` documents every field.
#[expect(
    clippy::missing_errors_doc,
    clippy::exhaustive_enums,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("federated.v1");
}

/// The generated server side of `federated.v1`, without the calls that move content: [`transfer`] serves those.
#[expect(
    clippy::too_many_lines,
    clippy::clone_on_ref_ptr,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod service {
    include!(concat!(env!("OUT_DIR"), "/service/federated.v1.rs"));
}
