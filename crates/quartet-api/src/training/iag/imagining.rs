//! Documents and features of the questions of the second part, as they will be when somebody
//! asks: by the taught imagine model and the bare base, in the engine.

use super::Asked;
use crate::engine::BaseReader;
use crate::training::folder::WorkFolder;
use crate::training::pace::{Detail, Pace};
use quartet_methods::iag::features::pooled;
use quartet_methods::iag::imagining::imagine;
use quartet_types::{AdapterUse, Error, IagFeatures, IagOptions, ProgressUnit, Result};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// The part of the work that is told meanwhile.
pub(super) const WRITING: &str = "imagining documents";
const FILE: &str = "imagined.json";
/// Finished ones are kept every so many.
const KEPT_EVERY: usize = 8;

/// A question's document and what the base makes of both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Imagined {
    pub(super) document: String,
    /// Tokens written.
    pub(super) tokens: u32,
    /// `[width]`, before whitening.
    pub(super) features: Vec<f32>,
    /// The same of the question without its document, and of its other wordings.
    #[serde(default)]
    pub(super) alone: Vec<Vec<f32>>,
}

/// Who writes and who reads.
pub(super) struct Writing<'a> {
    pub(super) options: &'a IagOptions,
    pub(super) imaginer: &'a BaseReader,
    pub(super) adapters: &'a [AdapterUse],
    pub(super) reader: &'a BaseReader,
    pub(super) folder: &'a WorkFolder,
}

impl Writing<'_> {
    /// One for each question, in their order; what was made earlier is kept.
    pub(super) async fn all(
        &self,
        asked: &[&Asked],
        pace: &Pace<'_>,
        stop: &CancellationToken,
    ) -> Result<Vec<Imagined>> {
        let mut made: Vec<Imagined> = self.folder.load(FILE)?.unwrap_or_default();
        made.truncate(asked.len());
        let (total, first) = (asked.len() as u64, made.len());
        pace.begin(WRITING, first as u64);
        for one in &asked[first..] {
            if stop.is_cancelled() {
                self.folder.store(FILE, &made)?;
                return Err(Error::cancelled());
            }
            made.push(self.one(one, stop).await?);
            if made.len().is_multiple_of(KEPT_EVERY) {
                self.folder.store(FILE, &made)?;
            }
            pace.tell(made.len() as u64, total, ProgressUnit::Questions, Detail::Nothing).await;
        }
        self.folder.store(FILE, &made)?;
        Ok(made)
    }

    async fn one(&self, asked: &Asked, stop: &CancellationToken) -> Result<Imagined> {
        let tokens = self.options.document_tokens;
        let question = &asked.question;
        let written = imagine(question, self.imaginer, self.adapters, tokens, stop).await?;
        let beside = match self.options.features {
            IagFeatures::QuestionAndDocument => written.text.as_str(),
            IagFeatures::Question => "",
        };
        let features = pooled(question, beside, self.reader, stop).await?.vector;
        let mut alone = Vec::new();
        for wording in asked.alone() {
            alone.push(pooled(wording, "", self.reader, stop).await?.vector);
        }
        let tokens = written.usage.tokens_written;
        Ok(Imagined { tokens, document: written.text, features, alone })
    }
}

/// Mean length of a document in tokens of the imagine model.
pub(super) fn mean_tokens(imagined: &[Imagined]) -> f64 {
    let sum: f64 = imagined.iter().map(|one| f64::from(one.tokens)).sum();
    sum / imagined.len().max(1) as f64
}
