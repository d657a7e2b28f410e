//! The engine and the trainer on the same file, asked the same.
#![allow(dead_code, unreachable_pub)]

use crate::common::{self, Random};
use quartet_gguf::{GgufFile, GgufWriter, TensorType, Value};
use quartet_llm::{Model, never};
use quartet_train::{
    Adapters, Compute, Decoder, Holding, KeyValues, LoraPlan, Outcome, Parameters, Pass, Piece,
    Places, Tensor, WeightFile, values,
};
use quartet_types::{
    AdapterUse, EmbeddingRows, Generation, GenerationRequest, LoadRequest, Prompt, PromptPart,
    Segment, Tap, TapPoint, TapRows, TapUse,
};
use std::path::{Path, PathBuf};

/// What attention counts in a tiny model. The engine computes it in 16-bit floats: with random
/// weights at full strength logits move by up to 0.02 from that alone (`parity_tiny` has such
/// weights, against numbers of a 32-bit run). At this strength rounding stays below the bound,
/// and who sees whom still moves logits by a hundred times as much.
fn attention(family: &str) -> f32 {
    if family == "gemma3" { 0.1 } else { 0.02 }
}

/// Largest difference of a logit of a tiny model.
pub fn bound(family: &str) -> f32 {
    // The engine looks the GELU of Gemma up in a table of 16-bit floats.
    if family == "gemma3" { 5e-3 } else { 1e-3 }
}

pub const FAMILIES: [&str; 4] = ["qwen2", "qwen3", "llama", "gemma3"];

/// One file, loaded by both.
pub struct Both {
    pub engine: Model,
    pub trainer: Decoder,
    folder: tempfile::TempDir,
}

impl Both {
    /// A tiny model of 32-bit floats.
    pub fn tiny(family: &str) -> Self {
        Self::written(&common::build(family, attention(family)))
    }

    /// A tiny model made elsewhere.
    pub fn written(file: &GgufWriter) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        file.write(&path).unwrap();
        Self::open(&path, 256, folder)
    }

    /// A model of the catalog, if it is installed.
    pub fn real(name: &str) -> Option<Self> {
        let path = common::installed(name)?;
        Some(Self::open(&path, 512, tempfile::tempdir().unwrap()))
    }

    /// A model of the catalog with its weights written out as 16-bit floats, for which the engine
    /// rounds activations far less than for 4-bit weights.
    pub fn real_in_floats(name: &str) -> Option<Self> {
        let header = GgufFile::open(&common::installed(name)?).unwrap();
        let mut file = GgufWriter::new();
        for (key, value) in header.metadata() {
            file.set(key, value.clone());
        }
        let file_type = 1; // mostly F16
        file.set("general.file_type", Value::u32(file_type));
        let tensors = header.tensors().to_vec();
        let stored = WeightFile::open(header).unwrap();
        for tensor in tensors {
            let columns = tensor.shape[0] as usize;
            let rows = tensor.shape[1..].iter().product::<u64>() as usize;
            let values =
                stored.packed(&tensor.name, rows, columns).unwrap().floats(0, rows).unwrap();
            let kind = if rows == 1 { TensorType::F32 } else { TensorType::F16 };
            file.tensor(&tensor.name, &tensor.shape, kind, &values).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("floats.gguf");
        file.write(&path).unwrap();
        drop(file);
        Some(Self::open(&path, 512, folder))
    }

    fn open(path: &Path, context: u32, folder: tempfile::TempDir) -> Self {
        let request = LoadRequest {
            model: "test".into(),
            path: path.to_owned(),
            sha256: None,
            context,
            threads: 2,
            gpu_layers: Some(0),
            pooling: None,
        };
        let engine = Model::load(&request, None, &never(), |_| {}).unwrap();
        let trainer = Decoder::load(path, &Compute::cpu(), Holding::Floats).unwrap();
        Self { engine, trainer, folder }
    }

    pub fn layers(&self) -> u32 {
        self.trainer.architecture().layers as u32
    }

    pub fn width(&self) -> usize {
        self.trainer.architecture().width
    }

    /// Where a test may write a file of this name.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Tokens that the engine reads for a text, with the start token where there is one.
    pub fn ids(&self, text: &str) -> Vec<u32> {
        let read = self.engine.read_prompt(&raw(text)).unwrap();
        let [PromptPart::Tokens(ids)] = &read.parts[..] else { panic!("{:?}", read.parts) };
        ids.clone()
    }

    /// What the trainer reads for a prompt of the engine, `[n, width]`.
    pub fn rows(&self, prompt: &Prompt) -> Tensor<2> {
        let Prompt::Raw(segments) = prompt else { panic!("not a raw prompt") };
        let mut given = segments.iter().filter_map(|segment| match segment {
            Segment::Embeddings(rows) => Some(rows),
            Segment::Text(_) => None,
        });
        let read = self.engine.read_prompt(prompt).unwrap();
        let parts = read.parts.iter().map(|part| match part {
            PromptPart::Tokens(ids) => self.trainer.embed(&[Piece::Tokens(ids)]).unwrap(),
            PromptPart::Rows(count) => self.matrix(&given.next().unwrap().values, *count as usize),
        });
        Tensor::cat(parts.collect(), 0)
    }

    pub fn matrix(&self, values: &[f32], rows: usize) -> Tensor<2> {
        self.trainer.compute().matrix(values.to_vec(), rows, values.len() / rows).unwrap()
    }

    /// The trainer's pass over a prompt.
    pub fn pass(&self, prompt: &Prompt, given: &Given<'_>) -> Outcome {
        let rows = self.rows(prompt);
        let places = Places::consecutive(given.from..given.from + rows.dims()[0] as u32);
        let none = Adapters::none();
        let adapters = given.adapters.unwrap_or(&none);
        let pass = Pass::new(&self.trainer, rows, &places, adapters);
        let pass = Pass { earlier: given.earlier, taps: given.taps, ..pass };
        self.trainer.run(&pass).unwrap()
    }

    /// The trainer's logits of every row of a prompt, `[n, vocabulary]`.
    pub fn trainer_logits(&self, prompt: &Prompt, given: &Given<'_>) -> Vec<f32> {
        values(self.trainer.logits(self.pass(prompt, given).hidden).unwrap()).unwrap()
    }

    /// The engine's: its final normalisation times the output matrix.
    pub fn engine_logits(&self, request: &GenerationRequest, rows: TapRows) -> Vec<f32> {
        self.head(&self.engine_norm(request, rows))
    }

    /// The engine's final normalisation of some rows of a prompt.
    pub fn engine_norm(&self, request: &GenerationRequest, rows: TapRows) -> Vec<f32> {
        let tap = Tap { point: TapPoint::FinalNorm, layer: 0, stop_after: true };
        let request = GenerationRequest { taps: vec![TapUse { tap, rows }], ..request.clone() };
        self.generate(&request).taps.remove(0).values
    }

    /// The trainer's final normalisation of the last row of a prompt.
    pub fn trainer_norm(&self, prompt: &Prompt, given: &Given<'_>) -> Vec<f32> {
        let hidden = self.pass(prompt, given).hidden;
        let last = hidden.dims()[0] - 1;
        values(self.trainer.normalise(hidden.narrow(0, last, 1))).unwrap()
    }

    /// Logits of normalised rows.
    pub fn head(&self, normalised: &[f32]) -> Vec<f32> {
        let rows = self.matrix(normalised, normalised.len() / self.width());
        values(self.trainer.head().logits(rows).unwrap()).unwrap()
    }

    /// Logits of the engine and of the trainer, each `[n, vocabulary]`, of normalised rows: the
    /// output matrix is large, and is gone through once.
    pub fn heads(&self, engine: &[f32], trainer: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let mut found = self.head(&[engine, trainer].concat());
        let expected = found.split_off(found.len() / 2);
        (found, expected)
    }

    pub fn generate(&self, request: &GenerationRequest) -> Generation {
        self.engine.turn(&never()).unwrap().generate(request, |_| {}).unwrap()
    }

    /// Log-probabilities of texts after a prompt, all numbers from the engine.
    pub fn scores(&self, prompt: &Prompt, texts: &[String], adapters: &[AdapterUse]) -> Vec<f32> {
        let turn = self.engine.turn(&never()).unwrap();
        turn.score(prompt, texts, adapters).unwrap().concat()
    }

    /// Random numbers for every matrix of a plan.
    pub fn parameters(&self, plan: &LoraPlan, seed: u64, scale: f32) -> Parameters {
        let fresh = plan.parameters(self.trainer.architecture(), seed).unwrap();
        let mut random = Random(seed);
        let mut parameters = Parameters::new();
        for one in fresh.all() {
            // A stays as it is made; B, which is zero at first, does not. In a tiny model what
            // attention adds is kept as small as it was.
            let shapes = self.trainer.architecture();
            let is_calm =
                shapes.vocabulary == common::VOCABULARY && one.name.contains("attn_output");
            let calm = if is_calm { attention(&shapes.name) } else { 1.0 };
            let drawn = random.floats(one.values.len(), scale * calm);
            let values = if one.name.ends_with("lora_b") { drawn } else { one.values.clone() };
            parameters.add(one.name.clone(), one.rows, one.columns, values).unwrap();
        }
        parameters
    }
}

/// What a pass of the trainer has beside its prompt.
#[derive(Clone, Copy, Default)]
pub struct Given<'a> {
    pub adapters: Option<&'a Adapters>,
    pub earlier: &'a [&'a KeyValues],
    /// Position of the first row.
    pub from: u32,
    pub taps: &'a [Tap],
}

pub fn raw(text: &str) -> Prompt {
    Prompt::Raw(vec![Segment::Text(text.to_owned())])
}

pub fn request(prompt: Prompt) -> GenerationRequest {
    GenerationRequest::new("test".into(), prompt)
}

/// All characters of the tiny vocabulary, each one token, beginning with token 3.
pub fn letters() -> Vec<String> {
    (3..common::VOCABULARY as u32).map(letter).collect()
}

fn letter(id: u32) -> String {
    char::from_u32(0x100 + id).unwrap().into()
}

/// A text of `count` tokens of the tiny vocabulary.
pub fn text(count: usize, seed: u64) -> String {
    let mut random = Random(seed);
    (0..count).map(|_| letter(3 + (random.bits() % 93) as u32)).collect()
}

/// Rows that no token has.
pub fn random_rows(width: usize, count: usize, scale: f32, seed: u64) -> Segment {
    let values = Random(seed).floats(count * width, scale);
    Segment::Embeddings(EmbeddingRows { values, width: width as u32 })
}

pub fn largest_gap(left: &[f32], right: &[f32]) -> f32 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}

pub fn mean_gap(left: &[f32], right: &[f32]) -> f64 {
    assert_eq!(left.len(), right.len());
    let sum: f64 = left.iter().zip(right).map(|(a, b)| f64::from((a - b).abs())).sum();
    sum / left.len() as f64
}

pub fn cosine(left: &[f32], right: &[f32]) -> f64 {
    assert_eq!(left.len(), right.len());
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    dot(left, right) / (dot(left, left) * dot(right, right)).sqrt()
}

/// The smallest cosine of two rows at the same place, and the mean of all.
pub fn row_cosines(left: &[f32], right: &[f32], width: usize) -> (f64, f64) {
    assert!(!left.is_empty() && left.len() == right.len() && left.len().is_multiple_of(width));
    let rows = left.chunks(width).zip(right.chunks(width));
    let all: Vec<f64> = rows.map(|(left, right)| cosine(left, right)).collect();
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    (all.into_iter().fold(1.0, f64::min), mean)
}

pub fn last_row(logits: &[f32], vocabulary: usize) -> &[f32] {
    &logits[logits.len() - vocabulary..]
}

/// Natural-log probabilities of logits.
pub fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - most).exp()).sum();
    logits.iter().map(|logit| (f64::from(logit - most) - sum.ln()) as f32).collect()
}

/// The most probable token.
pub fn best(logits: &[f32]) -> usize {
    let all = logits.iter().enumerate();
    all.fold(0, |best, (id, logit)| if *logit > logits[best] { id } else { best })
}
