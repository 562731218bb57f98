use std::num::NonZeroUsize;

use super::{Device, DeviceError};

/// What trying a device found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceReport {
    /// The device that training will use: never [`Device::Auto`].
    pub device: Device,
    /// What it is, for people.
    pub description: String,
    /// With [`Device::Auto`]: why the GPU is not used.
    pub passed_over: Option<DeviceError>,
}

impl Device {
    /// Finds out whether the device works, and what `auto` comes to.
    ///
    /// A GPU is looked for first and then made to compute something, which takes a second or two the first time.
    ///
    /// # Errors
    /// [`DeviceError`] saying what is missing and what to do.
    pub fn probe(self) -> Result<DeviceReport, DeviceError> {
        match self.supported()? {
            Self::Cpu => Ok(cpu(None)),
            Self::Cuda { index } => cuda(index),
            Self::Auto => Ok(cuda(0).unwrap_or_else(|error| cpu(Some(error)))),
        }
    }
}

fn cpu(passed_over: Option<DeviceError>) -> DeviceReport {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let description = format!("CPU, {cores} available, of which training uses 1");
    DeviceReport { device: Device::Cpu, description, passed_over }
}

#[cfg(feature = "cuda")]
fn cuda(index: u16) -> Result<DeviceReport, DeviceError> {
    super::system::System::current().check(index)?;
    super::cuda::compute(index)?;
    let description = format!("NVIDIA GPU number {index}");
    Ok(DeviceReport { device: Device::Cuda { index }, description, passed_over: None })
}

#[cfg(not(feature = "cuda"))]
const fn cuda(index: u16) -> Result<DeviceReport, DeviceError> {
    Err(DeviceError::NotBuilt { index })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_always_works() {
        let report = Device::Cpu.probe().unwrap();
        assert_eq!((report.device, report.passed_over), (Device::Cpu, None));
    }

    #[test]
    fn auto_comes_to_a_device_and_says_why_not_the_gpu() {
        let report = Device::Auto.probe().unwrap();
        assert_ne!(report.device, Device::Auto);
        assert_eq!(report.passed_over.is_some(), report.device == Device::Cpu);
    }

    #[test]
    fn a_gpu_that_cannot_be_used_is_an_error_not_a_panic() {
        let error = Device::Cuda { index: 60_000 }.probe().unwrap_err();
        assert!(!matches!(error, DeviceError::Failed { .. }), "{error}");
    }
}
