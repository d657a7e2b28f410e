//! Conversations: turns, what became of them, and votes.

use crate::answer::{Answer, Method};
use crate::error::Error;
use crate::id::{ChatId, TurnId};
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// A window of conversations.
#[derive(Debug, Clone, Serialize, Deserialize, TS)]
pub struct ChatPage {
    /// Conversations that match, in all.
    pub total: u32,
    /// Those asked for.
    pub chats: Vec<ChatSummary>,
}

/// A conversation in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ChatSummary {
    /// Its id.
    pub id: ChatId,
    /// Its title: the first question, unless renamed.
    pub title: String,
    /// Its collection's name.
    pub collection: String,
    /// Its turns.
    pub turns: u32,
    /// When it was last added to, seconds since 1970.
    pub updated_at: i64,
}

/// A conversation: its turns without their answers, so that a long one opens at once.
#[derive(Debug, Clone, Serialize, Deserialize, TS)]
pub struct ChatView {
    /// The conversation.
    pub chat: ChatSummary,
    /// Its turns, oldest first.
    pub turns: Vec<TurnHead>,
}

/// A turn without its answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct TurnHead {
    /// Its id.
    pub id: TurnId,
    /// The question.
    pub question: String,
    /// When it was asked, seconds since 1970.
    pub created_at: i64,
}

/// A turn: a question and what became of it.
#[derive(Debug, Clone, Serialize, Deserialize, TS)]
pub struct Turn {
    /// Its id.
    pub id: TurnId,
    /// The conversation.
    pub chat: ChatId,
    /// The question.
    pub question: String,
    /// When it was asked, seconds since 1970.
    pub created_at: i64,
    /// Whether the methods' names stay hidden until a vote.
    pub blind: bool,
    /// What each method made of it, in the order of [`Method::ALL`].
    pub outcomes: Vec<TurnOutcome>,
    /// The vote, if one was cast.
    pub vote: Option<Vote>,
}

/// What a method made of a question: an answer, or why there is none.
#[derive(Debug, Clone, Serialize, Deserialize, TS)]
pub struct TurnOutcome {
    /// The method.
    pub method: Method,
    /// The answer.
    pub answer: Option<Answer>,
    /// Why there is none: stopped, or failed.
    pub error: Option<Error>,
    /// What had been written by then.
    pub partial: Option<String>,
}

/// A vote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct Vote {
    /// The turn.
    pub turn: TurnId,
    /// The best method; `None` means that none was better than the others.
    pub winner: Option<Method>,
    /// Whether the names were hidden.
    pub blind: bool,
}

/// The votes on a method, over turns in which it was compared with another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct VoteCount {
    /// The method.
    pub method: Method,
    /// Votes for it.
    pub won: u32,
    /// Votes for another.
    pub lost: u32,
    /// Votes for none.
    pub tied: u32,
    /// Of all these, how many were cast without seeing the names.
    pub blind: u32,
}
