//! Weights as the engine serves them: read from a GGUF file, turned to floats when asked.

use crate::compute::{Compute, check_finite};
use crate::dequantise::dequantise;
use burn::tensor::Tensor;
use quartet_gguf::{GgufFile, TensorType};
use quartet_types::{Error, ErrorCode, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

/// Values converted by one thread at a time.
const PIECE_VALUES: usize = 1 << 20;

/// A GGUF file whose tensors can be read.
#[derive(Debug)]
pub struct WeightFile {
    header: GgufFile,
    data: Mutex<File>,
}

impl WeightFile {
    /// Opens the data of a file whose header has been read.
    ///
    /// # Errors
    /// An operating-system error.
    pub fn open(header: GgufFile) -> Result<Self> {
        let data =
            File::open(&header.path).map_err(|error| Error::from_io(&error, &header.path))?;
        Ok(Self { header, data: Mutex::new(data) })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &GgufFile {
        &self.header
    }

    /// Whether there is a tensor of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.header.tensor(name).is_some()
    }

    /// The stored bytes of a tensor as a matrix `[rows, columns]`; a vector has one row.
    ///
    /// # Errors
    /// `BadModel` if it is absent or its shape is not the one expected, an operating-system
    /// error if it cannot be read.
    pub fn packed(&self, name: &str, rows: usize, columns: usize) -> Result<Packed> {
        let about = |error: Error| error.about_path(&self.header.path);
        let info = self.header.tensor(name).ok_or_else(|| {
            about(Error::new(ErrorCode::BadModel, format!("has no tensor `{name}`")))
        })?;
        let width = info.shape.first().copied().unwrap_or(0);
        let height: u64 = info.shape.iter().skip(1).product();
        if (height, width) != (rows as u64, columns as u64) {
            return Err(about(Error::new(
                ErrorCode::BadModel,
                format!("has `{name}` of shape {:?}, expected [{columns}, {rows}]", info.shape),
            )));
        }
        let mut bytes = vec![0u8; info.bytes as usize];
        let mut data = self.data.lock().unwrap_or_else(PoisonError::into_inner);
        data.seek(SeekFrom::Start(self.header.data_start + info.offset))
            .and_then(|_| data.read_exact(&mut bytes))
            .map_err(|error| Error::from_io(&error, &self.header.path))?;
        Ok(Packed { name: name.to_owned(), kind: info.kind, rows, columns, bytes: Arc::new(bytes) })
    }
}

/// A matrix in its stored form. Clones share the bytes.
#[derive(Debug, Clone)]
pub struct Packed {
    name: String,
    kind: TensorType,
    rows: usize,
    columns: usize,
    bytes: Arc<Vec<u8>>,
}

impl Packed {
    /// Number of rows (outputs of a linear layer, tokens of an embedding table).
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns (inputs of a linear layer).
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows `from..to` as floats, row-major `[to - from, columns]`.
    ///
    /// # Errors
    /// `NotSupported` for a storage type that cannot be read, `Corrupt` naming the tensor if a
    /// value is not finite, `Internal` for rows outside the matrix.
    pub fn floats(&self, from: usize, to: usize) -> Result<Vec<f32>> {
        let row_bytes = self.row_bytes()?;
        let bytes = self
            .bytes
            .get(from * row_bytes..to * row_bytes)
            .ok_or_else(|| Error::internal(format!("rows {from}..{to} of `{}`", self.name)))?;
        let mut out = vec![0f32; (to - from) * self.columns];
        let piece_rows = (PIECE_VALUES / self.columns).max(1);
        let pieces: Vec<_> = bytes
            .chunks(piece_rows * row_bytes)
            .zip(out.chunks_mut(piece_rows * self.columns))
            .collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(pieces.len());
        let queue = Mutex::new(pieces.into_iter());
        let convert = || -> Result<()> {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((bytes, values)) = next else { return Ok(()) };
                dequantise(self.kind, bytes, values)?;
                check_finite(values, &self.name)?;
            }
        };
        if threads < 2 {
            convert()?;
        } else {
            std::thread::scope(|scope| {
                let workers: Vec<_> = (0..threads).map(|_| scope.spawn(convert)).collect();
                workers.into_iter().try_for_each(|worker| {
                    worker.join().unwrap_or_else(|_| Err(Error::internal("a converter panicked")))
                })
            })?;
        }
        Ok(out)
    }

    /// The rows named by `ids`, in that order, row-major `[ids.len(), columns]`.
    ///
    /// # Errors
    /// As [`Packed::floats`]; `InvalidInput` for an id that the table does not have.
    pub fn rows_of(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let row_bytes = self.row_bytes()?;
        let mut out = vec![0f32; ids.len() * self.columns];
        for (id, values) in ids.iter().zip(out.chunks_exact_mut(self.columns)) {
            let index = *id as usize;
            if index >= self.rows {
                return Err(Error::new(
                    ErrorCode::InvalidInput,
                    format!("token {id} is outside the vocabulary of {}", self.rows),
                ));
            }
            let bytes = &self.bytes[index * row_bytes..(index + 1) * row_bytes];
            dequantise(self.kind, bytes, values)?;
            check_finite(values, &self.name)?;
        }
        Ok(out)
    }

    /// The whole matrix on the device.
    ///
    /// # Errors
    /// As [`Packed::floats`].
    pub fn tensor(&self, compute: &Compute) -> Result<Tensor<2>> {
        compute.matrix(self.floats(0, self.rows)?, self.rows, self.columns)
    }

    fn row_bytes(&self) -> Result<usize> {
        self.kind
            .bytes_of(&[self.columns as u64])
            .and_then(|bytes| usize::try_from(bytes).ok())
            .ok_or_else(|| Error::internal(format!("`{}` has broken rows", self.name)))
    }
}

/// A frozen matrix: floats kept, or stored bytes that are converted at every use.
#[derive(Debug, Clone)]
pub enum Weight {
    /// Floats on the device: fast.
    Kept(Tensor<2>),
    /// Stored bytes, converted at every use: small. Saves memory only together with
    /// [`chained`](crate::chained), since an ordinary graph keeps what it used.
    Packed(Packed),
}

impl Weight {
    /// The matrix as floats, `[outputs, inputs]`.
    ///
    /// # Errors
    /// As [`Packed::floats`].
    pub fn tensor(&self, compute: &Compute) -> Result<Tensor<2>> {
        match self {
            Self::Kept(tensor) => Ok(tensor.clone()),
            Self::Packed(packed) => packed.tensor(compute),
        }
    }
}
