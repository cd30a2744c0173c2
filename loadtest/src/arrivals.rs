//! The open loop: calls become due at the moments of a Poisson process, whether or not the answers before them have come, and
//! each is timed from the moment at which it was due. A server that stalls so pays for all that had to wait, which a closed
//! loop hides (coordinated omission: Tene 2013, How NOT to Measure Latency).
//!
//! ```text
//! dice ──moments──> dispatcher ──a task a call──> who asked for it: samples, or goose's metrics
//!                       ^ ticks
//!                     clock (a thread that sleeps until the next moment)
//! ```
//!
//! Each sample tells how far behind its plan it was sent: beyond some milliseconds, it is the generator that is measured.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, Thread},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc},
    task::yield_now,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::sample::{Outcome, Sample, Samples};

/// The shortest sleep of the clock. Moments that are closer together share a tick: where they come fast, one for each would cost
/// as much as a call.
const NAP: Duration = Duration::from_micros(250);
/// Calls that are sent off before those that are on their way may go on.
const AT_ONCE: u64 = 128;

/// When calls become due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
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
pub(crate) struct Arrived<T> {
    /// When it began.
    pub begun: Instant,
    /// One for each call that was made, in the order in which they were due, with what `call` gave beside.
    pub samples: Vec<(Sample, T)>,
    /// Calls that were due while too many were in flight.
    pub shed: u64,
}

impl<T> Arrived<T> {
    /// The samples alone.
    pub(crate) fn into_samples(self) -> Samples {
        Samples(self.samples.into_iter().map(|(sample, _)| sample).collect())
    }
}

/// The moments of a plan, from its begin.
pub(crate) fn moments(plan: Plan) -> impl Iterator<Item = Duration> {
    let mut dice = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut due = 0.0;
    std::iter::from_fn(move || {
        // The times between the events of a Poisson process are exponential.
        due -= (1.0 - dice.random::<f64>()).ln() / plan.rate;
        let due = Duration::try_from_secs_f64(due).ok()?;
        (due < plan.length).then_some(due)
    })
}

/// A moment that has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) number: u64,
    /// Whether there is a place in flight for its call, which is not made otherwise.
    pub(crate) has_place: bool,
    due: Duration,
    begun: Instant,
}

impl Moment {
    /// How long ago it came.
    pub(crate) fn age(&self) -> Duration {
        self.begun.elapsed().saturating_sub(self.due)
    }
}

/// Says when moments of a plan have come. A thread of its own waits for them: the timers of the system are exact to a tenth of
/// a millisecond and those of the runtime to a whole one, and who asks the clock instead keeps a core busy, which others need.
/// Moments within a [`NAP`] are told by one tick. It ends with the plan, or when this is dropped.
struct Clock {
    ticks: Arc<Ticks>,
    thread: Thread,
}

#[derive(Default)]
struct Ticks {
    tick: Notify,
    is_over: AtomicBool,
}

impl Clock {
    fn start(plan: Plan, begun: Instant) -> Self {
        let ticks = Arc::<Ticks>::default();
        let thread = thread::spawn({
            let ticks = Arc::clone(&ticks);
            move || ticks.run(plan, begun.into_std())
        });
        Self { ticks, thread: thread.thread().clone() }
    }

    /// Ends when a moment has come since it last did.
    async fn tick(&self) {
        self.ticks.tick.notified().await;
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.ticks.is_over.store(true, Relaxed);
        self.thread.unpark();
    }
}

impl Ticks {
    fn run(&self, plan: Plan, begun: std::time::Instant) {
        let mut moments = moments(plan);
        let mut next = moments.next();
        while let Some(due) = next.filter(|_| !self.is_over.load(Relaxed)) {
            let now = begun.elapsed();
            if due > now {
                // It may wake too early, for nothing.
                thread::park_timeout(due.saturating_sub(now).max(NAP));
            } else {
                // All that have come share the tick, which comes after the last of them: none is waited for in vain.
                next = moments.find(|due| *due > now);
                self.tick.notify_one();
            }
        }
    }
}

/// Meets each moment of the plan when it has come, or until it is told to end. `meet` gives the call, if there is a place for it
/// and it wants one; `tell` is given what came of it, and the place, which another call may take once it is dropped. Tells how
/// many calls were begun; some are still in flight then.
pub(crate) async fn dispatch<T, F, G>(
    plan: Plan,
    begun: Instant,
    until: &CancellationToken,
    mut meet: impl FnMut(Moment) -> Option<F>,
    tell: G,
) -> u64
where
    T: Send + 'static,
    F: Future<Output = (Outcome, T)> + Send + 'static,
    G: FnOnce(Sample, T, OwnedSemaphorePermit) + Clone + Send + 'static,
{
    let places = Arc::new(Semaphore::new(plan.in_flight));
    let clock = Clock::start(plan, begun);
    let mut moments = (0_u64..).zip(moments(plan)).peekable();
    let mut stopped = pin!(until.cancelled());
    let mut made = 0;
    loop {
        // What was due before the end is still met.
        let (is_stopped, now) = (until.is_cancelled(), begun.elapsed());
        while let Some((number, due)) = moments.next_if(|(_, due)| *due <= now) {
            if (number + 1).is_multiple_of(AT_ONCE) {
                yield_now().await;
            }
            let place = Arc::clone(&places).try_acquire_owned().ok();
            let moment = Moment { number, has_place: place.is_some(), due, begun };
            let Some((place, call)) = place.zip(meet(moment)) else { continue };
            made += 1;
            let tell = tell.clone();
            tokio::spawn(async move {
                let lag = moment.age();
                let (outcome, value) = call.await;
                tell(Sample { due, lag, took: moment.age(), outcome }, value, place);
            });
        }
        if is_stopped || moments.peek().is_none() {
            return made;
        }
        tokio::select! {
            biased;
            () = &mut stopped => {}
            () = clock.tick() => {}
        }
    }
}

/// Makes a call at each moment of the plan, or until it is told to end; `call` is given its number. Ends when all have ended.
pub(crate) async fn arrive<T, F>(plan: Plan, until: &CancellationToken, mut call: impl FnMut(u64) -> F) -> Arrived<T>
where
    T: Send + 'static,
    F: Future<Output = (Outcome, T)> + Send + 'static,
{
    let begun = Instant::now();
    let (ended, mut all) = mpsc::unbounded_channel();
    let tell = move |sample: Sample, value: T, _place: OwnedSemaphorePermit| {
        // It is gone only with the run.
        let _ = ended.send((sample, value));
    };
    let mut shed = 0;
    let meet = |moment: Moment| {
        shed += u64::from(!moment.has_place);
        moment.has_place.then(|| call(moment.number))
    };
    let made = dispatch(plan, begun, until, meet, tell).await;
    let mut samples = Vec::with_capacity(made as usize);
    // A call is in it once, and there are no more than the plan says.
    while let Some(sample) = all.recv().await {
        samples.push(sample);
    }
    assert_eq!(samples.len() as u64, made, "a call ended by a panic: without it the figures are not those of the load");
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

    #[tokio::test]
    async fn time_runs_from_the_moment_at_which_a_call_was_due() {
        let plan = plan(1_000.0, Duration::from_millis(400));
        let call = |number| {
            if number == 50 {
                // The generator itself is stuck.
                thread::sleep(Duration::from_millis(200));
            }
            async { (Outcome::Answered, ()) }
        };
        let arrived = arrive(plan, &CancellationToken::new(), call).await;
        assert_eq!(arrived.samples.len() as u64 + arrived.shed, moments(plan).count() as u64, "none is lost");
        let stuck = arrived.samples[50].0.due;
        let late = arrived.samples.iter().filter(|(sample, ())| (stuck..stuck + LATE).contains(&sample.due));
        let late: Vec<_> = late.map(|(sample, ())| (sample.lag, sample.took)).collect();
        assert!(late.len() > 50 && late.iter().all(|(lag, took)| *lag > LATE && took >= lag), "{late:?}");
        let mut rest = arrived.samples.iter().map(|(sample, ())| sample.lag).collect::<Vec<_>>();
        rest.sort_unstable();
        assert!(rest[rest.len() / 4] < Duration::from_millis(5), "{rest:?}");
    }

    /// Half of what the generator above is stuck for.
    const LATE: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn it_ends_at_once_when_it_is_told_to() {
        let until = CancellationToken::new();
        let ended = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            until.cancel();
        };
        let rare = Plan { rate: 1e-3, ..plan(1.0, Duration::from_hours(24)) };
        let begun = Instant::now();
        let (arrived, ()) = tokio::join!(arrive(rare, &until, |_| async { (Outcome::Answered, ()) }), ended);
        assert!(begun.elapsed() < Duration::from_secs(5) && arrived.samples.len() < 2);
        let again = arrive(plan(1_000.0, Duration::from_secs(1)), &until, |_| async { (Outcome::Answered, ()) }).await;
        assert!(again.samples.len() < 50, "it was told before it began");
    }

    #[tokio::test]
    #[should_panic(expected = "a call ended by a panic")]
    async fn no_call_is_lost_without_a_word() {
        let call = |number| async move {
            assert!(number != 3, "planted");
            (Outcome::Answered, ())
        };
        arrive(plan(1_000.0, Duration::from_millis(50)), &CancellationToken::new(), call).await;
    }
}
