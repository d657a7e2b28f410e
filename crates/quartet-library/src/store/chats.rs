//! Conversations and the answers in them.

use super::{Library, now};
use quartet_types::{Answer, AnswerId, ChatId, CollectionId, Error, Result};
use sqlx::Row;

impl Library {
    /// Starts a conversation.
    ///
    /// # Errors
    /// If the library cannot be written.
    pub async fn create_chat(&self, collection: CollectionId) -> Result<ChatId> {
        let row =
            sqlx::query("INSERT INTO chats (collection_id, created_at) VALUES (?, ?) RETURNING id")
                .bind(collection.0)
                .bind(now())
                .fetch_one(&self.pool)
                .await
                .map_err(|error| self.failed(&error))?;
        Ok(ChatId(row.get("id")))
    }

    /// The newest conversation of a collection.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn last_chat(&self, collection: CollectionId) -> Result<Option<ChatId>> {
        let row =
            sqlx::query("SELECT id FROM chats WHERE collection_id = ? ORDER BY id DESC LIMIT 1")
                .bind(collection.0)
                .fetch_optional(&self.pool)
                .await
                .map_err(|error| self.failed(&error))?;
        Ok(row.map(|row| ChatId(row.get("id"))))
    }

    /// Keeps an answer.
    ///
    /// # Errors
    /// If the library cannot be written.
    pub async fn append_answer(&self, chat: ChatId, answer: &Answer) -> Result<AnswerId> {
        let json =
            serde_json::to_string(answer).map_err(|error| Error::internal(error.to_string()))?;
        let row = sqlx::query(
            "INSERT INTO answers (chat_id, method, model, question, answer, created_at)
             VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
        )
        .bind(chat.0)
        .bind(answer.method.as_str())
        .bind(&answer.model.0)
        .bind(&answer.question)
        .bind(json)
        .bind(now())
        .fetch_one(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(AnswerId(row.get("id")))
    }

    /// The answers of a conversation, oldest first. One that a newer version cannot read any
    /// more is left out.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn answers(&self, chat: ChatId) -> Result<Vec<Answer>> {
        let rows = sqlx::query("SELECT id, answer FROM answers WHERE chat_id = ? ORDER BY id")
            .bind(chat.0)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                let mut answer: Answer = serde_json::from_str(row.get("answer")).ok()?;
                answer.id = Some(AnswerId(row.get("id")));
                Some(answer)
            })
            .collect())
    }
}
