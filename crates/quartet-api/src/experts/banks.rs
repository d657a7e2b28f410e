//! Banks of prototypes: the general one, which comes with the program, and how any is made.

use super::domain::read_bank;
use super::encoder::Encoder;
use crate::Quartet;
use crate::models::write_atomically;
use crate::training::Student;
use quartet_methods::gag::router::{Bank, MOST_PROTOTYPES};
use quartet_types::{Error, Result};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Everyday questions, written for this purpose.
const QUESTIONS: &str = include_str!("../../../../assets/general/questions.v1.txt");
/// Of so many everyday questions one is kept out of the bank, to measure on.
const HELD_OUT_ONE_IN: usize = 8;
/// Questions that are encoded at once.
const TEXTS_AT_ONCE: usize = 32;

fn questions() -> impl Iterator<Item = (usize, &'static str)> {
    let all = QUESTIONS.lines().map(str::trim);
    all.filter(|line| !line.is_empty() && !line.starts_with('#')).enumerate()
}

/// Everyday questions that are in no bank.
pub(crate) fn held_out_of_general() -> Vec<&'static str> {
    let held = questions().filter(|(place, _)| place % HELD_OUT_ONE_IN == HELD_OUT_ONE_IN - 1);
    held.map(|(_, question)| question).collect()
}

/// The bank of the general route: made once for each encoder, then kept.
pub(crate) async fn general_bank(
    quartet: &Quartet,
    student: &Student,
    encoder: &Encoder,
    cancel: &CancellationToken,
) -> Result<Arc<Bank>> {
    let known = quartet.general.lock().ok().and_then(|known| known.clone());
    if let Some(known) = known.filter(|known| known.encoder == encoder.key()) {
        return Ok(known);
    }
    let path = quartet.paths.data.join("routes").join(encoder.file());
    let kept = read_bank(&path).ok().filter(|bank| bank.encoder == encoder.key());
    let bank = match kept {
        Some(bank) => bank,
        None => {
            let all: Vec<String> = questions()
                .filter(|(place, _)| place % HELD_OUT_ONE_IN != HELD_OUT_ONE_IN - 1)
                .map(|(_, question)| question.to_owned())
                .collect();
            let mut vectors = Vec::with_capacity(all.len());
            for texts in all.chunks(TEXTS_AT_ONCE) {
                vectors.extend(encoder.encode(student, texts, cancel).await?);
            }
            let made = encoder.bank(vectors, MOST_PROTOTYPES).await?;
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|error| Error::from_io(&error, folder))?;
            }
            let bytes =
                serde_json::to_vec(&made).map_err(|error| Error::internal(error.to_string()))?;
            write_atomically(&path, &bytes)?;
            made
        }
    };
    let bank = Arc::new(bank);
    if let Ok(mut known) = quartet.general.lock() {
        *known = Some(Arc::clone(&bank));
    }
    Ok(bank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_general_bank_is_large_and_keeps_some_questions_out() {
        let all: BTreeSet<String> = questions().map(|(_, one)| one.to_lowercase()).collect();
        let held = held_out_of_general();
        assert_eq!(all.len(), questions().count(), "no question twice");
        assert!(all.len() - held.len() >= 500 && held.len() >= 50);
    }
}
