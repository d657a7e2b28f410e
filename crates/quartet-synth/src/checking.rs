//! What the model itself is asked about a pair: whether the answer can be found in the passage, and
//! not without it; and whether other wordings get the same answer.

use crate::asking::{Asking, Said};
use crate::checks::check_paraphrase;
use crate::filter::{Dropped, Tally};
use crate::openings;
use crate::passage_work::{Draft, PassageWork};
use crate::row::{RowSource, Writer};
use crate::words::{is_english, key};
use quartet_types::Result;

impl PassageWork<'_> {
    /// Drafts that the model answers from the passage and not without it. Gaps and headings are
    /// not asked with it: their answer stands there by construction.
    pub(crate) async fn checked(
        &self,
        asking: &Asking<'_>,
        drafts: Vec<Draft>,
        tally: &mut Tally,
    ) -> Result<Vec<Draft>> {
        let mut kept = Vec::new();
        for mut draft in drafts {
            let question = self.full(&draft.question, draft.anchored);
            if draft.source.is_short_rule() {
                match asking.round_trip(self.passage, &draft.question, &draft.answer).await? {
                    Ok(f1) if f1 >= self.recipe.round_trip_f1 => {
                        draft.checks.round_trip_f1 = Some(f1);
                    }
                    Ok(_) => {
                        tally.dropped(draft.source, Dropped::NotFoundByReader);
                        continue;
                    }
                    Err(why) => {
                        tally.dropped(draft.source, why);
                        continue;
                    }
                }
            }
            if self.recipe.closed_book_check && draft.source != RowSource::Heading {
                let known = asking.closed_book(&question, &draft.answer).await?;
                draft.checks.closed_book_log_probability = known;
                if known.is_some_and(|known| known > self.recipe.closed_book_log_probability) {
                    tally.dropped(draft.source, Dropped::KnownWithoutPassage);
                    continue;
                }
            }
            kept.push(draft);
        }
        Ok(kept)
    }

    /// Adds paraphrases by the model, in two rounds: the second for those left with too few.
    /// A paraphrase stays if the model, reading the passage, gives it the same answer.
    pub(crate) async fn rewrite(
        &self,
        asking: &Asking<'_>,
        drafts: &mut [Draft],
        tally: &mut Tally,
    ) -> Result<()> {
        for draft in drafts {
            if draft.source.is_gap_or_heading() {
                continue;
            }
            let openings = if is_english(&self.passage.text) {
                openings::of_paraphrases(&draft.question)
            } else {
                [Vec::new(), Vec::new()]
            };
            for attempt in 0..self.recipe.tries {
                if draft.variants.len() >= self.recipe.paraphrases {
                    break;
                }
                let Ok(written) = asking.paraphrases(&draft.question, &openings, attempt).await?
                else {
                    continue;
                };
                for wording in written {
                    if let Err(why) = self.check_wording(asking, draft, &wording).await? {
                        tally.dropped(draft.source, why);
                    } else {
                        draft.variants.push((wording, Writer::Model));
                    }
                }
            }
        }
        Ok(())
    }

    async fn check_wording(
        &self,
        asking: &Asking<'_>,
        draft: &Draft,
        wording: &str,
    ) -> Result<Said<()>> {
        if let Err(why) =
            check_paraphrase(wording, &draft.question, &draft.answer, self.passage, self.recipe)
        {
            return Ok(Err(why));
        }
        if draft.variants.iter().any(|(variant, _)| key(variant) == key(wording)) {
            return Ok(Err(Dropped::ParaphraseIdentical));
        }
        Ok(match asking.round_trip(self.passage, wording, &draft.answer).await? {
            Ok(f1) if f1 >= self.recipe.round_trip_f1 => Ok(()),
            Ok(_) => Err(Dropped::ParaphraseNotFoundByReader),
            Err(why) => Err(why),
        })
    }
}
