//! What is shown in the end: our own sentence where the documents do not hold an answer, and
//! which passages an answer cites.

use crate::rag::prompt::shorten;
use quartet_types::{Answer, Passage};

/// Our own sentence for "not in your documents", naming the nearest passage.
pub(crate) fn nearest(passage: Option<&Passage>) -> String {
    passage.map_or_else(
        || "Nothing in your documents matches this question.".to_owned(),
        |passage| {
            format!(
                "Your documents do not seem to answer this. The nearest passage is on page {} of \
                 \u{201c}{}\u{201d}.",
                passage.span.page,
                shorten(&passage.title, 80)
            )
        },
    )
}

/// Cited passages in the order of the sentences that they support, each once.
pub(crate) fn cited(answer: &Answer) -> Vec<usize> {
    let mut cited = Vec::new();
    for support in answer.sentences.iter().filter_map(|sentence| sentence.support.as_ref()) {
        if !cited.contains(&support.passage) {
            cited.push(support.passage);
        }
    }
    cited
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rag::tests::passage;
    use crate::text::one_line;

    #[test]
    fn the_nearest_passage_is_named_on_one_line() {
        let text = nearest(Some(&passage("A\ntitle", 3, "x")));
        assert_eq!(
            text,
            "Your documents do not seem to answer this. The nearest passage is on page 3 of \
             \u{201c}A title\u{201d}."
        );
        assert_eq!(one_line(&text), text);
    }
}
