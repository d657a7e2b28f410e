//! What makes the vectors that the router compares.

use crate::Quartet;
use crate::engine::EngineEmbedder;
use crate::training::Student;
use quartet_library::Embedder;
use quartet_methods::gag::router::Bank;
use quartet_types::{Error, Result, RouterForm};
use tokio_util::sync::CancellationToken;

/// Raised when the way texts are encoded changes.
const VERSION: u32 = 1;

/// The model that encodes questions.
pub(crate) enum Encoder {
    /// The untaught expert, as published; it is handed over with each call.
    Expert {
        /// What vectors depend on.
        key: String,
    },
    /// The embedder of the search.
    Embedder(Box<EngineEmbedder>, String),
}

impl Encoder {
    pub(crate) async fn of(
        quartet: &Quartet,
        form: RouterForm,
        student: &Student,
        cancel: &CancellationToken,
    ) -> Result<Self> {
        match form {
            RouterForm::Prototypes => {
                let model = quartet.models.find(student.name())?;
                let (_, sha256) = quartet.models.verified(&model)?;
                let key = format!("{sha256}+{}+v{VERSION}", student.engine_build());
                Ok(Self::Expert { key })
            }
            RouterForm::Neighbours => {
                let embedder = quartet.embedder(cancel).await?;
                let key = format!("{}+v{VERSION}", embedder.key());
                Ok(Self::Embedder(Box::new(embedder), key))
            }
        }
    }

    /// What vectors depend on: the model, the build of the engine, the way.
    pub(crate) fn key(&self) -> &str {
        match self {
            Self::Expert { key } | Self::Embedder(_, key) => key,
        }
    }

    /// Where the general bank is kept.
    pub(super) fn file(&self) -> &'static str {
        match self {
            Self::Expert { .. } => "general-prototypes.json",
            Self::Embedder(..) => "general-neighbours.json",
        }
    }

    /// A unit vector for each text.
    pub(crate) async fn encode(
        &self,
        student: &Student,
        texts: &[String],
        cancel: &CancellationToken,
    ) -> Result<Vec<Vec<f32>>> {
        if cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        match self {
            Self::Expert { .. } => {
                let mut vectors = Vec::with_capacity(texts.len());
                for text in texts {
                    vectors.push(student.encode(text).await?);
                }
                Ok(vectors)
            }
            Self::Embedder(embedder, _) => {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                let values = embedder.embed_questions(&texts, cancel).await?;
                Ok(values.chunks_exact(embedder.width()).map(<[f32]>::to_vec).collect())
            }
        }
    }

    /// A bank of vectors: clustered to so many prototypes, or all of them.
    pub(crate) async fn bank(&self, vectors: Vec<Vec<f32>>, prototypes: usize) -> Result<Bank> {
        let key = self.key().to_owned();
        match self {
            Self::Embedder(..) => Bank::of_all(&key, &vectors),
            Self::Expert { .. } => {
                tokio::task::spawn_blocking(move || Bank::cluster(&key, &vectors, prototypes))
                    .await
                    .map_err(|error| Error::internal(error.to_string()))?
            }
        }
    }
}
