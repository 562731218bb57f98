//! Who may talk to the coordinator, and how that is known.
//!
//! A coordinator has a certificate authority of its own. Whoever holds a certificate of that authority is who the
//! certificate says: a participant or an operator. Of a participant only the certificate issued last counts.
//!
//! Read in this order: [`Validity`] and [`CertificateAuthority`] issue [`Credential`]s; [`PeerIdentity`] is what a
//! certificate says about a peer; [`Roster`] knows which participants are enrolled, with which certificate; [`tls`]
//! turns files into a TLS configuration; [`load_signing_key`] has the key under what the coordinator vouches for; [`setup`] is what stands behind `init`, `enroll`, `renew` and `withdraw`.
//!
//! # Security
//!
//! The roster withdraws participants at once. An operator's certificate stays good until it expires: operators are
//! few, and whoever can take one's key away from the machine can also take the authority's.

mod authority;
mod certificate;
mod credential;
mod error;
mod files;
mod peer;
mod roster;
pub mod setup;
mod signing;
pub mod tls;
mod validity;

pub use authority::CertificateAuthority;
pub use certificate::CertificateSummary;
pub use credential::Credential;
pub use error::IdentityError;
pub use peer::{OperatorName, PeerIdentity, Role};
pub use roster::{Enrolment, Roster};
pub use signing::{load_signing_key, make_signing_key};
pub use validity::Validity;
