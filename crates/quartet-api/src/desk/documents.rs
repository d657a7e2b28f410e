//! Collections and documents.

use super::Desk;
use super::replies::{DeskEvent, JobView, PageOfDocument};
use super::requests::{
    ImportPick, ListDocuments, Named, Nothing, OfCollection, OfDocuments, OfPage, Rename,
};
use quartet_library::{Importer, JournalEntry};
use quartet_types::{Collection, DocumentId, DocumentPage, Error, ErrorCode, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// Documents in one window, at most.
const MOST_LISTED: u32 = 500;

impl Desk {
    pub(super) async fn list_collections(&self, _: Nothing) -> Result<Vec<Collection>> {
        self.quartet().collections().await
    }

    pub(super) async fn create_collection(&self, request: Named) -> Result<Collection> {
        let name = request.name.trim();
        let quartet = self.quartet();
        if quartet.find_collection(name).await.is_ok() {
            return Err(Error::new(
                ErrorCode::InvalidInput,
                format!("there is a collection `{name}`"),
            )
            .hint("Choose another name."));
        }
        let collection = quartet.create_collection(name).await?;
        self.publish(DeskEvent::Library);
        Ok(collection)
    }

    pub(super) async fn rename_collection(&self, request: Rename) -> Result<Collection> {
        let renamed = self.quartet().rename_collection(&request.name, request.to.trim()).await?;
        self.publish(DeskEvent::Library);
        Ok(renamed)
    }

    pub(super) async fn delete_collection(self: &Arc<Self>, request: Named) -> Result<Nothing> {
        let quartet = self.quartet();
        let documents = quartet.documents(Some(&request.name)).await?;
        self.while_no_job_writes(async || quartet.delete_collection(&request.name).await).await?;
        for document in documents {
            self.forget_upload(document.path.as_ref());
        }
        self.watch_linked_folders().await?;
        self.publish(DeskEvent::Library);
        Ok(Nothing {})
    }

    pub(super) async fn list_documents(&self, request: ListDocuments) -> Result<DocumentPage> {
        let quartet = self.quartet();
        let collection = quartet.find_collection(&request.collection).await?;
        let limit = request.limit.min(MOST_LISTED);
        quartet
            .library
            .document_page(collection.id, &request.query, request.status, request.offset, limit)
            .await
    }

    pub(super) async fn delete_documents(&self, request: OfDocuments) -> Result<Nothing> {
        let quartet = self.quartet();
        let outcome = self
            .while_no_job_writes(async || {
                for &id in &request.documents {
                    let document = quartet.library.document(id).await?;
                    quartet.delete_document(id).await?;
                    self.forget_upload(document.path.as_ref());
                }
                Ok(())
            })
            .await;
        self.publish(DeskEvent::Library);
        outcome.map(|()| Nothing {})
    }

    pub(super) async fn retry_documents(
        self: &Arc<Self>,
        request: OfCollection,
    ) -> Result<JobView> {
        let job = Importer::queue_retry(&self.quartet().library, &request.collection).await?;
        self.enqueue(job).await
    }

    pub(super) async fn page_text(&self, request: OfPage) -> Result<PageOfDocument> {
        let library = &self.quartet().library;
        let document = library.document(request.document).await?;
        let text = library.page_text(request.document, request.page).await?;
        Ok(PageOfDocument { document, page: request.page, text })
    }

    pub(super) async fn history(&self, request: OfCollection) -> Result<Vec<JournalEntry>> {
        self.quartet().history(Some(&request.collection)).await
    }

    pub(super) async fn import_pick(self: &Arc<Self>, request: ImportPick) -> Result<JobView> {
        let quartet = self.quartet();
        let paths = self.take_pick(&request.pick)?;
        let collection = quartet.create_collection(request.collection.trim()).await?;
        let job = Importer::queue(&quartet.library, &collection.name, &paths).await?;
        if request.link {
            for folder in paths.iter().filter(|path| path.is_dir()) {
                quartet.library.link_folder(collection.id, folder).await?;
            }
            self.watch_linked_folders().await?;
        }
        self.publish(DeskEvent::Library);
        self.enqueue(job).await
    }

    /// The PDF of a document, for showing its pages. A shell may read it and nothing else.
    ///
    /// # Errors
    /// `NotFound` for the document or its file.
    pub async fn document_file(&self, id: DocumentId) -> Result<PathBuf> {
        let document = self.quartet().library.document(id).await?;
        let path = PathBuf::from(&document.path);
        if path.is_file() {
            return Ok(path);
        }
        Err(Error::new(ErrorCode::NotFound, "the file is no longer where it was read from")
            .hint("Its text can still be searched; put the file back to see its pages.")
            .about(document.path))
    }
}
