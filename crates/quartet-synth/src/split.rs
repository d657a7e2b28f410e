//! Splits: by document, and by wording of a question. Both follow from a seed alone.

use crate::row::{Part, StudyRow};
use quartet_types::DocumentId;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The first 16 hexadecimal digits of a SHA-256 over the pieces, each ended by a zero byte.
#[must_use]
pub(crate) fn digest(pieces: &[&str]) -> String {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update(piece.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A number that looks random but follows from the pieces.
#[must_use]
pub(crate) fn number(pieces: &[&str]) -> u64 {
    u64::from_str_radix(&digest(pieces), 16).unwrap_or_default()
}

/// Which of several shares a row falls into, for example `[65, 25, 10]` for GAG's expert,
/// projector and test. The same seed and name always give the same place; 0 when every share is
/// zero.
#[must_use]
pub fn share_of(seed: u64, name: &str, shares: &[u32]) -> usize {
    let whole: u64 = shares.iter().map(|&share| u64::from(share)).sum();
    if whole == 0 {
        return 0;
    }
    let mut left = number(&["share", &seed.to_string(), name]) % whole;
    for (place, &share) in shares.iter().enumerate() {
        if left < u64::from(share) {
            return place;
        }
        left -= u64::from(share);
    }
    0
}

/// To which part each document belongs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentParts(BTreeMap<DocumentId, Part>);

impl DocumentParts {
    /// Deals documents out: about one in five to test and one in ten to develop, at least one
    /// each from four documents on, none with fewer (then only the split by wording is left).
    /// `known` documents keep their part, so that rows made earlier stay right when documents
    /// are added.
    #[must_use]
    pub fn deal(documents: &BTreeSet<DocumentId>, seed: u64, known: &Self) -> Self {
        let mut parts: BTreeMap<DocumentId, Part> = documents
            .iter()
            .filter_map(|document| Some((*document, *known.0.get(document)?)))
            .collect();
        let (test, develop) = match documents.len() {
            0..4 => (0, 0),
            count => ((count / 5).max(1), (count / 10).max(1)),
        };
        let held = |parts: &BTreeMap<DocumentId, Part>, part| {
            parts.values().filter(|&&held| held == part).count()
        };
        let mut open: Vec<DocumentId> =
            documents.iter().copied().filter(|document| !parts.contains_key(document)).collect();
        open.sort_by_key(|document| {
            number(&["document", &seed.to_string(), &document.to_string()])
        });
        for document in open {
            let part = if held(&parts, Part::Test) < test {
                Part::Test
            } else if held(&parts, Part::Develop) < develop {
                Part::Develop
            } else {
                Part::Train
            };
            parts.insert(document, part);
        }
        Self(parts)
    }

    /// What finished rows say.
    #[must_use]
    pub fn known<'a>(rows: impl Iterator<Item = &'a StudyRow>) -> Self {
        Self(rows.map(|row| (row.provenance.document, row.document_part)).collect())
    }

    /// The part of a document; unknown ones train.
    #[must_use]
    pub fn of(&self, document: DocumentId) -> Part {
        self.0.get(&document).copied().unwrap_or(Part::Train)
    }
}

/// Holds one paraphrase out of training, where there is one: by preference one that the model
/// wrote, else one by a rule. The first wording always trains.
pub(crate) fn hold_out_one(row: &mut StudyRow, seed: u64) {
    for wording in &mut row.paraphrases {
        wording.part = Part::Train;
    }
    let place = number(&["wording", &seed.to_string(), &row.id]);
    let Some(best) = row.paraphrases.iter().map(|wording| wording.by).min() else { return };
    let mut fit: Vec<_> = row.paraphrases.iter_mut().filter(|wording| wording.by == best).collect();
    let count = u64::try_from(fit.len()).unwrap_or(1).max(1);
    if let Some(wording) = usize::try_from(place % count).ok().and_then(|at| fit.get_mut(at)) {
        wording.part = Part::Test;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn documents(ids: std::ops::Range<i64>) -> BTreeSet<DocumentId> {
        ids.map(DocumentId).collect()
    }

    fn count(parts: &DocumentParts, part: Part) -> usize {
        parts.0.values().filter(|&&held| held == part).count()
    }

    #[test]
    fn twelve_documents_are_dealt_two_one_nine() {
        let parts = DocumentParts::deal(&documents(1..13), 7, &DocumentParts::default());
        assert_eq!(
            [Part::Test, Part::Develop, Part::Train].map(|part| count(&parts, part)),
            [2, 1, 9]
        );
        assert_eq!(parts, DocumentParts::deal(&documents(1..13), 7, &DocumentParts::default()));
        assert_ne!(parts, DocumentParts::deal(&documents(1..13), 8, &DocumentParts::default()));
    }

    #[test]
    fn a_few_documents_are_all_for_training() {
        let parts = DocumentParts::deal(&documents(1..4), 7, &DocumentParts::default());
        assert_eq!(count(&parts, Part::Train), 3);
    }

    #[test]
    fn shares_are_kept_to() {
        let places: Vec<usize> =
            (0..1000).map(|row| share_of(3, &row.to_string(), &[65, 25, 10])).collect();
        for (place, wanted) in [(0, 650), (1, 250), (2, 100)] {
            let found = places.iter().filter(|&&held| held == place).count();
            assert!(found.abs_diff(wanted) < 60, "{found} instead of {wanted}");
        }
        assert_eq!(share_of(1, "x", &[]), 0);
    }

    proptest! {
        #[test]
        fn added_documents_move_no_other(old in 0_i64..30, new in 0_i64..30, seed in any::<u64>()) {
            let before = DocumentParts::deal(&documents(0..old), seed, &DocumentParts::default());
            let after = DocumentParts::deal(&documents(0..old + new), seed, &before);
            for document in documents(0..old) {
                prop_assert_eq!(before.of(document), after.of(document));
            }
        }
    }
}
