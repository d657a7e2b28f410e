//! What the window asks: one structure per command, a JSON object each.

use quartet_types::{
    ChatId, DocumentId, DocumentStatus, IagMode, JobId, Method, PageNumber, Preset, RouteChoice,
    TurnId,
};
use serde::Deserialize;
use ts_rs::TS;

/// Nothing to say; also the reply of a command that has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, TS)]
#[ts(type = "Record<string, never>")]
pub struct Nothing {}

/// About a collection.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct OfCollection {
    /// Its name.
    pub collection: String,
}

/// About something with a name.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// Another name.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct Rename {
    /// The name now.
    pub name: String,
    /// The name from now on.
    pub to: String,
}

/// A window of the documents of a collection.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct ListDocuments {
    /// The collection's name.
    pub collection: String,
    /// Only documents whose title or path contains this; empty for all.
    pub query: String,
    /// Only documents of this status.
    pub status: Option<DocumentStatus>,
    /// Documents to leave out at the start.
    pub offset: u32,
    /// Documents to return, at most.
    pub limit: u32,
}

/// About documents.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct OfDocuments {
    /// Their ids.
    pub documents: Vec<DocumentId>,
}

/// About a page.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct OfPage {
    /// The document.
    pub document: DocumentId,
    /// The page.
    pub page: PageNumber,
}

/// About files that were dropped, picked or uploaded.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct OfPick {
    /// The id of a [`super::Pick`].
    pub pick: String,
}

/// Files to read into a collection.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct ImportPick {
    /// The id of a [`super::Pick`].
    pub pick: String,
    /// The collection's name; it is made if it does not exist.
    pub collection: String,
    /// Keep the folders among them linked: read again whenever something changes in them.
    pub link: bool,
}

/// About a linked folder.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct OfFolder {
    /// Its id.
    pub folder: i64,
}

/// About a job.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct OfJob {
    /// Its id.
    pub job: JobId,
}

/// A window of the conversations, newest first.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct ListChats {
    /// Only those about this collection.
    pub collection: Option<String>,
    /// Only those whose questions or answers contain this; empty for all.
    pub query: String,
    /// Conversations to leave out at the start.
    pub offset: u32,
    /// Conversations to return, at most.
    pub limit: u32,
}

/// About a conversation.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct OfChat {
    /// Its id.
    pub chat: ChatId,
}

/// Another title for a conversation.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct RenameChat {
    /// Its id.
    pub chat: ChatId,
    /// The title from now on.
    pub title: String,
}

/// About turns of conversations.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct OfTurns {
    /// Their ids.
    pub turns: Vec<TurnId>,
}

/// What a conversation is exported as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// Text with headings and citations.
    Markdown,
    /// Everything that is kept, for programs.
    Json,
    /// A page that prints well, also to PDF.
    Html,
}

/// A conversation to export.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct ExportChat {
    /// Its id.
    pub chat: ChatId,
    /// As what.
    pub format: ExportFormat,
}

/// A question in a conversation. Its answers arrive as events.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct AskTurn {
    /// Chosen by the asker; events carry it, and `stop` takes it.
    pub run: String,
    /// The conversation.
    pub chat: ChatId,
    /// The question.
    pub question: String,
    /// How to answer; several answer at the same time.
    pub methods: Vec<Method>,
    /// The turn that this one takes the place of (edited or asked again); what followed it
    /// goes out of sight too.
    pub replaces: Option<TurnId>,
    /// Whether "not in your documents" is a possible outcome.
    pub abstain: bool,
    /// Whether the methods' names stay hidden until a vote.
    pub blind: bool,
    /// For GAG: the route a person chose for this question; `None` leaves it to the router.
    #[serde(default)]
    #[ts(optional)]
    pub route: Option<RouteChoice>,
    /// For IAG: what stands in the prompt besides the question.
    #[serde(default)]
    #[ts(optional)]
    pub imagine: Option<IagMode>,
}

/// Where a question belongs.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct CorrectRoute {
    /// The question.
    pub question: String,
    /// Its route; from now on the router knows it.
    pub route: RouteChoice,
}

/// About a correction of a route.
#[derive(Debug, Clone, Copy, Deserialize, TS)]
pub struct OfCorrection {
    /// Its id.
    #[ts(type = "number")]
    pub id: i64,
}

/// About answers being made.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct OfRun {
    /// The id given to `ask`.
    pub run: String,
}

/// Which answer of a turn was the best.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct CastVote {
    /// The turn.
    pub turn: TurnId,
    /// The best method; `None` means that none was better than the others.
    pub winner: Option<Method>,
}

/// Training to begin.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct StartTraining {
    /// The method to train.
    pub method: Method,
    /// The collection to train it on.
    pub collection: String,
    /// How long.
    pub preset: Preset,
}

/// An expert to train.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct TrainExpert {
    /// The collection it is taught.
    pub collection: String,
    /// How long.
    pub preset: Preset,
}
