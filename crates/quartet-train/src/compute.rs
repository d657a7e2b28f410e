//! Where the numbers are computed: the device and the floating-point width.

use burn::tensor::{DType, Device, Tensor, TensorData};
use quartet_types::{Error, ErrorCode, Result};

/// A device together with the width of its floats.
///
/// Weights live on the device without automatic differentiation; only what is trained joins a
/// graph. Frozen matrices therefore never get a gradient of their own.
#[derive(Debug, Clone)]
pub struct Compute {
    device: Device,
    dtype: DType,
    is_processor: bool,
}

impl Compute {
    /// The processor, 32-bit floats. Always there.
    #[must_use]
    pub fn cpu() -> Self {
        Self { device: Device::flex(), dtype: DType::F32, is_processor: true }
    }

    /// The processor, 64-bit floats: for checks of gradients, not for training.
    #[must_use]
    pub fn cpu_f64() -> Self {
        Self { device: Device::flex(), dtype: DType::F64, is_processor: true }
    }

    /// The default device of a graphics interface (Vulkan, DirectX 12 or Metal through WGSL).
    /// A driver can end the process, so ask for it in a worker only; [`Compute::trusted`] compares
    /// it with the processor first.
    #[cfg(feature = "wgpu")]
    #[must_use]
    pub fn wgpu() -> Self {
        Self::other(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice))
    }

    /// An NVIDIA device through CUDA.
    #[cfg(feature = "cuda")]
    #[must_use]
    pub fn cuda(index: usize) -> Self {
        Self::other(Device::cuda(index))
    }

    /// The default device through Metal.
    #[cfg(feature = "metal")]
    #[must_use]
    pub fn metal() -> Self {
        Self::other(Device::metal(burn::tensor::DeviceKind::DefaultDevice))
    }

    #[cfg(any(feature = "wgpu", feature = "cuda", feature = "metal"))]
    fn other(device: Device) -> Self {
        Self { device, dtype: DType::F32, is_processor: false }
    }

    /// Whether it is the processor.
    #[must_use]
    pub fn is_processor(&self) -> bool {
        self.is_processor
    }

    /// Whether floats have 64 bits.
    #[must_use]
    pub fn is_double(&self) -> bool {
        self.dtype == DType::F64
    }

    /// The device, without automatic differentiation.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A constant matrix `[rows, columns]` from values in row-major order.
    ///
    /// # Errors
    /// `Internal` where the number of values is not `rows * columns`.
    pub fn matrix(&self, values: Vec<f32>, rows: usize, columns: usize) -> Result<Tensor<2>> {
        self.tensor(values, [rows, columns])
    }

    /// As [`Compute::matrix`], of any rank.
    ///
    /// # Errors
    /// As [`Compute::matrix`].
    pub fn tensor<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Result<Tensor<D>> {
        if values.len() != shape.iter().product::<usize>() {
            return Err(Error::internal(format!(
                "{} values for a tensor of shape {shape:?}",
                values.len()
            )));
        }
        Ok(Tensor::from_data(TensorData::new(values, shape), (&self.device, self.dtype)))
    }

    /// As [`Compute::tensor`], from 64-bit values.
    ///
    /// # Errors
    /// As [`Compute::matrix`].
    pub fn tensor_f64<const D: usize>(
        &self,
        values: Vec<f64>,
        shape: [usize; D],
    ) -> Result<Tensor<D>> {
        if values.len() != shape.iter().product::<usize>() {
            return Err(Error::internal(format!(
                "{} values for a tensor of shape {shape:?}",
                values.len()
            )));
        }
        Ok(Tensor::from_data(TensorData::new(values, shape), (&self.device, self.dtype)))
    }
}

/// The values of `tensor` in row-major order. Reading is where a device reports that it failed.
///
/// # Errors
/// `Internal` where the device could not compute them.
pub fn values<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    tensor.without_autodiff().try_into_vec_as::<f32>().map_err(|error| device_failed(&error))
}

/// As [`values`], as 64-bit floats.
///
/// # Errors
/// As [`values`].
pub fn values_f64<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f64>> {
    tensor.without_autodiff().try_into_vec_as::<f64>().map_err(|error| device_failed(&error))
}

fn device_failed(error: &dyn std::fmt::Debug) -> Error {
    Error::new(ErrorCode::Internal, format!("the device could not compute: {error:?}"))
        .hint("Train on the processor instead.")
}

/// Refuses values that are not finite, naming where they are.
///
/// # Errors
/// `Corrupt` with `name` in its message.
pub fn check_finite(values: &[f32], name: &str) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(not_finite(name, f64::from(values[index]), index)),
    }
}

pub(crate) fn not_finite(name: &str, value: f64, index: usize) -> Error {
    Error::new(
        ErrorCode::Corrupt,
        format!("`{name}` holds {value} at index {index}; training needs finite numbers"),
    )
    .about(name)
    .hint("Lower the learning rate; if it happens at the first step, check the model file.")
}
