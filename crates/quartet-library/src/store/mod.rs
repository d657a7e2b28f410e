//! SQLite: the source of truth.

pub(crate) mod artefacts;
mod chats;
mod collections;
pub(crate) mod documents;
mod fingerprint;
mod folders;
pub(crate) mod jobs;
pub(crate) mod journal;
mod listing;
mod routes;
mod turns;

use crate::index::Indexes;
use crate::lock::{WRITER, WriterLock};
use quartet_types::{Error, ErrorCode, Result};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const LOCK_ATTEMPTS: u32 = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
const OPENING_ATTEMPTS: u32 = 10;
const OPENING_PAUSE: Duration = Duration::from_millis(50);

/// The documents of one data folder and the search over them.
pub struct Library {
    pub(crate) pool: SqlitePool,
    pub(crate) root: PathBuf,
    pub(crate) indexes: Indexes,
}

impl Library {
    /// Opens the library in `root`, making or migrating it if necessary. Takes no longer with
    /// more documents: indexes are opened at the first search.
    ///
    /// # Errors
    /// `ReadOnly`, `DiskFull` or `Io` if the folder cannot be used; `Corrupt` if the database
    /// is damaged or was made by a newer Quartet.
    pub async fn open(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root).map_err(|error| {
            Error::from_io(&error, root)
                .hint("Choose a folder that can be written, with QUARTET_HOME.")
        })?;
        let path = root.join("library.sqlite");
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A power cut may lose the last transaction but never mixes two.
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            // Deleted means overwritten: private text must not stay behind in free pages.
            .pragma("secure_delete", "ON")
            .busy_timeout(Duration::from_secs(20));
        let pool =
            connect(options).await.map_err(|error| database_error(&error).about_path(&path))?;
        migrate(&pool).await.map_err(|error| error.about_path(&path))?;
        Ok(Self { pool, root: root.to_owned(), indexes: Indexes::new(root.join("index")) })
    }

    /// Takes the right to write. Whoever lists the jobs holds the lock for an instant to see
    /// whether anybody writes, so this tries a few times.
    pub(crate) fn lock(&self) -> Result<WriterLock> {
        self.lock_for(WRITER)
    }

    /// As [`Library::lock`], for any of the locks.
    pub(crate) fn lock_for(&self, name: &str) -> Result<WriterLock> {
        for _ in 0..LOCK_ATTEMPTS {
            match WriterLock::take(&self.root, name) {
                Err(error) if error.code == ErrorCode::Busy => std::thread::sleep(LOCK_PAUSE),
                taken => return taken,
            }
        }
        WriterLock::take(&self.root, name)
    }

    /// As [`Library::lock`], for work that can as well be left out.
    pub(crate) fn lock_at_once(&self) -> Result<WriterLock> {
        WriterLock::take(&self.root, WRITER)
    }

    /// Gives freed pages back to the file system and empties the write-ahead log, so that
    /// deleted text is in neither.
    pub(crate) async fn tidy(&self) -> Result<()> {
        for statement in ["PRAGMA incremental_vacuum", "PRAGMA wal_checkpoint(TRUNCATE)"] {
            sqlx::query(statement)
                .fetch_all(&self.pool)
                .await
                .map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    /// A database error about this library.
    pub(crate) fn failed(&self, error: &sqlx::Error) -> Error {
        database_error(error).about_path(&self.root)
    }
}

/// Opens the database. While another process makes it, SQLite can be busy without waiting.
async fn connect(options: SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    let pool = SqlitePoolOptions::new().max_connections(4);
    for _ in 0..OPENING_ATTEMPTS {
        match pool.clone().connect_with(options.clone()).await {
            Err(error) if database_error(&error).code == ErrorCode::Busy => {
                tokio::time::sleep(OPENING_PAUSE).await;
            }
            opened => return opened,
        }
    }
    pool.connect_with(options).await
}

/// Brings the tables up to date.
async fn migrate(pool: &SqlitePool) -> Result<()> {
    use sqlx::migrate::MigrateError;
    let migrator = sqlx::migrate!("./migrations");
    let mut outcome = migrator.run(pool).await;
    // Of several that open a new library at once, one makes its tables; the others fail over
    // them, and find them made when they look again.
    for _ in 0..OPENING_ATTEMPTS {
        if !matches!(outcome, Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..))) {
            break;
        }
        tokio::time::sleep(OPENING_PAUSE).await;
        outcome = migrator.run(pool).await;
    }
    outcome.map_err(|error| match error {
        MigrateError::VersionMissing(_)
        | MigrateError::VersionMismatch(_)
        | MigrateError::VersionTooNew(..) => {
            Error::new(ErrorCode::Corrupt, "the library was made by another version of Quartet")
                .hint("Use the newer Quartet, or set QUARTET_HOME to another folder.")
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            database_error(&error)
        }
        other => Error::new(ErrorCode::Corrupt, other.to_string())
            .hint("Set QUARTET_HOME to a new folder and import again; please report this."),
    })
}

/// An error of SQLite in our words.
pub(crate) fn database_error(error: &sqlx::Error) -> Error {
    let code = match error {
        sqlx::Error::Database(error) => {
            error.code().map(|code| code.into_owned()).unwrap_or_default()
        }
        sqlx::Error::RowNotFound => return Error::new(ErrorCode::NotFound, "no such entry"),
        _ => String::new(),
    };
    // The primary result code is in the lowest byte (sqlite.org/rescode.html).
    let primary = code.parse::<u32>().map_or(0, |code| code & 0xff);
    match primary {
        5 | 6 => Error::new(ErrorCode::Busy, "the library is busy")
            .hint("Another Quartet is writing; try again in a moment."),
        8 | 14 => {
            Error::new(ErrorCode::ReadOnly, format!("the library cannot be written ({error})"))
                .hint("Choose a folder that can be written, with QUARTET_HOME.")
        }
        13 => Error::new(ErrorCode::DiskFull, "the disk is full")
            .hint("Free some space and run the same command again; nothing was lost."),
        11 | 26 => Error::new(ErrorCode::Corrupt, format!("the library is damaged ({error})"))
            .hint(
                "Restore it from a backup, or set QUARTET_HOME to a new folder and import again.",
            ),
        _ => Error::new(ErrorCode::Io, error.to_string())
            .hint("Try again; if it persists, check the disk."),
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> i64 {
    let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
}

/// An SQLite integer as a count.
pub(crate) fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// An SQLite integer as a small count.
pub(crate) fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}
