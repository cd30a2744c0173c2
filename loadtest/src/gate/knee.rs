//! The knee: the rate from which on more is asked than answered. Steps grow by a third until one fails to be answered,
//! the highest rate that is asked for is reached, or it is the load that does not keep up. How much is borne is told
//! and not judged; what a server does when it is full is: it may refuse or be late, and never answer wrongly or go.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{
    in_flight,
    race::{in_time, latency, refuses},
};
use crate::{
    arrivals::{Arrived, Plan, arrive},
    call::Caller,
    deck::Draws,
    generator::Watch,
    sample::{Outcome, Samples},
    verdict::{KEPT, Step},
};

/// From one step to the next.
const GROWTH: f64 = 1.33;

/// The steps that are tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) from: f64,
    pub(super) to: f64,
    /// How long each takes.
    pub(super) step: Duration,
    pub(super) seed: u64,
}

/// What came of them.
#[derive(Debug, Default)]
pub(super) struct Climb {
    pub(super) steps: Vec<Step>,
    /// Calls that were made.
    pub(super) calls: u64,
    /// Those that failed in another way than a full house does.
    pub(super) failures: BTreeMap<String, usize>,
}

/// Climbs. Pull requests that both versions refuse may be refused here, too.
pub(super) async fn climb(caller: &Caller, draws: &mut Draws, way: Way, refused: &BTreeSet<usize>) -> Climb {
    let (mut climb, mut next) = (Climb::default(), Some(way.from));
    while let Some(rate) = next {
        let plan = Plan { rate, length: way.step, seed: way.seed, in_flight: in_flight(rate) };
        let watch = Watch::begin();
        let arrived = arrive(plan, &CancellationToken::new(), |_| {
            let (caller, (place, document)) = (caller.clone(), draws.draw());
            async move { (caller.judge_score(document).await.0, place) }
        })
        .await;
        let is_limit = is_limit(&watch, &arrived);
        climb.add_failures(&arrived, refused);
        let shed = arrived.shed;
        let samples = arrived.into_samples();
        climb.calls += samples.len() as u64;
        let step = step(rate, way.step, &samples, shed, is_limit);
        // The dice give a little more or less than the rate.
        let given = (samples.len() as u64 + shed) as f64 / way.step.as_secs_f64();
        next = after(&step, given, way.to);
        climb.steps.push(step);
    }
    climb
}

fn is_limit(watch: &Watch, arrived: &Arrived<usize>) -> bool {
    arrived.samples.iter().for_each(|(sample, _)| watch.sent(sample.lag));
    (0..arrived.shed).for_each(|_| watch.shed());
    watch.ended();
    watch.end().is_limit
}

/// What came of a step.
fn step(rate: f64, length: Duration, samples: &Samples, shed: u64, generator_limited: bool) -> Step {
    let latency = latency(samples);
    let asked = latency.calls + shed;
    Step {
        rate,
        // What was answered only after the step would have been answered too late for ever.
        answered: in_time(samples, length) as f64 / length.as_secs_f64(),
        p99: latency.p99,
        error_rate: if asked == 0 { 0.0 } else { 1.0 - latency.answered as f64 / asked as f64 },
        generator_limited,
    }
}

/// The rate of the next step, where there is one: at which so many calls a second were due, what was answered of them
/// tells.
fn after(step: &Step, given: f64, to: f64) -> Option<f64> {
    let goes_on = !step.generator_limited && step.answered >= KEPT * given && step.rate < to;
    goes_on.then(|| (step.rate * GROWTH).min(to))
}

impl Climb {
    fn add_failures(&mut self, arrived: &Arrived<usize>, refused: &BTreeSet<usize>) {
        for (sample, place) in &arrived.samples {
            let may_be = match sample.outcome {
                Outcome::Answered | Outcome::Silent => true,
                Outcome::Refused(code) if code == tonic::Code::ResourceExhausted as u16 => true,
                outcome => refuses(outcome).is_some() && refused.contains(place),
            };
            if !may_be {
                *self.failures.entry(sample.outcome.to_string()).or_default() += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Fault, Sample};

    const SECOND: Duration = Duration::from_secs(1);

    /// A call each millisecond, that takes so long.
    fn samples(count: u64, took: impl Fn(u64) -> u64) -> Samples {
        let sample = |number| Sample {
            due: Duration::from_millis(number),
            lag: Duration::ZERO,
            took: Duration::from_millis(took(number)),
            outcome: Outcome::Answered,
        };
        Samples((0..count).map(sample).collect())
    }

    #[test]
    fn a_step_counts_what_is_answered_before_it_is_over() {
        let quick = step(1_000.0, SECOND, &samples(1_000, |_| 2), 0, false);
        assert_eq!((quick.answered, quick.error_rate, quick.p99), (1_000.0, 0.0, 2.0));
        // Those due from 700 ms on come after 1,200 ms.
        let late = step(1_000.0, SECOND, &samples(1_000, |number| if number < 700 { 2 } else { 600 }), 1_000, false);
        assert_eq!((late.answered, late.error_rate), (700.0, 0.5));
        let nothing = step(1_000.0, SECOND, &Samples::default(), 0, true);
        assert!(nothing.answered == 0.0 && nothing.error_rate == 0.0 && nothing.generator_limited);
    }

    #[test]
    fn steps_end_where_less_is_answered_at_the_highest_rate_and_where_the_load_does_not_keep_up() {
        let of =
            |rate, answered, generator_limited| Step { rate, answered, p99: 1.0, error_rate: 0.0, generator_limited };
        assert_eq!(after(&of(100.0, 100.0, false), 100.0, 500.0), Some(133.0));
        assert_eq!(after(&of(400.0, 400.0, false), 400.0, 500.0), Some(500.0));
        assert_eq!(after(&of(500.0, 500.0, false), 500.0, 500.0), None);
        // Fewer were due than the rate says.
        assert_eq!(after(&of(100.0, 90.0, false), 92.0, 500.0), Some(133.0));
        assert_eq!(after(&of(100.0, 90.0, false), 100.0, 500.0), None);
        assert_eq!(after(&of(100.0, 100.0, true), 100.0, 500.0), None);
    }

    #[test]
    fn only_a_full_house_may_refuse() {
        let full = [Outcome::Answered, Outcome::Silent, Outcome::Refused(8), Outcome::Refused(3)];
        let broken = [
            Outcome::Unreachable,
            Outcome::Wrong(Fault::NotFinite),
            Outcome::Wrong(Fault::Model),
            Outcome::Refused(13),
            Outcome::Refused(3),
        ];
        let sample = |outcome| Sample { due: Duration::ZERO, lag: Duration::ZERO, took: SECOND, outcome };
        let of = |place: usize| move |outcome: Outcome| (sample(outcome), place);
        let all = full.into_iter().map(of(1)).chain(broken.into_iter().map(of(2)));
        let arrived = Arrived { begun: tokio::time::Instant::now(), samples: all.collect(), shed: 3 };
        let mut climb = Climb::default();
        climb.add_failures(&arrived, &BTreeSet::from([1]));
        let names: Vec<String> = broken.iter().map(Outcome::to_string).collect();
        assert_eq!(climb.failures.len(), 5);
        assert!(names.iter().all(|name| climb.failures[name] == 1), "{:?}", climb.failures);
    }
}
