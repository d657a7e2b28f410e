//! The file: layout, streaming writer, checked reader.
//!
//! # Layout, version 1
//!
//! Numbers are little-endian. Every section starts at a multiple of 64 bytes; zero bytes fill the gaps, the end included.
//!
//! | section | type | length |
//! |---|---|---|
//! | header: magic `QDENSE\r\n` | 8 bytes | 1 |
//! | header: version, width | `u32` | 2 |
//! | header: count of vectors | `u64` | 1 |
//! | header: no vector is longer than this | `f32` | 1 |
//! | header: length of the key in bytes | `u32` | 1 |
//! | key (UTF-8): names model, pooling, chunking and so on | bytes | key length |
//! | chunk ids | `i64` | count |
//! | scales | `f32` | count |
//! | rounding losses, `≥ ‖x − scale · code‖₂` | `f32` | count |
//! | codes, in −127..=127 | `i8` | count × width |
//! | rows | `f32` | count × width |
//!
//! The file is complete when its length is exactly what the header implies.
//! The contents of codes and rows are not summed up or verified on opening: that would read the whole file.

use bytemuck::{Pod, Zeroable};
use quartet_types::{Error, ErrorCode, error::Result};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::marker::PhantomData;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tantivy::directory::error::{OpenDirectoryError, OpenReadError};
use tantivy::directory::{Directory, MmapDirectory, OwnedBytes};

#[cfg(target_endian = "big")]
compile_error!("the sections are mapped as they are, which needs a little-endian machine");

const MAGIC: [u8; 8] = *b"QDENSE\r\n";
const VERSION: u32 = 1;
const ALIGNMENT: usize = 64;
/// Widest vector: keeps the inner product of two code vectors far inside `i32`.
const MAXIMUM_WIDTH: usize = 65_536;
const MAXIMUM_KEY: usize = 65_536;
/// Longest vector: keeps every inner product far inside `f32`. Embeddings have length 1.
pub(crate) const MAXIMUM_NORM: f64 = 1e9;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: u32,
    width: u32,
    count: u64,
    largest_norm: f32,
    key_length: u32,
}

/// Byte ranges of the sections, and the length of the whole file.
struct Layout {
    key: Range<usize>,
    ids: Range<usize>,
    scales: Range<usize>,
    losses: Range<usize>,
    codes: Range<usize>,
    rows: Range<usize>,
    length: usize,
}

impl Layout {
    /// `None` where a size does not fit this machine's address space.
    fn of(header: &Header) -> Option<Self> {
        let count = usize::try_from(header.count).ok()?;
        let values = count.checked_mul(usize::try_from(header.width).ok()?)?;
        let mut end = size_of::<Header>();
        let mut section = |length: usize, size: usize, aligned: bool| {
            let start = if aligned { end.checked_next_multiple_of(ALIGNMENT)? } else { end };
            end = start.checked_add(length.checked_mul(size)?)?;
            Some(start..end)
        };
        let key = section(usize::try_from(header.key_length).ok()?, 1, false)?;
        let ids = section(count, 8, true)?;
        let scales = section(count, 4, true)?;
        let losses = section(count, 4, true)?;
        let codes = section(values, 1, true)?;
        let rows = section(values, 4, true)?;
        let length = end.checked_next_multiple_of(ALIGNMENT)?;
        Some(Self { key, ids, scales, losses, codes, rows, length })
    }
}

/// A vector in 8-bit integers: `x ≈ scale · code`, wrong by a vector no longer than `loss`.
pub(crate) struct Quantised {
    pub scale: f32,
    pub loss: f32,
    pub norm: f64,
}

/// Rounds `vector` to multiples of its largest absolute value / 127, into `codes`.
///
/// `None` if a value is not finite or the vector is longer than [`MAXIMUM_NORM`].
pub(crate) fn quantise(vector: &[f32], codes: &mut Vec<i8>) -> Option<Quantised> {
    let norm = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    if !(norm.is_finite() && norm <= MAXIMUM_NORM) {
        return None;
    }
    let scale = vector.iter().fold(0.0f32, |largest, x| largest.max(x.abs())) / 127.0;
    codes.clear();
    let mut squares = 0.0f64;
    for &x in vector {
        let code = if scale > 0.0 { (x / scale).round().clamp(-127.0, 127.0) } else { 0.0 };
        codes.push(code as i8);
        // A 24-bit times a 7-bit number is exact in f64, so the loss is measured against exactly what a reader computes.
        squares += (f64::from(x) - f64::from(scale) * f64::from(code)).powi(2);
    }
    // Rounded up, past the error of the sum itself: the loss must never be understated.
    Some(Quantised { scale, loss: round_up(squares.sqrt()), norm })
}

/// An `f32` no smaller than `value`, with room for the rounding errors of a long sum.
fn round_up(value: f64) -> f32 {
    ((value * (1.0 + 1e-6)) as f32).next_up()
}

fn full_path(folder: &Path, name: &str) -> Result<PathBuf> {
    let plain = Path::new(name).file_name().is_some_and(|file| file == name);
    if plain {
        Ok(folder.join(name))
    } else {
        Err(Error::new(ErrorCode::InvalidInput, format!("{name:?} is not a file name")))
    }
}

/// A file being written; gone at the latest when this is dropped.
struct Partial {
    path: PathBuf,
    out: BufWriter<File>,
}

impl Partial {
    fn create(path: PathBuf) -> Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|error| Error::from_io(&error, &path))?;
        Ok(Self { path, out: BufWriter::with_capacity(1 << 18, file) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|error| Error::from_io(&error, &self.path))
    }

    /// Writes the zeros between `section` and the next one.
    fn pad(&mut self, section: &Range<usize>) -> Result<()> {
        let gap = section.end.next_multiple_of(ALIGNMENT) - section.end;
        self.write(&[0; ALIGNMENT][..gap])
    }

    fn append(&mut self, other: &mut Self) -> Result<()> {
        use std::io::Seek;
        other.out.flush().map_err(|error| Error::from_io(&error, &other.path))?;
        let source = other.out.get_mut();
        source.rewind().map_err(|error| Error::from_io(&error, &other.path))?;
        std::io::copy(source, &mut self.out).map_err(|error| Error::from_io(&error, &self.path))?;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After the final rename there is nothing left to remove.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Writes a collection's vectors; the file appears under its name only when [`DenseWriter::finish`] has succeeded.
///
/// Codes and rows are streamed to `NAME.codes.partial` and `NAME.rows.partial`; 16 bytes per vector stay in memory.
/// At most one writer per name at a time, which the caller sees to.
pub struct DenseWriter {
    target: PathBuf,
    key: String,
    width: usize,
    largest_norm: f64,
    ids: Vec<i64>,
    scales: Vec<f32>,
    losses: Vec<f32>,
    buffer: Vec<i8>,
    codes: Partial,
    rows: Partial,
}

impl DenseWriter {
    /// Starts the file `name` in `folder`, for vectors of `width` values made in the way that `key` names.
    ///
    /// # Errors
    /// `InvalidInput` for a name with a path in it, or a width or key out of range; otherwise as the file system says.
    pub fn create(folder: &Path, name: &str, key: &str, width: usize) -> Result<Self> {
        let target = full_path(folder, name)?;
        if width == 0 || width > MAXIMUM_WIDTH || key.len() > MAXIMUM_KEY {
            let message = format!(
                "cannot store vectors of {width} values under a key of {} bytes",
                key.len()
            );
            return Err(Error::new(ErrorCode::InvalidInput, message).about_path(&target));
        }
        Ok(Self {
            codes: Partial::create(folder.join(format!("{name}.codes.partial")))?,
            rows: Partial::create(folder.join(format!("{name}.rows.partial")))?,
            target,
            key: key.to_owned(),
            width,
            largest_norm: 0.0,
            ids: Vec::new(),
            scales: Vec::new(),
            losses: Vec::new(),
            buffer: Vec::with_capacity(width),
        })
    }

    /// Adds the vector of one chunk, `width` values long.
    ///
    /// # Errors
    /// `InvalidInput` for another width, a value that is not finite, or a length over 10⁹; the vector is then left out
    /// and the writer stays usable. After any other error (disk full, ...) the writer must be dropped.
    pub fn push(&mut self, chunk_id: i64, vector: &[f32]) -> Result<()> {
        let refused = |reason: String| {
            Err(Error::new(
                ErrorCode::InvalidInput,
                format!("the vector of chunk {chunk_id} {reason}"),
            )
            .about_path(&self.target))
        };
        if vector.len() != self.width {
            return refused(format!("has {} values instead of {}", vector.len(), self.width));
        }
        let Some(quantised) = quantise(vector, &mut self.buffer) else {
            return refused("has values that are not finite, or far too large".to_owned());
        };
        self.codes.write(bytemuck::cast_slice(&self.buffer))?;
        self.rows.write(bytemuck::cast_slice(vector))?;
        self.ids.push(chunk_id);
        self.scales.push(quantised.scale);
        self.losses.push(quantised.loss);
        self.largest_norm = self.largest_norm.max(quantised.norm);
        Ok(())
    }

    /// Puts the sections together, makes them durable and gives the file its name, replacing an older one.
    ///
    /// # Errors
    /// As the file system says; an older file of that name is then untouched.
    pub fn finish(mut self) -> Result<()> {
        let out_of_range = |_| Error::internal("a dense file's size is out of range");
        let header = Header {
            magic: MAGIC,
            version: VERSION,
            width: u32::try_from(self.width).map_err(out_of_range)?,
            count: self.ids.len() as u64,
            largest_norm: round_up(self.largest_norm),
            key_length: u32::try_from(self.key.len()).map_err(out_of_range)?,
        };
        let layout = Layout::of(&header)
            .ok_or_else(|| Error::internal("a dense file's size is out of range"))?;
        let mut path = self.target.clone().into_os_string();
        path.push(".partial");
        let mut out = Partial::create(path.into())?;
        out.write(bytemuck::bytes_of(&header))?;
        out.write(self.key.as_bytes())?;
        out.pad(&layout.key)?;
        out.write(bytemuck::cast_slice(&self.ids))?;
        out.pad(&layout.ids)?;
        out.write(bytemuck::cast_slice(&self.scales))?;
        out.pad(&layout.scales)?;
        out.write(bytemuck::cast_slice(&self.losses))?;
        out.pad(&layout.losses)?;
        out.append(&mut self.codes)?;
        out.pad(&layout.codes)?;
        out.append(&mut self.rows)?;
        out.pad(&layout.rows)?;
        let durable = out.out.flush().and_then(|()| out.out.get_ref().sync_all());
        durable.map_err(|error| Error::from_io(&error, &out.path))?;
        std::fs::rename(&out.path, &self.target)
            .map_err(|error| Error::from_io(&error, &self.target))?;
        // The new name lasts only once its folder is on disk too; other systems do not open folders as files.
        #[cfg(unix)]
        if let Some(folder) = self.target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|error| Error::from_io(&error, folder))?;
        }
        Ok(())
    }
}

/// A section as a slice of `T`: the mapped bytes themselves or, where they are misaligned, a copy.
enum Section<T> {
    Mapped(OwnedBytes, PhantomData<T>),
    Copied(Vec<T>),
}

impl<T: Pod> Section<T> {
    fn new(bytes: OwnedBytes) -> Self {
        if bytemuck::try_cast_slice::<u8, T>(&bytes).is_ok() {
            Self::Mapped(bytes, PhantomData)
        } else {
            Self::Copied(
                bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect(),
            )
        }
    }

    fn as_slice(&self) -> &[T] {
        match self {
            // `new` has seen this very cast succeed, so the empty slice never comes up.
            Self::Mapped(bytes, _) => bytemuck::try_cast_slice(bytes).unwrap_or_default(),
            Self::Copied(values) => values,
        }
    }
}

/// The mapped vectors of one collection, ready to be searched from any number of threads at once.
///
/// The file must not be shortened or overwritten in place while it is open; [`DenseWriter`] replaces it whole instead.
pub struct DenseIndex {
    width: usize,
    pub(crate) largest_norm: f64,
    ids: Section<i64>,
    scales: Section<f32>,
    losses: Section<f32>,
    codes: Section<i8>,
    rows: Section<f32>,
}

impl DenseIndex {
    /// Maps the file `name` in `folder`. `None` if there is none, or it is in another format or has another key,
    /// which all mean that the vectors are to be made anew.
    ///
    /// # Errors
    /// `Corrupt` if the file's length or numbers contradict its header; otherwise as the file system says.
    pub fn open(folder: &Path, name: &str, expected_key: &str) -> Result<Option<Self>> {
        Self::open_where(folder, name, |key| key == expected_key.as_bytes())
    }

    /// As [`DenseIndex::open`], for a file with any key that is accepted.
    ///
    /// # Errors
    /// As [`DenseIndex::open`].
    pub(crate) fn open_where(
        folder: &Path,
        name: &str,
        accepts: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Self>> {
        let path = full_path(folder, name)?;
        let directory = match MmapDirectory::open(folder) {
            Ok(directory) => directory,
            Err(OpenDirectoryError::DoesNotExist(_)) => return Ok(None),
            Err(error) => {
                return Err(Error::new(ErrorCode::Io, error.to_string()).about_path(folder));
            }
        };
        let bytes = match directory.open_read(Path::new(name)) {
            Ok(slice) => slice.read_bytes().map_err(|error| Error::from_io(&error, &path))?,
            Err(OpenReadError::FileDoesNotExist(_)) => return Ok(None),
            Err(OpenReadError::IoError { io_error, .. }) => {
                return Err(Error::from_io(&io_error, &path));
            }
            Err(error) => {
                return Err(Error::new(ErrorCode::Io, error.to_string()).about_path(&path));
            }
        };
        Self::from_bytes(&bytes, accepts).map_err(|error| error.about_path(&path))
    }

    fn from_bytes(bytes: &OwnedBytes, accepts: impl Fn(&[u8]) -> bool) -> Result<Option<Self>> {
        let corrupt = |message: &str| {
            Error::new(ErrorCode::Corrupt, message)
                .hint("Make this collection's vectors anew; its documents are not affected.")
        };
        let Some(start) = bytes.get(..size_of::<Header>()) else {
            return Err(corrupt("the vector file is cut off within its header"));
        };
        let header: Header = bytemuck::pod_read_unaligned(start);
        if header.magic != MAGIC || header.version != VERSION {
            return Ok(None);
        }
        let width = header.width as usize;
        let largest_norm = f64::from(header.largest_norm);
        if width == 0
            || width > MAXIMUM_WIDTH
            || !(0.0..=2.0 * MAXIMUM_NORM).contains(&largest_norm)
        {
            return Err(corrupt("the vector file's header is out of range"));
        }
        let layout = Layout::of(&header).filter(|layout| layout.length == bytes.len());
        let layout =
            layout.ok_or_else(|| corrupt("the vector file's length contradicts its header"))?;
        if !accepts(&bytes[layout.key]) {
            return Ok(None);
        }
        let index = Self {
            width,
            largest_norm,
            ids: Section::new(bytes.slice(layout.ids)),
            scales: Section::new(bytes.slice(layout.scales)),
            losses: Section::new(bytes.slice(layout.losses)),
            codes: Section::new(bytes.slice(layout.codes)),
            rows: Section::new(bytes.slice(layout.rows)),
        };
        let plausible =
            |values: &[f32]| values.iter().all(|value| value.is_finite() && *value >= 0.0);
        if !plausible(index.scales()) || !plausible(index.losses()) {
            return Err(corrupt("the vector file has scales that are not numbers"));
        }
        Ok(Some(index))
    }

    /// Values per vector.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of vectors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids().len()
    }

    /// Whether there are no vectors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The chunk ids, in the order in which they were pushed; vector `i` belongs to chunk `ids()[i]`.
    #[must_use]
    pub fn ids(&self) -> &[i64] {
        self.ids.as_slice()
    }

    /// Vector `position` in full precision.
    #[must_use]
    pub fn vector(&self, position: usize) -> Option<&[f32]> {
        let start = position.checked_mul(self.width)?;
        self.rows.as_slice().get(start..start.checked_add(self.width)?)
    }

    pub(crate) fn scales(&self) -> &[f32] {
        self.scales.as_slice()
    }

    pub(crate) fn losses(&self) -> &[f32] {
        self.losses.as_slice()
    }

    pub(crate) fn codes(&self) -> &[i8] {
        self.codes.as_slice()
    }
}
