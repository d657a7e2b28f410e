//! From lessons to what the trainer is asked: stages of samples, with text read along.

use super::student::Student;
use quartet_methods::expert::{ExpertRecipe, Lesson, Lessons, StageRecipe};
use quartet_train::{Schedule, TextSample, TextStage, TrainingPlan, pack};
use quartet_types::Result;

/// The stages' names.
pub(super) const READING: &str = "reading";
pub(super) const ANSWERING: &str = "answering";

/// Held-out samples that a stage is measured on, at most.
const MEASURED_ON: usize = 40;
/// Evaluations without a new best until a stage ends early.
const PATIENCE: usize = 2;
/// Checkpoints are this many updates apart: about half a minute of work on two cores.
const CHECKPOINT_EVERY: u64 = 5;

/// Everything the two stages are made of.
pub(super) struct Samples {
    pub(super) reading: Vec<TextSample>,
    pub(super) answering: Vec<TextSample>,
    /// What the untrained model wrote freely.
    pub(super) recalled: Vec<TextSample>,
    /// Passages and wordings that are measured on, not trained.
    pub(super) held_reading: Vec<TextSample>,
    pub(super) held_answering: Vec<TextSample>,
}

impl Samples {
    pub(super) async fn prepare(
        student: &Student,
        lessons: &Lessons,
        held: &[Lesson],
        recalled: Vec<TextSample>,
    ) -> Result<Self> {
        let asked: Vec<Lesson> = lessons
            .asked
            .iter()
            .map(|one| Lesson::exchange(student.turns, &one.question, &one.answer))
            .collect();
        Ok(Self {
            reading: student.samples(&lessons.reading).await?,
            answering: student.samples(&lessons.answering).await?,
            recalled,
            held_reading: student.samples(&spread(held, MEASURED_ON)).await?,
            held_answering: student.samples(&spread(&asked, MEASURED_ON)).await?,
        })
    }

    /// The two stages.
    pub(super) fn stages(self, recipe: &ExpertRecipe) -> Vec<TextStage> {
        let along = [(&*self.recalled, recipe.reading.recalled)];
        let reading = mixed(&self.reading, &along);
        let along = [
            (&*self.recalled, recipe.answering.recalled),
            (&*self.reading, recipe.answering.read_along),
        ];
        let answering = mixed(&self.answering, &along);
        vec![
            stage(READING, recipe, &recipe.reading, reading, self.held_reading, 1),
            stage(ANSWERING, recipe, &recipe.answering, answering, self.held_answering, 2),
        ]
    }
}

/// A stage that goes as the recipe says; without updates where there is nothing to learn.
pub(super) fn stage(
    name: &str,
    recipe: &ExpertRecipe,
    how: &StageRecipe,
    samples: Vec<TextSample>,
    held_out: Vec<TextSample>,
    seed: u64,
) -> TextStage {
    let batches = pack(samples.clone(), recipe.rows).len();
    let steps = how.updates(batches, recipe.accumulate);
    let evaluate_every = if held_out.is_empty() { 0 } else { steps.div_ceil(how.evaluations) };
    TextStage {
        name: name.to_owned(),
        plan: TrainingPlan {
            steps,
            accumulate: recipe.accumulate,
            rate: how.rate,
            shares: Vec::new(),
            warm_up: (steps / 20).clamp(1, 20),
            schedule: Schedule::Cosine { floor: 0.1 },
            seed,
            evaluate_every,
            patience: PATIENCE,
            checkpoint_every: CHECKPOINT_EVERY,
            ..TrainingPlan::default()
        },
        samples,
        held_out,
        rows: recipe.rows,
    }
}

/// Own samples, and of each other kind so many, evenly chosen, that it has its share of the
/// tokens; fewer where there are not as many.
fn mixed(own: &[TextSample], along: &[(&[TextSample], f64)]) -> Vec<TextSample> {
    let mut all = own.to_vec();
    if own.is_empty() {
        return all;
    }
    let tokens =
        |samples: &[TextSample]| -> usize { samples.iter().map(|sample| sample.ids.len()).sum() };
    let shares: f64 = along.iter().map(|(_, share)| share).sum();
    let whole = tokens(own) as f64 / (1.0 - shares.min(0.9));
    for (others, share) in along {
        let there = tokens(others).max(1) as f64;
        let part = (whole * share / there).min(1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share")]
        let count = (others.len() as f64 * part).round() as usize;
        all.extend(spread(others, count));
    }
    all
}

/// So many of a list, evenly spread; all where there are no more.
pub(super) fn spread<T: Clone>(all: &[T], count: usize) -> Vec<T> {
    if all.len() <= count {
        return all.to_vec();
    }
    (0..count).map(|index| all[index * all.len() / count].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(count: usize, length: usize) -> Vec<TextSample> {
        let sample = |at: usize| TextSample::whole(vec![u32::try_from(at).unwrap_or(0); length]);
        (0..count).map(sample).collect()
    }

    #[test]
    fn others_get_their_share_of_the_tokens() {
        let mixed = mixed(&samples(60, 10), &[(&samples(100, 20), 0.25), (&samples(100, 5), 0.15)]);
        let tokens = |length| mixed.iter().filter(|one| one.ids.len() == length).count() * length;
        assert_eq!([tokens(10), tokens(20), tokens(5)], [600, 260, 150]);
    }

    #[test]
    fn a_list_is_thinned_evenly() {
        assert_eq!(spread(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 4), [0, 2, 5, 7]);
        assert_eq!(spread(&[1, 2], 4), [1, 2]);
    }

    #[test]
    fn a_stage_without_material_is_skipped() {
        let recipe = ExpertRecipe::new(quartet_types::Preset::Standard);
        let stage = stage(ANSWERING, &recipe, &recipe.answering, Vec::new(), Vec::new(), 1);
        assert_eq!(stage.plan.steps, 0);
    }
}
