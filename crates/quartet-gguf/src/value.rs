//! Metadata values.

/// The type of a metadata value, as numbered in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum ValueType {
    /// Unsigned 8-bit integer.
    U8 = 0,
    /// Signed 8-bit integer.
    I8 = 1,
    /// Unsigned 16-bit integer.
    U16 = 2,
    /// Signed 16-bit integer.
    I16 = 3,
    /// Unsigned 32-bit integer.
    U32 = 4,
    /// Signed 32-bit integer.
    I32 = 5,
    /// 32-bit float.
    F32 = 6,
    /// One byte, 0 or 1.
    Bool = 7,
    /// Length and bytes.
    String = 8,
    /// Element type, count and elements.
    Array = 9,
    /// Unsigned 64-bit integer.
    U64 = 10,
    /// Signed 64-bit integer.
    I64 = 11,
    /// 64-bit float.
    F64 = 12,
}

impl ValueType {
    /// The type with this number in the file.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::String,
            9 => Self::Array,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Bytes one value takes; `None` where that differs from value to value.
    #[must_use]
    pub fn fixed_size(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::String | Self::Array => None,
        }
    }
}

/// Many strings in one allocation: a vocabulary has a quarter of a million of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StringList {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl StringList {
    /// Appends a string; GGUF does not promise UTF-8.
    pub fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len());
    }

    /// Number of strings.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The string at `index`.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.bytes.get(start..end)
    }

    /// All strings in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for StringList {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut list = Self::default();
        for string in strings {
            list.push(string.as_ref());
        }
        list
    }
}

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An unsigned integer of any width, with the type it was stored as.
    Unsigned(u64, ValueType),
    /// A signed integer of any width, with the type it was stored as.
    Signed(i64, ValueType),
    /// A float, with the type it was stored as.
    Float(f64, ValueType),
    /// True or false.
    Bool(bool),
    /// A string; bytes that are not UTF-8 are replaced by U+FFFD.
    String(String),
    /// An array of strings, byte for byte.
    Strings(StringList),
    /// An array of anything of fixed size: little-endian elements, back to back.
    Numbers {
        /// Type of the elements.
        element: ValueType,
        /// `element.fixed_size() * count` bytes.
        bytes: Vec<u8>,
    },
}

impl Value {
    /// A 32-bit unsigned integer.
    #[must_use]
    pub fn u32(value: u32) -> Self {
        Self::Unsigned(u64::from(value), ValueType::U32)
    }

    /// A 32-bit float.
    #[must_use]
    pub fn f32(value: f32) -> Self {
        Self::Float(f64::from(value), ValueType::F32)
    }

    /// A string.
    #[must_use]
    pub fn string(value: impl Into<String>) -> Self {
        Self::String(value.into())
    }

    /// An array of strings.
    #[must_use]
    pub fn strings<S: AsRef<[u8]>>(values: impl IntoIterator<Item = S>) -> Self {
        Self::Strings(values.into_iter().collect())
    }

    /// An array of 32-bit signed integers.
    #[must_use]
    pub fn i32s(values: &[i32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::Numbers { element: ValueType::I32, bytes }
    }

    /// An array of 32-bit floats.
    #[must_use]
    pub fn f32s(values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::Numbers { element: ValueType::F32, bytes }
    }

    /// The value as an integer that is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(value, _) => Some(value),
            Self::Signed(value, _) => u64::try_from(value).ok(),
            _ => None,
        }
    }

    /// The value as a float.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Float(value, _) => Some(value),
            _ => None,
        }
    }

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(value) => Some(value),
            _ => None,
        }
    }

    /// Number of elements of an array; `None` for anything else.
    #[must_use]
    pub fn array_len(&self) -> Option<usize> {
        match self {
            Self::Strings(list) => Some(list.len()),
            Self::Numbers { element, bytes } => Some(bytes.len() / element.fixed_size()?),
            _ => None,
        }
    }

    /// Elements of an array of integers; `None` for anything else or when one is negative.
    #[must_use]
    pub fn as_u64_array(&self) -> Option<Vec<u64>> {
        let Self::Numbers { element, bytes } = self else { return None };
        let elements = bytes.chunks_exact(element.fixed_size()?);
        elements
            .map(|chunk| {
                let mut wide = [0u8; 8];
                wide[..chunk.len()].copy_from_slice(chunk);
                let unsigned = u64::from_le_bytes(wide);
                let negative = chunk.last().is_some_and(|top| top & 0x80 != 0);
                match element {
                    ValueType::U8 | ValueType::U16 | ValueType::U32 | ValueType::U64 => {
                        Some(unsigned)
                    }
                    ValueType::I8 | ValueType::I16 | ValueType::I32 | ValueType::I64
                        if !negative =>
                    {
                        Some(unsigned)
                    }
                    _ => None,
                }
            })
            .collect()
    }
}
