use std::{fmt, str::FromStr};

use super::DeviceError;

/// Where to train: `auto`, `cpu` or `cuda:N`.
///
/// # Examples
/// ```
/// use federated_client::device::Device;
///
/// let device: Device = "cpu".parse()?;
/// assert_eq!(device, Device::Cpu);
/// assert!("gpu".parse::<Device>().is_err());
/// # Ok::<(), federated_client::device::DeviceError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Device {
    /// The first NVIDIA GPU if it is usable, else the CPU.
    #[default]
    Auto,
    /// The CPU, one thread.
    Cpu,
    /// An NVIDIA GPU. Only in builds with the feature `cuda`.
    Cuda {
        /// The GPU's number in CUDA's order, from 0.
        index: u16,
    },
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            _ => {
                let unknown = || DeviceError::Unknown { found: text.chars().take(40).collect() };
                let number = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                let digits = number.bytes().all(|byte| byte.is_ascii_digit());
                let index = number.parse().ok().filter(|_| digits).ok_or_else(unknown)?;
                Self::Cuda { index }.supported()
            }
        }
    }
}

impl Device {
    /// This device, if this build can train on it.
    pub(super) const fn supported(self) -> Result<Self, DeviceError> {
        match self {
            Self::Cuda { index } if !cfg!(feature = "cuda") => Err(DeviceError::NotBuilt { index }),
            _ => Ok(self),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda { index } => write!(f, "cuda:{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_they_are_written() {
        for text in ["auto", "cpu"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!(Device::Cuda { index: 3 }.to_string(), "cuda:3");
    }

    #[test]
    fn anything_else_is_refused_with_what_is_possible() {
        for bad in ["", "CPU", "gpu", "cuda", "cuda:", "cuda:-1", "cuda:+1", "cuda:70000", "cuda:0x1", " cpu"]
        {
            let error = bad.parse::<Device>().unwrap_err();
            assert!(matches!(error, DeviceError::Unknown { .. }), "{bad}");
            assert!(error.to_string().contains("`auto`, `cpu` or `cuda:N`"), "{error}");
        }
    }

    #[test]
    fn a_gpu_needs_a_build_with_the_feature() {
        let parsed = "cuda:1".parse::<Device>();
        if cfg!(feature = "cuda") {
            assert_eq!(parsed.unwrap(), Device::Cuda { index: 1 });
        } else {
            let text = parsed.unwrap_err().to_string();
            assert!(text.contains("built without CUDA") && text.contains("--features cuda"), "{text}");
        }
    }
}
