use crate::{
    fault::{Fault, ReasonCode},
    ids::ParticipantName,
    privacy::secagg::{Index, ParameterError, Stage},
};

/// Why a message of a participant, or the end of a stage, is no good.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The sender does not take part, or not any more.
    #[error("this participant has no part in {stage}")]
    NotConcerned {
        /// The stage.
        stage: Stage,
    },
    /// The message belongs to a later stage.
    #[error("expected a message of {expected}, found one of {found}")]
    Stage {
        /// Where the session is.
        expected: Stage,
        /// Where the message belongs.
        found: Stage,
    },
    /// Another message of the same kind came before.
    #[error("{stage} has been answered with another message; a session has one answer in each stage")]
    Conflict {
        /// The stage.
        stage: Stage,
    },
    /// A key cannot be used, or is another participant's.
    #[error("expected two fresh X25519 keys, found {found}")]
    Keys {
        /// What is wrong with them.
        found: &'static str,
    },
    /// The signature is not by the sender's long-lived key.
    #[error("expected the signature of the key in the roster of this job, found another")]
    Signature,
    /// Shares are not for the sender's neighbours, or are shares of others.
    #[error("expected {expected} shares for or of this participant's neighbours, found {found} or others")]
    Shares {
        /// How many.
        expected: usize,
        /// How many there were.
        found: usize,
    },
    /// Too few have answered for the session to go on.
    #[error("{stage} was answered by {found}, expected at least {least}")]
    TooFew {
        /// The stage.
        stage: Stage,
        /// How many are needed.
        least: u32,
        /// How many there are.
        found: u32,
    },
    /// Too few groups can still be summed.
    #[error("{found} groups can still be summed, expected at least {least}; of the last one lost: {reason}")]
    TooFewGroups {
        /// How many are needed.
        least: u32,
        /// How many there are.
        found: u32,
        /// Why one of the others cannot.
        reason: Box<Self>,
    },
    /// The participant's group cannot be summed any more; the others go on.
    #[error("the group of this participant cannot be summed any more: {reason}; wait for the next task")]
    GroupLost {
        /// Why.
        reason: Box<Self>,
    },
    /// There is nothing that holds for so many participants.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
}

impl SessionError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Parameters(_) => Fault::Caller,
            _ => Fault::Peer,
        }
    }

    /// What the participant is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::NotConcerned { .. } | Self::Stage { .. } => ReasonCode::new("SECAGG_STAGE"),
            Self::Conflict { .. } => ReasonCode::new("SECAGG_CONFLICT"),
            Self::Keys { .. } | Self::Signature => ReasonCode::new("SECAGG_ROSTER"),
            Self::Shares { .. } => ReasonCode::new("SECAGG_SHARES"),
            Self::TooFew { .. }
            | Self::TooFewGroups { .. }
            | Self::GroupLost { .. }
            | Self::Parameters(_) => ReasonCode::new("SECAGG_COHORT"),
        }
    }
}

/// Why a sum cannot be unmasked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnmaskError {
    /// There are fewer shares of a secret than the threshold.
    #[error("expected at least {threshold} shares of the secret of `{of}`, found {found}")]
    TooFew {
        /// Whose secret.
        of: ParticipantName,
        /// How many are needed.
        threshold: u8,
        /// How many there are.
        found: usize,
    },
    /// No choice of shares gives the secret that was committed to.
    #[error(
        "the shares of the secret of `{of}` do not give what it committed to: it shared something else, or too many of \
         those who hold shares sent others"
    )]
    Wrong {
        /// Whose secret.
        of: ParticipantName,
    },
    /// A key of the session cannot be used.
    #[error("the key of participant {index} cannot be used")]
    Key {
        /// Whose.
        index: Index,
    },
}

impl UnmaskError {
    /// Whose fault it is: participants'.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}
