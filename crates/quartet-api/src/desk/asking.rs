//! Questions: noted at once, answered in the background by several methods at the same time,
//! told as events, kept with their failures.

use super::replies::{DeskEvent, MethodState, MethodStatus};
use super::requests::{AskTurn, Nothing, OfCollection, OfRun};
use super::{Desk, lock};
use crate::Quartet;
use quartet_methods::Question;
use quartet_types::{
    Answer, AnswerEvent, ArtefactKind, Error, ErrorCode, Method, Result, TurnHead, TurnId,
};
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// The standard preset, roughly: what it takes is measured once it has begun.
const GAG_SECONDS: f64 = 3600.0;
/// The same of IAG.
const IAG_SECONDS: f64 = 5400.0;

/// What has to be trained before a method can answer: the artefact, what it is, and how long that
/// takes, in seconds.
fn trained_as(method: Method) -> Option<(ArtefactKind, &'static str, f64)> {
    match method {
        Method::Gag => Some((
            ArtefactKind::Gag,
            "An expert on this collection, and a base that has learnt to listen to it.",
            GAG_SECONDS,
        )),
        Method::Iag => Some((
            ArtefactKind::Iag,
            "A model that has learnt to imagine what this collection says, and weights made for \
             each question.",
            IAG_SECONDS,
        )),
        Method::None | Method::Rag | Method::Imprag => None,
    }
}

/// Pieces of text are told together this often: faster than an eye follows, and cheap.
const TELL_EVERY: Duration = Duration::from_millis(30);

impl Desk {
    pub(super) async fn methods(&self, request: OfCollection) -> Result<Vec<MethodStatus>> {
        let quartet = self.quartet();
        let collection = quartet.find_collection(&request.collection).await?;
        let mut all = Vec::new();
        for method in Method::ALL {
            let mut status = MethodStatus {
                method,
                state: MethodState::Ready,
                needs: None,
                estimate_seconds: None,
                can_start: false,
            };
            if method == Method::Imprag {
                // It answers from the start; training on the collection makes it find more.
                status.can_start = collection.ready_documents > 0;
            } else if let Some((kind, needs, seconds)) = trained_as(method) {
                // It can be trained again at any time: for another base, or from other documents.
                status.can_start = collection.ready_documents > 0;
                let artefacts = quartet.artefacts(Some(&request.collection)).await?;
                let trained = artefacts.iter().find(|one| one.kind == kind);
                let base = self.current_base();
                status.needs = match trained {
                    None => Some(needs.to_owned()),
                    Some(one) => base.filter(|base| *base != one.model).map(|base| {
                        format!(
                            "It was trained for the base `{}`; `{base}` answers here.",
                            one.model
                        )
                    }),
                };
                if status.needs.is_some() {
                    status.state = MethodState::NeedsTraining;
                    status.estimate_seconds = Some(seconds);
                }
            }
            all.push(status);
        }
        Ok(all)
    }

    /// The name of the base that answers here, as far as that is known without measuring.
    fn current_base(&self) -> Option<String> {
        let quartet = self.quartet();
        let set = quartet.settings().base.clone();
        let chosen = || quartet.machine_profile().map(|profile| profile.base);
        self.base.clone().or_else(|| if set == "auto" { chosen() } else { Some(set) })
    }

    pub(super) async fn ask(self: &Arc<Self>, request: AskTurn) -> Result<TurnHead> {
        Question::fresh(request.question.trim()).check()?;
        let mut methods = request.methods.clone();
        methods.sort_unstable();
        methods.dedup();
        if methods.is_empty() {
            return Err(Error::new(ErrorCode::InvalidInput, "no method was chosen")
                .hint("Choose at least one way of answering."));
        }
        let cancel = self.closing.child_token();
        match lock(&self.runs).entry(request.run.clone()) {
            // The one under way keeps its own way of being stopped.
            Entry::Occupied(_) => {
                return Err(Error::new(ErrorCode::InvalidInput, "this run is under way already"));
            }
            Entry::Vacant(place) => place.insert(cancel.clone()),
        };
        let quartet = self.quartet();
        let noted = quartet
            .library
            .add_turn(request.chat, request.question.trim(), request.blind, request.replaces)
            .await;
        let head = match noted {
            Ok(head) => head,
            Err(error) => {
                lock(&self.runs).remove(&request.run);
                return Err(error);
            }
        };
        let run = Run { desk: Arc::clone(self), quartet, request, turn: head.id, methods, cancel };
        tokio::spawn(run.complete());
        Ok(head)
    }

    pub(super) async fn stop(&self, request: OfRun) -> Result<Nothing> {
        if let Some(cancel) = lock(&self.runs).get(&request.run) {
            cancel.cancel();
        }
        Ok(Nothing {})
    }
}

/// A question being answered.
struct Run {
    desk: Arc<Desk>,
    quartet: Arc<Quartet>,
    request: AskTurn,
    turn: TurnId,
    methods: Vec<Method>,
    cancel: CancellationToken,
}

impl Run {
    async fn complete(self) {
        if let Err(error) = self.answer_all().await {
            // None of them has got as far as an answer.
            for &method in &self.methods {
                self.fail(method, &error, "").await;
            }
        }
        lock(&self.desk.runs).remove(&self.request.run);
        self.desk.publish(DeskEvent::RunEnded { run: self.request.run.clone(), turn: self.turn });
    }

    async fn answer_all(&self) -> Result<()> {
        let chat = self.quartet.library.chat(self.request.chat).await?;
        let mut question = Question::fresh(self.request.question.trim());
        question.history = self.quartet.turns_before(self.request.chat, Some(self.turn)).await?;
        let answering = self
            .quartet
            .prepare(
                &self.methods,
                &chat.collection,
                self.desk.base.as_deref(),
                self.request.abstain,
                &self.cancel,
                &mut |event| {
                    for &method in &self.methods {
                        self.tell(method, event.clone());
                    }
                },
            )
            .await?
            .with_route(self.request.route)
            .imagining(self.request.imagine.unwrap_or_default());
        let question = &question;
        let answering = &answering;
        futures::future::join_all(self.methods.iter().map(|&method| async move {
            let mut stream = Stream::new(self, method);
            let outcome = answering
                .answer(method, question, &self.cancel, &mut |event| stream.push(event))
                .await;
            stream.flush();
            match outcome {
                Ok(answer) => self.keep(method, answer).await,
                Err(error) => self.fail(method, &error, &stream.written).await,
            }
        }))
        .await;
        Ok(())
    }

    async fn keep(&self, method: Method, mut answer: Answer) {
        // One that cannot be kept is still an answer.
        answer.id = self.quartet.library.append_answer(self.turn, &answer).await.ok();
        self.tell(method, AnswerEvent::Finished(Box::new(answer)));
    }

    async fn fail(&self, method: Method, error: &Error, partial: &str) {
        let _ = self.quartet.library.append_failure(self.turn, method, error, partial).await;
        self.desk.publish(DeskEvent::AnswerFailed {
            run: self.request.run.clone(),
            turn: self.turn,
            method,
            error: error.clone(),
        });
    }

    fn tell(&self, method: Method, event: AnswerEvent) {
        self.desk.publish(DeskEvent::Answer {
            run: self.request.run.clone(),
            turn: self.turn,
            method,
            event,
        });
    }
}

/// Tells what one method writes, a few pieces at a time.
struct Stream<'a> {
    run: &'a Run,
    method: Method,
    waiting: String,
    written: String,
    told: Instant,
}

impl<'a> Stream<'a> {
    fn new(run: &'a Run, method: Method) -> Self {
        Self { run, method, waiting: String::new(), written: String::new(), told: Instant::now() }
    }

    fn push(&mut self, event: AnswerEvent) {
        match event {
            AnswerEvent::Text(text) => {
                self.waiting.push_str(&text);
                self.written.push_str(&text);
                if self.told.elapsed() >= TELL_EVERY {
                    self.flush();
                }
            }
            // Told once it is kept, with its id.
            AnswerEvent::Finished(_) => {}
            other => {
                self.flush();
                self.run.tell(self.method, other);
            }
        }
    }

    fn flush(&mut self) {
        self.told = Instant::now();
        if !self.waiting.is_empty() {
            let text = std::mem::take(&mut self.waiting);
            self.run.tell(self.method, AnswerEvent::Text(text));
        }
    }
}
