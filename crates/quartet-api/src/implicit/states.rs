//! Keys and values of passages, kept on disk up to a budget of all collections together.
//!
//! A ledger says which passage has which state; a payload behind its head is `u32` tokens,
//! `u64` bytes and the 32 bytes of the state's key. A state counts as used when its file's time
//! says so, and those that were not used for longest go first.

use super::folder::{entries, root};
use super::live::Live;
use super::records::{self, HEAD, Kind, TextDigest, head, head_of};
use quartet_types::{ChunkId, Error, Result, Sha256, StoredPassage};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The file that says which passage has which state.
pub(super) const LEDGER: &str = "ledger";
/// What states end with.
const STATE: &str = "passage";
/// Bytes of a payload of the ledger.
pub(super) const SIZE: usize = HEAD + 4 + 8 + 32;
/// A file that was used this recently need not be marked again.
const COARSE: Duration = Duration::from_secs(60);

/// The states of a collection, for one way of making them.
#[derive(Debug, Clone)]
pub(super) struct StateFolder {
    /// The folder.
    pub(super) path: PathBuf,
    kind: Kind,
}

impl StateFolder {
    pub(super) fn new(path: PathBuf, owner: [u8; 32], key: [u8; 32]) -> Self {
        Self { path, kind: Kind { size: SIZE, owner, key } }
    }

    fn file(&self, key: &Sha256) -> PathBuf {
        file_of(&self.path, key)
    }

    /// Which passages have states, with their texts of now and files that are there.
    pub(super) fn read(&self, live: &Live) -> Result<BTreeMap<ChunkId, StoredPassage>> {
        let mut known = BTreeMap::new();
        for payload in records::read(&self.path.join(LEDGER), &self.kind)? {
            let (chunk, text) = head_of(&payload);
            if live.has(chunk, text) {
                known.insert(chunk, stored(&payload));
            }
        }
        let files: HashSet<PathBuf> = entries(&self.path).into_iter().collect();
        known.retain(|_, state| files.contains(&self.file(&state.key)));
        Ok(known)
    }

    /// Notes states that have been made.
    pub(super) fn note(&self, made: &[(ChunkId, TextDigest, StoredPassage)]) -> Result<()> {
        let payload = |(chunk, text, state): &(ChunkId, TextDigest, StoredPassage)| {
            let mut payload = head(*chunk, *text);
            payload.extend(state.tokens.to_le_bytes());
            payload.extend(state.bytes.to_le_bytes());
            payload.extend(bytes_of(&state.key));
            payload
        };
        let payloads: Vec<Vec<u8>> = made.iter().map(payload).collect();
        records::append(&self.path.join(LEDGER), &self.kind, &payloads)
    }

    /// Marks a state as used; false if its file is gone.
    pub(super) fn touch(&self, key: &Sha256) -> bool {
        touch(&self.file(key))
    }

    /// Whether a file is one of ours.
    pub(super) fn holds(&self, file: &Path) -> bool {
        file.starts_with(&self.path)
    }
}

fn touch(path: &Path) -> bool {
    let Ok(facts) = std::fs::metadata(path) else { return false };
    let age = facts.modified().ok().and_then(|time| time.elapsed().ok());
    if age.is_none_or(|age| age > COARSE)
        && let Ok(file) = File::options().append(true).open(path)
    {
        let _ = file.set_times(FileTimes::new().set_modified(SystemTime::now()));
    }
    true
}

fn file_of(folder: &Path, key: &Sha256) -> PathBuf {
    folder.join(format!("{key}.{STATE}"))
}

fn stored(payload: &[u8]) -> StoredPassage {
    let (mut tokens, mut bytes) = ([0; 4], [0; 8]);
    tokens.copy_from_slice(&payload[HEAD..HEAD + 4]);
    bytes.copy_from_slice(&payload[HEAD + 4..HEAD + 12]);
    let key = payload[HEAD + 12..].iter().map(|byte| format!("{byte:02x}")).collect();
    let (tokens, bytes) = (u32::from_le_bytes(tokens), u64::from_le_bytes(bytes));
    StoredPassage { key: Sha256(key), tokens, bytes }
}

/// A digest as bytes; zeros for what is none.
pub(super) fn bytes_of(digest: &Sha256) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        let digits = digest.0.get(2 * place..2 * place + 2);
        *byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0);
    }
    bytes
}

/// Removes states of passages that are not there any more, and files that the ledger does not
/// know.
pub(super) fn prune(folder: &Path, live: &Live) -> Result<()> {
    let kept = records::retain(&folder.join(LEDGER), |chunk, text| live.has(chunk, text))?;
    let known: HashSet<PathBuf> =
        kept.iter().map(|payload| file_of(folder, &stored(payload).key)).collect();
    for file in entries(folder) {
        if !known.contains(&file) && !file.ends_with(LEDGER) {
            std::fs::remove_file(&file).map_err(|error| Error::from_io(&error, &file))?;
        }
    }
    Ok(())
}

/// What states may take on disk, and which go first.
#[derive(Debug)]
pub(super) struct Budget {
    /// Bytes that all states together may take.
    limit: u64,
    used: u64,
    /// What may go, least recently used first.
    oldest: VecDeque<(PathBuf, u64)>,
}

impl Budget {
    /// No room for anything.
    pub(super) fn none() -> Self {
        Self { limit: 0, used: 0, oldest: VecDeque::new() }
    }

    /// Looks at everything that is kept. What `kept` says must stay, whatever its age.
    pub(super) fn new(data: &Path, limit: u64, kept: impl Fn(&Path) -> bool) -> Self {
        let mut all: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
        for collection in entries(&root(data)) {
            for folder in entries(&collection.join("states")) {
                let files = entries(&folder);
                all.extend(files.into_iter().filter_map(|path| {
                    let facts = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_file)?;
                    let is_state = path.extension().is_some_and(|end| end == STATE);
                    let time = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    is_state.then_some((time, path, facts.len()))
                }));
            }
        }
        all.sort();
        let used = all.iter().map(|(_, _, bytes)| bytes).sum();
        let oldest = all.into_iter().filter(|(_, path, _)| !kept(path));
        Self { limit, used, oldest: oldest.map(|(_, path, bytes)| (path, bytes)).collect() }
    }

    /// Makes room for so many bytes more; false if there is not enough that may go, and then
    /// nothing goes.
    pub(super) fn make_room(&mut self, bytes: u64) -> bool {
        let removable: u64 = self.oldest.iter().map(|(_, bytes)| bytes).sum();
        if self.used.saturating_sub(removable) + bytes > self.limit {
            return false;
        }
        while self.used + bytes > self.limit {
            let Some((path, freed)) = self.oldest.pop_front() else { return false };
            let _ = std::fs::remove_file(path);
            self.used -= freed;
        }
        true
    }

    /// Lets the oldest go until the rest is within the limit, as far as it may.
    pub(super) fn trim(&mut self) {
        while self.used > self.limit
            && let Some((path, freed)) = self.oldest.pop_front()
        {
            let _ = std::fs::remove_file(path);
            self.used -= freed;
        }
    }

    /// So many bytes more are there now.
    pub(super) fn add(&mut self, bytes: u64) {
        self.used += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::implicit::folder::Folder;
    use quartet_types::CollectionId;

    fn key(letter: char) -> Sha256 {
        Sha256(letter.to_string().repeat(64))
    }

    /// A state of 100 bytes, last used so many hours ago.
    fn put(folder: &StateFolder, letter: char, hours: u64) -> StoredPassage {
        let path = folder.file(&key(letter));
        std::fs::create_dir_all(&folder.path).unwrap();
        std::fs::write(&path, [7; 100]).unwrap();
        let time = SystemTime::now() - Duration::from_secs(3600 * hours);
        let file = File::options().append(true).open(&path).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
        StoredPassage { key: key(letter), tokens: 5, bytes: 100 }
    }

    fn folder(data: &Path, collection: i64) -> StateFolder {
        let path = Folder::new(data, CollectionId(collection)).states(&key('0'));
        StateFolder::new(path, [1; 32], [2; 32])
    }

    #[test]
    fn states_are_known_by_text_and_file() {
        let data = tempfile::tempdir().unwrap();
        let folder = folder(data.path(), 1);
        let live = Live::of((1..=4).map(|n| (ChunkId(n), format!("text {n}"))).collect());
        let digest = |text: &str| records::digest_of(text);
        let made = [
            (ChunkId(1), digest("text 1"), put(&folder, 'a', 0)),
            (ChunkId(2), digest("text before"), put(&folder, 'b', 0)),
            (ChunkId(3), digest("text 3"), put(&folder, 'c', 0)),
            (ChunkId(9), digest("text 9"), put(&folder, 'd', 0)),
        ];
        folder.note(&made[..2]).unwrap();
        folder.note(&made[2..]).unwrap();
        let _ = put(&folder, 'e', 0);
        std::fs::remove_file(folder.file(&key('c'))).unwrap();
        let known = folder.read(&live).unwrap();
        assert_eq!(known.into_iter().collect::<Vec<_>>(), [(ChunkId(1), made[0].2.clone())]);

        prune(&folder.path, &live).unwrap();
        let left: Vec<_> = entries(&folder.path);
        assert_eq!(left, [folder.file(&key('a')), folder.path.join(LEDGER)]);
    }

    #[test]
    fn the_least_recently_used_of_all_collections_goes_first() {
        let data = tempfile::tempdir().unwrap();
        let (one, two) = (folder(data.path(), 1), folder(data.path(), 2));
        for (folder, letter, hours) in
            [(&one, 'a', 4), (&two, 'b', 9), (&one, 'c', 2), (&two, 'd', 6)]
        {
            let _ = put(folder, letter, hours);
        }
        let there = || {
            let all = [(&one, 'a'), (&two, 'b'), (&one, 'c'), (&two, 'd')];
            let files = all.iter().filter(|(folder, letter)| folder.file(&key(*letter)).exists());
            files.map(|(_, letter)| *letter).collect::<String>()
        };
        // Used a moment ago: it is not the oldest any more.
        assert!(two.touch(&key('b')) && !two.touch(&key('z')));
        let mut budget = Budget::new(data.path(), 450, |_| false);
        assert!(budget.make_room(50));
        assert_eq!(there(), "abcd");
        assert!(budget.make_room(51));
        assert_eq!(there(), "abc");
        budget.add(150);
        budget.trim();
        assert_eq!(there(), "abc");
        budget.add(1);
        budget.trim();
        assert_eq!(there(), "bc");

        let mut kept = Budget::new(data.path(), 150, |path| two.holds(path));
        assert!(!kept.make_room(51), "what must stay leaves no room");
        assert_eq!(there(), "bc", "and nothing goes for nothing");
        assert!(kept.make_room(50));
        assert_eq!(there(), "b");
        assert!(!Budget::new(data.path(), 0, |path| two.holds(path)).make_room(1));
    }
}
