//! How the losses of epochs get from the thread that learns to MLflow, without ever holding it up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::batch::Metric;
use crate::Step;

/// What waits for MLflow at most; of 100 bytes each.
const WAITING: usize = 16_384;

/// Takes the losses of a training.
#[derive(Clone, Debug)]
pub(crate) struct Losses {
    waiting: mpsc::Sender<Metric>,
    lost: Arc<AtomicU64>,
}

/// Where they come out.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) metrics: mpsc::Receiver<Metric>,
    pub(super) lost: Arc<AtomicU64>,
}

pub(super) fn channel() -> (Losses, Waiting) {
    let (sender, metrics) = mpsc::channel(WAITING);
    let lost = Arc::default();
    (Losses { waiting: sender, lost: Arc::clone(&lost) }, Waiting { metrics, lost })
}

impl Losses {
    /// Takes those of a step, if it has some. Where too many wait, they are counted and forgotten.
    pub(crate) fn add(&self, step: Step<'_>) {
        let (fit, epoch) = match step {
            Step::First(epoch) => ("first_fit/", epoch),
            Step::Final(epoch) => ("final_fit/", epoch),
            _ => return,
        };
        let now = Timestamp::now().as_millisecond();
        for (name, loss) in [("training_loss", epoch.training_loss), ("validation_loss", epoch.validation_loss)] {
            let metric = Metric::new(&format!("{fit}{name}"), loss, now, epoch.number as i64);
            // Nobody waits for them any more where MLflow has refused what came before.
            let full = |metric| matches!(self.waiting.try_send(metric), Err(mpsc::error::TrySendError::Full(_)));
            if metric.is_some_and(full) {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoencoder::Epoch;

    #[test]
    fn more_than_can_wait_is_counted_and_holds_nothing_up() {
        let (losses, mut waiting) = channel();
        let epoch =
            |number| Epoch { number, training_loss: 0.5, validation_loss: 0.25, best_loss: 0.25, without_progress: 0 };
        for number in 1..=WAITING {
            losses.add(Step::Final(&epoch(number)));
        }
        assert_eq!(waiting.lost.load(Ordering::Relaxed), WAITING as u64);
        assert_eq!(waiting.metrics.len(), WAITING);
        waiting.metrics.close();
        losses.add(Step::First(&epoch(1)));
        assert_eq!(waiting.lost.load(Ordering::Relaxed), WAITING as u64);
    }
}
