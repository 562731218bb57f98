use crate::{
    fault::{Fault, ReasonCode},
    privacy::secagg::{Index, KeyError, ParameterError, SealError, ShamirError, Stage, WindowError},
};

/// Why a participant leaves a session. It has revealed nothing beyond what it had sent before.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParticipantError {
    /// The roster is smaller than this site agrees to.
    #[error("expected at least {least} participants, found {found}")]
    SmallCohort {
        /// What the site insists on.
        least: u32,
        /// How many there are.
        found: u32,
    },
    /// The roster is larger than the terms allow: a sum could wrap around.
    #[error("expected at most {most} participants, found {found}")]
    LargeCohort {
        /// What the terms say.
        most: u32,
        /// How many there are.
        found: u32,
    },
    /// Fewer would have to be corrupt than this site agrees to.
    #[error("expected a threshold of at least {least}, found {found}")]
    LowThreshold {
        /// What the site insists on.
        least: u8,
        /// What follows from the roster.
        found: u8,
    },
    /// There is nothing that holds for so many participants.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// Somebody in the roster has not been agreed on.
    #[error(
        "`{name}` is in the coordinator's roster but not in the pinned one; agree on its key, or leave it out"
    )]
    Stranger {
        /// Who.
        name: String,
    },
    /// A signature in the roster is not by the pinned key, or is for another header.
    #[error("the keys of `{name}` are not signed by its pinned key for this round, model and training")]
    RosterSignature {
        /// Whose.
        name: String,
    },
    /// Two keys in the roster are the same.
    #[error("`{name}` advertises a key that another participant has as well")]
    SameKey {
        /// Whose.
        name: String,
    },
    /// The participant's own keys are not in the roster as it sent them.
    #[error("the roster does not hold this participant's keys as it sent them")]
    NotMine,
    /// A key of a neighbour cannot be used.
    #[error("the keys of participant {index} cannot be used: {source}")]
    Key {
        /// Whose.
        index: Index,
        /// Why.
        source: KeyError,
    },
    /// A neighbour's shares cannot be read.
    #[error("the shares of participant {index} cannot be read: {source}")]
    Shares {
        /// Whose.
        index: Index,
        /// Why.
        source: SealError,
    },
    /// The shares are not those of the neighbours that take part.
    #[error("expected the shares of {expected} neighbours that take part, found others")]
    OtherShares {
        /// How many.
        expected: usize,
    },
    /// The secrets could not be shared out.
    #[error(transparent)]
    Shamir(#[from] ShamirError),
    /// The survivors are not among those who shared their secrets, or these not among the roster.
    #[error("the survivors announced are not among those who take part")]
    NotNested,
    /// The participant's own vector was left out.
    #[error("this participant is not among those announced, although it answered")]
    LeftOut,
    /// Fewer vectors would be summed than agreed on.
    #[error("expected at least {least} survivors, found {found}")]
    FewSurvivors {
        /// What was agreed.
        least: u32,
        /// How many there are.
        found: u32,
    },
    /// Those who dropped out lie so that an arc of the ring would be alone.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// Other survivors were announced before.
    #[error("other survivors were announced before; a session has one announcement")]
    SecondAnnouncement,
    /// Too few have signed the same.
    #[error(
        "expected valid signatures of at least {least} survivors under the same announcement, found {found}"
    )]
    FewSignatures {
        /// The quorum.
        least: u32,
        /// How many are valid.
        found: u32,
    },
    /// The message belongs to another stage.
    #[error("expected what follows {stage}, found a message of another stage")]
    Stage {
        /// Where the session is.
        stage: Stage,
    },
    /// The session is over.
    #[error("the session is over for this participant")]
    Over,
}

impl ParticipantError {
    /// Whose fault it is: what a coordinator sends is a peer's; floors and rosters of the site's own are the caller's.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Shamir(_) => Fault::Bug,
            _ => Fault::Peer,
        }
    }

    /// What the coordinator is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::SmallCohort { .. } | Self::LargeCohort { .. } | Self::Parameters(_) => {
                ReasonCode::new("SECAGG_COHORT")
            }
            Self::LowThreshold { .. } => ReasonCode::new("SECAGG_THRESHOLD"),
            Self::Stranger { .. }
            | Self::RosterSignature { .. }
            | Self::SameKey { .. }
            | Self::NotMine
            | Self::Key { .. } => ReasonCode::new("SECAGG_ROSTER"),
            Self::Shares { .. } | Self::OtherShares { .. } | Self::Shamir(_) => {
                ReasonCode::new("SECAGG_SHARES")
            }
            Self::NotNested | Self::LeftOut | Self::FewSurvivors { .. } | Self::Window(_) => {
                ReasonCode::new("SECAGG_SURVIVORS")
            }
            Self::SecondAnnouncement => ReasonCode::new("SECAGG_SECOND_ANNOUNCEMENT"),
            Self::FewSignatures { .. } => ReasonCode::new("SECAGG_SIGNATURES"),
            Self::Stage { .. } | Self::Over => ReasonCode::new("SECAGG_STAGE"),
        }
    }
}
