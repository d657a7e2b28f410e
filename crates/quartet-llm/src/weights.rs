//! The tensors of a model's file: their shapes, and the numbers of single rows.

use crate::native;
use quartet_gguf::{GgufFile, TensorInfo};
use quartet_types::{Error, ErrorCode, Result};
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The tensor table of a model's file, which is kept open: a file that is put in its place
/// later is another one.
#[derive(Debug)]
pub(crate) struct Weights {
    path: PathBuf,
    file: Mutex<File>,
    data_start: u64,
    tensors: HashMap<String, TensorInfo>,
}

impl Weights {
    pub(crate) fn new(header: &GgufFile) -> Result<Self> {
        let path = header.path.clone();
        let file = File::open(&path).map_err(|error| Error::from_io(&error, &path))?;
        let named = |tensor: &TensorInfo| (tensor.name.clone(), tensor.clone());
        Ok(Self {
            path,
            file: Mutex::new(file),
            data_start: header.data_start,
            tensors: header.tensors().iter().map(named).collect(),
        })
    }

    /// The tensor of this name.
    pub(crate) fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    /// Rows of a matrix as 32-bit numbers, dequantised as llama.cpp does it.
    ///
    /// # Errors
    /// `InvalidInput` for a row that does not exist; `BadModel` if the file has changed;
    /// `NotSupported` for a storage type that cannot be dequantised.
    pub(crate) fn rows(&self, tensor: &TensorInfo, rows: &[u32]) -> Result<Vec<f32>> {
        self.rows_inner(tensor, rows).map_err(|error| error.about_path(&self.path))
    }

    fn rows_inner(&self, tensor: &TensorInfo, rows: &[u32]) -> Result<Vec<f32>> {
        let changed = |error: std::io::Error| {
            Error::new(ErrorCode::BadModel, format!("cannot be read any more: {error}"))
                .hint("Load the model again.")
        };
        let width = tensor.shape.first().copied().unwrap_or(0);
        let count: u64 = tensor.shape.iter().skip(1).product();
        let row_bytes = tensor.kind.bytes_of(&[width]).unwrap_or(0);
        let small = |number: u64| usize::try_from(number).map_err(|_| Error::internal("too large"));
        let (width, size) = (small(width)?, small(row_bytes)?);
        let mut values = vec![0f32; width * rows.len()];
        let mut bytes = vec![0u8; size];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        for (row, out) in rows.iter().zip(values.chunks_exact_mut(width.max(1))) {
            if u64::from(*row) >= count {
                return Err(Error::new(
                    ErrorCode::InvalidInput,
                    format!("there is no token {row}; the vocabulary has {count}"),
                ));
            }
            let place = self.data_start + tensor.offset + u64::from(*row) * row_bytes;
            file.seek(SeekFrom::Start(place)).map_err(changed)?;
            file.read_exact(&mut bytes).map_err(changed)?;
            native::dequantise(tensor.kind, &bytes, out)?;
        }
        Ok(values)
    }
}
