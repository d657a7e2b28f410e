//! Conversations and votes.

use super::Desk;
use super::requests::{CastVote, ListChats, Nothing, OfChat, OfCollection, OfTurns, RenameChat};
use quartet_types::{ChatPage, ChatSummary, ChatView, Result, Turn, Vote, VoteCount};

/// Conversations and turns in one window, at most.
const MOST_LISTED: u32 = 500;
const MOST_TURNS: usize = 100;

impl Desk {
    pub(super) async fn list_chats(&self, request: ListChats) -> Result<ChatPage> {
        let limit = request.limit.min(MOST_LISTED);
        self.quartet()
            .library
            .chats(request.collection.as_deref(), &request.query, request.offset, limit)
            .await
    }

    pub(super) async fn create_chat(&self, request: OfCollection) -> Result<ChatSummary> {
        let quartet = self.quartet();
        let collection = quartet.find_collection(&request.collection).await?;
        let chat = quartet.library.create_chat(collection.id).await?;
        quartet.library.chat(chat).await
    }

    pub(super) async fn rename_chat(&self, request: RenameChat) -> Result<ChatSummary> {
        self.quartet().library.rename_chat(request.chat, &request.title).await
    }

    pub(super) async fn delete_chat(&self, request: OfChat) -> Result<Nothing> {
        self.quartet().library.delete_chat(request.chat).await?;
        Ok(Nothing {})
    }

    pub(super) async fn open_chat(&self, request: OfChat) -> Result<ChatView> {
        self.quartet().library.open_chat(request.chat).await
    }

    pub(super) async fn turns(&self, request: OfTurns) -> Result<Vec<Turn>> {
        let wanted = &request.turns[..request.turns.len().min(MOST_TURNS)];
        self.quartet().library.turns(wanted).await
    }

    pub(super) async fn cast_vote(&self, request: CastVote) -> Result<Vote> {
        self.quartet().library.cast_vote(request.turn, request.winner).await
    }

    pub(super) async fn votes(&self, _: Nothing) -> Result<Vec<VoteCount>> {
        self.quartet().library.votes().await
    }
}
