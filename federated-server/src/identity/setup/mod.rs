//! What stands behind the commands `init`, `enroll`, `renew` and `withdraw`, for programs and tests to call.
//!
//! Read in this order: [`init`] makes a coordinator's folder; [`enroll`] makes the bundle of one participant;
//! [`withdraw`] takes a participant's access away; [`renew`] replaces the coordinator's own certificates before they
//! expire. [`SetupError`] is why one of them cannot.

mod enroll;
mod error;
mod init;
mod renew;
mod withdraw;

use std::net::IpAddr;

pub use enroll::{Bundle, EnrollOptions, enroll};
pub use error::SetupError;
pub use init::{InitOptions, init};
pub use renew::{Renewal, renew};
pub use withdraw::withdraw;

use super::{CertificateAuthority, IdentityError};
use crate::config::CoordinatorConfig;

/// The authority of a coordinator's folder; its key lies beside its certificate.
fn authority_of(config: &CoordinatorConfig) -> Result<CertificateAuthority, IdentityError> {
    CertificateAuthority::load(&config.tls.ca, &config.tls.ca.with_extension("key"))
}

fn same_host(one: &str, other: &str) -> bool {
    match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one.eq_ignore_ascii_case(other),
    }
}

#[cfg(test)]
mod tests;
