//! What a training looks like while it runs: a bar on a terminal, log lines elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::autoencoder::Epoch;
use crate::{Settings, Stage};

/// Shows one bar for each of the two fits.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    stage: Option<Stage>,
    epochs: u64,
    patience: usize,
}

impl Progress {
    /// Nothing has begun.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { bar: ProgressBar::hidden(), stage: None, epochs: settings.epochs as u64, patience: settings.patience }
    }

    /// Shows an epoch.
    pub(crate) fn show(&mut self, stage: Stage, epoch: &Epoch) {
        if self.stage != Some(stage) {
            self.bar.finish_and_clear();
            self.bar = bar(stage, self.epochs);
            self.stage = Some(stage);
        }
        let Epoch { number, training_loss, validation_loss, best_loss, without_progress } = *epoch;
        self.bar.set_position(number as u64);
        self.bar.set_message(format!(
            "loss {training_loss:.4}, validation {validation_loss:.4}, best {best_loss:.4}, {without_progress} of {} epochs \
             without progress",
            self.patience
        ));
        tracing::debug!(?stage, epoch = number, training_loss, validation_loss, best_loss, without_progress, "epoch");
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn bar(stage: Stage, epochs: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix} epoch {pos}/{len} {bar:20} {msg}, at most {eta} left");
    let prefix = match stage {
        Stage::First => "fit 1 of 2,",
        Stage::Final => "fit 2 of 2,",
    };
    let bar = ProgressBar::new(epochs).with_style(style.expect("the template is fixed and valid")).with_prefix(prefix);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
