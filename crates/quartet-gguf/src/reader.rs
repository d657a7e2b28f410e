//! Reading a header: nothing is allocated by a number that the file has not paid for in
//! bytes, and everything is an error rather than a panic.

use crate::tensor::{TensorInfo, TensorType};
use crate::value::{StringList, Value, ValueType};
use quartet_types::{Error, ErrorCode, Result};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The largest header that is read. The largest vocabularies in use take about 20 MB.
pub const MAX_METADATA_BYTES: u64 = 256 << 20;
const MAX_PAIRS: u64 = 65_536;
const MAX_TENSORS: u64 = 65_536;
const MAX_KEY_BYTES: u64 = 65_535;
/// ggml keeps 64 bytes for a name, with the zero at its end.
const MAX_TENSOR_NAME_BYTES: u64 = 63;
const DEFAULT_ALIGNMENT: u64 = 32;
const REMEDY: &str = "Get the file again from where it came from, or choose another model.";

/// The header of a GGUF file: metadata and tensor table, without the tensor data.
#[derive(Debug, Clone)]
pub struct GgufFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// Format version, 2 or 3.
    pub version: u32,
    /// Where tensor data starts, from the start of the file, in bytes.
    pub data_start: u64,
    /// Length of the file, in bytes.
    pub file_bytes: u64,
    metadata: HashMap<String, Value>,
    tensors: Vec<TensorInfo>,
}

impl GgufFile {
    /// Reads the header of the file at `path`.
    ///
    /// # Errors
    /// `BadModel` if it is not a sound GGUF file, an operating-system error if it cannot be
    /// read.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::from_io(&error, path))?;
        let facts = file.metadata().map_err(|error| Error::from_io(&error, path))?;
        if !facts.is_file() {
            return Err(bad("is not a file").about_path(path));
        }
        Self::read(BufReader::with_capacity(1 << 16, file), facts.len(), path)
    }

    /// Reads a header from `reader`, of a file of `file_bytes` bytes; `path` is for messages.
    ///
    /// # Errors
    /// As [`GgufFile::open`].
    pub fn read(reader: impl Read, file_bytes: u64, path: &Path) -> Result<Self> {
        let mut cursor = Cursor { reader, position: 0, limit: file_bytes.min(MAX_METADATA_BYTES) };
        cursor.header(file_bytes, path).map_err(|error| error.about_path(path))
    }

    /// The value of a metadata key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// All metadata, in no particular order.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.metadata.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// All tensors in file order.
    #[must_use]
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of this name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Bytes of all tensors together.
    #[must_use]
    pub fn weight_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes).sum()
    }
}

pub(crate) fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::BadModel, message).hint(REMEDY)
}

struct Cursor<R> {
    reader: R,
    position: u64,
    limit: u64,
}

impl<R: Read> Cursor<R> {
    fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.position)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0u8; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        if self.remaining() < bytes.len() as u64 {
            return Err(bad("ends in the middle of its header"));
        }
        self.reader.read_exact(bytes).map_err(|error| {
            Error::new(ErrorCode::BadModel, format!("cannot be read: {error}")).hint(REMEDY)
        })?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    /// `length` bytes, which the rest of the header must hold.
    fn bytes(&mut self, length: u64, what: &str) -> Result<Vec<u8>> {
        if length > self.remaining() {
            return Err(bad(format!("has {what} of {length} bytes, more than the file holds")));
        }
        let mut bytes = vec![0u8; usize::try_from(length).map_err(|_| bad("is too large"))?];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn string(&mut self, limit: u64, what: &str) -> Result<Vec<u8>> {
        let length = self.u64()?;
        if length > limit {
            return Err(bad(format!("has {what} of {length} bytes; at most {limit} are allowed")));
        }
        self.bytes(length, what)
    }

    fn name(&mut self, limit: u64, what: &str) -> Result<String> {
        String::from_utf8(self.string(limit, what)?)
            .map_err(|_| bad(format!("has {what} that is not UTF-8")))
    }

    fn header(&mut self, file_bytes: u64, path: &Path) -> Result<GgufFile> {
        if file_bytes == 0 {
            return Err(bad("is empty"));
        }
        if file_bytes < 24 || &self.take::<4>()? != b"GGUF" {
            return Err(bad("is not a GGUF model file")
                .hint("Choose a file that ends in `.gguf`, downloaded completely."));
        }
        let version = self.u32()?;
        if version.swap_bytes() == 2 || version.swap_bytes() == 3 {
            return Err(bad("is a big-endian GGUF file, which this machine cannot use"));
        }
        if !(2..=3).contains(&version) {
            return Err(bad(format!("has GGUF version {version}; versions 2 and 3 are known")));
        }
        let tensor_count = self.u64()?;
        let pair_count = self.u64()?;
        if tensor_count > MAX_TENSORS || pair_count > MAX_PAIRS {
            return Err(bad(format!(
                "says it has {tensor_count} tensors and {pair_count} metadata entries"
            )));
        }
        let mut metadata = HashMap::new();
        for _ in 0..pair_count {
            let key = self.name(MAX_KEY_BYTES, "a metadata key")?;
            let value = self.value(&key)?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(bad(format!("has the metadata key `{key}` twice")));
            }
        }
        let alignment = match metadata.get("general.alignment") {
            None => DEFAULT_ALIGNMENT,
            Some(value) => value
                .as_u64()
                .filter(|alignment| alignment.is_power_of_two() && (8..=65_536).contains(alignment))
                .ok_or_else(|| bad("has a bad `general.alignment`"))?,
        };
        let mut tensors = Vec::new();
        let mut names = HashSet::new();
        for _ in 0..tensor_count {
            let tensor = self.tensor(alignment)?;
            if !names.insert(tensor.name.clone()) {
                return Err(bad(format!("has the tensor `{}` twice", tensor.name)));
            }
            tensors.push(tensor);
        }
        let data_start = self.position.next_multiple_of(alignment);
        check_places(&tensors, data_start, file_bytes)?;
        Ok(GgufFile { path: path.to_owned(), version, data_start, file_bytes, metadata, tensors })
    }

    fn value(&mut self, key: &str) -> Result<Value> {
        let number = self.u32()?;
        let kind = ValueType::from_number(number)
            .ok_or_else(|| bad(format!("has the unknown value type {number} at `{key}`")))?;
        match kind {
            ValueType::String => {
                let bytes = self.string(self.limit, "a text")?;
                Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()))
            }
            ValueType::Array => self.array(key),
            _ => self.scalar(kind, key),
        }
    }

    fn scalar(&mut self, kind: ValueType, key: &str) -> Result<Value> {
        Ok(match kind {
            ValueType::U8 => Value::Unsigned(u64::from(self.take::<1>()?[0]), kind),
            ValueType::I8 => Value::Signed(i64::from(i8::from_le_bytes(self.take()?)), kind),
            ValueType::U16 => Value::Unsigned(u64::from(u16::from_le_bytes(self.take()?)), kind),
            ValueType::I16 => Value::Signed(i64::from(i16::from_le_bytes(self.take()?)), kind),
            ValueType::U32 => Value::Unsigned(u64::from(self.u32()?), kind),
            ValueType::I32 => Value::Signed(i64::from(i32::from_le_bytes(self.take()?)), kind),
            ValueType::F32 => Value::Float(f64::from(f32::from_le_bytes(self.take()?)), kind),
            ValueType::U64 => Value::Unsigned(self.u64()?, kind),
            ValueType::I64 => Value::Signed(i64::from_le_bytes(self.take()?), kind),
            ValueType::F64 => Value::Float(f64::from_le_bytes(self.take()?), kind),
            ValueType::Bool => match self.take::<1>()?[0] {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                other => {
                    return Err(bad(format!("has {other} where `{key}` must be true or false")));
                }
            },
            ValueType::String | ValueType::Array => {
                return Err(Error::internal("a scalar was expected"));
            }
        })
    }

    fn array(&mut self, key: &str) -> Result<Value> {
        let number = self.u32()?;
        let element = ValueType::from_number(number)
            .ok_or_else(|| bad(format!("has the unknown element type {number} at `{key}`")))?;
        let count = self.u64()?;
        let too_long = || bad(format!("has {count} elements at `{key}`, more than it holds"));
        if let Some(size) = element.fixed_size() {
            let length = count.checked_mul(size as u64).ok_or_else(too_long)?;
            return Ok(Value::Numbers { element, bytes: self.bytes(length, "an array")? });
        }
        if element == ValueType::Array {
            return Err(bad(format!("has an array of arrays at `{key}`")));
        }
        // Each string costs eight bytes of length at least.
        if count > self.remaining() / 8 {
            return Err(too_long());
        }
        let mut list = StringList::default();
        for _ in 0..count {
            list.push(&self.string(self.limit, "a text")?);
        }
        Ok(Value::Strings(list))
    }

    fn tensor(&mut self, alignment: u64) -> Result<TensorInfo> {
        let name = self.name(MAX_TENSOR_NAME_BYTES, "a tensor name")?;
        if name.is_empty() {
            return Err(bad("has a tensor without a name"));
        }
        let dimensions = self.u32()?;
        if !(1..=4).contains(&dimensions) {
            return Err(bad(format!("has {dimensions} dimensions at tensor `{name}`")));
        }
        let mut shape = Vec::with_capacity(4);
        for _ in 0..dimensions {
            let length = self.u64()?;
            if length == 0 || i64::try_from(length).is_err() {
                return Err(bad(format!("has a bad shape at tensor `{name}`")));
            }
            shape.push(length);
        }
        let number = self.u32()?;
        let kind = TensorType::from_number(number)
            .ok_or_else(|| bad(format!("has the unknown storage type {number} at `{name}`")))?;
        let offset = self.u64()?;
        if offset % alignment != 0 {
            return Err(bad(format!("has a misaligned tensor `{name}`")));
        }
        let bytes = kind.bytes_of(&shape).ok_or_else(|| {
            bad(format!("has a shape at `{name}` that {} cannot hold", kind.name()))
        })?;
        Ok(TensorInfo { name, shape, kind, offset, bytes })
    }
}

/// Every tensor lies inside the file and none overlaps another.
fn check_places(tensors: &[TensorInfo], data_start: u64, file_bytes: u64) -> Result<()> {
    let mut places: Vec<(u64, u64, &str)> = Vec::with_capacity(tensors.len());
    for tensor in tensors {
        let end = tensor
            .offset
            .checked_add(tensor.bytes)
            .and_then(|end| end.checked_add(data_start))
            .ok_or_else(|| bad(format!("has a bad offset at tensor `{}`", tensor.name)))?;
        if end > file_bytes {
            return Err(bad(format!(
                "is cut off: tensor `{}` ends {} bytes after the file",
                tensor.name,
                end - file_bytes
            )));
        }
        places.push((tensor.offset, tensor.offset + tensor.bytes, &tensor.name));
    }
    places.sort_unstable();
    for pair in places.windows(2) {
        if pair[1].0 < pair[0].1 {
            return Err(bad(format!(
                "has overlapping tensors `{}` and `{}`",
                pair[0].2, pair[1].2
            )));
        }
    }
    Ok(())
}
