//! Training through the models that are served.
//!
//! The engine (quartet-llm) runs a model fast and quantised; this crate runs the same file
//! slowly and differentiably, on the dequantised weights, so that what is trained is what is
//! served. It has the engine's four ports: raw embedding rows among the tokens ([`Piece`]),
//! low-rank adapters ([`Adapters`]), keys and values that some layers see ([`KeyValues`]), and
//! taps on hidden states, queries and keys ([`Pass::taps`]). Parity between the two is tested
//! port by port.
//!
//! - [`Decoder`] loads Qwen2, Qwen3, Llama and Gemma 3 files and runs a [`Pass`]. Its weights are
//!   frozen: only gradients of inputs are computed. What needs no gradient (a prefix, layers
//!   below the lowest adapter) runs without a graph and can be kept.
//! - [`chained`] runs a pass block by block for small memories; with [`Holding::Stored`] weights
//!   stay quantised in between.
//! - [`cross_entropy`], [`distilled_cross_entropy`] and others make a [`Loss`]; the head is
//!   computed for the rows that are predicted and no others.
//! - [`Parameters`] are what is trained; [`Parameters::leaves`] puts them on the device for a
//!   step, [`Leaves::gradients`] differentiates a loss. [`LoraPlan`] makes those of LoRA.
//! - [`train`] runs an [`Objective`] ([`TextObjective`] learns text) with [`AdamW`], evaluation, early stop, [`Checkpoints`] that
//!   go on exactly, and a [`Control`] to pause or cancel; [`calibrate`] foretells how long it
//!   takes.
//! - [`Compute::trusted`] gives the device asked for if it computes what the processor computes,
//!   otherwise the processor, with the reason.
//! - [`write_adapter`] makes the file that llama.cpp loads, [`write_artefact`] keeps other
//!   tensors with a [`Manifest`] that knows what they were made from.
//!
//! Tokens come in as ids: splitting text is the engine's work. The tensor library is burn, which
//! no other crate names; its tensor is passed on as [`Tensor`] for the methods' own networks.
//!
//! ```no_run
//! use quartet_train::{
//!     Compute, Decoder, Holding, LoraPlan, Pass, Piece, Places, cross_entropy,
//! };
//! # fn main() -> quartet_types::Result<()> {
//! let compute = Compute::cpu();
//! let decoder = Decoder::load("model.gguf".as_ref(), &compute, Holding::Floats)?;
//! let plan = LoraPlan::everywhere(decoder.architecture(), 8);
//! let parameters = plan.parameters(decoder.architecture(), 1)?;
//!
//! let leaves = parameters.leaves(&compute)?;
//! let adapters = plan.adapters(&leaves)?;
//! let ids = [2, 1037, 2204, 3];
//! let rows = decoder.embed(&[Piece::Tokens(&ids)])?;
//! let places = Places::consecutive(0..4);
//! let outcome = decoder.run(&Pass::new(&decoder, rows, &places, &adapters))?;
//! let loss = cross_entropy(&decoder, outcome.hidden, &[(0, 1037), (1, 2204), (2, 3)])?;
//! let gradients = leaves.gradients(&loss)?;
//! # Ok(())
//! # }
//! ```

mod adapter_file;
mod adapters;
mod architecture;
mod artefact;
mod block;
mod chained;
mod checkpoint;
mod composed;
mod compute;
mod control;
mod course;
mod decoder;
mod dequantise;
mod durable;
mod fused;
mod head;
mod kernels;
mod lora;
mod loss;
mod manifest;
mod optimiser;
mod parameters;
mod pass;
mod real;
mod rotary;
mod rows;
mod stages;
mod state;
mod text;
mod training;
mod trust;
mod weights;

pub use adapter_file::{Change, adapter_bytes, adapter_writer, read_adapter, write_adapter};
pub use adapters::{Adapters, LowRank, Projection};
pub use architecture::{Architecture, Family, LayerAttention};
pub use artefact::{read_artefact, write_artefact};
pub use burn::tensor::{Tensor, activation};
pub use chained::chained;
pub use checkpoint::Checkpoints;
pub use compute::{Compute, check_finite, values, values_f64};
pub use control::{Control, Wish};
pub use course::Course;
pub use decoder::{Decoder, Holding};
pub use dequantise::{dequantise, is_supported};
pub use durable::{keep_value, kept_value};
pub use head::{Head, HeadLoss, HeadTerm, RowTarget, attach};
pub use lora::LoraPlan;
pub use loss::{
    Distillation, Loss, TeacherRow, cosine_distance, cross_entropy, distilled_cross_entropy,
    mean_squared_error, retrieval_loss, rows_at,
};
pub use manifest::{FORMAT, Manifest, Origin, Source};
pub use optimiser::{AdamW, Moments, RateShare, Schedule};
pub use parameters::{Gradients, Leaves, Parameter, Parameters};
pub use pass::{Outcome, Pass};
pub use rows::{KeyValues, Piece, Places};
pub use stages::{
    StageOutcome, TextEvent, TextStage, TextTraining, TrainedText, measure_text, told, train_text,
};
pub use state::{Measured, Snapshot, State};
pub use text::{TextObjective, TextSample, TextSettings, pack};
pub use training::{Ending, Objective, TrainingEvent, TrainingPlan, calibrate, train};
pub use trust::{Chosen, Wanted};
pub use weights::{Packed, Weight, WeightFile};
