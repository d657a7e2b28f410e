//! Linked folders: watched, and read again a moment after something changed in them.

use super::replies::JobView;
use super::requests::{Nothing, OfCollection, OfFolder};
use super::{Desk, lock};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use quartet_library::Importer;
use quartet_types::{LinkedFolder, Result};
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a folder must be quiet: a file that is still being copied is not read.
const QUIET: Duration = Duration::from_secs(2);

/// The folders being watched, and which of them changed.
#[derive(Default)]
pub(super) struct FolderWatch {
    watcher: Option<RecommendedWatcher>,
    folders: HashMap<i64, PathBuf>,
    /// When each was last seen to change; `None` where that was before we looked.
    changed: HashMap<i64, Option<Instant>>,
}

impl FolderWatch {
    /// Folders that changed and have been quiet since.
    fn take_quiet(&mut self) -> BTreeSet<i64> {
        let quiet: BTreeSet<i64> = self
            .changed
            .iter()
            .filter(|(_, changed)| changed.is_none_or(|at| at.elapsed() >= QUIET))
            .map(|(folder, _)| *folder)
            .collect();
        self.changed.retain(|folder, _| !quiet.contains(folder));
        quiet
    }
}

impl Desk {
    pub(super) async fn linked_folders(&self, request: OfCollection) -> Result<Vec<LinkedFolder>> {
        self.quartet().library.linked_folders(Some(&request.collection)).await
    }

    pub(super) async fn sync_folder(self: &Arc<Self>, request: OfFolder) -> Result<JobView> {
        let library = Arc::clone(&self.quartet().library);
        let folder = library.linked_folder(request.folder).await?;
        let job =
            Importer::queue(&library, &folder.collection, &[PathBuf::from(&folder.path)]).await?;
        lock(&self.runner.syncing).insert(job, folder.id);
        self.enqueue(job).await
    }

    pub(super) async fn unlink_folder(self: &Arc<Self>, request: OfFolder) -> Result<Nothing> {
        self.quartet().library.unlink_folder(request.folder).await?;
        self.watch_linked_folders().await?;
        Ok(Nothing {})
    }

    /// Watches the folders that are linked now. Those not watched before count as changed, so
    /// that what happened while Quartet was closed is noticed. Where the system refuses to
    /// watch, `sync_folder` still works.
    pub(super) async fn watch_linked_folders(self: &Arc<Self>) -> Result<()> {
        let linked = self.quartet().library.linked_folders(None).await?;
        let desk = Arc::downgrade(self);
        let runtime = tokio::runtime::Handle::current();
        let on_change = move |event: notify::Result<notify::Event>| {
            let Some(desk) = desk.upgrade() else { return };
            let Ok(event) = event else { return };
            // Reading a file, as an import does, is no change.
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            let mut watch = lock(&desk.watch);
            let touched: Vec<i64> = watch
                .folders
                .iter()
                .filter(|(_, folder)| event.paths.iter().any(|path| path.starts_with(folder)))
                .map(|(id, _)| *id)
                .collect();
            for id in touched {
                watch.changed.insert(id, Some(Instant::now()));
            }
            drop(watch);
            desk.wake_when_quiet(&runtime);
        };
        let mut watcher = notify::recommended_watcher(on_change).ok();
        let mut watch = lock(&self.watch);
        for folder in &linked {
            let path = PathBuf::from(&folder.path);
            if let Some(watcher) = &mut watcher {
                let _ = watcher.watch(&path, RecursiveMode::Recursive);
            }
            if !watch.folders.contains_key(&folder.id) && folder.found {
                watch.changed.insert(folder.id, None);
            }
        }
        watch.folders =
            linked.into_iter().map(|folder| (folder.id, PathBuf::from(folder.path))).collect();
        watch.watcher = watcher;
        drop(watch);
        self.runner.wake();
        Ok(())
    }

    fn wake_when_quiet(self: &Arc<Self>, runtime: &tokio::runtime::Handle) {
        let desk = Arc::downgrade(self);
        runtime.spawn(async move {
            tokio::time::sleep(QUIET + Duration::from_millis(50)).await;
            if let Some(desk) = desk.upgrade() {
                desk.runner.wake();
            }
        });
    }

    /// Queues an import for every folder that changed. Called between jobs, so that a change
    /// during an import leads to another one.
    pub(super) async fn queue_changed_folders(&self) {
        let quiet = lock(&self.watch).take_quiet();
        let library = Arc::clone(&self.quartet().library);
        for id in quiet {
            let Ok(folder) = library.linked_folder(id).await else { continue };
            let path = PathBuf::from(&folder.path);
            // A folder that is not there, on a drive that is not plugged in perhaps, must not
            // make its documents count as gone.
            if let Ok(job) = Importer::queue(&library, &folder.collection, &[path]).await {
                lock(&self.runner.syncing).insert(job, id);
            }
        }
    }
}
