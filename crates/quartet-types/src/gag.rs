//! Generation-augmented generation (GAG): how it is made, where a question went, what it is
//! worth.

use crate::answer::Usage;
use crate::id::{CollectionId, Sha256};
use crate::training::StageReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use ts_rs::TS;

/// Which of the two published forms is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum GagForm {
    /// The first form (version 1 of the paper): the state of the last token written at one
    /// layer, through a projector of two linear layers, as one row.
    OneToken,
    /// The current form (version 4): four layers by four slots, mixed by slot, through a gated
    /// residual projector, as four rows.
    #[default]
    Slots,
}

/// How the states of a segment's tokens become one slot.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SlotPooling {
    /// Weights are a softmax over the lengths of the rows, divided by a temperature (the paper
    /// takes 1, which in small models leaves one token of each segment).
    NormSoftmax {
        /// Divides the lengths.
        temperature: f32,
    },
    /// The same with the lengths' own standard deviation as temperature.
    ScaledNormSoftmax,
    /// All rows alike.
    Mean,
}

/// How questions are routed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum RouterForm {
    /// As published: the untaught expert encodes, at most 32 prototypes, the nearest counts.
    Prototypes,
    /// The embedder encodes, every question, chunk and sentence is a prototype, and the three
    /// nearest count.
    #[default]
    Neighbours,
}

/// How a GAG artefact is made. Everything that leaves the paper is a field here with a value
/// that keeps to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct GagOptions {
    /// Which form.
    pub form: GagForm,
    /// Layers read out, counted from the end as in the paper: 1 is the final normalisation,
    /// `k` from 2 on the output of block `layers - k`.
    pub readout: Vec<u32>,
    /// Slots, and rows injected.
    pub slots: u32,
    /// How tokens become slots.
    pub pooling: SlotPooling,
    /// Standardise each channel by mean and deviation over the training memories, before the
    /// clamp. The paper does not.
    pub standardise: bool,
    /// Begin with rows as long as the base's own token embeddings. The paper's start makes them
    /// about thirty times as long.
    pub match_scale: bool,
    /// Train the projector on wordings that the expert was not taught. The paper does not.
    pub cross_fit: bool,
    /// How questions find it.
    #[serde(default)]
    pub router: RouterForm,
    /// Tokens the expert writes, at most.
    pub background_tokens: u32,
    /// Weight of the semantic loss.
    pub semantic: f64,
    /// Weight of the diversity loss.
    pub diversity: f64,
}

impl GagOptions {
    /// The form's own values, with the changes that small models need.
    #[must_use]
    pub fn new(form: GagForm) -> Self {
        let slots = Self {
            form,
            readout: vec![1, 2, 4, 6],
            slots: 4,
            pooling: SlotPooling::ScaledNormSoftmax,
            standardise: true,
            match_scale: true,
            cross_fit: true,
            router: RouterForm::Neighbours,
            background_tokens: 48,
            semantic: 0.01,
            diversity: 0.001,
        };
        match form {
            GagForm::Slots => slots,
            GagForm::OneToken => Self {
                readout: vec![4],
                slots: 1,
                pooling: SlotPooling::Mean,
                semantic: 0.0,
                diversity: 0.0,
                ..slots
            },
        }
    }

    /// The form exactly as published.
    #[must_use]
    pub fn published(form: GagForm) -> Self {
        Self {
            pooling: match form {
                GagForm::Slots => SlotPooling::NormSoftmax { temperature: 1.0 },
                GagForm::OneToken => SlotPooling::Mean,
            },
            standardise: false,
            match_scale: false,
            cross_fit: false,
            router: RouterForm::Prototypes,
            background_tokens: 640,
            ..Self::new(form)
        }
    }
}

impl Default for GagOptions {
    fn default() -> Self {
        Self::new(GagForm::default())
    }
}

/// A route that a person chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum RouteChoice {
    /// The base model alone.
    General,
    /// The expert on this collection.
    Domain(CollectionId),
}

/// How near a question is to a route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RouteScore {
    /// The route.
    pub route: RouteChoice,
    /// For people: the collection's name, or `general`.
    pub name: String,
    /// Cosine with the nearest of its prototypes, -1 to 1.
    pub score: f32,
}

/// A question that a person sent elsewhere; it is one more prototype of that route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct RouteCorrection {
    /// Its id.
    #[ts(type = "number")]
    pub id: i64,
    /// The question.
    pub question: String,
    /// Where it belongs.
    pub route: RouteChoice,
}

/// How an answer by GAG came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct GagTrace {
    /// The route taken.
    pub route: RouteChoice,
    /// Every route with its score, best first.
    pub scores: Vec<RouteScore>,
    /// Whether a person chose the route for this question.
    pub pinned: bool,
    /// What the expert wrote: its own words, from memory, and no evidence of anything. Empty on
    /// the general route.
    pub background: String,
    /// Rows injected; 0 on the general route.
    pub rows: u32,
    /// Whether the expert's states were kept from an earlier time.
    pub cached: bool,
    /// What the expert read and wrote.
    pub expert: Usage,
    /// Choosing the route, in milliseconds.
    pub route_ms: f64,
    /// The expert's reading and writing, in milliseconds.
    pub expert_ms: f64,
    /// Pooling, mixing and projecting, in milliseconds.
    pub project_ms: f64,
}

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct Interval {
    /// The mean.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// A trained method against one control: the same method with a part of it taken away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct ControlResult {
    /// The control: `shuffled`, `constant`, ...
    pub name: String,
    /// What was measured: `nll` or `f1`.
    pub metric: String,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// The method.
    pub method: Interval,
    /// Its control, on the same questions.
    pub control: Interval,
    /// Method minus control, question by question.
    pub difference: Interval,
}

impl ControlResult {
    /// Whether the whole interval of the difference lies on the better side of zero.
    #[must_use]
    pub fn is_beaten(&self) -> bool {
        if self.higher_is_better { self.difference.low > 0.0 } else { self.difference.high < 0.0 }
    }
}

/// How well questions find their route, measured on questions outside the banks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct RoutingReport {
    /// Prototypes of this domain.
    pub prototypes: u32,
    /// Routes to choose from, general included.
    pub routes: u32,
    /// Questions of this domain, and how many of them came here.
    pub domain: (u32, u32),
    /// Everyday questions, and how many of them stayed general.
    pub general: (u32, u32),
}

/// A deviation from the paper, on or off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct NamedOption {
    /// Its name.
    pub name: String,
    /// Whether it was in force.
    pub on: bool,
    /// What it does and why.
    pub why: String,
}

/// What a GAG artefact is made of and what it is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct GagReport {
    /// How it was made.
    pub options: GagOptions,
    /// The same in words: where it leaves the paper.
    pub deviations: Vec<NamedOption>,
    /// The expert it listens to: digest of its adapter.
    pub expert: Sha256,
    /// That expert's model, by name.
    pub expert_model: String,
    /// Digest of that model's file.
    pub expert_model_sha256: Sha256,
    /// Numbers trained: projector and layer mix.
    #[ts(type = "number")]
    pub parameters: u64,
    /// Wordings the projector was trained on.
    pub memories: u32,
    /// Visits to them.
    #[ts(type = "number")]
    pub visits: u64,
    /// Questions measured on, all in wordings nobody was trained on.
    pub questions: u32,
    /// How many of them were answered too, for F1.
    #[serde(default)]
    pub answered: u32,
    /// Against each control.
    pub controls: Vec<ControlResult>,
    /// Loss of the right answer, in nats per token, had the expert written it: about the least
    /// that these rows and this projector could reach. Never trained on.
    #[serde(default)]
    pub oracle: Option<f64>,
    /// The router.
    pub routing: RoutingReport,
    /// The stage of training.
    pub stages: Vec<StageReport>,
    /// Wall time of each part of the work, in seconds.
    pub seconds: BTreeMap<String, f64>,
    /// Seconds foretold for training before its first update.
    pub foretold_seconds: Option<f64>,
}

impl GagReport {
    /// Whether the expert's states themselves make a difference: better than those of another
    /// question and better than one for all. Otherwise it is prompt tuning and no more.
    #[must_use]
    pub fn carries_information(&self) -> bool {
        let nll =
            |name: &str| self.controls.iter().find(|one| one.name == name && one.metric == "nll");
        ["shuffled", "constant"].iter().all(|name| nll(name).is_some_and(ControlResult::is_beaten))
    }
}
