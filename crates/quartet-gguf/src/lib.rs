//! GGUF files: read, validate before use, write.
//!
//! llama.cpp aborts the process on some mutilated model files (a block count of zero, an
//! epsilon that is not a number, a token that occurs twice), so every file passes through
//! this crate first: [`GgufFile::open`] reads the header with a bound on every count and
//! length, and [`ModelFacts::from_file`] checks everything that is known to abort, and
//! whatever else can be checked without reading the weights.
//!
//! ```no_run
//! # fn main() -> quartet_types::Result<()> {
//! let file = quartet_gguf::GgufFile::open("model.gguf".as_ref())?;
//! let facts = quartet_gguf::ModelFacts::from_file(&file)?;
//! println!("{} with {} layers", facts.architecture, facts.layers);
//! # Ok(())
//! # }
//! ```
//!
//! The layout is that of the GGUF specification, versions 2 and 3, little endian:
//! magic `GGUF`, version, number of tensors, number of metadata pairs; the pairs; per tensor
//! its name, shape, storage type and offset; padding to `general.alignment`; tensor data.

mod adapter;
mod checksum;
mod fit;
mod half;
mod memory;
mod reader;
mod tensor;
mod validate;
mod value;
mod vocabulary;
mod write;

pub use adapter::{AdapterFacts, AdapterPair};
pub use checksum::{sha256_of_bytes, sha256_of_file};
pub use fit::{FitRequest, estimate_fit};
pub use half::{f16_from_f32, f32_from_f16};
pub use memory::{available_memory, available_memory_from};
pub use reader::{GgufFile, MAX_METADATA_BYTES};
pub use tensor::{TensorInfo, TensorType};
pub use validate::{MAX_LAYERS, ModelFacts};
pub use value::{StringList, Value, ValueType};
pub use write::GgufWriter;
