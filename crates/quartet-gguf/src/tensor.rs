//! Tensors: storage types, shapes and places in the file.

/// How the elements of a tensor are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TensorType {
    number: u32,
    name: &'static str,
    block_elements: u64,
    block_bytes: u64,
}

macro_rules! tensor_types {
    ($($number:literal $name:ident $elements:literal $bytes:literal;)*) => {
        impl TensorType {
            $(
                #[doc = concat!("`", stringify!($name), "`: ", stringify!($elements),
                    " elements in ", stringify!($bytes), " bytes.")]
                pub const $name: Self = Self {
                    number: $number,
                    name: stringify!($name),
                    block_elements: $elements,
                    block_bytes: $bytes,
                };
            )*

            /// Every type that ggml can store today.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

tensor_types! {
    0 F32 1 4;
    1 F16 1 2;
    2 Q4_0 32 18;
    3 Q4_1 32 20;
    6 Q5_0 32 22;
    7 Q5_1 32 24;
    8 Q8_0 32 34;
    9 Q8_1 32 36;
    10 Q2_K 256 84;
    11 Q3_K 256 110;
    12 Q4_K 256 144;
    13 Q5_K 256 176;
    14 Q6_K 256 210;
    15 Q8_K 256 292;
    16 IQ2_XXS 256 66;
    17 IQ2_XS 256 74;
    18 IQ3_XXS 256 98;
    19 IQ1_S 256 50;
    20 IQ4_NL 32 18;
    21 IQ3_S 256 110;
    22 IQ2_S 256 82;
    23 IQ4_XS 256 136;
    24 I8 1 1;
    25 I16 1 2;
    26 I32 1 4;
    27 I64 1 8;
    28 F64 1 8;
    29 IQ1_M 256 56;
    30 BF16 1 2;
    34 TQ1_0 256 54;
    35 TQ2_0 256 66;
    39 MXFP4 32 17;
    40 NVFP4 64 36;
    41 Q1_0 128 18;
    42 Q2_0 64 18;
}

impl TensorType {
    /// The type with this number in the file.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.number == number)
    }

    /// The number in the file.
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }

    /// ggml's name for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Elements that are stored together.
    #[must_use]
    pub fn block_elements(self) -> u64 {
        self.block_elements
    }

    /// Bytes of one block.
    #[must_use]
    pub fn block_bytes(self) -> u64 {
        self.block_bytes
    }

    /// Bytes of a tensor with this shape; `None` if a row is not whole blocks or the size
    /// does not fit 63 bits.
    #[must_use]
    pub fn bytes_of(self, shape: &[u64]) -> Option<u64> {
        let row = *shape.first()?;
        if row % self.block_elements != 0 {
            return None;
        }
        let mut elements = 1u64;
        for length in shape {
            elements = elements.checked_mul(*length)?;
        }
        let bytes = (elements / self.block_elements).checked_mul(self.block_bytes)?;
        i64::try_from(bytes).ok().map(|_| bytes)
    }
}

/// What the file says about one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Lengths, fastest-varying first, as ggml counts them: `[n_in, n_out]` for a matrix.
    pub shape: Vec<u64>,
    /// How its elements are stored.
    pub kind: TensorType,
    /// Where it starts, from the start of the tensor data, in bytes.
    pub offset: u64,
    /// Its size in bytes.
    pub bytes: u64,
}
