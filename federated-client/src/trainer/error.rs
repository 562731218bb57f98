use federated_core::{
    fault::{Fault, ReasonCode},
    metrics::MetricsError,
    model::ModelError,
    update::UpdateError,
};

use crate::{dataset::BoxError, device::DeviceError, parameters::ParametersError};

/// Why a task was not done.
///
/// # Privacy
/// The coordinator is told [`TrainerError::reason`] and this error's own text. What an application's code, its data set or
/// a panic says ([`source`](std::error::Error::source)) stays in the site's log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainerError {
    /// The task was withdrawn while it was worked on.
    #[error("stopped: the coordinator withdrew the task")]
    Stopped,
    /// The received model does not fit the local module, or the trained one cannot be sent.
    #[error(transparent)]
    Model(#[from] ParametersError),
    /// An application's own trainer made a model or a difference that cannot be sent.
    #[error(transparent)]
    Values(#[from] ModelError),
    /// There is nothing to train on.
    #[error("expected at least 1 local example to train on, found none")]
    NoExamples,
    /// The examples cannot be counted as an update's weight.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// A metric cannot be reported.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The loss or a weight is no longer a usable number.
    #[error(
        "training diverged in epoch {epoch} at learning rate {learning_rate}: expected a finite loss and weights \
         below 2^31, found otherwise; lower the job's learning rate, or check the data for NaN and extreme values"
    )]
    Diverged {
        /// The epoch of the task, from 1.
        epoch: u32,
        /// The learning rate of the task.
        learning_rate: f32,
    },
    /// The task asks for something that this trainer does not do.
    #[error("this trainer cannot do the task: expected {expected}, found {found}")]
    UnsupportedTask {
        /// What the trainer can do.
        expected: String,
        /// What the task asks for.
        found: String,
    },
    /// The device cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Examples could not be read.
    #[error("local examples could not be read")]
    Dataset {
        /// What the data set says.
        source: BoxError,
    },
    /// The trainer panicked.
    #[error("the trainer panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// An application's own trainer failed.
    #[error("the trainer failed")]
    Failed {
        /// What it says.
        source: BoxError,
    },
}

impl TrainerError {
    /// An application's own error.
    ///
    /// # Examples
    /// ```
    /// use federated_client::trainer::TrainerError;
    ///
    /// fn read() -> Result<Vec<u8>, TrainerError> {
    ///     std::fs::read("no/such/file").map_err(TrainerError::failed)
    /// }
    /// assert!(matches!(read(), Err(TrainerError::Failed { .. })));
    /// ```
    #[must_use]
    pub fn failed(source: impl Into<BoxError>) -> Self {
        Self::Failed { source: source.into() }
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Stopped | Self::UnsupportedTask { .. } => Fault::Peer,
            Self::Model(error) => error.fault(),
            Self::Device(error) => error.fault(),
            Self::Dataset { .. } => Fault::Environment,
            Self::NoExamples
            | Self::Update(_)
            | Self::Values(_)
            | Self::Metrics(_)
            | Self::Diverged { .. }
            | Self::Panicked { .. }
            | Self::Failed { .. } => Fault::Caller,
        }
    }

    /// What the coordinator is told.
    #[must_use]
    pub const fn reason(&self) -> ReasonCode {
        match self {
            Self::Stopped => ReasonCode::new("TRAINING_STOPPED"),
            Self::NoExamples => ReasonCode::new("TRAINING_NO_EXAMPLES"),
            Self::Diverged { .. } => ReasonCode::new("TRAINING_DIVERGED"),
            Self::UnsupportedTask { .. } | Self::Model(ParametersError::Mismatch { .. }) => {
                ReasonCode::new("TRAINING_UNSUPPORTED")
            }
            _ => ReasonCode::new("TRAINING_FAILED"),
        }
    }
}
