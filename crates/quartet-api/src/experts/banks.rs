//! Banks of prototypes: the general one, which comes with the program, and how any is made.

use super::domain::read_bank;
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
/// Raised when the way questions are encoded changes.
const VERSION: u32 = 1;

fn questions() -> impl Iterator<Item = (usize, &'static str)> {
    let all = QUESTIONS.lines().map(str::trim);
    all.filter(|line| !line.is_empty() && !line.starts_with('#')).enumerate()
}

/// Everyday questions that are in no bank.
pub(crate) fn held_out_of_general() -> Vec<&'static str> {
    let held = questions().filter(|(place, _)| place % HELD_OUT_ONE_IN == HELD_OUT_ONE_IN - 1);
    held.map(|(_, question)| question).collect()
}

/// What vectors depend on: the model that encodes, the build of the engine, the way.
pub(crate) fn encoder_key(quartet: &Quartet, student: &Student) -> Result<String> {
    let model = quartet.models.find(student.name())?;
    let (_, sha256) = quartet.models.verified(&model)?;
    Ok(format!("{sha256}+{}+v{VERSION}", student.engine_build()))
}

/// Prototypes of encoded questions.
pub(crate) async fn cluster(
    encoder: &str,
    vectors: Vec<Vec<f32>>,
    prototypes: usize,
) -> Result<Bank> {
    let encoder = encoder.to_owned();
    tokio::task::spawn_blocking(move || Bank::cluster(&encoder, &vectors, prototypes))
        .await
        .map_err(|error| Error::internal(error.to_string()))?
}

/// The bank of the general route: made once for each encoder, then kept.
pub(crate) async fn general_bank(
    quartet: &Quartet,
    student: &Student,
    encoder: &str,
    cancel: &CancellationToken,
) -> Result<Arc<Bank>> {
    let known = quartet.general.lock().ok().and_then(|known| known.clone());
    if let Some(known) = known.filter(|known| known.encoder == encoder) {
        return Ok(known);
    }
    let path = quartet.paths.data.join("routes").join("general.json");
    let kept = read_bank(&path).ok().filter(|bank| bank.encoder == encoder);
    let bank = match kept {
        Some(bank) => bank,
        None => {
            let mut vectors = Vec::new();
            for (place, question) in questions() {
                if cancel.is_cancelled() {
                    return Err(Error::cancelled());
                }
                if place % HELD_OUT_ONE_IN != HELD_OUT_ONE_IN - 1 {
                    vectors.push(student.encode(question).await?);
                }
            }
            let made = cluster(encoder, vectors, MOST_PROTOTYPES).await?;
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
