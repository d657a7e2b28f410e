//! Conversations.

use super::{Library, now, small};
use quartet_types::{
    ChatId, ChatPage, ChatSummary, ChatView, CollectionId, Error, ErrorCode, Result, TurnHead,
    TurnId,
};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

/// Characters of the first question that make a title.
const TITLE_CHARACTERS: usize = 80;

const SUMMARY: &str =
    "SELECT chats.id, chats.title, chats.updated_at, collections.name AS collection,
        (SELECT COUNT(*) FROM turns WHERE turns.chat_id = chats.id AND superseded = 0) AS turns,
        (SELECT question FROM turns WHERE turns.chat_id = chats.id AND superseded = 0
          ORDER BY id LIMIT 1) AS first_question
   FROM chats JOIN collections ON collections.id = chats.collection_id";

impl Library {
    /// Starts a conversation.
    ///
    /// # Errors
    /// If the library cannot be written.
    pub async fn create_chat(&self, collection: CollectionId) -> Result<ChatId> {
        let row = sqlx::query(
            "INSERT INTO chats (collection_id, created_at, updated_at) VALUES (?1, ?2, ?2) RETURNING id",
        )
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

    /// A window of the conversations, last used first: of one collection or of all, and with
    /// `query`, only those whose title, questions or answers contain it. Conversations in which
    /// nothing was asked are left out.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn chats(
        &self,
        collection: Option<&str>,
        query: &str,
        offset: u32,
        limit: u32,
    ) -> Result<ChatPage> {
        let condition = "WHERE (?1 IS NULL OR collections.name = ?1)
            AND EXISTS (SELECT 1 FROM turns WHERE turns.chat_id = chats.id AND superseded = 0)
            AND (?2 = '' OR instr(lower(coalesce(chats.title, '')), lower(?2)) OR EXISTS (
                SELECT 1 FROM turns LEFT JOIN answers ON answers.turn_id = turns.id
                 WHERE turns.chat_id = chats.id AND superseded = 0
                   AND (instr(lower(turns.question), lower(?2))
                     OR instr(lower(json_extract(answers.answer, '$.text')), lower(?2)))))";
        let count = format!(
            "SELECT COUNT(*) AS total FROM chats JOIN collections ON collections.id = chats.collection_id {condition}"
        );
        let list = format!(
            "{SUMMARY} {condition} ORDER BY chats.updated_at DESC, chats.id DESC LIMIT ?3 OFFSET ?4"
        );
        let query = query.trim();
        let total = sqlx::query(sqlx::AssertSqlSafe(count))
            .bind(collection)
            .bind(query)
            .fetch_one(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(list))
            .bind(collection)
            .bind(query)
            .bind(limit)
            .bind(offset)
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(ChatPage { total: small(total.get("total")), chats: rows.iter().map(summary).collect() })
    }

    /// One conversation.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn chat(&self, id: ChatId) -> Result<ChatSummary> {
        sqlx::query(sqlx::AssertSqlSafe(format!("{SUMMARY} WHERE chats.id = ?")))
            .bind(id.0)
            .fetch_optional(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?
            .as_ref()
            .map(summary)
            .ok_or_else(|| missing(id))
    }

    /// A conversation with its turns in order, without what is out of sight.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn open_chat(&self, id: ChatId) -> Result<ChatView> {
        let chat = self.chat(id).await?;
        let rows = sqlx::query(
            "SELECT id, question, created_at FROM turns WHERE chat_id = ? AND superseded = 0 ORDER BY id",
        )
        .bind(id.0)
        .fetch_all(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        let turns = rows
            .iter()
            .map(|row| TurnHead {
                id: TurnId(row.get("id")),
                question: row.get("question"),
                created_at: row.get("created_at"),
            })
            .collect();
        Ok(ChatView { chat, turns })
    }

    /// Gives a conversation another title; an empty one brings the first question back.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn rename_chat(&self, id: ChatId, title: &str) -> Result<ChatSummary> {
        let title = title.trim();
        sqlx::query("UPDATE chats SET title = ? WHERE id = ?")
            .bind((!title.is_empty()).then_some(title))
            .bind(id.0)
            .execute(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
        self.chat(id).await
    }

    /// Deletes a conversation with everything that was asked and answered in it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn delete_chat(&self, id: ChatId) -> Result<()> {
        let deleted = sqlx::query("DELETE FROM chats WHERE id = ?")
            .bind(id.0)
            .execute(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
        if deleted.rows_affected() == 0 {
            return Err(missing(id));
        }
        self.tidy().await
    }
}

fn missing(id: ChatId) -> Error {
    Error::new(ErrorCode::NotFound, format!("there is no conversation {id}"))
        .hint("It may have been deleted; choose another one.")
}

fn summary(row: &SqliteRow) -> ChatSummary {
    let title: Option<String> = row.get("title");
    let first: Option<String> = row.get("first_question");
    ChatSummary {
        id: ChatId(row.get("id")),
        title: title.unwrap_or_else(|| shortened(&first.unwrap_or_default())),
        collection: row.get("collection"),
        turns: small(row.get("turns")),
        updated_at: row.get("updated_at"),
    }
}

/// The first line, cut where a title would be too long.
fn shortened(question: &str) -> String {
    let line = question.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    if line.chars().count() <= TITLE_CHARACTERS {
        return line.to_owned();
    }
    let head: String = line.chars().take(TITLE_CHARACTERS - 1).collect();
    format!("{}…", head.trim_end())
}
