//! Answering: route, think, project, answer; and the same with a part taken away.

use super::memory::{Channels, Memory, stabilise};
use super::projector::Projector;
use super::router::best;
use crate::follow_up::{Rewriting, stand_alone};
use crate::ports::Experts;
use crate::rag::prompt::{Template, clean_question, conversation};
use crate::run::{check_cancelled, milliseconds};
use crate::writing::{Writing, check_room, request, write};
use crate::{Options, Ports, Question, none};
use quartet_types::{
    Answer, AnswerEvent, CollectionId, Control, EmbeddingRows, Error, ErrorCode, GagForm, GagTrace,
    Message, Method, Prompt, Result, Role, RouteChoice, RouteScore, Segment, Usage,
};
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// Where the rows stand in the template.
const KNOWLEDGE: &str = "{knowledge}";

/// How the base listens to one expert.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// From memory to rows.
    pub projector: Projector,
    /// Channels for standardising, where that is in force.
    pub channels: Option<Channels>,
    /// Seed of the projector's start, to have it untrained for a control.
    pub seed: u64,
    /// The mean memory of training, stabilised, for a control.
    pub constant: Vec<f32>,
    /// Memories of other questions, stabilised, one after another, for a control.
    pub others: Vec<f32>,
}

impl Listener {
    /// Rows for the base of a memory as the expert gave it.
    #[must_use]
    pub fn rows(&self, memory: &Memory) -> EmbeddingRows {
        let values = self.projector.rows(&self.stable(memory));
        let width = u32::try_from(self.projector.shape().to).unwrap_or(u32::MAX);
        EmbeddingRows { values, width }
    }

    fn stable(&self, memory: &Memory) -> Vec<f32> {
        stabilise(memory, self.channels.as_ref(), self.form())
    }

    fn form(&self) -> GagForm {
        self.projector.shape().form
    }

    fn length(&self) -> usize {
        let shape = self.projector.shape();
        shape.layers * shape.slots * shape.from
    }

    /// The projector as it was before its training.
    fn untrained(&self) -> Result<Projector> {
        let shape = self.projector.shape();
        Projector::new(shape, self.projector.gain(), &shape.fresh(self.seed)?)
    }

    /// A memory of some other question; which one depends on the question alone.
    fn another(&self, question: &str) -> &[f32] {
        let length = self.length();
        let count = (self.others.len() / length.max(1)).max(1);
        let place = question
            .bytes()
            .fold(7usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)))
            % count;
        self.others.get(place * length..(place + 1) * length).unwrap_or(&self.constant)
    }
}

/// Everything there is before the base reads.
struct Plan {
    asked: String,
    rewriting: Option<Rewriting>,
    trace: GagTrace,
    /// `None`: the general route.
    domain: Option<(CollectionId, Prompt)>,
}

pub(crate) async fn answer(
    question: &Question,
    ports: &Ports<'_>,
    options: &Options,
    cancel: &CancellationToken,
    sink: &mut (dyn FnMut(AnswerEvent) + Send),
    started: Instant,
) -> Result<Answer> {
    check_cancelled(cancel)?;
    check_room(ports.reader, Template::GAG, &question.text, options).await?;
    let plan = plan(question, ports, options, cancel, sink).await?;
    let mut answer = match plan.domain {
        None => none::answer(question, ports, options, cancel, sink, started).await?,
        Some((domain, prompt)) => {
            let writing = if options.control == Some(Control::ExpertAlone) {
                let generation = ports.experts.answer_alone(domain, &plan.asked, cancel).await?;
                sink(AnswerEvent::Text(generation.text.clone()));
                Writing { generation, first_token_ms: milliseconds(started) }
            } else {
                let request = request(ports.reader, prompt, &[], options);
                write(ports.reader, request, cancel, sink, started).await?
            };
            // An expert's memory is no evidence: nothing in the answer has support.
            writing.from_memory(Method::Gag, question, ports.reader, started)
        }
    };
    answer.method = Method::Gag;
    answer.gag = Some(plan.trace);
    if let Some(rewriting) = &plan.rewriting {
        rewriting.charge(&mut answer);
    }
    Ok(answer)
}

/// The prompt that GAG would give the base for a question, rows included.
///
/// # Errors
/// As answering.
pub(crate) async fn prompt(
    question: &Question,
    ports: &Ports<'_>,
    options: &Options,
    cancel: &CancellationToken,
) -> Result<Prompt> {
    let plan = plan(question, ports, options, cancel, &mut |_| {}).await?;
    let general = || conversation(Template::NONE, &question.history, &question.text);
    Ok(plan.domain.map_or_else(general, |(_, prompt)| prompt))
}

async fn plan(
    question: &Question,
    ports: &Ports<'_>,
    options: &Options,
    cancel: &CancellationToken,
    sink: &mut (dyn FnMut(AnswerEvent) + Send),
) -> Result<Plan> {
    let rewriting = stand_alone(question, ports.reader, cancel).await?;
    if let Some(rewriting) = &rewriting {
        sink(AnswerEvent::Rewritten(rewriting.question.clone()));
    }
    let asked = rewriting.as_ref().map_or(&question.text, |rewriting| &rewriting.question);
    let asked = clean_question(asked);

    let routing = Instant::now();
    let scores = ports.experts.scores(&asked, cancel).await?;
    let route = chosen(&scores, options)?;
    let mut trace = GagTrace {
        route,
        scores: sorted(scores),
        pinned: options.route.is_some(),
        background: String::new(),
        rows: 0,
        cached: false,
        expert: Usage::default(),
        route_ms: milliseconds(routing),
        expert_ms: 0.0,
        project_ms: 0.0,
    };
    sink(AnswerEvent::Routed(trace.scores.clone(), route));
    let RouteChoice::Domain(domain) = route else {
        return Ok(Plan { asked, rewriting, trace, domain: None });
    };
    check_cancelled(cancel)?;
    let listener = ports.experts.listener(domain)?;
    let memory = if needs_thought(options.control) {
        let thinking = Instant::now();
        let untaught = options.control == Some(Control::WrongRoute);
        let thought = think(ports.experts, domain, untaught, &asked, &trace.scores, cancel).await?;
        trace.expert_ms = milliseconds(thinking);
        trace.background = thought.text;
        trace.expert = thought.usage;
        trace.cached = thought.cached;
        sink(AnswerEvent::Background(trace.background.clone()));
        let Some(memory) = thought.memory else {
            // It ended its turn at once: there is nothing to listen to.
            trace.route = RouteChoice::General;
            return Ok(Plan { asked, rewriting, trace, domain: None });
        };
        Some(memory)
    } else {
        None
    };
    let projecting = Instant::now();
    let stable = |listener: &Listener| {
        memory.as_ref().map_or_else(Vec::new, |memory| listener.stable(memory))
    };
    let shape = listener.projector.shape();
    let values = match options.control {
        // The expert alone: nobody reads these.
        Some(Control::Zero | Control::ExpertAlone) => vec![0.0; shape.slots * shape.to],
        Some(Control::Constant) => listener.projector.rows(&listener.constant),
        Some(Control::Shuffled) => listener.projector.rows(listener.another(&asked)),
        Some(Control::Untrained) => listener.untrained()?.rows(&stable(listener)),
        // With the wrong route it is the thought that differs; the rest are other methods'.
        _ => listener.projector.rows(&stable(listener)),
    };
    trace.rows = u32::try_from(shape.slots).unwrap_or(u32::MAX);
    trace.project_ms = milliseconds(projecting);
    let width = u32::try_from(shape.to).unwrap_or(u32::MAX);
    let prompt = filled(&asked, EmbeddingRows { values, width });
    Ok(Plan { asked, rewriting, trace, domain: Some((domain, prompt)) })
}

/// The expert's thought; for the wrong route that of the next best domain, or of the expert
/// before it was taught where there is no other.
async fn think(
    experts: &dyn Experts,
    domain: CollectionId,
    is_wrong: bool,
    asked: &str,
    scores: &[RouteScore],
    cancel: &CancellationToken,
) -> Result<crate::ports::Thought> {
    if !is_wrong {
        return experts.think(domain, true, asked, cancel).await;
    }
    let other = scores.iter().find_map(|score| match score.route {
        RouteChoice::Domain(other) if other != domain => Some(other),
        _ => None,
    });
    match other {
        Some(other) => experts.think(other, true, asked, cancel).await,
        None => experts.think(domain, false, asked, cancel).await,
    }
}

fn needs_thought(control: Option<Control>) -> bool {
    !matches!(
        control,
        Some(Control::Zero | Control::Constant | Control::Shuffled | Control::ExpertAlone)
    )
}

/// The route a person chose, or the router.
fn chosen(scores: &[RouteScore], options: &Options) -> Result<RouteChoice> {
    if let Some(route) = options.route {
        if scores.iter().any(|score| score.route == route) {
            return Ok(route);
        }
        return Err(Error::new(ErrorCode::NotFound, "there is no expert on this collection")
            .hint("`quartet train gag` makes one."));
    }
    let all: Vec<f32> = scores.iter().map(|score| score.score).collect();
    let place = best(&all, options.route_margin);
    scores
        .get(place)
        .map(|score| score.route)
        .ok_or_else(|| Error::internal("a router without routes"))
}

fn sorted(mut scores: Vec<RouteScore>) -> Vec<RouteScore> {
    scores.sort_by(|one, other| other.score.total_cmp(&one.score));
    scores
}

/// The prompt around the rows: one user turn, the knowledge after the question (card, 4a).
/// Training reads the same, down to how the question is brought to one line.
#[must_use]
pub fn filled(question: &str, rows: EmbeddingRows) -> Prompt {
    let (_, user) = Template::GAG.parts();
    let (before, after) = user.split_once(KNOWLEDGE).unwrap_or((user, ""));
    let before = before.replacen("{question}", &clean_question(question), 1);
    Prompt::Chat(vec![Message {
        role: Role::User,
        content: vec![
            Segment::Text(before),
            Segment::Embeddings(rows),
            Segment::Text(format!("{after}\n")),
        ],
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(route: RouteChoice, score: f32) -> RouteScore {
        RouteScore { route, name: String::new(), score }
    }

    #[test]
    fn a_person_has_the_last_word() {
        let here = RouteChoice::Domain(CollectionId(3));
        let scores = [score(RouteChoice::General, 0.6), score(here, 0.63)];
        let free = Options::default();
        assert_eq!(chosen(&scores, &free).unwrap(), here);
        let careful = Options { route_margin: 0.05, ..Options::default() };
        assert_eq!(chosen(&scores, &careful).unwrap(), RouteChoice::General);
        let pinned = Options { route: Some(RouteChoice::General), ..Options::default() };
        assert_eq!(chosen(&scores, &pinned).unwrap(), RouteChoice::General);
        let nowhere = RouteChoice::Domain(CollectionId(4));
        let pinned = Options { route: Some(nowhere), ..Options::default() };
        assert_eq!(chosen(&scores, &pinned).unwrap_err().code, ErrorCode::NotFound);
    }

    #[test]
    fn the_rows_stand_alone_between_two_texts() {
        let rows = EmbeddingRows { values: vec![1.0; 8], width: 2 };
        let Prompt::Chat(messages) = filled("Who?\n {knowledge}", rows.clone()) else {
            panic!("a chat prompt")
        };
        let [message] = &messages[..] else { panic!("one turn") };
        let [Segment::Text(before), Segment::Embeddings(found), Segment::Text(after)] =
            &message.content[..]
        else {
            panic!("text, rows, text")
        };
        assert!(before.ends_with("Knowledge: "), "a space of its own before the rows");
        assert!(before.contains("Question: Who? {knowledge}\n"));
        assert_eq!((found, after.as_str()), (&rows, "\n"));
    }
}
