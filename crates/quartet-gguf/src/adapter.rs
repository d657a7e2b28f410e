//! LoRA adapters: checks before use.
//!
//! An adapter is a GGUF file with `general.type` = `adapter`, `adapter.type` = `lora` and a
//! number `adapter.lora.alpha`. For each matrix `NAME` of the model that it changes it has a
//! pair: `NAME.lora_a` of shape `[n_in, rank]` and `NAME.lora_b` of shape `[rank, n_out]`
//! (fastest-varying length first), to be added as `alpha / rank * B A`. llama.cpp checks part
//! of this, skips norms in silence and aborts on the rest; so all of it is checked here.

use crate::half::f32_from_f16;
use crate::reader::{GgufFile, bad};
use crate::tensor::{TensorInfo, TensorType};
use crate::value::{Value, ValueType};
use quartet_types::Result;
use std::collections::BTreeMap;

const OTHER_MODEL: &str = "It was made for another model; train it again for this one.";
const EMBEDDING: &str = "token_embd.weight";
const HEAD: &str = "output.weight";

/// What the header of an adapter says, once it has been found sound.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterFacts {
    /// `general.architecture` of the model it was made for.
    pub architecture: String,
    /// `general.name`, where given.
    pub name: Option<String>,
    /// `adapter.lora.alpha`, finite and above zero.
    pub alpha: f32,
    /// Its pairs of matrices, sorted by the name of the matrix they change.
    pub pairs: Vec<AdapterPair>,
    /// Size of its tensors, in bytes.
    pub bytes: u64,
    /// Where tensor data starts, from the start of the file, in bytes.
    data_start: u64,
}

/// The two factors of the change to one matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct AdapterPair {
    /// The matrix of the model that it changes.
    pub base: String,
    /// `A`, `[n_in, rank]`.
    pub a: TensorInfo,
    /// `B`, `[rank, n_out]`.
    pub b: TensorInfo,
    /// Its rank.
    pub rank: u64,
}

impl AdapterFacts {
    /// Checks the header of an adapter file and reports what it says.
    ///
    /// # Errors
    /// `BadModel`, naming the file and what is wrong with it.
    pub fn from_file(file: &GgufFile) -> Result<Self> {
        read_facts(file).map_err(|error| error.about_path(&file.path))
    }

    /// Checks that every pair fits a matrix of the model with this architecture and these
    /// tensors.
    ///
    /// # Errors
    /// `BadModel`, naming the first tensor that does not fit; the caller names the file.
    pub fn fits<'t>(
        &self,
        architecture: &str,
        tensor: impl Fn(&str) -> Option<&'t TensorInfo>,
    ) -> Result<()> {
        let refused = |message: String| Err(bad(message).hint(OTHER_MODEL));
        if self.architecture != architecture {
            return refused(format!(
                "is an adapter for a `{}` model, and this model is a `{architecture}`",
                self.architecture
            ));
        }
        for pair in &self.pairs {
            let name = &pair.base;
            let Some(base) = tensor(name) else {
                return refused(format!(
                    "changes the tensor `{name}`, which the model does not have"
                ));
            };
            if base.shape.len() < 2 {
                return refused(format!("changes `{name}`, which is no matrix"));
            }
            if name == EMBEDDING && tensor(HEAD).is_none() {
                // llama.cpp would use the flipped factors of the embedding for the head as well.
                return refused(format!(
                    "changes `{name}`, which this model also uses as its output matrix"
                ));
            }
            let expected = expected_shapes(name, &base.shape, pair.rank);
            if (&pair.a.shape, &pair.b.shape) != (&expected.0, &expected.1) {
                return refused(format!(
                    "has factors of shape {:?} and {:?} for `{name}` of shape {:?}; {:?} and {:?} would fit",
                    pair.a.shape, pair.b.shape, base.shape, expected.0, expected.1
                ));
            }
        }
        Ok(())
    }

    /// Checks that every number in the file is finite. `bytes` is the whole file.
    ///
    /// # Errors
    /// `BadModel`, naming the first tensor that holds something else; the caller names the file.
    pub fn check_values(&self, bytes: &[u8]) -> Result<()> {
        for tensor in self.pairs.iter().flat_map(|pair| [&pair.a, &pair.b]) {
            let start = self.data_start.saturating_add(tensor.offset);
            let end = start.saturating_add(tensor.bytes);
            let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
            let values = range.and_then(|(start, end)| bytes.get(start..end));
            let values = values.ok_or_else(|| bad("is cut off"))?;
            if !all_finite(tensor.kind, values) {
                return Err(bad(format!("holds a number that is not finite in `{}`", tensor.name))
                    .hint("Its training went wrong; train it again, with a smaller step."));
            }
        }
        Ok(())
    }
}

fn read_facts(file: &GgufFile) -> Result<AdapterFacts> {
    let kind = text(file, "general.type")?;
    if kind != "adapter" {
        return Err(bad(format!("is of the kind `{kind}`, not an adapter")));
    }
    let kind = text(file, "adapter.type")?;
    if kind != "lora" {
        return Err(bad(format!("is an adapter of the type `{kind}`; only `lora` is known")));
    }
    if file.metadata().any(|(key, _)| key.starts_with("adapter.alora.")) {
        return Err(bad("is an adapter that some tokens switch on, which is not known here"));
    }
    // llama.cpp aborts on a number of another type.
    let alpha = match file.get("adapter.lora.alpha") {
        Some(Value::Float(alpha, ValueType::F32)) => *alpha as f32,
        _ => return Err(bad("does not say its `adapter.lora.alpha` as a 32-bit number")),
    };
    if !(alpha.is_finite() && alpha > 0.0) {
        return Err(bad(format!("has {alpha} as its alpha, which must be above zero")));
    }
    let pairs = pairs(file.tensors())?;
    if pairs.is_empty() {
        return Err(bad("changes no matrix"));
    }
    Ok(AdapterFacts {
        architecture: text(file, "general.architecture")?.to_owned(),
        name: file.get("general.name").and_then(Value::as_str).map(str::to_owned),
        alpha,
        pairs,
        bytes: file.weight_bytes(),
        data_start: file.data_start,
    })
}

fn text<'f>(file: &'f GgufFile, key: &str) -> Result<&'f str> {
    file.get(key).and_then(Value::as_str).ok_or_else(|| bad(format!("does not say its `{key}`")))
}

fn pairs(tensors: &[TensorInfo]) -> Result<Vec<AdapterPair>> {
    let mut halves: BTreeMap<&str, [Option<&TensorInfo>; 2]> = BTreeMap::new();
    for tensor in tensors {
        let name = tensor.name.as_str();
        let (base, half) = match (name.strip_suffix(".lora_a"), name.strip_suffix(".lora_b")) {
            (Some(base), _) => (base, 0),
            (_, Some(base)) => (base, 1),
            _ => return Err(bad(format!("has the tensor `{name}`, which is no LoRA factor"))),
        };
        if ![TensorType::F32, TensorType::F16, TensorType::BF16].contains(&tensor.kind) {
            return Err(bad(format!(
                "stores `{name}` as {}; F32, F16 and BF16 are possible",
                tensor.kind.name()
            )));
        }
        halves.entry(base).or_default()[half] = Some(tensor);
    }
    halves.into_iter().map(|(base, halves)| pair(base, halves)).collect()
}

fn pair(base: &str, halves: [Option<&TensorInfo>; 2]) -> Result<AdapterPair> {
    let [Some(a), Some(b)] = halves else {
        return Err(bad(format!("has only one of the two factors for `{base}`")));
    };
    let same_count = a.shape.len() == b.shape.len() && (2..=3).contains(&a.shape.len());
    // The embedding is looked up row by row, so its `A` is stored flipped.
    let rank = if base == EMBEDDING { a.shape.first() } else { a.shape.get(1) };
    match rank {
        Some(&rank) if same_count && b.shape.first() == Some(&rank) => {
            Ok(AdapterPair { base: base.to_owned(), a: a.clone(), b: b.clone(), rank })
        }
        _ => Err(bad(format!(
            "has factors of shape {:?} and {:?} for `{base}`, which cannot be multiplied",
            a.shape, b.shape
        ))),
    }
}

/// The shapes of the two factors for a matrix, or for a stack of them (experts).
fn expected_shapes(name: &str, base: &[u64], rank: u64) -> (Vec<u64>, Vec<u64>) {
    let (input, output) = (base.first().copied(), base.get(1).copied());
    let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
    if name == EMBEDDING {
        return (vec![rank, output], vec![rank, input]);
    }
    let stack = base.get(2..).unwrap_or_default();
    ([&[input, rank], stack].concat(), [&[rank, output], stack].concat())
}

fn all_finite(kind: TensorType, bytes: &[u8]) -> bool {
    if kind == TensorType::F32 {
        return bytes.as_chunks().0.iter().all(|bytes| f32::from_le_bytes(*bytes).is_finite());
    }
    bytes.as_chunks().0.iter().all(|bytes| {
        let half = u16::from_le_bytes(*bytes);
        if kind == TensorType::F16 {
            f32_from_f16(half).is_finite()
        } else {
            // BF16 is the upper half of a 32-bit number.
            f32::from_bits(u32::from(half) << 16).is_finite()
        }
    })
}

impl AdapterFacts {
    /// The largest rank among the pairs.
    #[must_use]
    pub fn rank(&self) -> u64 {
        self.pairs.iter().map(|pair| pair.rank).max().unwrap_or(0)
    }
}
