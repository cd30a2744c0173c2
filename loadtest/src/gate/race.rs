//! The same pull requests to both sides, in turns, so that whatever the machine and the network do happens to both.

use std::{collections::BTreeMap, time::Duration};

use prowl_proto::v1::ScoreResponse;
use tokio_util::sync::CancellationToken;

use crate::{
    arrivals::{Plan, arrive},
    call::Caller,
    deck::Draws,
    sample::{Outcome, Sample, Samples},
    stats::{quantile, quantile_ratio},
    verdict::{Latency, Moment, Race},
};

/// Slices of the bootstrap, in seconds: calls within one are alike, those of two hardly.
const SLICE: f64 = 0.5;
const ROUNDS: usize = 1_000;
/// Points of a distribution in a report.
const POINTS: usize = 200;

/// What a race is run with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// Calls a second on each side.
    pub(super) rate: f64,
    pub(super) length: Duration,
    pub(super) seed: u64,
    pub(super) in_flight: usize,
}

/// What a race was.
pub(super) struct Raced {
    pub(super) preview: Samples,
    pub(super) active: Option<Samples>,
    /// Pull requests by their place in the deck, with the answers of both sides, preview first.
    pub(super) answers: BTreeMap<usize, [Option<ScoreResponse>; 2]>,
    pub(super) shed: u64,
}

/// Runs it. Without an active version the preview has all of the time.
pub(super) async fn run(
    preview: &Caller,
    active: Option<&Caller>,
    draws: &mut Draws,
    settings: Settings,
    compared: usize,
) -> Raced {
    let sides: Vec<&Caller> = std::iter::once(preview).chain(active).collect();
    let plan = Plan {
        rate: settings.rate * sides.len() as f64,
        length: settings.length,
        seed: settings.seed,
        in_flight: settings.in_flight * sides.len(),
    };
    let mut current = draws.draw();
    let arrived = arrive(plan, &CancellationToken::new(), |number| {
        let side = number as usize % sides.len();
        // Each side is first as often as the other.
        let round = number as usize / sides.len();
        let side = if round.is_multiple_of(2) { side } else { sides.len() - 1 - side };
        if number > 0 && (number as usize).is_multiple_of(sides.len()) {
            current = draws.draw();
        }
        let (place, document) = current.clone();
        let caller = sides[side].clone();
        async move {
            let (outcome, answer) = caller.score(document).await;
            // An answer has some kilobytes: of a long race only those are kept that are compared.
            (outcome, (side, place, answer.filter(|_| round < compared)))
        }
    })
    .await;

    let mut samples = [Samples::default(), Samples::default()];
    let mut answers: BTreeMap<usize, [Option<ScoreResponse>; 2]> = BTreeMap::new();
    for (sample, (side, place, answer)) in arrived.samples {
        samples[side].0.push(sample);
        if let Some(answer) = answer {
            answers.entry(place).or_default()[side] = Some(answer);
        }
    }
    let [preview, other] = samples;
    Raced { preview, active: active.map(|_| other), answers, shed: arrived.shed }
}

/// The figures of a race.
pub(super) fn figures(raced: &Raced, settings: Settings) -> Race {
    let ratio = |q| {
        let (ours, theirs) = (points(&raced.preview), points(raced.active.as_ref()?));
        quantile_ratio(&ours, &theirs, q, SLICE, ROUNDS, settings.seed)
    };
    Race {
        rate: settings.rate,
        preview: latency(&raced.preview),
        active: raced.active.as_ref().map(latency),
        p50_ratio: ratio(0.5),
        p99_ratio: ratio(0.99),
        timeline: timeline(raced, settings.length),
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn points(samples: &Samples) -> Vec<(f64, f64)> {
    let answered = samples.0.iter().filter(|sample| sample.outcome == Outcome::Answered);
    answered.map(|sample| (sample.due.as_secs_f64(), milliseconds(sample.took))).collect()
}

/// How far the medians of one side lie apart, those of every other slice of time from those of the slices between: what is
/// no difference between two sides, either. As a share of their middle; no number where too little was answered.
pub(super) fn noise(samples: &Samples) -> f64 {
    let mut halves = [Vec::new(), Vec::new()];
    for (due, time) in points(samples) {
        halves[(due / SLICE) as usize % 2].push(time);
    }
    let medians = halves.map(|mut times| {
        times.sort_by(f64::total_cmp);
        quantile(&times, 0.5)
    });
    match medians {
        [Some(one), Some(other)] if one + other > 0.0 => (one - other).abs() / f64::midpoint(one, other),
        _ => f64::NAN,
    }
}

/// The distribution of the times of what was answered.
pub(super) fn latency(samples: &Samples) -> Latency {
    let mut times = samples.answered_ms();
    times.sort_by(f64::total_cmp);
    let mut lags: Vec<f64> = samples.0.iter().map(|sample| milliseconds(sample.lag)).collect();
    lags.sort_by(f64::total_cmp);
    let at = |q| quantile(&times, q).unwrap_or(f64::NAN);
    // Close together where it is steep: towards the end.
    let shares = (0..=POINTS).map(|point| 1.0 - 10_f64.powf(-4.0 * point as f64 / POINTS as f64));
    Latency {
        calls: samples.len() as u64,
        answered: times.len() as u64,
        failures: samples.failures(),
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        max: times.last().copied().unwrap_or(f64::NAN),
        cdf: shares.filter_map(|share| Some((share, quantile(&times, share)?))).collect(),
        lag_p99: quantile(&lags, 0.99).unwrap_or(0.0),
    }
}

fn timeline(raced: &Raced, length: Duration) -> Vec<Moment> {
    let seconds = length.as_secs_f64().ceil() as usize;
    let mut preview = by_second(&raced.preview, seconds);
    let mut active = raced.active.as_ref().map(|samples| by_second(samples, seconds));
    (0..seconds)
        .map(|second| {
            let [ours, theirs] = [Some(&mut preview), active.as_mut()].map(|of| of.map(|of| &mut of[second]));
            let failures = [&ours, &theirs].into_iter().flatten().map(|of| of.1).sum();
            let at = |of: Option<&mut (Vec<f64>, u64)>| {
                let Some((times, _)) = of else { return (None, None) };
                times.sort_by(f64::total_cmp);
                (quantile(times, 0.5), quantile(times, 0.99))
            };
            let ((preview_p50, preview_p99), (active_p50, active_p99)) = (at(ours), at(theirs));
            Moment { second: second as f64, preview_p50, preview_p99, active_p50, active_p99, failures }
        })
        .collect()
}

/// Times of the answered, and how many failed, by the second in which they were due.
fn by_second(samples: &Samples, seconds: usize) -> Vec<(Vec<f64>, u64)> {
    let mut found = vec![(Vec::new(), 0); seconds];
    for Sample { due, took, outcome, .. } in &samples.0 {
        let Some((times, failures)) = found.get_mut(due.as_secs() as usize) else { continue };
        match outcome {
            Outcome::Answered => times.push(milliseconds(*took)),
            _ => *failures += 1,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(seconds: u64, milliseconds: u64) -> Samples {
        let sample = |number: u64| Sample {
            due: Duration::from_millis(number * 10),
            lag: Duration::ZERO,
            took: Duration::from_millis(milliseconds + number % 10),
            outcome: if number % 50 == 7 { Outcome::Refused(8) } else { Outcome::Answered },
        };
        Samples((0..seconds * 100).map(sample).collect())
    }

    #[test]
    fn figures_are_of_what_was_answered() {
        let raced = Raced { preview: samples(5, 20), active: Some(samples(5, 10)), answers: BTreeMap::new(), shed: 0 };
        let settings = Settings { rate: 100.0, length: Duration::from_secs(5), seed: 1, in_flight: 10 };
        let race = figures(&raced, settings);
        assert_eq!((race.preview.calls, race.preview.answered), (500, 490));
        assert!((race.preview.p50 - 24.0).abs() < 1.5 && (race.preview.max - 29.0).abs() < 1e-9, "{:?}", race.preview);
        let ratio = race.p50_ratio.unwrap();
        assert!(ratio.low <= ratio.at && ratio.at <= ratio.high && (1.5..1.9).contains(&ratio.at), "{ratio:?}");
        assert_eq!((race.timeline.len(), race.timeline[2].failures), (5, 4));
        assert!(race.timeline[0].active_p99 < race.timeline[0].preview_p50);
        assert!(race.preview.cdf.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1));
    }

    #[test]
    fn noise_is_what_a_side_differs_from_itself() {
        assert!(noise(&samples(5, 20)) < 0.05);
        let mut uneven = samples(5, 20);
        for sample in &mut uneven.0 {
            if (sample.due.as_secs_f64() / SLICE) as u64 % 2 == 1 {
                sample.took *= 3;
            }
        }
        // 24 and 72 ms lie once their middle apart.
        assert!((noise(&uneven) - 1.0).abs() < 0.05, "{}", noise(&uneven));
        assert!(noise(&Samples::default()).is_nan());
    }

    #[test]
    fn nothing_that_was_answered_has_no_figures() {
        let none = latency(&Samples::default());
        assert!(none.p99.is_nan() && none.calls == 0 && none.cdf.is_empty());
    }
}
