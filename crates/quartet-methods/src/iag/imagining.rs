//! The imagine model at work: a document from the question alone (paper, section 3.1).

use super::template;
use crate::ports::{Imagined, Reader};
use quartet_types::{AdapterUse, GenerationRequest, Result, Usage};
use tokio_util::sync::CancellationToken;

/// So many words that come a second time end a document: what follows only repeats.
const REPEATED_WORDS: usize = 5;

/// Writes a document of at most `tokens` tokens about a question, greedily.
///
/// # Errors
/// Those of the reader.
pub async fn imagine(
    question: &str,
    reader: &dyn Reader,
    adapters: &[AdapterUse],
    tokens: u32,
    cancel: &CancellationToken,
) -> Result<Imagined> {
    let prompt = template::imagine(question);
    let mut request = GenerationRequest::new(reader.model().model.clone(), prompt);
    request.adapters = adapters.to_vec();
    request.limits.max_tokens = tokens;
    request.limits.stop = vec![template::STOP.to_owned()];
    let written = reader.generate(request, cancel, &mut |_| {}).await?;
    Ok(Imagined {
        text: unrepeated(&written.text),
        usage: Usage {
            tokens_read: written.prompt_tokens,
            tokens_written: written.written_tokens,
            bytes_read: 0,
        },
        cached: false,
    })
}

/// A text up to where it begins to repeat itself.
fn unrepeated(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let runs: Vec<&[&str]> = words.windows(REPEATED_WORDS).collect();
    let again = (1..runs.len()).find(|at| runs[..*at].contains(&runs[*at]));
    words[..again.unwrap_or(words.len())].join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_ends_where_it_begins_anew() {
        assert_eq!(unrepeated("a b c d e f a b c d e f a b"), "a b c d e f");
        assert_eq!(unrepeated("  a  b c\td a b c e "), "a b c d a b c e");
        assert_eq!(unrepeated(""), "");
    }
}
