//! Whether the teacher knows more than the student (IAG card, test 19): the base with the
//! documents in its prompt against the base alone, on held-out wordings.

use super::Asked;
use crate::engine::BaseReader;
use crate::training::expert::small;
use crate::training::pace::{Detail, Pace};
use quartet_exam::text::{exact_match, f1};
use quartet_methods::Reader;
use quartet_methods::iag::template;
use quartet_types::{Error, GenerationRequest, ProgressUnit, Result, TeacherGate};
use tokio_util::sync::CancellationToken;

/// The part of the work that is told meanwhile.
pub(super) const ASKING: &str = "asking the teacher";
/// By so much the teacher's share of exact answers must be higher, for there to be anything to
/// distil (card, test 19: five points).
const LEAST_GAIN: f64 = 0.05;
/// Tokens of an answer.
const ANSWER_TOKENS: u32 = 24;

pub(super) async fn teacher_gate(
    asked: &[Asked],
    reader: &BaseReader,
    pace: &Pace<'_>,
    stop: &CancellationToken,
) -> Result<TeacherGate> {
    pace.begin(ASKING, 0);
    let mut gate = TeacherGate { questions: small(asked.len()), ..TeacherGate::default() };
    for (at, one) in asked.iter().enumerate() {
        if stop.is_cancelled() {
            return Err(Error::cancelled());
        }
        let gold = std::slice::from_ref(&one.answer);
        for is_teacher in [true, false] {
            let document = if is_teacher { one.passages.join(" ") } else { String::new() };
            let prompt = template::answer(&one.question, &document);
            let mut request = GenerationRequest::new(reader.model().model.clone(), prompt);
            request.limits.max_tokens = ANSWER_TOKENS;
            request.limits.stop = vec![template::STOP.to_owned()];
            let said = reader.generate(request, stop, &mut |_| {}).await?.text;
            let (exact, overlap) = match is_teacher {
                true => (&mut gate.teacher, &mut gate.teacher_f1),
                false => (&mut gate.student, &mut gate.student_f1),
            };
            *exact += exact_match(&said, gold);
            *overlap += f1(&said, gold);
        }
        let (done, total) = (at as u64 + 1, asked.len() as u64);
        pace.tell(done, total, ProgressUnit::Questions, Detail::Nothing).await;
    }
    let count = asked.len().max(1) as f64;
    for sum in [&mut gate.teacher, &mut gate.student, &mut gate.teacher_f1, &mut gate.student_f1] {
        *sum /= count;
    }
    gate.is_open = is_worth_it(gate.teacher, gate.student);
    Ok(gate)
}

/// Whether a teacher with this share of exact answers is enough better than a student with that.
fn is_worth_it(teacher: f64, student: f64) -> bool {
    // Shares are rounded: three questions of sixty are a little less than five points or a little
    // more.
    teacher - student > LEAST_GAIN - 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    /// IAG card, test 19: five points are enough, less is not.
    #[test]
    fn the_gate_opens_at_five_points() {
        for (teacher, student, is_open) in [
            (0.05, 0.0, true),
            (0.049, 0.0, false),
            // In floats the difference of these is less than five hundredths.
            (18.0 / 60.0, 15.0 / 60.0, true),
            (17.0 / 60.0, 15.0 / 60.0, false),
            (0.9, 0.2, true),
            (0.2, 0.2, false),
            (0.1, 0.4, false),
            // Nobody was asked.
            (0.0, 0.0, false),
        ] {
            assert_eq!(is_worth_it(teacher, student), is_open, "{teacher} against {student}");
        }
    }
}
