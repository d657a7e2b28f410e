//! What is trained here, and what is known of it.

use crate::gag::GagReport;
use crate::iag::IagReport;
use crate::id::{CollectionId, Sha256};
use crate::imprag::ImpragReport;
use crate::job::CurvePoint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use ts_rs::TS;

/// How much time a training may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// About ten minutes: a first look.
    Quick,
    /// About an hour.
    #[default]
    Standard,
    /// Over night.
    Thorough,
}

impl Preset {
    /// All of them, shortest first.
    pub const ALL: [Self; 3] = [Self::Quick, Self::Standard, Self::Thorough];

    /// The name used in commands and files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Standard => "standard",
            Self::Thorough => "thorough",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Preset {
    type Err = crate::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == name).ok_or_else(|| {
            crate::Error::new(
                crate::ErrorCode::InvalidInput,
                format!("`{name}` is not a preset; there are quick, standard and thorough"),
            )
        })
    }
}

/// What an artefact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ArtefactKind {
    /// A small model's adapter that knows a collection.
    Expert,
    /// A projector that lets a base model listen to that expert, with its router's prototypes.
    Gag,
    /// Adapters with which a base model retrieves for itself.
    Imprag,
    /// What imagines a document and weights for a question.
    Iag,
}

impl ArtefactKind {
    /// The name used in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expert => "expert",
            Self::Gag => "gag",
            Self::Imprag => "imprag",
            Self::Iag => "iag",
        }
    }
}

/// Something trained here, with what it was made from and what it is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Artefact {
    /// What it is.
    pub kind: ArtefactKind,
    /// The collection it knows.
    pub collection: CollectionId,
    /// Its name.
    pub collection_name: String,
    /// How long it was trained.
    pub preset: Preset,
    /// The model it belongs to, by name.
    pub model: String,
    /// Digest of that model's file.
    pub model_sha256: Sha256,
    /// The model that wrote the study material, by name; `None` where only rules did.
    pub writer: Option<String>,
    /// State of the collection it was trained on.
    pub fingerprint: String,
    /// Digest of the file with what was trained: an adapter, or the tensors of a projector.
    pub adapter: Sha256,
    /// When it was finished, seconds since 1970.
    pub created_at: i64,
    /// What was measured of an expert; empty for anything else.
    #[serde(default)]
    pub report: ExpertReport,
    /// What a GAG artefact is made of and what it is worth.
    #[serde(default)]
    pub gag: Option<GagReport>,
    /// What an ImpRAG artefact is made of and what it is worth.
    #[serde(default)]
    pub imprag: Option<ImpragReport>,
    /// What an IAG artefact is made of and what it is worth.
    #[serde(default)]
    pub iag: Option<IagReport>,
    /// Whether documents have changed since.
    #[serde(default)]
    pub stale: bool,
}

/// What a domain expert is worth, measured on what it was not trained on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct ExpertReport {
    /// Perplexity on passages of the collection that were held out of all training; `None` for
    /// a collection too small to hold any out.
    pub in_domain: Option<BeforeAfter>,
    /// Perplexity on everyday text that has nothing to do with the collection.
    pub general: BeforeAfter,
    /// Token F1 of the expert alone, without any document, on held-out wordings of questions
    /// whose other wordings were trained; 0 to 1. `None` where there was none to ask.
    pub closed_book_f1: Option<BeforeAfter>,
    /// How many questions that was.
    pub questions: u32,
    /// Passages held out of all training.
    pub held_out_passages: u32,
    /// Passages trained on.
    pub passages: u32,
    /// Rows of study material by what made them.
    pub rows: BTreeMap<String, u64>,
    /// Rows that were dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// The stages of training.
    pub stages: Vec<StageReport>,
    /// Wall time of each part of the work, in seconds.
    pub seconds: BTreeMap<String, f64>,
    /// Seconds that were foretold for the stages before the first of them began.
    pub foretold_seconds: Option<f64>,
}

/// A figure without and with what was trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct BeforeAfter {
    /// Without.
    pub before: f64,
    /// With.
    pub after: f64,
}

impl BeforeAfter {
    /// By which share it changed: -0.3 is a fall by 30 %.
    #[must_use]
    pub fn change(self) -> f64 {
        self.after / self.before - 1.0
    }
}

/// A stage of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct StageReport {
    /// Its name.
    pub name: String,
    /// Its loss curve.
    pub curve: Vec<CurvePoint>,
    /// Whether it ended because the held-out loss no longer fell.
    pub is_early: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_read_as_they_are_written() {
        for preset in Preset::ALL {
            assert_eq!(preset.to_string().parse::<Preset>().unwrap(), preset);
        }
        assert!("slow".parse::<Preset>().unwrap_err().message.contains("slow"));
    }

    #[test]
    fn change_is_a_share() {
        assert!((BeforeAfter { before: 20.0, after: 15.0 }.change() + 0.25).abs() < 1e-12);
    }
}
