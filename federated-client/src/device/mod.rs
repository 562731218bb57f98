//! Where training runs, chosen at run time.
//!
//! [`Device`] is the choice as a person writes it. Code that trains is generic over burn's `AutodiffBackend` and says
//! so by [`WithBackend`]; [`Device::dispatch`] is the one place where the choice becomes a type. [`Device::probe`] tries
//! a device before it is needed. `system` looks for what CUDA needs on this machine without loading any of it.

mod choice;
#[cfg(feature = "cuda")]
mod cuda;
mod dispatch;
mod error;
pub(crate) mod panic;
mod report;
#[cfg(any(feature = "cuda", test))]
mod system;

pub use choice::Device;
pub use dispatch::WithBackend;
pub use error::DeviceError;
pub use report::DeviceReport;
