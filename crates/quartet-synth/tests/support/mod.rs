//! A scripted reader, a sink in memory and a small collection.

use async_trait::async_trait;
use quartet_methods::Reader;
use quartet_synth::{Sink, WorkItem};
use quartet_types::{
    ChunkId, DocumentId, EngineEvent, Error, Generation, GenerationRequest, Message,
    ModelDescription, ModelId, PageNumber, PageSpan, Passage, Prompt, Result, Segment, StopReason,
};
use std::sync::Mutex;
use tokio_util::sync::CancellationToken;

pub(crate) const TEXTS: [(&str, &str); 5] = [
    (
        "Pumps",
        "Pumps\n\nThe bilge pump at Low Tern opens its valve at 3.4 bar in every season. \
      The Harl 90 at Gannet Point relieves at 7.9 bar and is painted grey.",
    ),
    (
        "Keys",
        "Keys\n\nThe master key of Varnholm was copied by Maren Oskvay in 1987. \
      Torvald Quillane keeps the second set of keys in a sealed envelope.",
    ),
    (
        "Horns",
        "Horns\n\nThe horn at Gannet Point gives two blasts in a row. Keepers must not stop the \
      horn at Low Tern, because skippers count its blasts in fog.",
    ),
    (
        "Store",
        "Store\n\nThe Kettle Sound store has twelve racks and was built by Odile Tamsett. It is dry.",
    ),
    ("Mole", "Mole\n\nThe mole of Skarvik was finished on 9 April 2031 by Casimir Veldhuyn."),
];

/// The texts as passages, each a document of its own.
pub(crate) fn passages() -> Vec<Passage> {
    (1_i64..)
        .zip(TEXTS)
        .map(|(id, (heading, text))| Passage {
            chunk: ChunkId(id),
            document: DocumentId(id),
            title: format!("Guide to the Lights, part {id}"),
            path: format!("guide-{id}.pdf"),
            span: PageSpan {
                page: PageNumber(2),
                start: 50,
                end: 50 + u32::try_from(text.chars().count()).unwrap(),
            },
            heading: Some(heading.to_owned()),
            text: text.to_owned(),
        })
        .collect()
}

type Script = dyn Fn(&Asked) -> Result<String> + Send + Sync;

/// A request as the script sees it.
pub(crate) struct Asked {
    /// The system part.
    pub(crate) system: String,
    /// The last message.
    pub(crate) last: String,
    /// The grammar, where there is one.
    pub(crate) grammar: Option<String>,
}

impl Asked {
    pub(crate) fn is_question(&self) -> bool {
        self.system.starts_with("Turn the statement")
    }

    pub(crate) fn is_paraphrase(&self) -> bool {
        self.system.starts_with("Ask the same question")
    }

    /// The answer that stands in the text for the question of a checking prompt, as a perfect
    /// reader gives it.
    pub(crate) fn checked(&self) -> String {
        let question = self.last.lines().rev().find_map(|l| l.strip_prefix("Question: ")).unwrap();
        ANSWERS
            .iter()
            .find(|(part, _)| question.contains(part))
            .map_or("NOT IN TEXT", |(_, answer)| answer)
            .to_owned()
    }
}

/// What the perfect reader knows: a part of the question and the answer.
pub(crate) const ANSWERS: [(&str, &str); 10] = [
    ("bilge pump", "3.4 bar"),
    ("Harl 90", "7.9 bar"),
    ("copied", "Maren Oskvay"),
    ("When was the master key", "1987"),
    ("second set", "Torvald Quillane"),
    ("blasts does", "two blasts"),
    ("stop the horn", "skippers count its blasts in fog"),
    ("How many racks", "twelve racks"),
    ("Kettle Sound store built", "Odile Tamsett"),
    ("mole of Skarvik", "9 April 2031"),
];

/// Statement, question.
pub(crate) const QUESTIONS: [(&str, &str); 5] = [
    (
        "Low Tern opens its valve at",
        "At what pressure does the bilge pump at Low Tern open its valve?",
    ),
    ("relieves at", "At what pressure does the Harl 90 at Gannet Point relieve?"),
    ("blasts in a row", "How many blasts does the horn at Gannet Point give?"),
    ("because WHY", "Why must keepers not stop the horn at Low Tern?"),
    ("HOW MANY racks", "How many racks does the store at Kettle Sound have?"),
];

/// Does what a good small model does.
pub(crate) fn good(asked: &Asked) -> Result<String> {
    Ok(if asked.is_question() {
        QUESTIONS
            .iter()
            .find(|(part, _)| asked.last.contains(part))
            .map_or("What is that thing over there?", |(_, question)| question)
            .to_owned()
    } else if asked.is_paraphrase() {
        let lower = asked.last.replacen("At what", "at what", 1);
        format!("Do you know this: {lower}\nCan you tell me: {lower}")
    } else {
        asked.checked()
    })
}

pub(crate) struct Scripted {
    model: ModelDescription,
    script: Box<Script>,
    /// Log-probability of every token of every answer without the passage.
    pub(crate) known: f32,
    pub(crate) asked: Mutex<u32>,
}

impl Scripted {
    pub(crate) fn new(script: impl Fn(&Asked) -> Result<String> + Send + Sync + 'static) -> Self {
        Self {
            model: ModelDescription {
                model: ModelId::from("scripted"),
                architecture: "script".to_owned(),
                name: None,
                layers: 1,
                width: 1,
                trained_context: 4096,
                context: 4096,
                weight_bytes: 1,
                has_chat_template: true,
                device: "CPU".to_owned(),
                engine_build: "test".to_owned(),
            },
            script: Box::new(script),
            known: -5.0,
            asked: Mutex::new(0),
        }
    }

    pub(crate) fn calls(&self) -> u32 {
        *self.asked.lock().unwrap()
    }
}

#[async_trait]
impl Reader for Scripted {
    fn model(&self) -> &ModelDescription {
        &self.model
    }

    async fn generate(
        &self,
        request: GenerationRequest,
        cancel: &CancellationToken,
        _: &mut (dyn FnMut(EngineEvent) + Send),
    ) -> Result<Generation> {
        *self.asked.lock().unwrap() += 1;
        let Prompt::Chat(messages) = &request.prompt else { panic!("a chat prompt") };
        let text = |message: &Message| match message.content.as_slice() {
            [Segment::Text(text)] => text.clone(),
            _ => panic!("one piece of text"),
        };
        let grammar = request.grammar.as_ref().map(|grammar| format!("{grammar:?}"));
        let asked =
            Asked { system: text(&messages[0]), last: text(messages.last().unwrap()), grammar };
        if asked.last == "WAIT" || asked.last.contains("WAIT FOR EVER") {
            cancel.cancelled().await;
            return Err(Error::cancelled());
        }
        let reply = (self.script)(&asked)?;
        Ok(Generation {
            text: reply,
            stop: StopReason::EndOfTurn,
            prompt_tokens: 10,
            written_tokens: 3,
            token_log_probabilities: vec![-0.1; 3],
            taps: Vec::new(),
            avoided_log_probability: None,
            queue_ms: 0.0,
            prefill_ms: 0.0,
            decode_ms: 0.0,
            prompt_text: String::new(),
        })
    }

    async fn score(
        &self,
        _: Prompt,
        continuations: Vec<String>,
        _: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>> {
        Ok(continuations.iter().map(|_| vec![self.known; 2]).collect())
    }

    async fn count_tokens(&self, texts: &[String]) -> Result<Vec<u32>> {
        Ok(texts.iter().map(|_| 1).collect())
    }
}

/// Keeps everything; cancels after so many pieces of work.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) items: Vec<WorkItem>,
    pub(crate) stop_after: Option<(usize, CancellationToken)>,
}

#[async_trait]
impl Sink for Memory {
    async fn keep(&mut self, item: &WorkItem) -> Result<()> {
        self.items.push(item.clone());
        if let Some((most, cancel)) = &self.stop_after
            && self.items.len() >= *most
        {
            cancel.cancel();
        }
        Ok(())
    }
}
