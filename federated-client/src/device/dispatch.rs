use burn::{
    backend::{Autodiff, Flex, flex::FlexDevice},
    tensor::backend::AutodiffBackend,
};

use super::{Device, DeviceError};

/// Code that runs on any backend.
///
/// A closure cannot be generic over a type, so the code is the method of a value that holds its arguments.
///
/// # Examples
/// ```
/// use burn::tensor::{Tensor, backend::AutodiffBackend};
/// use federated_client::device::{Device, WithBackend};
///
/// struct SumOf(Vec<f32>);
///
/// impl WithBackend for SumOf {
///     type Output = f32;
///     fn run<B: AutodiffBackend>(self, device: B::Device) -> f32 {
///         let sum = Tensor::<B, 1>::from_floats(self.0.as_slice(), &device).sum();
///         sum.into_data().iter::<f32>().sum()
///     }
/// }
///
/// assert_eq!(Device::Cpu.dispatch(SumOf(vec![1.0, 2.0]))?, 3.0);
/// # Ok::<(), federated_client::device::DeviceError>(())
/// ```
pub trait WithBackend {
    /// What the code gives back.
    type Output;

    /// Runs on backend `B`, on the device.
    fn run<B: AutodiffBackend>(self, device: B::Device) -> Self::Output;
}

impl Device {
    /// Runs code on this device.
    ///
    /// # Errors
    /// [`DeviceError`] when the device cannot be used; the code has not run then.
    pub fn dispatch<V: WithBackend>(self, visitor: V) -> Result<V::Output, DeviceError> {
        match self.probe()?.device {
            #[cfg(feature = "cuda")]
            Self::Cuda { index } => {
                let device = burn::backend::cuda::CudaDevice::new(usize::from(index));
                Ok(visitor.run::<Autodiff<burn::backend::Cuda>>(device))
            }
            _ => Ok(visitor.run::<Autodiff<Flex>>(FlexDevice)),
        }
    }
}
