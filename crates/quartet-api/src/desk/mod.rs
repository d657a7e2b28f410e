//! The desk: what an interactive shell works at. The window and `quartet serve` both pass
//! [`Desk::call`] a command's name and its JSON, and pass on what [`Desk::listen`] tells.
//!
//! | module | what it does |
//! |---|---|
//! | [`requests`], [`replies`] | the words: one structure per command, events |
//! | `commands` | the one list of commands; dispatch follows from it |
//! | [`bindings`] | the same list in TypeScript |
//! | `documents`, `picks` | collections and documents; files as opaque ids |
//! | `runner`, `folders` | imports one after the other; linked folders |
//! | `chats`, `asking`, `export` | conversations, answers as streams, files made of them |
//! | `machine` | models, settings, health |
//! | `privacy` | what this program has open, as the system tells |

mod asking;
pub mod bindings;
mod chats;
mod commands;
mod documents;
mod export;
mod folders;
mod machine;
mod picks;
mod privacy;
pub mod replies;
pub mod requests;
mod routes;
mod runner;

pub use commands::COMMANDS;
pub use picks::{PickKind, Upload};
pub use replies::{DeskEvent, Pick};
pub use requests::{ExportChat, ExportFormat};

use crate::{Quartet, variables};
use folders::FolderWatch;
use picks::Picks;
use quartet_types::Result;
use runner::Runner;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Events a listener may fall behind by before it misses some.
const EVENTS_KEPT: usize = 4096;

/// Quartet with everything an interactive shell needs: work in the background, answers in the
/// making, files as opaque ids, and news of all of these.
pub struct Desk {
    /// Replaced as a whole when settings change; work in flight keeps the one it began with.
    quartet: RwLock<Arc<Quartet>>,
    /// The base model the environment asks for.
    base: Option<String>,
    events: broadcast::Sender<DeskEvent>,
    picks: Picks,
    runs: Mutex<HashMap<String, CancellationToken>>,
    runner: Runner,
    watch: Mutex<FolderWatch>,
    closing: CancellationToken,
}

impl Desk {
    /// Opens the desk; imports that an earlier process left unfinished go on at once, and
    /// linked folders are brought up to date.
    ///
    /// # Errors
    /// If the library cannot be read.
    pub async fn open(quartet: Quartet) -> Result<Arc<Self>> {
        let desk = Arc::new(Self {
            quartet: RwLock::new(Arc::new(quartet)),
            base: std::env::var(variables::BASE).ok().filter(|name| !name.is_empty()),
            events: broadcast::channel(EVENTS_KEPT).0,
            picks: Picks::default(),
            runs: Mutex::default(),
            runner: Runner::default(),
            watch: Mutex::default(),
            closing: CancellationToken::new(),
        });
        desk.go_on_with_interrupted_jobs().await?;
        desk.watch_linked_folders().await?;
        tokio::spawn(Arc::clone(&desk).run_imports());
        tokio::spawn(Arc::clone(&desk).run_trainings());
        tokio::spawn(Arc::clone(&desk).run_encodings());
        Ok(desk)
    }

    /// What happens from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<DeskEvent> {
        self.events.subscribe()
    }

    /// Tells every listener; with none, nothing happens.
    pub fn publish(&self, event: DeskEvent) {
        let _ = self.events.send(event);
    }

    /// Stops what runs where it can go on later, and returns when it has stopped.
    pub async fn shut_down(&self) {
        self.closing.cancel();
        for cancel in lock(&self.runs).values() {
            cancel.cancel();
        }
        self.runner.stopped().await;
    }

    /// Quartet as set now.
    fn quartet(&self) -> Arc<Quartet> {
        Arc::clone(&self.quartet.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace_quartet(&self, quartet: Quartet) {
        *self.quartet.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(quartet);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
