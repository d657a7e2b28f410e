//! Which base model this machine can carry: measured once for about a second, remembered.

use crate::engine::{BaseReader, Engine};
use crate::models::{InstalledModel, ModelStore, write_atomically};
use crate::settings::Settings;
use quartet_methods::Reader;
use quartet_types::{EngineEvent, GenerationRequest, Prompt, Result, Segment};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use ts_rs::TS;

/// The better base, and the one for weak machines and quick tests.
const STANDARD: &str = "standard";
const SMALL: &str = "small";

/// A RAG prompt has about this many tokens, and a person waits about this long for a first word.
const PROMPT_TOKENS: f64 = 800.0;
const PATIENCE_SECONDS: f64 = 20.0;

/// What was measured, and what follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct MachineProfile {
    /// The base model chosen.
    pub base: String,
    /// Why, in one sentence for people.
    pub reason: String,
    /// Prompt tokens per second of the small base, as measured.
    pub small_tokens_per_second: Option<f64>,
}

/// The base to use: as asked for, as set, as remembered, else as measured now.
pub(crate) async fn choose_base(
    asked: Option<&str>,
    settings: &Settings,
    models: &ModelStore,
    engine: &Arc<Engine>,
    profile_path: &Path,
    cancel: &CancellationToken,
) -> Result<InstalledModel> {
    if let Some(name) = asked {
        return models.find(name);
    }
    if settings.base != "auto" {
        return models.find(&settings.base);
    }
    let remembered: Option<MachineProfile> =
        std::fs::read(profile_path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(profile) = remembered
        && let Ok(model) = models.find(&profile.base)
    {
        return Ok(model);
    }
    let (model, profile) = measure(settings, models, engine, cancel).await?;
    if let Ok(bytes) = serde_json::to_vec_pretty(&profile) {
        // Only remembered, so a data folder that cannot be written costs a second per start.
        let _ = write_atomically(profile_path, &bytes);
    }
    Ok(model)
}

async fn measure(
    settings: &Settings,
    models: &ModelStore,
    engine: &Arc<Engine>,
    cancel: &CancellationToken,
) -> Result<(InstalledModel, MachineProfile)> {
    let decided = |model: InstalledModel, reason: String, rate: Option<f64>| {
        let base = model.name.0.clone();
        (model, MachineProfile { base, reason, small_tokens_per_second: rate })
    };
    let (standard, small) = match (models.find(STANDARD), models.find(SMALL)) {
        (Ok(standard), Ok(small)) => (standard, small),
        (Ok(only), Err(_)) | (Err(_), Ok(only)) => {
            return Ok(decided(only, "it is the only base installed".to_owned(), None));
        }
        (Err(error), Err(_)) => return Err(error),
    };
    let fit = match &standard.path {
        Some(path) => models.fit(path, settings.context)?,
        None => return Ok(decided(small, "standard is not installed".to_owned(), None)),
    };
    if !fit.fits {
        return Ok(decided(small, "standard does not fit into memory".to_owned(), None));
    }
    let rate = prompt_rate(&small, engine, cancel).await?;
    // Reading time grows with the size of the weights.
    #[expect(clippy::cast_precision_loss, reason = "a ratio of file sizes")]
    let expected = rate * small.size as f64 / standard.size as f64;
    let wait = PROMPT_TOKENS / expected.max(0.001);
    let choice = if wait <= PATIENCE_SECONDS { standard } else { small };
    let reason = format!(
        "standard would read about {expected:.0} tokens/s here, so a first word after {wait:.0} s"
    );
    Ok(decided(choice, reason, Some(rate)))
}

/// Prompt tokens per second over a prompt of about a second.
async fn prompt_rate(
    model: &InstalledModel,
    engine: &Arc<Engine>,
    cancel: &CancellationToken,
) -> Result<f64> {
    let ignore = |_: EngineEvent| {};
    let reader = BaseReader::load(Arc::clone(engine), model.clone(), cancel, ignore).await?;
    let text = "The lamp was lit at dusk and the keeper wrote the hour into the book. ".repeat(12);
    let prompt = Prompt::Raw(vec![Segment::Text(text)]);
    let mut request = GenerationRequest::new(model.name.clone(), prompt);
    request.limits.max_tokens = 1;
    let generation = reader.generate(request, cancel, &mut |_| {}).await?;
    Ok(f64::from(generation.prompt_tokens) * 1000.0 / generation.prefill_ms.max(0.001))
}
