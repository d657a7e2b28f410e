//! Where the numbers are computed: the device and the floating-point width.

use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use quartet_types::{Error, ErrorCode, Result};

/// A device together with the width of its floats.
///
/// Weights live on the device without automatic differentiation; only what is trained joins a
/// graph. Frozen matrices therefore never get a gradient of their own.
#[derive(Debug, Clone)]
pub struct Compute {
    device: Device,
    dtype: DType,
}

impl Compute {
    /// The processor, 32-bit floats. Always there.
    #[must_use]
    pub fn cpu() -> Self {
        Self { device: Device::flex(), dtype: DType::F32 }
    }

    /// The processor, 64-bit floats: for checks of gradients, not for training.
    #[must_use]
    pub fn cpu_f64() -> Self {
        Self { device: Device::flex(), dtype: DType::F64 }
    }

    /// The default device of a graphics interface (Vulkan, DirectX 12 or Metal through WGSL).
    /// A driver can end the process, so ask for it in a worker only, and compare a first step
    /// with [`Compute::cpu`] before trusting it.
    #[cfg(feature = "wgpu")]
    #[must_use]
    pub fn wgpu() -> Self {
        Self { device: Device::wgpu(burn::tensor::DeviceKind::DefaultDevice), dtype: DType::F32 }
    }

    /// An NVIDIA device through CUDA.
    #[cfg(feature = "cuda")]
    #[must_use]
    pub fn cuda(index: usize) -> Self {
        Self { device: Device::cuda(index), dtype: DType::F32 }
    }

    /// The default device through Metal.
    #[cfg(feature = "metal")]
    #[must_use]
    pub fn metal() -> Self {
        Self { device: Device::metal(burn::tensor::DeviceKind::DefaultDevice), dtype: DType::F32 }
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

impl Compute {
    /// Compares loss and gradients of a small network with the processor's. Drivers have been
    /// seen to skip work without an error, so no other device should be trusted without this.
    ///
    /// # Errors
    /// `NotSupported` if they differ, `Internal` if the device fails.
    pub fn check_device(&self) -> Result<()> {
        let (found, expected) = (probe(self)?, probe(&Self::cpu())?);
        let scale = expected.iter().fold(0f32, |most, one| most.max(one.abs()));
        let pairs = found.iter().zip(&expected);
        let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0f32, f32::max) / scale;
        if worst < PROBE_TOLERANCE && found.len() == expected.len() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::NotSupported,
            format!("this device computes other numbers than the processor (by {worst:e})"),
        )
        .hint("Train on the processor, or update the graphics driver."))
    }
}

/// Largest difference that rounding explains, as a share of the largest number.
const PROBE_TOLERANCE: f32 = 1e-3;

/// Loss and gradient of a network with every kind of operation the decoders use, at sizes where
/// drivers switch to their fast paths.
fn probe(compute: &Compute) -> Result<Vec<f32>> {
    let wave = |count: usize, pace: f32, height: f32| -> Vec<f32> {
        (0..count).map(|index| (index as f32 * pace).sin() * height).collect()
    };
    let (rows, width, inner) = (64, 256, 1024);
    let x = compute.matrix(wave(rows * width, 0.37, 1.0), rows, width)?.autodiff().require_grad();
    let up = compute.matrix(wave(inner * width, 0.73, 0.1), inner, width)?;
    let down = compute.matrix(wave(width * inner, 0.91, 0.1), width, inner)?;
    let norm = (x.clone() * x.clone()).mean_dim(1).add_scalar(1e-6).sqrt().recip();
    let scores = x.clone().matmul(x.clone().transpose()).mul_scalar(0.1);
    let mixed = activation::softmax(scores, 1).matmul(x.clone() * norm);
    let hidden = activation::silu(mixed.matmul(up.transpose()));
    let out = hidden.matmul(down.transpose()) + x.clone();
    let loss = (out.clone() * activation::sigmoid(out)).mean();
    let mut found = loss.backward();
    let gradient = x.grad_remove(&mut found);
    let gradient = gradient.ok_or_else(|| Error::internal("a probe without a gradient"))?;
    let gradient = gradient.mul_scalar((rows * width) as f64);
    let mut numbers = values(gradient)?;
    numbers.extend(values(loss)?);
    Ok(numbers)
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
