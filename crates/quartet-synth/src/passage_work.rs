//! Everything that is made of one passage.

use crate::asking::Asking;
use crate::checks::holds_answer;
use crate::claims::claims;
use crate::corpus::Corpus;
use crate::filter::{Dropped, Tally};
use crate::recipe::{Recipe, WorkKey};
use crate::row::{Checks, Part, ROW_FORMAT, RowKind, RowSource, StudyRow, Wording, Writer};
use crate::rules::{self, lower_first};
use crate::sentence::{Sentence, of_passage};
use crate::split::{digest, hold_out_one, number};
use crate::swap::{Unless, swapped};
use crate::words::{contains, content_stems, key};
use crate::work::{Stage, WorkItem};
use quartet_methods::Reader;
use quartet_methods::text::one_line;
use quartet_types::{Passage, Result};
use std::collections::HashSet;
use tokio_util::sync::CancellationToken;

pub(crate) struct PassageWork<'a> {
    pub(crate) passage: &'a Passage,
    pub(crate) key: &'a WorkKey,
    pub(crate) corpus: &'a Corpus,
    pub(crate) part: Part,
    pub(crate) reader: Option<&'a dyn Reader>,
    pub(crate) recipe: &'a Recipe,
    pub(crate) cancel: &'a CancellationToken,
}

/// A pair on its way to becoming a row.
pub(crate) struct Draft {
    pub(crate) source: RowSource,
    /// Without the document's title before it.
    pub(crate) question: String,
    /// Whether the title has to stand before the question.
    pub(crate) anchored: bool,
    pub(crate) answer: String,
    pub(crate) sentence: usize,
    pub(crate) variants: Vec<(String, Writer)>,
    pub(crate) checks: Checks,
}

impl PassageWork<'_> {
    pub(crate) async fn make(&self, stage: &mut (dyn FnMut(Stage) + Send)) -> Result<WorkItem> {
        let mut tally = Tally::default();
        let sentences = of_passage(self.passage);
        stage(Stage::Rules);
        let mut drafts = self.by_rules(&sentences, &mut tally);
        if let Some(reader) = self.reader {
            let asking = Asking { reader, recipe: self.recipe, cancel: self.cancel };
            if self.recipe.generated_per_passage > 0 && !sentences.is_empty() {
                stage(Stage::Questions);
                drafts.extend(self.by_model(&asking, &sentences, &drafts, &mut tally).await?);
            }
            unique(&mut drafts, &mut tally);
            stage(Stage::Checks);
            drafts = self.checked(&asking, drafts, &mut tally).await?;
            if self.recipe.paraphrases > 0 {
                stage(Stage::Paraphrases);
                self.rewrite(&asking, &mut drafts, &mut tally).await?;
            }
        } else {
            unique(&mut drafts, &mut tally);
        }
        stage(Stage::Claims);
        let mut rows: Vec<StudyRow> = Vec::new();
        let unanswerable = self.unanswerable(&drafts, &sentences, &mut tally);
        for draft in drafts {
            rows.extend(self.question_row(draft, &sentences));
        }
        rows.extend(unanswerable);
        let most = self.recipe.claims_per_passage;
        let seed = format!("{} {}", self.recipe.seed, self.key.0);
        for claim in claims(&sentences, self.corpus, most, &seed, &mut tally) {
            let answer = if claim.label { "true" } else { "false" };
            rows.extend(self.row(
                (RowKind::Claim, claim.source),
                claim.statement,
                answer.to_owned(),
                sentences.get(claim.sentence),
            ));
        }
        Ok(WorkItem { key: self.key.clone(), chunk: self.passage.chunk, rows, tally })
    }

    fn by_rules(&self, sentences: &[Sentence], tally: &mut Tally) -> Vec<Draft> {
        let pairs =
            rules::pairs(self.passage, sentences, self.corpus, self.recipe.cloze_per_passage);
        let mut drafts = Vec::new();
        for pair in pairs {
            tally.made(pair.source);
            let refused = if !contains(&self.passage.text, &pair.answer) {
                Some(Dropped::AnswerNotInPassage)
            } else if pair.source != RowSource::Heading
                && holds_answer(&pair.question, &pair.answer)
            {
                Some(Dropped::AnswerInQuestion)
            } else {
                None
            };
            match refused {
                Some(why) => tally.dropped(pair.source, why),
                None => drafts.push(Draft {
                    source: pair.source,
                    question: pair.question,
                    anchored: false,
                    answer: pair.answer,
                    sentence: pair.sentence,
                    variants: pair.variants.into_iter().map(|text| (text, Writer::Rule)).collect(),
                    checks: Checks::default(),
                }),
            }
        }
        drafts
    }

    /// The question as it stands in the row.
    pub(crate) fn full(&self, question: &str, anchored: bool) -> String {
        if anchored {
            anchor(&one_line(&self.passage.title), question)
        } else {
            question.to_owned()
        }
    }

    /// Fills up to the wanted number of wordings with the question itself in a frame: shallow,
    /// but sure to ask the same.
    fn frame(&self, question: &str, anchored: bool, variants: &mut Vec<(String, Writer)>) {
        let title = one_line(&self.passage.title);
        let asked = lower_first(question);
        let mut frames = vec![format!("Please answer this one: {asked}")];
        if !anchored && !title.is_empty() {
            frames.insert(0, format!("Going by \u{201c}{title}\u{201d}, {asked}"));
        } else {
            frames.push(format!("A question for you: {asked}"));
        }
        let missing = self.recipe.paraphrases.saturating_sub(variants.len());
        variants.extend(frames.into_iter().take(missing).map(|text| (text, Writer::Frame)));
    }

    fn question_row(&self, draft: Draft, sentences: &[Sentence]) -> Option<StudyRow> {
        let question = self.full(&draft.question, draft.anchored);
        let mut row = self.row(
            (RowKind::Question, draft.source),
            question,
            draft.answer,
            sentences.get(draft.sentence),
        )?;
        row.checks = draft.checks;
        let mut variants = draft.variants;
        if !draft.source.is_gap_or_heading() {
            self.frame(&draft.question, draft.anchored, &mut variants);
        }
        row.paraphrases = variants
            .into_iter()
            .map(|(text, by)| Wording {
                text: self.full(&text, draft.anchored),
                part: Part::Train,
                by,
            })
            .collect();
        hold_out_one(&mut row, self.recipe.seed);
        Some(row)
    }

    fn unanswerable(
        &self,
        drafts: &[Draft],
        sentences: &[Sentence],
        tally: &mut Tally,
    ) -> Vec<StudyRow> {
        let mut rows = Vec::new();
        for draft in drafts {
            if rows.len() >= self.recipe.unanswerable_per_passage {
                break;
            }
            if draft.source.is_gap_or_heading() {
                continue;
            }
            let mut refused = 0;
            let seed = format!("{} {}", self.recipe.seed, self.key.0);
            let changed = if draft.anchored {
                // It names nothing but its document: another document does not answer it.
                let place = number(&["title", &seed, &draft.question]);
                let stems = content_stems(&draft.question);
                self.corpus
                    .silent_document(self.passage.document, &stems, place)
                    .map(|title| anchor(title, &draft.question))
            } else {
                let question = Sentence::of_question(&draft.question);
                swapped(&question, self.corpus, Unless::SaidInPassage, &seed, &mut refused)
            };
            for _ in 0..refused {
                tally.made(RowSource::Swap);
                tally.dropped(RowSource::Swap, Dropped::MayBeAnswerable);
            }
            if let Some(changed) = changed {
                tally.made(RowSource::Swap);
                rows.extend(self.row(
                    (RowKind::Unanswerable, RowSource::Swap),
                    changed,
                    String::new(),
                    sentences.get(draft.sentence),
                ));
            }
        }
        rows
    }

    fn row(
        &self,
        (kind, source): (RowKind, RowSource),
        question: String,
        answer: String,
        sentence: Option<&Sentence>,
    ) -> Option<StudyRow> {
        let id = digest(&[&self.key.0, &format!("{kind:?}"), &key(&question)]);
        Some(StudyRow {
            format: ROW_FORMAT,
            id,
            item: self.key.0.clone(),
            kind,
            source,
            question,
            answer,
            paraphrases: Vec::new(),
            provenance: sentence?.provenance(self.passage),
            document_part: self.part,
            checks: Checks::default(),
        })
    }
}

/// The question with the document's title before it.
fn anchor(title: &str, question: &str) -> String {
    format!("According to \u{201c}{title}\u{201d}, {}", lower_first(question))
}

/// Of two drafts with the same question the first stays.
fn unique(drafts: &mut Vec<Draft>, tally: &mut Tally) {
    let mut seen = HashSet::new();
    drafts.retain(|draft| {
        let fresh = seen.insert(key(&draft.question));
        if !fresh {
            tally.dropped(draft.source, Dropped::Duplicate);
        }
        fresh
    });
}
