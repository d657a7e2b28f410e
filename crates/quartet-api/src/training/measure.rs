//! What a student knows: perplexity on text, and answers from memory.

use super::pace::{Detail, Pace};
use super::student::Student;
use quartet_exam::text::f1;
use quartet_methods::expert::Exchange;
use quartet_types::{AdapterUse, Error, ProgressUnit, Result};
use serde::{Deserialize, Serialize};

/// Everyday text, written for this purpose: nobody's documents, and nobody's training text.
const GENERAL: &str = include_str!("../../../../assets/general/everyday.v1.txt");

/// What is measured on.
pub(super) struct Yardstick<'a> {
    /// Texts of the collection that were held out.
    pub(super) texts: &'a [String],
    /// Questions nobody was taught in this wording.
    pub(super) asked: &'a [Exchange],
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    /// Perplexity on the collection, where anything was held out.
    pub(super) in_domain: Option<f64>,
    /// Perplexity on everyday text.
    pub(super) general: f64,
    /// Mean token F1 of answers from memory, where there was anything to ask.
    pub(super) f1: Option<f64>,
}

/// Measures a student with an adapter or without one.
pub(super) async fn measure(
    student: &Student,
    yardstick: &Yardstick<'_>,
    adapters: &[AdapterUse],
    pace: &Pace<'_>,
) -> Result<Measured> {
    let general: Vec<String> = GENERAL
        .split("\n\n")
        .filter(|text| !text.trim().is_empty() && !text.starts_with('#'))
        .map(|text| text.trim().to_owned())
        .collect();
    let total = (general.len() + yardstick.texts.len() + yardstick.asked.len()) as u64;
    let mut done = 0;
    let mut perplexities = [None; 2];
    for (place, texts) in [yardstick.texts, &general].into_iter().enumerate() {
        let (mut sum, mut count) = (0.0, 0);
        for text in texts {
            let one = student.perplexity(text, adapters).await?;
            sum += one.sum;
            count += one.count;
            done += 1;
            pace.tell(done, total, ProgressUnit::Questions, Detail::Nothing).await;
        }
        if count > 0 {
            perplexities[place] = Some((-sum / f64::from(count)).exp());
        }
    }
    let mut score = 0.0;
    for exchange in yardstick.asked {
        let answer = student.answer(&exchange.question, adapters).await?;
        score += f1(&answer.text, std::slice::from_ref(&exchange.answer));
        done += 1;
        pace.tell(done, total, ProgressUnit::Questions, Detail::Nothing).await;
    }
    let [in_domain, general] = perplexities;
    let general = general.ok_or_else(|| Error::internal("there is no everyday text"))?;
    let asked = yardstick.asked.len();
    let f1 = (asked > 0).then(|| score / asked as f64);
    Ok(Measured { in_domain, general, f1 })
}
