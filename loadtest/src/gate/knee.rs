//! The knee: the rate from which on more is asked than answered. Steps grow by a third until one fails to be answered, or
//! the highest rate that is asked for is reached.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::in_flight;
use crate::{
    arrivals::{Plan, arrive},
    call::Caller,
    deck::Draws,
    sample::Outcome,
    stats::quantile,
    verdict::Step,
};

/// From one step to the next.
const GROWTH: f64 = 1.33;
/// A step that answers less of its rate is beyond the knee.
const KEPT: f64 = 0.95;

/// Steps of a side, each for so long.
pub(super) async fn climb(
    caller: &Caller,
    draws: &mut Draws,
    from: f64,
    to: f64,
    step: Duration,
    seed: u64,
) -> Vec<Step> {
    let (mut steps, mut rate) = (Vec::new(), from);
    loop {
        let plan = Plan { rate, length: step, seed, in_flight: in_flight(rate) };
        let arrived = arrive(plan, &CancellationToken::new(), |_| {
            let (caller, document) = (caller.clone(), draws.draw().1);
            async move { (caller.score(document).await.0, ()) }
        })
        .await;
        let shed = arrived.shed;
        let samples = arrived.into_samples();
        let mut times = samples.answered_ms();
        times.sort_by(f64::total_cmp);
        // What was answered only after the step would have been answered too late for ever.
        let within = samples.0.iter().filter(|sample| {
            sample.outcome == Outcome::Answered && sample.due + sample.took <= step + Duration::from_millis(200)
        });
        let answered = within.count() as f64 / step.as_secs_f64();
        let asked = samples.len() as u64 + shed;
        steps.push(Step {
            rate,
            answered,
            p99: quantile(&times, 0.99).unwrap_or(f64::NAN),
            error_rate: if asked == 0 { 0.0 } else { 1.0 - times.len() as f64 / asked as f64 },
            side: caller.target.name().to_owned(),
        });
        // The dice give a little more or less than the rate.
        let given = asked as f64 / step.as_secs_f64();
        if answered < KEPT * given || rate >= to {
            return steps;
        }
        rate = (rate * GROWTH).min(to);
    }
}
