//! What experts thought, kept: the same question to the same expert gives the same states.

use crate::models::write_atomically;
use crate::training::Student;
use quartet_methods::Thought;
use quartet_methods::gag::memory::Memory;
use quartet_types::{AdapterUse, Error, GagOptions, Result, Sha256, Usage};
use serde::{Deserialize, Serialize};
use sha2::Digest;
use std::path::{Path, PathBuf};

/// Kept thoughts of an expert, at most; of the size of 40 kB each.
const MOST: usize = 4_000;

/// What stands before the numbers of a kept thought, as one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    text: String,
    usage: Usage,
    /// Layers, slots and width; `None` where nothing was written.
    shape: Option<(usize, usize, usize)>,
}

/// A folder of thoughts, by expert and question.
pub(crate) struct Thoughts {
    folder: PathBuf,
}

impl Thoughts {
    pub(crate) fn new(data: &Path) -> Self {
        Self { folder: data.join("thoughts") }
    }

    /// The thoughts of an expert go with it.
    pub(crate) fn forget(&self, adapter: &Sha256) {
        let _ = std::fs::remove_dir_all(self.folder.join(short(&adapter.0)));
    }

    /// Has an expert think, or finds what it thought before.
    pub(crate) async fn think(
        &self,
        student: &Student,
        adapter: Option<&Sha256>,
        question: &str,
        options: &GagOptions,
    ) -> Result<Thought> {
        let Some(adapter) = adapter else {
            // Only a control asks the untaught; what it says belongs to no expert's folder.
            return student.think(question, &[], options).await;
        };
        let expert = short(&adapter.0);
        let mut hash = sha2::Sha256::new();
        // All that decides what is pooled, and from what.
        hash.update(format!(
            "{expert} {} {} {:?} {:?} {} {:?} {} {question}",
            student.name(),
            student.engine_build(),
            options.form,
            options.readout,
            options.slots,
            options.pooling,
            options.background_tokens,
        ));
        let key: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let folder = self.folder.join(expert);
        let path = folder.join(format!("{key}.thought"));
        if let Some(thought) = read(&path) {
            return Ok(thought);
        }
        let used = AdapterUse { adapter: adapter.clone(), scale: 1.0 };
        let thought = student.think(question, &[used], options).await?;
        std::fs::create_dir_all(&folder).map_err(|error| Error::from_io(&error, &folder))?;
        let full = std::fs::read_dir(&folder).map_or(0, Iterator::count) >= MOST;
        if !full {
            write_atomically(&path, &bytes(&thought)?)?;
        }
        Ok(thought)
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn bytes(thought: &Thought) -> Result<Vec<u8>> {
    let shape = thought.memory.as_ref();
    let head = Head {
        text: thought.text.clone(),
        usage: thought.usage.clone(),
        shape: shape.map(|memory| (memory.layers, memory.slots, memory.width)),
    };
    let mut bytes = serde_json::to_vec(&head).map_err(|e| Error::internal(e.to_string()))?;
    bytes.push(b'\n');
    for value in thought.memory.iter().flat_map(|memory| &memory.values) {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    Ok(bytes)
}

/// A kept thought; `None` for one that is not whole.
fn read(path: &Path) -> Option<Thought> {
    let bytes = std::fs::read(path).ok()?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (head, numbers) = bytes.split_at(end);
    let head: Head = serde_json::from_slice(head).ok()?;
    let memory = match head.shape {
        None => None,
        Some((layers, slots, width)) => {
            let values: Vec<f32> = numbers[1..]
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect();
            let whole = values.len() == layers * slots * width && numbers.len() % 4 == 1;
            whole.then_some(())?;
            Some(Memory { layers, slots, width, values })
        }
    };
    Some(Thought { memory, text: head.text, usage: head.usage, cached: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thought_is_read_as_it_was_written_and_not_if_it_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one.thought");
        let values = vec![0.1, -2.5e4, f32::MIN_POSITIVE, 3.0];
        let thought = Thought {
            memory: Some(Memory { layers: 1, slots: 2, width: 2, values }),
            text: "a pump\nand more".to_owned(),
            usage: Usage { tokens_read: 9, tokens_written: 4, bytes_read: 0 },
            cached: true,
        };
        let whole = bytes(&thought).unwrap();
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(read(&path), Some(thought));
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert_eq!(read(&path), None);
    }
}
