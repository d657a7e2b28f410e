//! The starting point that is shipped: general retrieval heads and a reader for one base.

use super::setup::{AdapterFile, Taught};
use quartet_types::{AdapterUse, ImpragSettings, ImpragTier, Sha256};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

const START: &str = include_str!("../../../../assets/imprag/start.json");
/// Its adapters, by name.
const FILES: [(&str, &[u8]); 2] = [
    ("retriever.gguf", include_bytes!("../../../../assets/imprag/retriever.gguf")),
    ("reader.gguf", include_bytes!("../../../../assets/imprag/reader.gguf")),
];

/// `assets/imprag/start.json`.
#[derive(Deserialize)]
struct Start {
    /// Digest of the base that it was trained through.
    model_sha256: Sha256,
    settings: ImpragSettings,
    /// Digests of the adapters, by name: they need not be computed each time.
    files: BTreeMap<String, Sha256>,
    /// In force while queries and passage vectors are made.
    retriever: Vec<String>,
    /// In force while answers are written.
    reader: Vec<String>,
}

fn start() -> Option<&'static Start> {
    static READ: OnceLock<Option<Start>> = OnceLock::new();
    READ.get_or_init(|| serde_json::from_str(START).ok()).as_ref()
}

/// The base that it is for.
#[cfg(test)]
pub(super) fn model() -> Option<Sha256> {
    start().map(|start| start.model_sha256.clone())
}

/// What is shipped for a base; `None` for any other base.
pub(crate) fn starting_point(base: &Sha256) -> Option<Taught> {
    let start = start().filter(|start| start.model_sha256 == *base)?;
    let mut files = Vec::new();
    let mut take = |names: &[String]| -> Option<Vec<AdapterUse>> {
        let mut used = Vec::new();
        for name in names {
            let (_, bytes) = FILES.iter().find(|(known, _)| known == name)?;
            let adapter = start.files.get(name)?.clone();
            if !files.iter().any(|(known, _)| *known == adapter) {
                files.push((adapter.clone(), AdapterFile::Shipped(bytes)));
            }
            used.push(AdapterUse { adapter, scale: 1.0 });
        }
        Some(used)
    };
    let retriever = take(&start.retriever)?;
    let reader = take(&start.reader)?;
    Some(Taught {
        settings: start.settings.clone(),
        tier: ImpragTier::Start,
        query: retriever.clone(),
        passage: retriever,
        reader,
        states: Vec::new(),
        threshold: None,
        files,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quartet_gguf::sha256_of_bytes;

    #[test]
    fn what_is_shipped_is_whole_and_for_one_base() {
        let read = serde_json::from_str::<Start>(START).unwrap();
        assert_eq!(read.files.len(), FILES.len(), "each file has a digest");
        for (name, bytes) in FILES {
            assert_eq!(read.files[name], sha256_of_bytes(bytes), "{name}");
        }
        let bytes: usize = FILES.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes < 16 << 20, "{bytes} bytes are carried by everybody");

        let taught = starting_point(&read.model_sha256).unwrap();
        assert_eq!((taught.tier, taught.settings), (ImpragTier::Start, read.settings));
        assert!(!taught.query.is_empty() && !taught.reader.is_empty());
        assert_eq!(taught.query, taught.passage, "one adapter on both sides");
        let used = taught.query.iter().chain(&taught.reader);
        assert!(
            used.clone().all(|one| taught.files.iter().any(|(known, _)| *known == one.adapter))
        );
        assert_eq!(used.count(), taught.files.len());

        assert!(starting_point(&Sha256("f".repeat(64))).is_none());
    }
}
