//! The open loop: calls become due at the moments of a Poisson process, whether or not the answers before them have come, and
//! each is timed from the moment at which it was due. A server that stalls so pays for all that had to wait, which a closed
//! loop hides (coordinated omission: Tene 2013, How NOT to Measure Latency).
//!
//! ```text
//! dice ──moments──> timer (a thread) ──those that have come──> dispatcher ──a task a call──> collector ──> samples
//! ```
//!
//! Each sample tells how far behind its plan it was sent: beyond some milliseconds, it is the generator that is measured.

use std::{sync::Arc, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::sample::{Outcome, Sample, Samples};

/// Moments that have come and wait for the dispatcher, at most.
const WAITING: usize = 1_024;

/// When calls become due.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Calls a second.
    pub rate: f64,
    /// How long.
    pub length: Duration,
    /// Of the dice.
    pub seed: u64,
    /// Most calls in flight at one time. Those due beyond it are not made, and counted: with them the memory would grow as
    /// long as a server is stuck.
    pub in_flight: usize,
}

/// What came of a plan.
#[derive(Debug)]
pub struct Arrived<T> {
    /// When it began.
    pub begun: Instant,
    /// One for each call that was made, in the order in which they were due, with what `call` gave beside.
    pub samples: Vec<(Sample, T)>,
    /// Calls that were due while too many were in flight.
    pub shed: u64,
}

impl<T> Arrived<T> {
    /// The samples alone.
    pub fn into_samples(self) -> Samples {
        Samples(self.samples.into_iter().map(|(sample, _)| sample).collect())
    }
}

/// The moments of a plan, from its begin.
pub fn moments(plan: Plan) -> impl Iterator<Item = Duration> {
    let mut dice = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut due = 0.0;
    std::iter::from_fn(move || {
        // The times between the events of a Poisson process are exponential.
        due -= (1.0 - dice.random::<f64>()).ln() / plan.rate;
        let due = Duration::try_from_secs_f64(due).ok()?;
        (due < plan.length).then_some(due)
    })
}

/// The moments of a plan, each given when it has come. A thread of its own waits for them: the timers of the system are exact to a
/// tenth of a millisecond and those of the runtime to a whole one, and who asks the clock instead keeps a core busy, which others
/// need. It ends with the plan, or when nobody listens any more.
pub(crate) fn come(plan: Plan, begun: Instant) -> mpsc::Receiver<Duration> {
    let (sender, moments_come) = mpsc::channel(WAITING);
    let begun = begun.into_std();
    std::thread::spawn(move || {
        for due in moments(plan) {
            std::thread::sleep((begun + due).saturating_duration_since(std::time::Instant::now()));
            if sender.blocking_send(due).is_err() {
                return;
            }
        }
    });
    moments_come
}

/// Makes a call at each moment of the plan, or until it is told to end; `call` is given its number. Ends when all have ended.
pub async fn arrive<T, F>(plan: Plan, until: &CancellationToken, mut call: impl FnMut(u64) -> F) -> Arrived<T>
where
    T: Send + 'static,
    F: Future<Output = (Outcome, T)> + Send + 'static,
{
    let begun = Instant::now();
    let places = Arc::new(Semaphore::new(plan.in_flight));
    let (ended, mut all) = mpsc::unbounded_channel();
    let (mut shed, mut numbers) = (0, 0..);
    let mut moments = come(plan, begun);
    while let Some((Some(due), number)) = until.run_until_cancelled(moments.recv()).await.zip(numbers.next()) {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            shed += 1;
            continue;
        };
        let (called, ended) = (call(number), ended.clone());
        let lag = begun.elapsed().saturating_sub(due);
        tokio::spawn(async move {
            let (outcome, value) = called.await;
            let took = begun.elapsed().saturating_sub(due);
            // It is gone only with the run.
            let _ = ended.send((Sample { due, lag, took, outcome }, value));
            drop(place);
        });
    }
    drop(ended);
    let mut samples = Vec::new();
    // A call is in it once, and there are no more than the plan says.
    while let Some(sample) = all.recv().await {
        samples.push(sample);
    }
    samples.sort_by_key(|(sample, _)| sample.due);
    Arrived { begun, samples, shed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rate: f64, length: Duration) -> Plan {
        Plan { rate, length, seed: 3, in_flight: 10_000 }
    }

    #[test]
    fn the_moments_are_those_of_a_poisson_process() {
        let plan = plan(1_000.0, Duration::from_mins(1));
        let found: Vec<f64> = moments(plan).map(|due| due.as_secs_f64()).collect();
        // Mean and variance of the count are the same, 60,000: within five standard deviations.
        assert!((58_775..61_225).contains(&found.len()), "{}", found.len());
        let mut counts = [0_f64; 600];
        for due in &found {
            counts[(due * 10.0) as usize] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / 600.0;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 599.0;
        assert!((0.7..1.4).contains(&(variance / mean)), "{variance} for {mean}");
        assert_eq!(found, moments(plan).map(|due| due.as_secs_f64()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_stall_is_paid_by_all_that_were_due() {
        let stalled = Instant::now() + Duration::from_millis(300);
        let call = |number| async move {
            tokio::time::sleep_until(stalled).await;
            (Outcome::Answered, number)
        };
        let arrived = arrive(plan(1_000.0, Duration::from_millis(600)), &CancellationToken::new(), call).await;
        assert!(arrived.samples.is_sorted_by_key(|(sample, _)| sample.due) && arrived.shed == 0);
        let waited = |from: u64, to: u64| {
            let within =
                arrived.samples.iter().filter(move |(sample, _)| (from..to).contains(&(sample.due.as_millis() as u64)));
            let times: Vec<_> = within.map(|(sample, _)| sample.took.as_millis()).collect();
            times.iter().sum::<u128>() / times.len().max(1) as u128
        };
        // Those due at its begin wait for all of it, those due in its middle for half.
        assert!(waited(0, 30) > 250 && (100..220).contains(&waited(130, 170)) && waited(400, 600) < 50);
    }

    #[tokio::test]
    async fn what_is_too_much_is_shed_and_counted() {
        let plan = Plan { in_flight: 5, ..plan(1_000.0, Duration::from_millis(200)) };
        let call = |_| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            (Outcome::Answered, ())
        };
        let arrived = arrive(plan, &CancellationToken::new(), call).await;
        assert_eq!(arrived.samples.len(), 5);
        assert!(arrived.shed > 100, "{}", arrived.shed);
    }
}
