use std::path::PathBuf;

use federated_core::fault::Fault;

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The text names no device.
    #[error("`{found}` is not a device: expected `auto`, `cpu` or `cuda:N`, for instance `cuda:0`")]
    Unknown {
        /// The text, cut to 40 characters.
        found: String,
    },
    /// The binary cannot use GPUs.
    #[error(
        "cuda:{index} cannot be used: this program was built without CUDA; \
         build it with `--features cuda`, or choose `cpu`"
    )]
    NotBuilt {
        /// The GPU's number.
        index: u16,
    },
    /// A shared library is not where the system looks for libraries.
    #[error("CUDA needs the library {library}, which this system does not find; {remedy}")]
    NoLibrary {
        /// The library.
        library: &'static str,
        /// What to install.
        remedy: &'static str,
    },
    /// CUDA's header files are missing; kernels are compiled when they are first used.
    #[error("CUDA needs the header {}; install the CUDA toolkit, or set CUDA_PATH to where it is", path.display())]
    NoHeaders {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// There is no GPU of this number.
    #[error("cuda:{index} does not exist: found {found} NVIDIA devices; numbers start at 0")]
    NoSuchDevice {
        /// The GPU's number.
        index: u16,
        /// How many there are.
        found: usize,
    },
    /// The device does not work.
    #[error("device {device} failed: {detail}")]
    Failed {
        /// The device.
        device: String,
        /// What the driver or the compiler says.
        detail: String,
    },
}

impl DeviceError {
    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Unknown { .. } | Self::NotBuilt { .. } | Self::NoSuchDevice { .. } => Fault::Caller,
            Self::NoLibrary { .. } | Self::NoHeaders { .. } | Self::Failed { .. } => Fault::Environment,
        }
    }
}
