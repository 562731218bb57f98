//! The way to the coordinator: TLS 1.3 with certificates on both sides, HTTP/2, and errors that say the real reason.
//!
//! Read in this order: [`SiteIdentity`] is this participant's certificate, key and trust; `dial` opens one TLS
//! connection with it; `watched` keeps the reason when that connection breaks; `channel` puts gRPC on it.
//! [`TransportError`] is what can go wrong, and `diagnosis` finds it in what rustls says.

mod certificate;
mod channel;
mod diagnosis;
mod dial;
mod error;
mod identity;
#[cfg(test)]
mod tests;
mod watched;

pub use certificate::SiteCertificate;
pub(crate) use channel::{Link, open};
pub use error::{RefusedCertificate, Stage, TransportError};
pub use identity::{IdentityError, SiteIdentity};
pub(crate) use identity::{private_key, read_certificates};
