use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{AgreementPublic, Commitment, SealedShares, SessionId, ShareValue, Signature};
use crate::ids::{Fingerprint, ParticipantName};

/// A participant's place in the roster, from 0: names in their order.
pub type Index = u32;

/// What a participant says of itself: R0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvertiseKeys {
    /// For shares that are sealed for it: the paper's `c_pk`.
    pub seal: AgreementPublic,
    /// For masks: the paper's `s_pk`.
    pub mask: AgreementPublic,
    /// To the secret of its own mask: the paper's `b`.
    pub commitment: Commitment,
    /// By its long-lived key, over all of it and the header.
    pub signature: Signature,
}

impl AdvertiseKeys {
    /// What is signed: `"flsa/v1 advertise\n"`, the name (its length as u32 in front), both keys, the commitment, the hash
    /// of the header.
    #[must_use]
    pub fn signed_bytes(
        name: &ParticipantName,
        seal: &AgreementPublic,
        mask: &AgreementPublic,
        commitment: &Commitment,
        header: &Fingerprint,
    ) -> Vec<u8> {
        let mut bytes = b"flsa/v1 advertise\n".to_vec();
        append_name(&mut bytes, name);
        for part in [seal.as_bytes(), mask.as_bytes(), commitment.as_bytes(), header.as_bytes()] {
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

pub(super) fn append_name(bytes: &mut Vec<u8>, name: &ParticipantName) {
    append_text(bytes, name.as_str());
}

pub(super) fn append_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// Everyone's keys, as the coordinator hands them out: the paper's `U1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster(pub BTreeMap<ParticipantName, AdvertiseKeys>);

/// Shares of a participant's secrets, sealed for each of its neighbours: R1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShareKeys(pub BTreeMap<Index, SealedShares>);

/// What a participant's neighbours have sealed for it, and who takes part from here on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Who has shared its secrets: the paper's `U2`.
    pub shared: BTreeSet<Index>,
    /// By who has sealed them.
    pub shares: BTreeMap<Index, SealedShares>,
}

/// Whose masked inputs are in: the paper's `U3`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survivors(pub BTreeSet<Index>);

/// A participant's signature under who takes part: R3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency(pub Signature);

/// What [`Consistency`] signs: SHA-256 over `"flsa/v1 consistency\n"`, the session, and the three sets, each as its number
/// of members and the members (u32, little-endian, ascending).
#[must_use]
pub fn transcript(
    session: &SessionId,
    roster: u32,
    shared: &BTreeSet<Index>,
    survivors: &BTreeSet<Index>,
) -> Fingerprint {
    let mut bytes = b"flsa/v1 consistency\n".to_vec();
    bytes.extend_from_slice(session.as_bytes());
    for set in [&(0..roster).collect(), shared, survivors] {
        let members = u32::try_from(set.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&members.to_le_bytes());
        set.iter().for_each(|index| bytes.extend_from_slice(&index.to_le_bytes()));
    }
    Fingerprint::of(&bytes)
}

/// Everyone's signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signatures(pub BTreeMap<Index, Signature>);

/// A share that its holder has revealed to the coordinator.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevealedShare([u8; 32]);

impl RevealedShare {
    /// The share.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for RevealedShare {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<&ShareValue> for RevealedShare {
    fn from(share: &ShareValue) -> Self {
        Self(*share.as_bytes())
    }
}

impl From<&RevealedShare> for ShareValue {
    fn from(share: &RevealedShare) -> Self {
        Self::from_bytes(share.0)
    }
}

/// Enough of them make a secret: logs must not hold them.
impl std::fmt::Debug for RevealedShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RevealedShare(..)")
    }
}

/// Shares that unmask the sum and nothing else: R4.
///
/// Of each participant there is one share at most, by the maps' making: of a survivor's own mask, or of the key of one
/// that dropped out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmask {
    /// Of survivors' own masks: the paper's `b`.
    pub self_masks: BTreeMap<Index, RevealedShare>,
    /// Of the mask keys of those who dropped out: the paper's `s_sk`.
    pub mask_secrets: BTreeMap<Index, RevealedShare>,
}

/// What a participant sends, apart from its masked input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "what travels is converted completely, or not at all")]
pub enum ParticipantMessage {
    /// R0.
    AdvertiseKeys(AdvertiseKeys),
    /// R1.
    ShareKeys(ShareKeys),
    /// R3.
    Consistency(Consistency),
    /// R4.
    Unmask(Unmask),
}

/// What the coordinator sends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "what travels is converted completely, or not at all")]
pub enum CoordinatorMessage {
    /// After R0.
    Roster(Roster),
    /// After R1.
    Delivery(Delivery),
    /// After R2.
    Survivors(Survivors),
    /// After R3.
    Signatures(Signatures),
}

impl ParticipantMessage {
    /// The stage that it answers.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self::AdvertiseKeys(_) => Stage::AdvertiseKeys,
            Self::ShareKeys(_) => Stage::ShareKeys,
            Self::Consistency(_) => Stage::Consistency,
            Self::Unmask(_) => Stage::Unmask,
        }
    }
}

/// The stages of a session, by the paper's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_enums, reason = "the protocol has these five")]
pub enum Stage {
    /// R0: everyone makes keys for this session.
    AdvertiseKeys,
    /// R1: everyone shares its secrets out.
    ShareKeys,
    /// R2: masked vectors are uploaded.
    MaskedInput,
    /// R3: everyone signs whose vectors are in.
    Consistency,
    /// R4: everyone reveals what unmasks the sum.
    Unmask,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::AdvertiseKeys => "AdvertiseKeys",
            Self::ShareKeys => "ShareKeys",
            Self::MaskedInput => "MaskedInput",
            Self::Consistency => "Consistency",
            Self::Unmask => "Unmask",
        })
    }
}
