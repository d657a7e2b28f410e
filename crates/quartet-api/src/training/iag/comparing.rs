//! What imagination is worth: whole against each part taken away, on wordings nobody was trained
//! on. No index is at hand while it is asked.

use super::Asked;
use crate::answering::NoDocuments;
use crate::engine::BaseReader;
use crate::imagination::Imaginings;
use crate::training::folder::WorkFolder;
use crate::training::pace::{Detail, Pace};
use crate::training::verdict::{F1, NLL, NONE, Row, WHOLE};
use quartet_exam::text::f1;
use quartet_methods::{NoExperts, NoImplicit, Options, Ports, Question, likelihood};
use quartet_types::{Control, Error, Method, ProgressUnit, Result};
use tokio_util::sync::CancellationToken;

/// What is compared: all that need no index.
pub(super) const CONTROLS: [Option<Control>; 7] = [
    None,
    Some(Control::NoDocument),
    Some(Control::NoHypernetwork),
    Some(Control::ConstantFeatures),
    Some(Control::ShuffledFeatures),
    Some(Control::QuestionFeatures),
    Some(Control::NoFeedForward),
];

/// Asks everything of everyone. The first `answered` questions are answered, all are scored.
/// What an earlier call scored is not asked again.
pub(super) async fn compare(
    asked: &[Asked],
    answered: usize,
    (reader, imagination): (&BaseReader, &Imaginings),
    folder: &WorkFolder,
    pace: &Pace<'_>,
    cancel: &CancellationToken,
) -> Result<Vec<Row>> {
    const FILE: &str = "compared.json";
    let ports = &Ports {
        reader,
        searcher: &NoDocuments,
        experts: &NoExperts::default(),
        implicit: &NoImplicit::default(),
        imagination,
    };
    let mut rows: Vec<Row> = folder.load(FILE)?.unwrap_or_default();
    rows.truncate(asked.len());
    for (place, one) in asked.iter().enumerate().skip(rows.len()) {
        if cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        let question = Question::fresh(one.question.trim());
        let gold = std::slice::from_ref(&one.answer);
        let mut row = Row::of(&one.question);
        // Answers of the material are short.
        let of = |control| Options { control, answer_tokens: 48, ..Options::default() };
        let contestants = CONTROLS.map(|control| (Method::Iag, control));
        for (method, control) in contestants.into_iter().chain([(Method::None, None)]) {
            let name = match (method, control) {
                (Method::None, _) => NONE,
                (_, None) => WHOLE,
                (_, Some(control)) => control.as_str(),
            };
            let options = of(control);
            let loss = likelihood(method, &question, gold, ports, &options, cancel).await?;
            if let Some(loss) = loss {
                row.note(NLL, name, loss);
            }
            if place < answered {
                let said = quartet_methods::answer(
                    method,
                    &question,
                    ports,
                    &options,
                    cancel,
                    &mut |_| {},
                )
                .await?;
                row.note(F1, name, f1(&said.text, gold));
            }
        }
        rows.push(row);
        folder.store(FILE, &rows)?;
        let (done, total) = (rows.len() as u64, asked.len() as u64);
        pace.tell(done, total, ProgressUnit::Questions, Detail::Nothing).await;
    }
    Ok(rows)
}
