//! The knee: the rate from which on more is asked than answered. Steps grow by a third until one fails to be answered,
//! the highest rate that is asked for is reached, or it is the load that does not keep up. How much is borne is told
//! and not judged; what a server does when it is full is: it may refuse or be late, and never answer wrongly or go.
//! At the first of them, which is that of the race, it has to answer.

use std::{collections::BTreeMap, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    in_flight,
    race::{in_time, latency},
};
use crate::{
    arrivals::{Arrived, Plan, arrive},
    call::Caller,
    deck::Draws,
    generator::Watch,
    sample::{Outcome, Samples},
    verdict::Step,
};

/// From one step to the next.
const GROWTH: f64 = 1.33;
/// With which a full house refuses: it takes no more, or it has seen that the answer would come too late.
const FULL: [u16; 2] = [tonic::Code::ResourceExhausted as u16, tonic::Code::DeadlineExceeded as u16];

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

/// Climbs.
pub(super) async fn climb(caller: &Caller, draws: &mut Draws, way: Way) -> Climb {
    let (mut climb, mut next) = (Climb::default(), Some(way.from));
    while let Some(rate) = next {
        let plan = Plan { rate, length: way.step, seed: way.seed, in_flight: in_flight(rate) };
        let watch = Watch::begin();
        let arrived = arrive(plan, &CancellationToken::new(), |_| {
            let (caller, (_, document)) = (caller.clone(), draws.draw());
            async move { (caller.judge_score(document).await.0, ()) }
        })
        .await;
        let is_limit = is_limit(&watch, &arrived);
        let shed = arrived.shed;
        let samples = arrived.into_samples();
        climb.add(&samples);
        let step = step(rate, way.step, &samples, shed, is_limit);
        next = after(&step, way.to);
        climb.steps.push(step);
    }
    climb
}

fn is_limit(watch: &Watch, arrived: &Arrived<()>) -> bool {
    arrived.samples.iter().for_each(|(sample, ())| watch.sent(sample.lag));
    (0..arrived.shed).for_each(|_| watch.shed());
    watch.ended();
    watch.end().is_limit
}

/// What came of a step.
fn step(rate: f64, length: Duration, samples: &Samples, shed: u64, generator_limited: bool) -> Step {
    let latency = latency(samples);
    let asked = (latency.calls + shed) as f64;
    // The dice give a little more or less than the rate, which is not the server's doing.
    let share = |count: f64| if asked > 0.0 { count / asked } else { 0.0 };
    Step {
        rate,
        // What was answered only after the step would have been answered too late for ever.
        answered: rate * share(in_time(samples, length) as f64),
        p99: latency.p99,
        error_rate: share(asked - latency.answered as f64),
        generator_limited,
    }
}

/// The rate of the next step, where there is one.
fn after(step: &Step, to: f64) -> Option<f64> {
    let goes_on = !step.generator_limited && step.keeps_up() && step.rate < to;
    goes_on.then(|| (step.rate * GROWTH).min(to))
}

impl Climb {
    fn add(&mut self, samples: &Samples) {
        self.calls += samples.len() as u64;
        for sample in &samples.0 {
            let may_be = match sample.outcome {
                Outcome::Answered | Outcome::Silent => true,
                Outcome::Refused(code) => FULL.contains(&code),
                Outcome::Unreachable | Outcome::Wrong(_) => false,
            };
            if !may_be {
                *self.failures.entry(sample.outcome.to_string()).or_default() += 1;
            }
        }
    }

    /// Whether it was not even answered at the rate of the race, though the load kept up.
    pub(super) fn is_stuck(&self) -> bool {
        self.steps.first().is_none_or(|step| !step.generator_limited && !step.keeps_up())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Fault, Sample};

    const SECOND: Duration = Duration::from_secs(1);

    fn of(rate: f64, answered: f64, generator_limited: bool) -> Step {
        Step { rate, answered, p99: 1.0, error_rate: 0.0, generator_limited }
    }

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
        assert_eq!((late.answered, late.error_rate), (350.0, 0.5));
        let nothing = step(1_000.0, SECOND, &Samples::default(), 0, true);
        assert!(nothing.answered == 0.0 && nothing.error_rate == 0.0 && nothing.generator_limited);
    }

    #[test]
    fn steps_end_where_less_is_answered_at_the_highest_rate_and_where_the_load_does_not_keep_up() {
        assert_eq!(after(&of(100.0, 100.0, false), 500.0), Some(133.0));
        assert_eq!(after(&of(400.0, 400.0, false), 500.0), Some(500.0));
        assert_eq!(after(&of(500.0, 500.0, false), 500.0), None);
        assert_eq!(after(&of(100.0, 94.0, false), 500.0), None);
        assert_eq!(after(&of(100.0, 100.0, true), 500.0), None);
    }

    #[test]
    fn all_of_the_few_that_the_dice_gave_is_all() {
        let length = Duration::from_secs(3);
        let few = step(200.0, length, &samples(560, |_| 2), 0, false);
        assert!(few.keeps_up() && few.answered == 200.0, "{few:?}");
        assert!(!step(200.0, length, &Samples::default(), 0, false).keeps_up(), "nothing was asked");
    }

    #[test]
    fn who_does_not_answer_at_the_first_rate_is_stuck() {
        let stuck = |steps: &[Step]| Climb { steps: steps.to_vec(), ..Climb::default() }.is_stuck();
        let (kept, lost) = (of(100.0, 100.0, false), of(133.0, 20.0, false));
        assert!(!stuck(&[kept.clone(), lost.clone()]) && stuck(std::slice::from_ref(&lost)) && stuck(&[]));
        assert!(!stuck(&[Step { generator_limited: true, ..lost }]), "the load did not keep up");
        assert!(stuck(&[Step { answered: 0.0, ..kept }]));
    }

    #[test]
    fn only_a_full_house_may_refuse() {
        let full = [Outcome::Answered, Outcome::Silent, Outcome::Refused(8), Outcome::Refused(4)];
        let broken = [
            Outcome::Unreachable,
            Outcome::Wrong(Fault::NotFinite),
            Outcome::Wrong(Fault::Model),
            Outcome::Refused(13),
            Outcome::Refused(3),
        ];
        let sample = |outcome| Sample { due: Duration::ZERO, lag: Duration::ZERO, took: SECOND, outcome };
        let mut climb = Climb::default();
        climb.add(&Samples(full.into_iter().chain(broken).map(sample).collect()));
        let names: Vec<String> = broken.iter().map(Outcome::to_string).collect();
        assert_eq!((climb.calls, climb.failures.len()), (9, 5));
        assert!(names.iter().all(|name| climb.failures[name] == 1), "{:?}", climb.failures);
    }
}
