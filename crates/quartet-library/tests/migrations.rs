//! A library made by an earlier version opens, with everything in it.

use quartet_library::Library;
use quartet_types::{Answer, ChatId};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use std::path::Path;

/// What the first version kept of an answer.
const KEPT: &str = include_str!("fixtures/answer-of-version-1.json");

static MIGRATIONS: Migrator = sqlx::migrate!("./migrations");

/// A library as the version with only the first `count` migrations left it.
async fn library_of_old(folder: &Path, count: usize, rows: &[String]) {
    let options =
        SqliteConnectOptions::new().filename(folder.join("library.sqlite")).create_if_missing(true);
    let pool = SqlitePoolOptions::new().connect_with(options).await.expect("a database");
    let old = Migrator::with_migrations(MIGRATIONS.iter().take(count).cloned().collect());
    old.run(&pool).await.expect("the old tables");
    for row in rows {
        sqlx::query(sqlx::AssertSqlSafe(row.clone())).execute(&pool).await.expect("an old row");
    }
    pool.close().await;
}

#[tokio::test]
async fn answers_from_before_there_were_turns_are_found_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let answer: Answer = serde_json::from_str(KEPT).expect("an answer as it was kept then");
    let kept = KEPT.replace('\'', "''");
    let row = |chat: i64, question: &str, at: i64| {
        format!(
            "INSERT INTO answers (chat_id, method, model, question, answer, created_at)
             VALUES ({chat}, 'rag', 'small', '{question}', '{kept}', {at})"
        )
    };
    library_of_old(
        folder.path(),
        1,
        &[
            "INSERT INTO collections (id, name, created_at) VALUES (1, 'loans', 5)".to_owned(),
            "INSERT INTO chats (id, collection_id, created_at) VALUES (1, 1, 10), (2, 1, 20)"
                .to_owned(),
            // One question answered twice, another once, the first again in another chat.
            row(1, "How late?", 11),
            row(1, "How late?", 12),
            row(1, "How soon?", 13),
            row(2, "How late?", 21),
        ],
    )
    .await;

    let library = Library::open(folder.path()).await.expect("an old library opens");
    let first = library.open_chat(ChatId(1)).await.expect("the first conversation");
    let questions: Vec<&str> = first.turns.iter().map(|turn| &*turn.question).collect();
    assert_eq!(questions, ["How late?", "How soon?"]);
    assert_eq!(first.turns[0].created_at, 11);
    let second = library.open_chat(ChatId(2)).await.expect("the second conversation");
    assert_eq!(second.turns.len(), 1);
    assert_ne!(first.turns[0].id, second.turns[0].id);

    let turns = library.turns(&[first.turns[0].id]).await.expect("its answers");
    let texts: Vec<&str> = turns[0]
        .outcomes
        .iter()
        .map(|outcome| &*outcome.answer.as_ref().expect("an answer").text)
        .collect();
    assert_eq!(texts, [&*answer.text]);
    let found = library.chats(Some("loans"), "72 hours", 0, 10).await.expect("a search");
    assert_eq!(found.total, 2);
}

#[tokio::test]
async fn opening_twice_migrates_once() {
    let folder = tempfile::tempdir().expect("a folder");
    library_of_old(folder.path(), 1, &[]).await;
    drop(Library::open(folder.path()).await.expect("opens"));
    Library::open(folder.path()).await.expect("opens again");
}
