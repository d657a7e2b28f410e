//! What the window is told.

use crate::machine::MachineProfile;
use crate::models::ModelRole;
use crate::settings::Settings;
use quartet_types::{
    AnswerEvent, CurvePoint, Document, Error, FitEstimate, Job, Method, PageNumber, TurnId,
};
use serde::Serialize;
use ts_rs::TS;

/// What the window needs to know at its start.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Hello {
    /// Quartet's version.
    pub version: String,
    /// `auto`, `en` or `de`.
    pub language: String,
    /// `auto`, `light` or `dark`.
    pub theme: String,
    /// The data folder.
    pub data_folder: String,
    /// What stands in the way of answering, such as a model that is not installed.
    pub problems: Vec<Error>,
}

/// Whether a method can answer from a collection.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct MethodStatus {
    /// The method.
    pub method: Method,
    /// Whether it can answer.
    pub state: MethodState,
    /// What it needs before it can answer, in a sentence.
    pub needs: Option<String>,
    /// How long getting ready will take, in seconds, where it can be estimated.
    pub estimate_seconds: Option<f64>,
    /// Whether `start_training` can begin with it now.
    pub can_start: bool,
}

/// Whether a method can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum MethodState {
    /// It can answer now.
    Ready,
    /// It must be trained on the collection first.
    NeedsTraining,
}

/// A page of a document as Quartet read it.
#[derive(Debug, Clone, Serialize, TS)]
pub struct PageOfDocument {
    /// The document.
    pub document: Document,
    /// The page.
    pub page: PageNumber,
    /// Its text, which character spans refer to; `None` if the page could not be read.
    pub text: Option<String>,
}

/// Files the user chose: dropped, picked in a dialog, or uploaded. The page sees this id and
/// never chooses a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct Pick {
    /// Its id.
    pub id: String,
    /// Names of the first few, without folders.
    pub names: Vec<String>,
    /// Files among them.
    pub files: u32,
    /// Folders among them.
    pub folders: u32,
}

/// A job with what a window shows beside it.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
pub struct JobView {
    /// The job.
    pub job: Job,
    /// The name of its collection.
    pub collection: Option<String>,
    /// The loss so far, for training.
    pub curve: Vec<CurvePoint>,
}

/// A conversation as a file.
#[derive(Debug, Clone, Serialize, TS)]
pub struct ExportedChat {
    /// A file name to offer.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its content.
    pub content: String,
}

/// The models, and which one answers.
#[derive(Debug, Clone, Serialize, TS)]
pub struct ModelsView {
    /// Every model of the catalog, then every other model found.
    pub models: Vec<ModelView>,
    /// The base as set: `auto`, or a model's name.
    pub base: String,
    /// What `auto` has chosen here and why, once measured.
    pub profile: Option<MachineProfile>,
    /// What is loaded now, and on which device it really computes.
    pub loaded: Vec<LoadedModel>,
    /// Folders that are looked at for models.
    pub folders: Vec<String>,
}

/// A model.
#[derive(Debug, Clone, Serialize, TS)]
pub struct ModelView {
    /// The name it goes by.
    pub name: String,
    /// What it is for.
    pub role: ModelRole,
    /// Where it is, if it is installed.
    pub path: Option<String>,
    /// Size of the file, in bytes.
    pub size: u64,
    /// Its licence, where known.
    pub licence: Option<String>,
    /// One sentence.
    pub description: String,
    /// Whether it would fit into memory with the context that is set.
    pub fit: Option<FitEstimate>,
    /// What is wrong with it.
    pub problem: Option<Error>,
    /// Whether the user added it, and may take it off the list.
    pub added_by_user: bool,
}

/// A model in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct LoadedModel {
    /// Its name.
    pub name: String,
    /// The device really computing, for example `CPU` or `CUDA0`.
    pub device: String,
    /// Context length, in tokens.
    pub context: u32,
}

/// The settings, and what they are about.
#[derive(Debug, Clone, Serialize, TS)]
pub struct SettingsView {
    /// In force.
    pub settings: Settings,
    /// Without any file.
    pub defaults: Settings,
    /// The settings file.
    pub file: String,
    /// The data folder.
    pub data_folder: String,
    /// How much it holds, in bytes.
    pub data_bytes: u64,
    /// Processor, cores and memory.
    pub machine: String,
    /// Processor cores.
    pub cores: u32,
}

/// What the program has open, as the operating system tells.
#[derive(Debug, Clone, Serialize, TS)]
pub struct PrivacyView {
    /// Whether this system lets a program look at itself (Linux does).
    pub available: bool,
    /// This process and its workers.
    pub processes: Vec<ProcessView>,
    /// Internet sockets among what is open; the window has none.
    pub internet_sockets: u32,
    /// The data folder.
    pub data_folder: String,
    /// A command that shows the same from outside.
    pub verify: String,
}

/// A process and what it has open.
#[derive(Debug, Clone, Serialize, TS)]
pub struct ProcessView {
    /// Its id.
    pub id: u32,
    /// What it is: `window`, `engine`, `pdf`, `trainer`, or its name.
    pub name: String,
    /// Files, without those of the system.
    pub files: Vec<String>,
    /// Sockets by family: `unix`, `internet`, `netlink`, `other`.
    pub sockets: Vec<SocketCount>,
}

/// How many sockets of a family are open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, TS)]
pub struct SocketCount {
    /// `unix`, `internet`, `netlink` or `other`.
    pub family: String,
    /// How many.
    pub count: u32,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DeskEvent {
    /// Files are being dragged over the window, or no longer.
    Drag {
        /// Whether they are.
        over: bool,
    },
    /// Files were dropped.
    Dropped {
        /// Which.
        pick: Pick,
    },
    /// A job began, moved on or ended.
    Job {
        /// The job.
        job: Box<JobView>,
    },
    /// Documents or collections changed.
    Library,
    /// Models or the engine changed.
    Models,
    /// Part of an answer.
    Answer {
        /// As given to `ask`.
        run: String,
        /// The turn.
        turn: TurnId,
        /// The method.
        method: Method,
        /// What happened.
        event: AnswerEvent,
    },
    /// There will be no answer.
    AnswerFailed {
        /// As given to `ask`.
        run: String,
        /// The turn.
        turn: TurnId,
        /// The method.
        method: Method,
        /// Why.
        error: Error,
    },
    /// All methods of a run have ended.
    RunEnded {
        /// As given to `ask`.
        run: String,
        /// The turn.
        turn: TurnId,
    },
}
