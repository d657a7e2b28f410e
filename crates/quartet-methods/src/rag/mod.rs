//! Retrieval-augmented generation: retrieve, choose passages, quote them as data, answer,
//! say what supports each sentence, and decide whether to answer at all.
//!
//! What is *retrieved*, what is *read* and what is *used* are kept apart: a passage is cited
//! only where one of its spans supports a sentence of the answer ([`crate::support`]).

pub mod passages;
pub mod prompt;

use crate::abstention::{self, Observed, is_refusal, observe};
use crate::follow_up::stand_alone;
use crate::run::{check_cancelled, milliseconds};
use crate::support::Matcher;
use crate::verdict::{cited, nearest};
use crate::writing::{Writing, check_room, request, write};
use crate::{Options, Ports, Question};
use passages::choose;
use prompt::{Template, clean_question, quotation};
use quartet_types::{Abstention, Answer, AnswerEvent, Method, Outcome, Result, Timings, Usage};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) async fn answer(
    question: &Question,
    ports: &Ports<'_>,
    options: &Options,
    cancel: &CancellationToken,
    sink: &mut (dyn FnMut(AnswerEvent) + Send),
    started: Instant,
) -> Result<Answer> {
    check_cancelled(cancel)?;
    let room = check_room(ports.reader, Template::RAG, &question.text, options).await?;
    let rewritten = stand_alone(question, ports.reader, cancel).await?;
    if let Some(rewriting) = &rewritten {
        sink(AnswerEvent::Rewritten(rewriting.question.clone()));
    }
    let asked = rewritten.as_ref().map_or(&question.text, |rewriting| &rewriting.question);
    let asked = clean_question(asked);

    check_cancelled(cancel)?;
    let searching = Instant::now();
    let (hits, trace) = ports.searcher.search(&asked, options.retrieve, cancel).await?;
    let search_ms = milliseconds(searching);
    sink(AnswerEvent::Retrieved(hits.clone()));

    let mut answer = Answer {
        id: None,
        question: question.text.clone(),
        searched_question: None,
        method: Method::Rag,
        model: ports.reader.model().model.clone(),
        outcome: Outcome::NotInDocuments,
        text: nearest(None),
        withheld: None,
        sentences: Vec::new(),
        retrieved: Vec::new(),
        read: Vec::new(),
        used: Vec::new(),
        abstention: None,
        search: Some(trace.clone()),
        timings: Timings { search_ms, ..Timings::default() },
        usage: Usage::default(),
        gag: None,
        imprag: None,
        iag: None,
        prompt: String::new(),
    };
    if let Some(rewriting) = &rewritten {
        rewriting.charge(&mut answer);
    }
    // Nothing found: a model asked all the same would answer as if it had read something.
    if hits.is_empty() {
        answer.abstention =
            Some(Abstention { probability: 0.0, threshold: 1.0, features: Vec::new() });
        answer.timings.total_ms = milliseconds(started);
        answer.timings.first_token_ms = answer.timings.total_ms;
        return Ok(answer);
    }

    let budget = options.passage_tokens.min(room);
    let mut chosen = choose(&hits, ports.reader, budget, options.passages).await?;
    // The best passage stands next to the question, where a small model looks first.
    chosen.reverse();
    let quoted: Vec<String> = chosen
        .iter()
        .enumerate()
        .map(|(place, read)| {
            let text = read.passage.text.get(..read.bytes).unwrap_or(&read.passage.text);
            quotation(place + 1, read.passage, text)
        })
        .collect();
    let prompt = Template::RAG.fill(&[("passages", &quoted.join("\n")), ("question", &asked)]);
    let request = request(ports.reader, prompt, &[abstention::REFUSAL], options);
    let Writing { generation, first_token_ms } =
        write(ports.reader, request, cancel, sink, started).await?;

    let text = without_marks(generation.text.trim());
    let matcher = Matcher::new(&asked, &chosen, &hits);
    let features = observe(&Observed {
        question: &asked,
        hits: &hits,
        trace: &trace,
        read: &chosen,
        matcher: &matcher,
        answer: &text,
        generation: &generation,
    });
    let decision = abstention::decide(&options.calibration, ports.reader.model(), &features);
    // A reply that is itself a refusal is never shown as an answer, whatever its probability.
    let refused = text.is_empty() || is_refusal(&text);
    if options.abstain && (refused || decision.probability < decision.threshold) {
        answer.text = nearest(hits.first().map(|hit| &hit.passage));
        answer.withheld = Some(text);
    } else {
        answer.outcome = Outcome::Answered;
        answer.sentences = matcher.sentences(&text);
        answer.used = cited(&answer);
        answer.text = text;
    }
    answer.abstention = Some(decision);
    answer.read = chosen.iter().map(|read| read.index).collect();
    answer.read.sort_unstable();
    answer.usage.bytes_read = chosen.iter().map(|read| read.bytes as u64).sum();
    answer.usage.tokens_read += generation.prompt_tokens;
    answer.usage.tokens_written += generation.written_tokens;
    answer.timings.queue_ms += generation.queue_ms;
    answer.timings.prefill_ms += generation.prefill_ms;
    answer.timings.decode_ms += generation.decode_ms;
    answer.timings.first_token_ms = first_token_ms;
    answer.prompt = generation.prompt_text;
    drop(matcher);
    drop(chosen);
    answer.retrieved = hits;
    answer.timings.total_ms = milliseconds(started);
    Ok(answer)
}

/// Removes citation marks that a model writes of its own accord (`[2]`, `[1, 3]`): they
/// prove nothing, and ours are worked out.
fn without_marks(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let (before, bracket) = rest.split_at(open);
        clean.push_str(before);
        let mark = bracket.find(']').filter(|&close| {
            let inside = bracket.get(1..close).unwrap_or_default();
            inside.chars().any(|c| c.is_ascii_digit())
                && inside.chars().all(|c| c.is_ascii_digit() || matches!(c, ',' | ' ' | ';' | '-'))
        });
        if let Some(close) = mark {
            rest = &bracket[close + 1..];
            if rest.starts_with(['.', ',', ';', ' ']) || rest.is_empty() {
                clean.truncate(clean.trim_end_matches(' ').len());
            }
            if clean.is_empty() {
                rest = rest.trim_start();
            }
        } else {
            clean.push('[');
            rest = &bracket[1..];
        }
    }
    clean.push_str(rest);
    clean
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use quartet_types::{ChunkId, DocumentId, PageNumber, PageSpan, Passage, SearchHit};

    pub(crate) fn passage(title: &str, page: u32, text: &str) -> Passage {
        Passage {
            chunk: ChunkId(1),
            document: DocumentId(1),
            title: title.to_owned(),
            path: "a.pdf".to_owned(),
            span: PageSpan {
                page: PageNumber(page),
                start: 0,
                end: u32::try_from(text.chars().count()).unwrap(),
            },
            heading: None,
            text: text.to_owned(),
        }
    }

    pub(crate) fn hit(document: i64, title: &str, page: u32, start: u32, text: &str) -> SearchHit {
        let mut passage = passage(title, page, text);
        passage.chunk = ChunkId(document * 100 + i64::from(page));
        passage.document = DocumentId(document);
        passage.path = format!("d{document}.pdf");
        passage.span.start += start;
        passage.span.end += start;
        SearchHit { passage, score: 1.0, lexical: Some((5.0, 1)), dense: Some((0.7, 1)) }
    }

    #[test]
    fn marks_are_removed_and_other_brackets_stay() {
        assert_eq!(without_marks("47 metres [1]."), "47 metres.");
        assert_eq!(without_marks("[2] The lamp [1, 3] is lit."), "The lamp is lit.");
        assert_eq!(without_marks("See [sic] and a[0x1]"), "See [sic] and a[0x1]");
        assert_eq!(without_marks("open [1"), "open [1");
    }
}
