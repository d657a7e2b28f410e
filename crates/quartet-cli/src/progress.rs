//! Progress of long work, as a bar on a terminal and as sparse lines elsewhere.

use crate::render;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use quartet_api::types::JobProgress;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Shows the progress of one job on standard error.
pub(crate) struct Progress {
    bar: ProgressBar,
    plain: Option<Mutex<(Instant, String)>>,
}

impl Progress {
    /// `quiet` shows nothing, for JSON output.
    pub(crate) fn new(quiet: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if quiet || !is_terminal {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{prefix:>10} [{bar:28}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        let plain = (!quiet && !is_terminal).then(|| Mutex::new((Instant::now(), String::new())));
        Self { bar, plain }
    }

    /// Shows where the job stands.
    pub(crate) fn update(&self, progress: &JobProgress) {
        let mut line = progress.done.to_string();
        if let Some(total) = progress.total {
            line = format!("{line} of {total}");
        }
        line = format!("{line} {}", render::name(&progress.unit));
        if let Some(rate) = progress.rate {
            line = format!("{line} · {rate:.1}/s");
        }
        if let Some(eta) = progress.eta_seconds {
            line = format!("{line} · {} left", render::seconds(eta));
        }
        if let Some(subject) = &progress.subject {
            line = format!("{line} · {}", render::clean(subject));
        }
        self.bar.set_prefix(progress.stage.clone());
        if let Some(total) = progress.total {
            self.bar.set_length(total);
        }
        self.bar.set_position(progress.done);
        self.bar.set_message(line.clone());
        self.plain_line(&progress.stage, &line);
    }

    /// Shows that a model is being loaded.
    pub(crate) fn loading(&self, fraction: f32) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
        let percent = (fraction.clamp(0.0, 1.0) * 100.0) as u64;
        self.bar.set_prefix("loading");
        self.bar.set_length(100);
        self.bar.set_position(percent);
        self.bar.set_message(format!("{percent} %"));
    }

    /// Shows what is done of which nobody knows how much it is.
    pub(crate) fn busy(&self, with: &'static str) {
        self.bar.set_prefix(with);
        self.bar.set_length(1);
        self.bar.set_position(0);
        self.bar.set_message("");
        self.bar.tick();
    }

    /// Shows that the prompt is being read.
    pub(crate) fn reading(&self, done: u32, total: u32) {
        self.bar.set_prefix("reading");
        self.bar.set_length(u64::from(total));
        self.bar.set_position(u64::from(done));
        self.bar.set_message(format!("{done} of {total} tokens"));
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Where there is no terminal, a line at every new stage and every five seconds.
    #[expect(clippy::print_stderr, reason = "progress goes to standard error")]
    fn plain_line(&self, stage: &str, line: &str) {
        let Some(plain) = &self.plain else { return };
        let mut last = plain.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.1 != stage || last.0.elapsed() > Duration::from_secs(5) {
            *last = (Instant::now(), stage.to_owned());
            eprintln!("{stage:>10}  {line}");
        }
    }
}
