//! The trainer worker as the pipeline sees it: asked, followed, and gone when it is done.

use super::pace::{Detail, Pace};
use super::worker::{TrainerReply, TrainerRequest};
use crate::Quartet;
use quartet_train::TextEvent;
use quartet_types::{CurvePoint, ProgressUnit, Result};
use quartet_worker::CallOptions;
use tokio_util::sync::CancellationToken;

/// Who asks.
pub(super) struct Trainer<'a> {
    pub(super) quartet: &'a Quartet,
    pub(super) stop: &'a CancellationToken,
}

impl Trainer<'_> {
    pub(super) async fn ask(
        &self,
        request: TrainerRequest,
        on_event: impl FnMut(TextEvent) + Send,
    ) -> Result<TrainerReply> {
        let options = CallOptions { cancel: self.stop.clone(), wall_limit: None };
        let trainer = self.quartet.trainer();
        let reply = trainer.call(request, &options, on_event).await;
        // Its memory is better spent on whoever comes next.
        trainer.kill();
        reply
    }

    /// Trains, telling progress. `stages` are their names and updates. Also returns how long
    /// that was foretold to take, unless an earlier process did a part of it.
    pub(super) async fn follow(
        &self,
        request: TrainerRequest,
        stages: &[(String, u64)],
        pace: &Pace<'_>,
    ) -> Result<(TrainerReply, Option<f64>)> {
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel::<TextEvent>();
        let work = async {
            let send = |event| {
                let _ = sender.send(event);
            };
            let reply = self.ask(request, send).await;
            drop(sender);
            reply
        };
        let tell = async {
            let mut foretold = None;
            let mut current = None;
            let mut last_loss = None;
            while let Some(event) = events.recv().await {
                let (stage, step, evaluation) = match event {
                    TextEvent::Estimate { stage, first, seconds } => {
                        // Nothing is foretold of a stage without updates.
                        let is_first = stages[..stage].iter().all(|(_, updates)| *updates == 0);
                        if is_first && first == 0 {
                            foretold = Some(0.0);
                        }
                        foretold = foretold.map(|sum| sum + seconds);
                        pace.foretell(&stages[stage].0, seconds);
                        if current.is_none() {
                            pace.begin(&stages[stage].0, first);
                            current = Some(stage);
                        }
                        continue;
                    }
                    // Slower, and right.
                    TextEvent::OnProcessor { .. } | TextEvent::Checkpoint { .. } => continue,
                    TextEvent::Step { stage, step, loss, .. } => {
                        last_loss = Some(loss);
                        (stage, step, None)
                    }
                    TextEvent::Evaluation { stage, step, loss } => (stage, step, Some(loss)),
                };
                let (name, total) = &stages[stage];
                if current != Some(stage) {
                    pace.begin(name, step.saturating_sub(1));
                    current = Some(stage);
                }
                // Going on, the held-out loss may be measured before there is another.
                let Some(loss) = last_loss else { continue };
                let point = CurvePoint { step, loss, evaluation };
                pace.tell(step, *total, ProgressUnit::Steps, Detail::Point(point)).await;
            }
            foretold
        };
        let (reply, foretold) = tokio::join!(work, tell);
        Ok((reply?, foretold))
    }
}
