//! Turns of conversations: what was asked, what each method made of it, and the votes.

use super::{Library, now};
use quartet_types::{
    Answer, AnswerId, ChatId, Error, ErrorCode, Method, Result, Turn, TurnHead, TurnId,
    TurnOutcome, Vote, VoteCount,
};
use sqlx::Row;
use std::collections::BTreeMap;

impl Library {
    /// Notes a question before anything is answered. With `replaces`, that turn and everything
    /// after it in the conversation go out of sight.
    ///
    /// # Errors
    /// `NotFound` for the conversation.
    pub async fn add_turn(
        &self,
        chat: ChatId,
        question: &str,
        blind: bool,
        replaces: Option<TurnId>,
    ) -> Result<TurnHead> {
        self.chat(chat).await?;
        let failed = |error: sqlx::Error| self.failed(&error);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        if let Some(replaced) = replaces {
            sqlx::query("UPDATE turns SET superseded = 1 WHERE chat_id = ? AND id >= ?")
                .bind(chat.0)
                .bind(replaced.0)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?;
        }
        let created_at = now();
        let row = sqlx::query(
            "INSERT INTO turns (chat_id, question, blind, created_at) VALUES (?, ?, ?, ?) RETURNING id",
        )
        .bind(chat.0)
        .bind(question)
        .bind(blind)
        .bind(created_at)
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
        sqlx::query("UPDATE chats SET updated_at = ? WHERE id = ?")
            .bind(created_at)
            .bind(chat.0)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(TurnHead { id: TurnId(row.get("id")), question: question.to_owned(), created_at })
    }

    /// Keeps an answer.
    ///
    /// # Errors
    /// If the library cannot be written, or the turn is gone.
    pub async fn append_answer(&self, turn: TurnId, answer: &Answer) -> Result<AnswerId> {
        let json =
            serde_json::to_string(answer).map_err(|error| Error::internal(error.to_string()))?;
        let row = sqlx::query(
            "INSERT INTO answers (chat_id, turn_id, method, model, question, answer, created_at)
             SELECT chat_id, id, ?2, ?3, ?4, ?5, ?6 FROM turns WHERE id = ?1 RETURNING id",
        )
        .bind(turn.0)
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

    /// Keeps why a method has no answer, and what it had written by then.
    ///
    /// # Errors
    /// If the library cannot be written.
    pub async fn append_failure(
        &self,
        turn: TurnId,
        method: Method,
        error: &Error,
        partial: &str,
    ) -> Result<()> {
        sqlx::query(
            "INSERT INTO failures (turn_id, method, error, partial, created_at) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(turn.0)
        .bind(method.as_str())
        .bind(serde_json::to_string(error).unwrap_or_default())
        .bind((!partial.is_empty()).then_some(partial))
        .bind(now())
        .execute(&self.pool)
        .await
        .map(|_| ())
        .map_err(|error| self.failed(&error))
    }

    /// Turns with all that became of them, in the order asked for; unknown ones are left out.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn turns(&self, ids: &[TurnId]) -> Result<Vec<Turn>> {
        let failed = |error: sqlx::Error| self.failed(&error);
        let list =
            serde_json::to_string(ids).map_err(|error| Error::internal(error.to_string()))?;
        let rows = sqlx::query(
            "SELECT turns.*, votes.id AS vote, votes.winner, votes.blind AS blind_vote
               FROM json_each(?) AS wanted JOIN turns ON turns.id = wanted.value
               LEFT JOIN votes ON votes.turn_id = turns.id ORDER BY wanted.key",
        )
        .bind(&list)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let mut outcomes = self.outcomes(&list).await?;
        Ok(rows
            .iter()
            .map(|row| {
                let id = TurnId(row.get("id"));
                let vote = row.get::<Option<i64>, _>("vote").map(|_| Vote {
                    turn: id,
                    winner: row
                        .get::<Option<String>, _>("winner")
                        .and_then(|name| name.parse().ok()),
                    blind: row.get("blind_vote"),
                });
                Turn {
                    id,
                    chat: ChatId(row.get("chat_id")),
                    question: row.get("question"),
                    created_at: row.get("created_at"),
                    blind: row.get("blind"),
                    outcomes: outcomes.remove(&id).unwrap_or_default().into_values().collect(),
                    vote,
                }
            })
            .collect())
    }

    /// What each method made of each turn: the answer, else the last failure. An answer that
    /// this version cannot read is left out.
    async fn outcomes(
        &self,
        turns: &str,
    ) -> Result<BTreeMap<TurnId, BTreeMap<Method, TurnOutcome>>> {
        let failed = |error: sqlx::Error| self.failed(&error);
        let mut outcomes: BTreeMap<TurnId, BTreeMap<Method, TurnOutcome>> = BTreeMap::new();
        let rows = sqlx::query(
            "SELECT turn_id, method, error, partial FROM failures
              WHERE turn_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        )
        .bind(turns)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        for row in &rows {
            let Ok(method) = row.get::<&str, _>("method").parse::<Method>() else { continue };
            let outcome = TurnOutcome {
                method,
                answer: None,
                error: serde_json::from_str(row.get("error")).ok(),
                partial: row.get("partial"),
            };
            outcomes.entry(TurnId(row.get("turn_id"))).or_default().insert(method, outcome);
        }
        let rows = sqlx::query(
            "SELECT id, turn_id, answer FROM answers
              WHERE turn_id IN (SELECT value FROM json_each(?)) ORDER BY id",
        )
        .bind(turns)
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        for row in &rows {
            let Ok(mut answer) = serde_json::from_str::<Answer>(row.get("answer")) else {
                continue;
            };
            answer.id = Some(AnswerId(row.get("id")));
            let method = answer.method;
            let outcome = TurnOutcome { method, answer: Some(answer), error: None, partial: None };
            outcomes.entry(TurnId(row.get("turn_id"))).or_default().insert(method, outcome);
        }
        Ok(outcomes)
    }

    /// The answers of a conversation that are in sight, oldest first.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn answers(&self, chat: ChatId) -> Result<Vec<Answer>> {
        let turns: Vec<TurnId> =
            self.open_chat(chat).await?.turns.into_iter().map(|turn| turn.id).collect();
        let turns = self.turns(&turns).await?;
        let outcomes = turns.into_iter().flat_map(|turn| turn.outcomes);
        Ok(outcomes.filter_map(|outcome| outcome.answer).collect())
    }

    /// Keeps a vote on a turn, in place of an earlier one.
    ///
    /// # Errors
    /// `NotFound` for the turn; `InvalidInput` if it has fewer than two answers, or none by the
    /// winner.
    pub async fn cast_vote(&self, turn: TurnId, winner: Option<Method>) -> Result<Vote> {
        let stored = self.turns(&[turn]).await?.pop().ok_or_else(|| {
            Error::new(ErrorCode::NotFound, format!("there is no turn {turn}"))
                .hint("It may have been deleted.")
        })?;
        let methods: Vec<Method> = stored
            .outcomes
            .iter()
            .filter(|outcome| outcome.answer.is_some())
            .map(|outcome| outcome.method)
            .collect();
        if methods.len() < 2 {
            return Err(Error::new(ErrorCode::InvalidInput, "there are no two answers to compare")
                .hint("Ask with Compare to get several answers to one question."));
        }
        if winner.is_some_and(|winner| !methods.contains(&winner)) {
            return Err(Error::new(ErrorCode::InvalidInput, "this method has no answer here"));
        }
        // Whoever has voted has seen the names.
        let blind = stored.blind && stored.vote.as_ref().is_none_or(|vote| vote.blind);
        sqlx::query(
            "INSERT INTO votes (turn_id, methods, winner, blind, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (turn_id) DO UPDATE SET methods = ?2, winner = ?3, created_at = ?5",
        )
        .bind(turn.0)
        .bind(serde_json::to_string(&methods).unwrap_or_default())
        .bind(winner.map(Method::as_str))
        .bind(blind)
        .bind(now())
        .execute(&self.pool)
        .await
        .map_err(|error| self.failed(&error))?;
        Ok(Vote { turn, winner, blind })
    }

    /// The sum of all votes, by method.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn votes(&self) -> Result<Vec<VoteCount>> {
        let rows = sqlx::query("SELECT methods, winner, blind FROM votes")
            .fetch_all(&self.pool)
            .await
            .map_err(|error| self.failed(&error))?;
        let mut counts: BTreeMap<Method, VoteCount> = BTreeMap::new();
        for row in &rows {
            let methods: Vec<Method> = serde_json::from_str(row.get("methods")).unwrap_or_default();
            let winner: Option<String> = row.get("winner");
            for method in methods {
                let count = counts.entry(method).or_insert(VoteCount {
                    method,
                    won: 0,
                    lost: 0,
                    tied: 0,
                    blind: 0,
                });
                match &winner {
                    None => count.tied += 1,
                    Some(name) if name == method.as_str() => count.won += 1,
                    Some(_) => count.lost += 1,
                }
                count.blind += u32::from(row.get::<bool, _>("blind"));
            }
        }
        Ok(counts.into_values().collect())
    }
}
