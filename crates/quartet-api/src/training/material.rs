//! Study material of a collection: a file beside the library that every training shares, and
//! that grows with the documents.

use super::pace::{Detail, Pace, STUDY};
use async_trait::async_trait;
use quartet_methods::Reader;
use quartet_methods::expert::{Wordings, in_passing};
use quartet_synth::{
    Journal, Part, Progress, Recipe, RowKind, RowSource, Sink, Study, StudyReport, StudyRow,
    WorkItem, Writer, journal, share_of,
};
use quartet_types::{Error, Passage, Preset, ProgressUnit, Result};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

/// Decides which wording goes to whom.
const SEED: u64 = 1;

/// How study material is made for a preset.
pub(super) fn recipe(preset: Preset) -> Recipe {
    let recipe = Recipe::default();
    match preset {
        Preset::Quick => Recipe { generated_per_passage: 1, tries: 1, paraphrases: 1, ..recipe },
        Preset::Standard => Recipe { generated_per_passage: 3, tries: 1, ..recipe },
        Preset::Thorough => {
            Recipe { generated_per_passage: 12, cloze_per_passage: 4, paraphrases: 4, ..recipe }
        }
    }
}

/// What was made, and how much was dropped.
pub(super) struct Material {
    pub(super) questions: Vec<Wordings>,
    pub(super) report: StudyReport,
}

/// Makes what is missing of the study material.
pub(super) async fn make(
    file: &Path,
    passages: &[Passage],
    reader: Option<&dyn Reader>,
    preset: Preset,
    pace: &Pace<'_>,
    cancel: &CancellationToken,
) -> Result<Material> {
    let finished = read(file)?;
    let recipe = recipe(preset);
    let study = Study { passages, reader, recipe: &recipe };
    let keys = study.keys();
    let known = finished.keys();
    pace.begin(STUDY, keys.iter().filter(|key| known.contains(key)).count() as u64);
    let mut sink = JournalFile { path: file.to_owned() };
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel::<Progress>();
    let work = async {
        let mut on_progress = |progress| {
            let _ = sender.send(progress);
        };
        let made = study.make(&finished, &mut sink, &mut on_progress, cancel).await;
        drop(sender);
        made
    };
    let tell = async {
        while let Some(step) = told.recv().await {
            pace.tell(step.done, step.total, ProgressUnit::Chunks, Detail::Subject(step.subject))
                .await;
        }
    };
    let (report, ()) = tokio::join!(work, tell);
    let report = report?;
    let all = read(file)?;
    let current = all.items.iter().filter(|item| keys.contains(&item.key));
    let questions = current.flat_map(|item| &item.rows).filter_map(wordings).collect();
    Ok(Material { questions, report })
}

/// A question of the material with its wordings; `None` for what is no question.
///
/// The first wording is the expert's, the held-out one is for measuring, and of the others one
/// is kept for the projector of GAG, which must not learn from what the expert was taught
/// (cross-fitting). Where wordings are few, more are made in
/// passing.
fn wordings(row: &StudyRow) -> Option<Wordings> {
    if row.kind != RowKind::Question {
        return None;
    }
    let of = |wanted: Part| {
        let chosen = row.wordings().filter(move |(_, part)| *part == wanted);
        chosen.map(|(text, _)| text.to_owned()).collect::<Vec<_>>()
    };
    let mut trained = of(Part::Train);
    let manner = share_of(SEED, &row.id, &[1, 1, 1, 1]) as u64;
    let listened = if trained.len() > 1 {
        let place = 1 + share_of(SEED, &row.id, &vec![1; trained.len() - 1]);
        trained.remove(place)
    } else {
        in_passing(&row.question, manner + 1)
    };
    if trained.len() == 1 {
        trained.push(in_passing(&row.question, manner));
    }
    Some(Wordings {
        chunk: row.provenance.chunk,
        trained,
        natural: natural(row),
        listened: vec![listened],
        held_out: of(Part::Test),
        answer: row.answer.clone(),
    })
}

/// Questions as a person might ask them: none with a gap or about a heading, none held out.
fn natural(row: &StudyRow) -> Vec<String> {
    if matches!(row.source, RowSource::Cloze | RowSource::Heading) {
        return Vec::new();
    }
    let others = row.paraphrases.iter().filter(|one| one.part == Part::Train);
    let others = others.filter(|one| one.by == Writer::Model).map(|one| one.text.clone());
    std::iter::once(row.question.clone()).chain(others).collect()
}

fn read(file: &Path) -> Result<Journal> {
    match fs::read(file) {
        Ok(bytes) => Ok(Journal::read(&String::from_utf8_lossy(&bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Journal::default()),
        Err(error) => Err(Error::from_io(&error, file)),
    }
}

/// Appends to the file, synchronised: what is told as done is on the disk.
struct JournalFile {
    path: PathBuf,
}

#[async_trait]
impl Sink for JournalFile {
    async fn keep(&mut self, item: &WorkItem) -> Result<()> {
        let text = journal::lines(item)?;
        let path = self.path.clone();
        let write = move || {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_data()
        };
        tokio::task::spawn_blocking(write)
            .await
            .map_err(|error| Error::internal(error.to_string()))?
            .map_err(|error| Error::from_io(&error, &self.path))
    }
}
