//! What is trained: named matrices of 32-bit floats, and their gradients.
//!
//! The master copies live on the processor, whatever device computes the gradients: an update
//! is then the same everywhere, and a checkpoint is what is in memory, bit for bit.

use crate::compute::{Compute, check_finite, not_finite, values};
use crate::loss::Loss;
use burn::tensor::Tensor;
use quartet_types::{Error, ErrorCode, Result};

/// A trainable matrix; a vector is a matrix of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Unique among the parameters of a training.
    pub name: String,
    /// Rows (outputs).
    pub rows: usize,
    /// Columns (inputs).
    pub columns: usize,
    /// Row-major.
    pub values: Vec<f32>,
}

/// All parameters of a training, in a fixed order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameters {
    all: Vec<Parameter>,
}

impl Parameters {
    /// No parameters.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a parameter.
    ///
    /// # Errors
    /// `InvalidInput` for a name in use, or for values that are not `rows * columns` or not
    /// finite.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        rows: usize,
        columns: usize,
        values: Vec<f32>,
    ) -> Result<()> {
        let name = name.into();
        if self.get(&name).is_some() || values.len() != rows * columns || values.is_empty() {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!("`{name}` is given twice, or not as {rows} by {columns} numbers"),
            ));
        }
        check_finite(&values, &name)?;
        self.all.push(Parameter { name, rows, columns, values });
        Ok(())
    }

    /// Adds all of `other`.
    ///
    /// # Errors
    /// As [`Parameters::add`].
    pub fn extend(&mut self, other: Self) -> Result<()> {
        other
            .all
            .into_iter()
            .try_for_each(|one| self.add(one.name, one.rows, one.columns, one.values))
    }

    /// The parameter of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.all.iter().find(|parameter| parameter.name == name)
    }

    /// The values of the parameter of this name, to change after an update.
    #[must_use]
    pub fn values_mut(&mut self, name: &str) -> Option<&mut [f32]> {
        self.all.iter_mut().find(|one| one.name == name).map(|one| one.values.as_mut_slice())
    }

    /// All, in order.
    #[must_use]
    pub fn all(&self) -> &[Parameter] {
        &self.all
    }

    pub(crate) fn all_mut(&mut self) -> &mut [Parameter] {
        &mut self.all
    }

    /// How many numbers are trained.
    #[must_use]
    pub fn count(&self) -> usize {
        self.all.iter().map(|parameter| parameter.values.len()).sum()
    }

    /// Puts all on the device as leaves of a graph.
    ///
    /// # Errors
    /// `Internal` if a parameter does not fit its shape.
    pub fn leaves(&self, compute: &Compute) -> Result<Leaves> {
        self.upload(compute, true)
    }

    /// Puts all on the device as constants, to evaluate without a graph.
    ///
    /// # Errors
    /// As [`Parameters::leaves`].
    pub fn constants(&self, compute: &Compute) -> Result<Leaves> {
        self.upload(compute, false)
    }

    fn upload(&self, compute: &Compute, tracked: bool) -> Result<Leaves> {
        let put = |one: &Parameter| {
            let tensor = compute.matrix(one.values.clone(), one.rows, one.columns)?;
            let tensor = if tracked { tensor.autodiff().require_grad() } else { tensor };
            Ok((one.name.clone(), tensor))
        };
        Ok(Leaves { tensors: self.all.iter().map(put).collect::<Result<_>>()? })
    }

    /// Refuses values that are not finite.
    ///
    /// # Errors
    /// `Corrupt` naming the parameter.
    pub fn check_finite(&self) -> Result<()> {
        self.all.iter().try_for_each(|one| check_finite(&one.values, &one.name))
    }
}

/// Parameters on the device, for one step.
#[derive(Debug, Clone)]
pub struct Leaves {
    tensors: Vec<(String, Tensor<2>)>,
}

impl Leaves {
    /// The tensor of this name, `[rows, columns]`.
    ///
    /// # Errors
    /// `Internal` if there is none.
    pub fn get(&self, name: &str) -> Result<Tensor<2>> {
        let found = self.tensors.iter().find(|(known, _)| known == name);
        found
            .map(|(_, tensor)| tensor.clone())
            .ok_or_else(|| Error::internal(format!("there is no parameter `{name}`")))
    }

    /// Differentiates a loss. A parameter that it does not depend on gets zeros.
    ///
    /// # Errors
    /// `Corrupt` if the loss or a gradient is not finite, naming which; `Internal` where the
    /// device failed.
    pub fn gradients(&self, loss: &Loss) -> Result<Gradients> {
        if !loss.value.is_finite() {
            return Err(not_finite("loss", loss.value, 0));
        }
        let mut all = Vec::with_capacity(self.tensors.len());
        if !loss.graph.is_autodiff() || !loss.graph.is_tracked() {
            return Err(Error::internal("the loss does not depend on anything trained"));
        }
        let mut found = loss.graph.backward();
        for (name, tensor) in &self.tensors {
            let gradient = match tensor.grad_remove(&mut found) {
                Some(gradient) => values(gradient)?,
                None => vec![0.0; tensor.dims().iter().product()],
            };
            check_finite(&gradient, &format!("gradient of {name}"))?;
            all.push(gradient);
        }
        Ok(Gradients { loss: loss.value, all })
    }
}

/// A loss and its gradient with respect to every parameter, in the order of [`Parameters`].
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// Value of the loss.
    pub loss: f64,
    pub(crate) all: Vec<Vec<f32>>,
}

impl Gradients {
    /// The gradient of the parameter at `index`, row-major.
    #[must_use]
    pub fn of(&self, index: usize) -> &[f32] {
        self.all.get(index).map_or(&[], Vec::as_slice)
    }

    /// Adds another micro-batch.
    pub fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        for (sum, part) in self.all.iter_mut().zip(&other.all) {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
    }

    /// Multiplies everything, the loss too.
    pub fn scale(&mut self, factor: f64) {
        self.loss *= factor;
        self.all.iter_mut().flatten().for_each(|value| *value *= factor as f32);
    }

    /// Euclidean length of all gradients together.
    #[must_use]
    pub fn norm(&self) -> f64 {
        let squares = self.all.iter().flatten().map(|value| f64::from(*value).powi(2));
        squares.sum::<f64>().sqrt()
    }

    /// Shortens the gradients to `longest` where they are longer (Pascanu et al. 2013), and
    /// returns how long they were.
    pub fn clip(&mut self, longest: f64) -> f64 {
        let norm = self.norm();
        if norm > longest {
            let factor = (longest / norm) as f32;
            self.all.iter_mut().flatten().for_each(|value| *value *= factor);
        }
        norm
    }
}
