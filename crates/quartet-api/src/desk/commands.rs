//! The commands: one list, from which dispatch and the TypeScript bindings both follow.

use super::Desk;
use super::replies::*;
use super::requests::*;
use crate::doctor::Diagnosis;
use crate::implicit::ImplicitStatus;
use crate::settings::Settings;
use quartet_library::JournalEntry;
use quartet_types::{
    Artefact, ChatPage, ChatSummary, ChatView, Collection, Device, DocumentPage, Error, ErrorCode,
    LinkedFolder, Result, RouteCorrection, Turn, TurnHead, Vote, VoteCount,
};
use serde_json::Value;
use std::sync::Arc;
use ts_rs::TS;

macro_rules! commands {
    ($($name:ident($request:ty) -> $reply:ty;)*) => {
        /// The names of all commands.
        pub const COMMANDS: &[&str] = &[$(stringify!($name)),*];

        impl Desk {
            /// Runs a command: a JSON object in, JSON out.
            ///
            /// # Errors
            /// `InvalidInput` for an unknown command or a request of another shape; else what
            /// the command says.
            pub async fn call(self: &Arc<Self>, command: &str, request: Value) -> Result<Value> {
                match command {
                    $(stringify!($name) => {
                        let request: $request = serde_json::from_value(request).map_err(|error| {
                            Error::new(ErrorCode::InvalidInput, format!("the request of `{command}`: {error}"))
                        })?;
                        let reply: $reply = self.$name(request).await?;
                        serde_json::to_value(reply).map_err(|error| Error::internal(error.to_string()))
                    })*
                    _ => Err(Error::new(ErrorCode::InvalidInput, format!("there is no command `{command}`"))),
                }
            }
        }

        pub(super) fn visit_types(visitor: &mut impl FnMut(&str, Signature)) {
            let config = super::bindings::config();
            $(visitor(stringify!($name), Signature {
                request: <$request as TS>::name(&config),
                reply: <$reply as TS>::name(&config),
            });)*
        }

        pub(super) fn visit_declarations(collector: &mut super::bindings::Collector) {
            $(collector.add::<$request>();
            collector.add::<$reply>();)*
            collector.add::<DeskEvent>();
        }
    };
}

/// The TypeScript names of a command's request and reply.
pub(super) struct Signature {
    pub(super) request: String,
    pub(super) reply: String,
}

commands! {
    hello(Nothing) -> Hello;
    methods(OfCollection) -> Vec<MethodStatus>;

    list_collections(Nothing) -> Vec<Collection>;
    create_collection(Named) -> Collection;
    rename_collection(Rename) -> Collection;
    delete_collection(Named) -> Nothing;

    list_documents(ListDocuments) -> DocumentPage;
    delete_documents(OfDocuments) -> Nothing;
    retry_documents(OfCollection) -> JobView;
    page_text(OfPage) -> PageOfDocument;
    history(OfCollection) -> Vec<JournalEntry>;

    import_pick(ImportPick) -> JobView;
    linked_folders(OfCollection) -> Vec<LinkedFolder>;
    sync_folder(OfFolder) -> JobView;
    unlink_folder(OfFolder) -> Nothing;

    list_jobs(Nothing) -> Vec<JobView>;
    pause_job(OfJob) -> Nothing;
    resume_job(OfJob) -> Nothing;
    cancel_job(OfJob) -> Nothing;
    start_training(StartTraining) -> JobView;
    train_expert(TrainExpert) -> JobView;
    index_passages(OfCollection) -> JobView;
    passage_index(OfCollection) -> ImplicitStatus;
    artefacts(OfCollection) -> Vec<Artefact>;

    correct_route(CorrectRoute) -> Vec<RouteCorrection>;
    route_corrections(Nothing) -> Vec<RouteCorrection>;
    undo_route(OfCorrection) -> Vec<RouteCorrection>;

    list_chats(ListChats) -> ChatPage;
    create_chat(OfCollection) -> ChatSummary;
    rename_chat(RenameChat) -> ChatSummary;
    delete_chat(OfChat) -> Nothing;
    open_chat(OfChat) -> ChatView;
    turns(OfTurns) -> Vec<Turn>;
    export_chat(ExportChat) -> ExportedChat;

    ask(AskTurn) -> TurnHead;
    stop(OfRun) -> Nothing;
    cast_vote(CastVote) -> Vote;
    votes(Nothing) -> Vec<VoteCount>;

    list_models(Nothing) -> ModelsView;
    devices(Nothing) -> Vec<Device>;
    add_model(OfPick) -> ModelView;
    remove_model(Named) -> Nothing;

    settings(Nothing) -> SettingsView;
    save_settings(Settings) -> SettingsView;
    diagnose(Nothing) -> Diagnosis;
    privacy(Nothing) -> PrivacyView;
}
