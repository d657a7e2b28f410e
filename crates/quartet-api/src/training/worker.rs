//! The trainer as a worker process: one training at a time, politely.

use quartet_methods::gag::training::{InjectionTraining, TrainedInjection, train_injection};
use quartet_methods::iag::training::{IagTraining, TrainedIag, train_iag};
use quartet_methods::imprag::training::{ImpragTraining, TrainedImprag, train_imprag};
use quartet_train::{
    Compute, Control, TextEvent, TextTraining, TrainedText, Wanted, measure_text, train_text,
};
use quartet_types::Result;
use quartet_worker::{Handler, Limits, Protocol, RequestContext};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Everything else on the machine goes first.
const NICENESS: i32 = 10;

/// How often it is looked whether the parent has lost interest.
const LOOK: Duration = Duration::from_millis(20);

/// What the trainer is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TrainerRequest {
    /// Train. Reply: [`TrainerReply::Trained`].
    Train(TextTraining),
    /// Say how long it would take. Reply: [`TrainerReply::Measured`].
    Measure(TextTraining),
    /// Train a projector of GAG. Reply: [`TrainerReply::Injected`].
    Inject(Box<InjectionTraining>),
    /// Train implicit queries. Reply: [`TrainerReply::Retrieved`].
    Retrieve(Box<ImpragTraining>),
    /// Train what makes weights for questions. Reply: [`TrainerReply::Tuned`].
    Tune(Box<IagTraining>),
}

/// What the trainer answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TrainerReply {
    /// It is trained.
    Trained(TrainedText),
    /// The projector is trained.
    Injected(TrainedInjection),
    /// Implicit queries are trained.
    Retrieved(TrainedImprag),
    /// What makes weights is trained.
    Tuned(TrainedIag),
    /// How long it would take from here.
    Measured {
        /// Seconds.
        seconds: f64,
    },
}

/// The messages of the trainer. A cancelled request saves a checkpoint and ends with
/// `Cancelled`; where that takes too long the supervisor ends the process, and the checkpoint
/// before stands.
#[derive(Debug)]
pub(crate) enum TrainerProtocol {}

impl Protocol for TrainerProtocol {
    type Request = TrainerRequest;
    type Event = TextEvent;
    type Reply = TrainerReply;
    const NAME: &'static str = "trainer";
}

/// Serves [`TrainerProtocol`] on standard input and output.
///
/// # Errors
/// If the limits or the pipes cannot be set up.
pub(crate) fn serve_trainer() -> Result<()> {
    Limits { address_space_bytes: None, cpu_seconds: None, niceness: NICENESS }.apply()?;
    quartet_worker::serve(Trainer)
}

struct Trainer;

impl Handler<TrainerProtocol> for Trainer {
    fn handle(
        &self,
        request: TrainerRequest,
        context: &RequestContext<TrainerProtocol>,
    ) -> Result<TrainerReply> {
        let control = Control::new();
        let cancel = context.cancel_flag();
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _end = Ended(&ended);
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) {
                    if cancel.load(Ordering::Relaxed) {
                        return control.pause();
                    }
                    std::thread::sleep(LOOK);
                }
            });
            let chosen = Compute::trusted(Wanted::fastest());
            if let Some(reason) = chosen.reason {
                context.emit(TextEvent::OnProcessor { reason });
            }
            let compute = chosen.compute;
            match &request {
                TrainerRequest::Train(training) => {
                    train_text(training, &compute, &control, &mut |event| context.emit(event))
                        .map(TrainerReply::Trained)
                }
                TrainerRequest::Measure(training) => measure_text(training, &compute, &control)
                    .map(|seconds| TrainerReply::Measured { seconds }),
                TrainerRequest::Inject(training) => {
                    train_injection(training, &compute, &control, &mut |event| context.emit(event))
                        .map(TrainerReply::Injected)
                }
                TrainerRequest::Retrieve(training) => {
                    train_imprag(training, &compute, &control, &mut |event| context.emit(event))
                        .map(TrainerReply::Retrieved)
                }
                TrainerRequest::Tune(training) => {
                    train_iag(training, &compute, &control, &mut |event| context.emit(event))
                        .map(TrainerReply::Tuned)
                }
            }
        })
    }

    fn stack_bytes(&self) -> usize {
        // Backward passes recurse over the graph.
        64 << 20
    }
}

/// Tells the one who looks that there is nothing to look for, however the work ended.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
