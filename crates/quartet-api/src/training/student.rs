//! The expert model as the pipeline sees it: its tokens, its turns, how it reads and answers.

use crate::engine::{Engine, unexpected};
use crate::models::InstalledModel;
use quartet_methods::Thought;
use quartet_methods::expert::{Lesson, Turns};
use quartet_methods::gag::memory::{Memory, pool, tap_of};
use quartet_methods::gag::router::mean_of_rows;
use quartet_train::TextSample;
use quartet_types::{
    AdapterSource, AdapterUse, EngineReply, EngineRequest, Error, GagOptions, Generation,
    GenerationLimits, GenerationRequest, ModelDescription, ModelId, Perplexity, PerplexityRequest,
    Prompt, PromptPart, Result, Sampling, Segment, Sha256, Tap, TapPoint, TapRows, TapUse,
    TokenInput, Usage,
};
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Context of the expert, in tokens: a chunk, or a question and its answer.
const CONTEXT: u32 = 1024;
/// Tokens of an answer, at most.
const ANSWER_TOKENS: u32 = 48;
/// Characters of a question that the router looks at: the paper's 256 tokens.
const MOST_ENCODED: usize = 1_000;
/// Texts that are split into tokens in one request.
const TEXTS_AT_ONCE: usize = 256;

/// A loaded expert model.
pub(crate) struct Student {
    engine: Arc<Engine>,
    model: ModelId,
    description: ModelDescription,
    cancel: CancellationToken,
    /// Its turn format.
    pub(super) turns: Turns,
    /// What every sequence begins with, if anything.
    start: Vec<u32>,
}

impl Student {
    pub(crate) async fn load(
        engine: &Arc<Engine>,
        model: &InstalledModel,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        let description = engine.load(model, CONTEXT, cancel, |_| {}).await?;
        let mut student = Self {
            engine: Arc::clone(engine),
            model: model.name.clone(),
            description,
            cancel: cancel.clone(),
            turns: Turns::Plain,
            start: Vec::new(),
        };
        for (turns, marker) in Turns::MARKERS {
            if student.tokens(&[marker.to_owned()], true).await?[0].len() == 1 {
                student.turns = turns;
                break;
            }
        }
        student.start = student.start_tokens().await?;
        Ok(student)
    }

    /// The model's name.
    pub(crate) fn name(&self) -> &str {
        &self.model.0
    }

    /// What serves it.
    pub(crate) fn engine_build(&self) -> &str {
        &self.description.engine_build
    }

    /// The model's width.
    pub(crate) fn width(&self) -> usize {
        self.description.width as usize
    }

    /// A question as the router compares it (GAG card, section 5): the untaught model, no
    /// template, the mean over its tokens of the finally normalised states, at unit length. The
    /// start token is left out: it is the same in every question.
    pub(crate) async fn encode(&self, question: &str) -> Result<Vec<f32>> {
        let head: String = self.turns.plain(question).chars().take(MOST_ENCODED).collect();
        let prompt = Prompt::Raw(vec![Segment::Text(head)]);
        let mut request = GenerationRequest::new(self.model.clone(), prompt);
        let tap = Tap { point: TapPoint::FinalNorm, layer: 0, stop_after: true };
        request.taps = vec![TapUse { tap, rows: TapRows::Prompt }];
        request.limits.context = Some(CONTEXT);
        let generation = self.generate(request).await?;
        let reading = generation.taps.first().ok_or_else(|| Error::internal("no tap was read"))?;
        let width = reading.width as usize;
        let rows = reading.values.get(self.start.len() * width..).unwrap_or(&[]);
        let rows = if rows.is_empty() { &reading.values } else { rows };
        Ok(mean_of_rows(rows, width))
    }

    /// Thinks about a question: writes, and its states while writing are pooled (section 3).
    pub(crate) async fn think(
        &self,
        question: &str,
        adapters: &[AdapterUse],
        options: &GagOptions,
    ) -> Result<Thought> {
        let mut request = GenerationRequest::new(self.model.clone(), self.turns.prompt(question));
        request.adapters = adapters.to_vec();
        request.limits = GenerationLimits {
            max_tokens: options.background_tokens,
            context: Some(CONTEXT),
            stop: self.turns.stops(),
        };
        for from_end in &options.readout {
            let tap = tap_of(*from_end, self.description.layers)?;
            request.taps.push(TapUse { tap, rows: TapRows::Written });
        }
        let generation = self.generate(request).await?;
        let usage = Usage {
            tokens_read: generation.prompt_tokens,
            tokens_written: generation.written_tokens,
            bytes_read: 0,
        };
        let readings: Vec<Vec<f32>> =
            generation.taps.into_iter().map(|reading| reading.values).collect();
        let memory = match readings.iter().any(|values| !values.is_empty()) {
            true => Some(pool(&readings, self.width(), options)?),
            false => None,
        };
        Ok(Thought { memory, text: generation.text.trim().to_owned(), usage, cached: false })
    }

    /// As [`Student::think`], had it written this answer.
    pub(crate) async fn think_of(
        &self,
        question: &str,
        answer: &str,
        adapters: &[AdapterUse],
        options: &GagOptions,
    ) -> Result<Option<Memory>> {
        let answer = self.turns.plain(answer);
        let rows = self.tokens(std::slice::from_ref(&answer), true).await?.remove(0).len();
        let Prompt::Raw(mut pieces) = self.turns.prompt(question) else {
            return Err(Error::internal("a turn that is no raw prompt"));
        };
        pieces.push(Segment::Text(answer));
        let mut request = GenerationRequest::new(self.model.clone(), Prompt::Raw(pieces));
        request.adapters = adapters.to_vec();
        request.limits.max_tokens = 1;
        request.limits.context = Some(CONTEXT);
        for from_end in &options.readout {
            let tap = tap_of(*from_end, self.description.layers)?;
            request.taps.push(TapUse { tap, rows: TapRows::Prompt });
        }
        let width = self.width();
        let last = |values: Vec<f32>| {
            let start = values.len().saturating_sub(rows * width);
            values.get(start..).unwrap_or(&[]).to_vec()
        };
        let taps = self.generate(request).await?.taps;
        let readings: Vec<Vec<f32>> = taps.into_iter().map(|one| last(one.values)).collect();
        if rows == 0 {
            return Ok(None);
        }
        pool(&readings, width, options).map(Some)
    }

    /// What the engine puts before a prompt: all that is there besides the prompt's own tokens.
    async fn start_tokens(&self) -> Result<Vec<u32>> {
        let probe = "a".to_owned();
        let own = self.tokens(std::slice::from_ref(&probe), true).await?.remove(0);
        let prompt = Prompt::Raw(vec![Segment::Text(probe)]);
        let request = EngineRequest::ReadPrompt { model: self.model.clone(), prompt };
        let read = match self.call(request).await? {
            EngineReply::PromptRead(read) => read,
            other => return Err(unexpected(&other)),
        };
        let mut all: Vec<u32> = Vec::new();
        for part in read.parts {
            if let PromptPart::Tokens(tokens) = part {
                all.extend(tokens);
            }
        }
        all.truncate(all.len().saturating_sub(own.len()));
        Ok(all)
    }

    async fn call(&self, request: EngineRequest) -> Result<EngineReply> {
        self.engine.call(request, &self.cancel, |_| {}).await
    }

    async fn tokens(&self, texts: &[String], special: bool) -> Result<Vec<Vec<u32>>> {
        let mut all = Vec::with_capacity(texts.len());
        for texts in texts.chunks(TEXTS_AT_ONCE) {
            let request = EngineRequest::Tokenise {
                model: self.model.clone(),
                texts: texts.to_vec(),
                special,
            };
            match self.call(request).await? {
                EngineReply::Tokens(tokens) => all.extend(tokens),
                other => return Err(unexpected(&other)),
            }
        }
        Ok(all)
    }

    /// Lessons as samples: start token, what is read, what is learnt. Text of documents and
    /// questions never becomes control tokens.
    pub(super) async fn samples(&self, lessons: &[Lesson]) -> Result<Vec<TextSample>> {
        let part = |text: fn(&Lesson) -> &String| lessons.iter().map(text).cloned().collect();
        let texts: [Vec<String>; 5] = [
            part(|lesson| &lesson.read),
            part(|lesson| &lesson.question),
            part(|lesson| &lesson.then),
            part(|lesson| &lesson.learn),
            part(|lesson| &lesson.end),
        ];
        let mut parts = Vec::new();
        for (index, texts) in texts.iter().enumerate() {
            let is_ours = index % 2 == 0;
            parts.push(self.tokens(texts, is_ours).await?);
        }
        Ok((0..lessons.len())
            .map(|index| {
                let mut ids = self.start.clone();
                for part in &parts[..3] {
                    ids.extend(&part[index]);
                }
                let learn_from = ids.len().max(1);
                ids.extend(&parts[3][index]);
                ids.extend(&parts[4][index]);
                TextSample { ids, learn_from }
            })
            .collect())
    }

    /// Tokens as samples of which everything is learnt.
    pub(super) fn whole(&self, tokens: &[u32]) -> TextSample {
        let mut ids = self.start.clone();
        ids.extend(tokens);
        TextSample::whole(ids)
    }

    /// Log-probabilities of a text's tokens.
    pub(super) async fn perplexity(
        &self,
        text: &str,
        adapters: &[AdapterUse],
    ) -> Result<Perplexity> {
        let request = PerplexityRequest {
            model: self.model.clone(),
            input: TokenInput::Text { text: text.to_owned(), special: false },
            window: None,
            overlap: 1,
            adapters: adapters.to_vec(),
        };
        match self.call(EngineRequest::Perplexity(request)).await? {
            EngineReply::Perplexity(perplexity) => Ok(perplexity),
            other => Err(unexpected(&other)),
        }
    }

    /// Answers a question from memory.
    pub(crate) async fn answer(
        &self,
        question: &str,
        adapters: &[AdapterUse],
    ) -> Result<Generation> {
        let mut request = GenerationRequest::new(self.model.clone(), self.turns.prompt(question));
        request.adapters = adapters.to_vec();
        request.limits = GenerationLimits {
            max_tokens: ANSWER_TOKENS,
            context: Some(CONTEXT),
            stop: self.turns.stops(),
        };
        self.generate(request).await
    }

    /// Text that the model writes when nobody asks anything.
    pub(super) async fn recall(&self, opening: &str, tokens: u32, seed: u32) -> Result<Vec<u32>> {
        let prompt = Prompt::Raw(vec![Segment::Text(opening.to_owned())]);
        let mut request = GenerationRequest::new(self.model.clone(), prompt);
        request.sampling = Sampling { temperature: 1.0, seed, ..Sampling::greedy() };
        request.limits =
            GenerationLimits { max_tokens: tokens, context: Some(CONTEXT), stop: Vec::new() };
        let text = format!("{opening}{}", self.generate(request).await?.text);
        Ok(self.tokens(&[text], false).await?.remove(0))
    }

    async fn generate(&self, request: GenerationRequest) -> Result<Generation> {
        match self.call(EngineRequest::Generate(request)).await? {
            EngineReply::Generated(generation) => Ok(generation),
            other => Err(unexpected(&other)),
        }
    }

    /// Has the engine know an adapter file.
    pub(crate) async fn take_adapter(&self, path: &Path) -> Result<Sha256> {
        let request = EngineRequest::LoadAdapter {
            model: self.model.clone(),
            source: AdapterSource::File(path.to_owned()),
        };
        match self.call(request).await? {
            EngineReply::AdapterLoaded(adapter) => Ok(adapter.adapter),
            other => Err(unexpected(&other)),
        }
    }
}
