//! The first touch of a GPU.

use std::{collections::BTreeMap, sync::Mutex};

use burn::{
    backend::{Cuda, cuda::CudaDevice},
    tensor::Tensor,
};

use super::{Device, DeviceError, panic::panic_text};

const ELEMENTS: u16 = 1_024;

/// Makes the GPU add some ones, once per process and GPU.
///
/// The driver's bindings panic on a device or a library that does not work; a GPU that has failed stays failed, because
/// its worker thread is gone.
pub(super) fn compute(index: u16) -> Result<(), DeviceError> {
    static TRIED: Mutex<BTreeMap<u16, Result<(), DeviceError>>> = Mutex::new(BTreeMap::new());
    let mut tried = TRIED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    tried.entry(index).or_insert_with(|| first_touch(index)).clone()
}

fn first_touch(index: u16) -> Result<(), DeviceError> {
    let failed = |detail: String| DeviceError::Failed { device: Device::Cuda { index }.to_string(), detail };
    let sum = std::panic::catch_unwind(|| {
        let device = CudaDevice::new(usize::from(index));
        Tensor::<Cuda, 1>::ones([usize::from(ELEMENTS)], &device).sum().try_into_data()
    });
    let data =
        sum.map_err(|payload| failed(panic_text(&*payload)))?.map_err(|error| failed(error.to_string()))?;
    match data.iter::<f32>().next() {
        Some(found) if (found - f32::from(ELEMENTS)).abs() < 0.5 => Ok(()),
        found => Err(failed(format!("expected {ELEMENTS} as the sum of as many ones, found {found:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_does_not_exist_fails_without_a_panic() {
        assert!(matches!(compute(999), Err(DeviceError::Failed { .. })));
    }
}
