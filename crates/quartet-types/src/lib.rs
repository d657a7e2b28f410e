//! The words every Quartet crate speaks: ids, generation requests, answers, events and errors.
//!
//! This crate does no IO and knows no other crate of ours (ARCHITECTURE.md, invariant 1).
//! Everything here can be serialised, because everything here crosses a process border
//! sooner or later: to a worker, into SQLite, or to the window.
//!
//! | module | what it names |
//! |---|---|
//! | [`id`] | one newtype per kind of id |
//! | [`error`] | one [`Error`] with code, message, hint and subject |
//! | [`generation`] | [`GenerationRequest`]: the four ports of private knowledge |
//! | [`adapter`] | LoRA adapters: where they come from, what is known of them |
//! | [`tokens`] | text as a model reads it: tokens and their probability |
//! | [`passage`] | passages that a range of layers may read |
//! | [`engine`] | what the engine worker is asked and replies |
//! | [`document`] | pages, chunks, documents and their status |
//! | [`search`] | queries and passages found |
//! | [`answer`] | an answer with evidence, cost and support |
//! | [`gag`] | how a GAG artefact is made, its routes, its worth |
//! | [`imprag`] | how implicit queries are set up, what they found, what they are worth |
//! | [`contestant`] | a method, or one with a part taken away |
//! | [`chat`] | conversations: turns, what became of them, votes |
//! | [`job`] | long work: stage, rate, ETA, state |

pub mod adapter;
pub mod answer;
pub mod chat;
pub mod contestant;
pub mod document;
pub mod engine;
pub mod error;
pub mod gag;
pub mod generation;
pub mod iag;
pub mod id;
pub mod imprag;
pub mod job;
pub mod passage;
pub mod search;
pub mod tokens;
pub mod training;

pub use adapter::{AdapterDescription, AdapterSource};
pub use answer::{
    Abstention, Answer, AnswerEvent, AnswerSentence, Method, Outcome, Support, Timings, Usage,
};
pub use chat::{ChatPage, ChatSummary, ChatView, Turn, TurnHead, TurnOutcome, Vote, VoteCount};
pub use contestant::{Contestant, Control};
pub use document::{
    Chunk, Collection, Document, DocumentPage, DocumentStatus, Extractor, LinkedFolder,
    PageProblem, PageSpan, PageText, StatusCount,
};
pub use engine::{
    Device, EngineEvent, EngineReply, EngineRequest, FitEstimate, LoadRequest, ModelDescription,
    Pooling,
};
pub use error::{Error, ErrorCode, Result};
pub use gag::{
    ControlResult, GagForm, GagOptions, GagReport, GagTrace, Interval, NamedOption, RouteChoice,
    RouteCorrection, RouteScore, RouterForm, RoutingReport, SlotPooling,
};
pub use generation::{
    AdapterUse, EmbeddingRows, Generation, GenerationLimits, GenerationRequest, Grammar, Message,
    Prompt, Role, Sampling, Segment, StopReason, Tap, TapPoint, TapReading, TapRows, TapUse,
};
pub use iag::{
    CompressionReport, IagFeatures, IagForm, IagMode, IagOptions, IagReport, IagTrace, Imaginer,
    SpecificityReport, TeacherGate, TriedStrength,
};
pub use id::{
    AnswerId, ChatId, ChunkId, CollectionId, DocumentId, JobId, ModelId, PageNumber, Sha256, TurnId,
};
pub use imprag::{
    HubReport, ImpragMode, ImpragReport, ImpragSettings, ImpragTier, ImpragTrace, RetrievalResult,
};
pub use job::{CurvePoint, Job, JobKind, JobProgress, JobState, ProgressUnit};
pub use passage::{
    EncodedPassage, EncodedPassages, PassageRequest, PassageSource, PassageStore, PassageTexts,
    PassageUse, StoredPassage,
};
pub use search::{Passage, SearchHit, SearchTrace};
pub use tokens::{Perplexity, PerplexityRequest, PromptPart, PromptTokens, TokenInput};
pub use training::{Artefact, ArtefactKind, BeforeAfter, ExpertReport, Preset, StageReport};
