//! An expert alone, answering from memory. Its words are no evidence of anything.

use super::student::Student;
use crate::Quartet;
use quartet_library::StoredArtefact;
use quartet_types::{AdapterUse, Artefact, ArtefactKind, Error, ErrorCode, Generation, Result};
use tokio_util::sync::CancellationToken;

impl Quartet {
    /// Asks the expert on a collection, without any document.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Corrupt` if its model or its adapter is not what it was
    /// trained with, naming the artefact; those of the engine.
    pub async fn ask_expert(
        &self,
        collection: &str,
        question: &str,
        cancel: &CancellationToken,
    ) -> Result<(Artefact, Generation)> {
        let StoredArtefact { artefact, folder } = self
            .stored_artefacts(Some(collection))
            .await?
            .into_iter()
            .find(|one| one.artefact.kind == ArtefactKind::Expert)
            .ok_or_else(|| {
                Error::new(ErrorCode::NotFound, format!("there is no expert on `{collection}`"))
                    .hint("`quartet train expert` makes one.")
            })?;
        let name = format!("the expert on `{}`", artefact.collection_name);
        let model = self.models.find(&artefact.model)?;
        let (path, sha256) = self.models.verified(&model)?;
        if sha256 != artefact.model_sha256 {
            return Err(Error::new(
                ErrorCode::Corrupt,
                format!(
                    "{name} is stale: it was trained on the model `{}` with SHA-256 {}, which now has {}",
                    artefact.model,
                    short(&artefact.model_sha256.0),
                    short(&sha256.0)
                ),
            )
            .hint("Put the former model file back, or train the expert again.")
            .about_path(&path));
        }
        let student = Student::load(&self.engine, &model, cancel).await?;
        let file = self.artefact_folder(&folder).join("adapter.gguf");
        let adapter = student.take_adapter(&file).await?;
        if adapter != artefact.adapter {
            return Err(Error::new(
                ErrorCode::Corrupt,
                format!("{name} is damaged: its file is not the one that was trained"),
            )
            .hint("Train the expert again.")
            .about_path(&file));
        }
        let used = AdapterUse { adapter, scale: 1.0 };
        let generation = student.answer(question, &[used]).await?;
        Ok((artefact, generation))
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
