//! The same pull requests to both sides at the same rate, so that whatever the machine and the network do happens to
//! both. Each side has dice and places of its own: one that stalls keeps no call from the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::resume_unwind,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use prowl_proto::v1::{Band, ScoreResponse};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    arrivals::{Arrived, Plan, arrive},
    call::Caller,
    deck::{Deck, Draws},
    sample::{Outcome, Sample, Samples},
    stats::{quantile, quantile_ratio},
    verdict::{Latency, Race, Second},
};

/// Slices of the bootstrap, in seconds: calls within one are alike, those of two hardly.
const SLICE: f64 = 0.5;
const ROUNDS: usize = 1_000;
/// Points of a distribution in a report.
const POINTS: usize = 200;
/// An answer that comes so long after the end of a load belongs to it: later ones show that more was asked than
/// answered.
const AFTER: Duration = Duration::from_millis(200);

/// What a race is run with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    /// Calls a second on each side.
    pub(super) rate: f64,
    pub(super) length: Duration,
    pub(super) seed: u64,
    /// Most calls in flight on each side.
    pub(super) in_flight: usize,
    /// Pull requests whose answers are kept.
    pub(super) compared: u64,
}

/// What a race was.
#[derive(Debug, Default)]
pub(super) struct Raced {
    pub(super) preview: Lane,
    pub(super) active: Option<Lane>,
    /// Pull requests by their place in the deck, with the answers of both sides, preview first.
    pub(super) answers: BTreeMap<usize, [Option<ScoreResponse>; 2]>,
    /// Places of those that both sides refuse alike.
    pub(super) refused: BTreeSet<usize>,
    pub(super) length: Duration,
}

/// What one side was asked, but for what both refuse alike: that says nothing of a version.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) samples: Samples,
    /// Calls that were due while too many were in flight.
    pub(super) shed: u64,
    /// Answers that judge their pull request.
    pub(super) judged: u64,
    /// Calls that are left out, since both refuse them.
    pub(super) refused: u64,
}

impl Lane {
    /// Calls that were made.
    pub(super) fn asked(&self) -> u64 {
        self.samples.len() as u64 + self.refused
    }
}

/// What a call brings beside its sample.
struct Seen {
    place: usize,
    judged: bool,
    answer: Option<ScoreResponse>,
}

/// The pull request of each number: the same for all with the same dice, whichever numbers they leave out.
struct Numbered {
    draws: Draws,
    next: u64,
}

impl Numbered {
    fn get(&mut self, number: u64) -> (usize, Bytes) {
        while self.next < number {
            self.draws.draw();
            self.next += 1;
        }
        self.next = number + 1;
        self.draws.draw()
    }
}

/// Runs it.
pub(super) async fn run(preview: &Caller, active: Option<&Caller>, deck: &Arc<Deck>, settings: Settings) -> Raced {
    let theirs = async {
        match active {
            Some(active) => Some(ask(active, deck, settings, settings.seed.wrapping_add(1)).await),
            None => None,
        }
    };
    let (ours, theirs) = tokio::join!(ask(preview, deck, settings, settings.seed), theirs);
    Raced::of(ours, theirs, settings.length)
}

/// Asks one side, in a task of its own, so that neither has to wait until the other has sent.
async fn ask(caller: &Caller, deck: &Arc<Deck>, settings: Settings, seed: u64) -> Arrived<Seen> {
    let Settings { rate, length, in_flight, compared, .. } = settings;
    let plan = Plan { rate, length, seed, in_flight };
    let caller = caller.clone();
    let mut numbered = Numbered { draws: Draws::of(deck, settings.seed), next: 0 };
    let asked = async move {
        let until = CancellationToken::new();
        let call = move |number| {
            let (place, document) = numbered.get(number);
            let caller = caller.clone();
            async move {
                // An answer has some kilobytes: of a long race only those are read and kept that are compared.
                if number >= compared {
                    let (outcome, judged) = caller.judge_score(document).await;
                    return (outcome, Seen { place, judged, answer: None });
                }
                let (outcome, answer) = caller.score(document).await;
                let judged = answer.as_ref().is_some_and(|answer| answer.band() != Band::Unspecified);
                (outcome, Seen { place, judged, answer })
            }
        };
        arrive(plan, &until, call).await
    };
    AbortOnDropHandle::new(tokio::spawn(asked)).await.unwrap_or_else(|failed| resume_unwind(failed.into_panic()))
}

/// The code of a refusal that is of the pull request, and not of how the server is: it cannot be read, or is too long.
pub(super) fn refuses(outcome: Outcome) -> Option<u16> {
    match outcome {
        Outcome::Refused(code)
            if [tonic::Code::InvalidArgument as u16, tonic::Code::OutOfRange as u16].contains(&code) =>
        {
            Some(code)
        }
        _ => None,
    }
}

impl Raced {
    fn of(ours: Arrived<Seen>, theirs: Option<Arrived<Seen>>, length: Duration) -> Self {
        let refusing = |arrived: &Arrived<Seen>| -> BTreeSet<(usize, u16)> {
            arrived.samples.iter().filter_map(|(sample, seen)| Some((seen.place, refuses(sample.outcome)?))).collect()
        };
        let alike = theirs.as_ref().map(|theirs| &refusing(&ours) & &refusing(theirs)).unwrap_or_default();
        let refused: BTreeSet<usize> = alike.into_iter().map(|(place, _)| place).collect();
        let mut answers = BTreeMap::<usize, [Option<ScoreResponse>; 2]>::new();
        let mut lane_of = |arrived: Arrived<Seen>, side: usize| {
            let mut lane = Lane { shed: arrived.shed, ..Lane::default() };
            for (sample, seen) in arrived.samples {
                if refuses(sample.outcome).is_some() && refused.contains(&seen.place) {
                    lane.refused += 1;
                    continue;
                }
                lane.judged += u64::from(seen.judged && sample.outcome == Outcome::Answered);
                lane.samples.0.push(sample);
                if let Some(answer) = seen.answer {
                    answers.entry(seen.place).or_default()[side] = Some(answer);
                }
            }
            lane
        };
        let preview = lane_of(ours, 0);
        let active = theirs.map(|theirs| lane_of(theirs, 1));
        Self { preview, active, answers, refused, length }
    }
}

/// How many calls were answered while a load of this length went on.
pub(super) fn in_time(samples: &Samples, length: Duration) -> usize {
    samples.answered().filter(|sample| sample.due + sample.took <= length + AFTER).count()
}

/// The figures of a race.
pub(super) fn figures(raced: &Raced, settings: Settings) -> Race {
    let sides = raced.active.as_ref().map(|active| (points(&raced.preview.samples), points(&active.samples)));
    let ratio = |q| {
        let (ours, theirs) = sides.as_ref()?;
        quantile_ratio(ours, theirs, q, SLICE, ROUNDS, settings.seed)
    };
    Race {
        rate: settings.rate,
        preview: latency(&raced.preview.samples),
        active: raced.active.as_ref().map(|lane| latency(&lane.samples)),
        p50_ratio: ratio(0.5),
        p99_ratio: ratio(0.99),
        timeline: timeline(raced),
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// When each call was due, in seconds, and how long it took from when it was sent, in milliseconds: what the generator adds is
/// of both sides, and would make a slow one look like the other.
fn points(samples: &Samples) -> Vec<(f64, f64)> {
    samples.answered().map(|sample| (sample.due.as_secs_f64(), milliseconds(sample.served()))).collect()
}

/// How far the medians of one side lie apart, those of every other slice of time from those of the slices between: what
/// is no difference between two sides, either. As a share of their middle; no number where too little was answered.
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

fn timeline(raced: &Raced) -> Vec<Second> {
    let seconds = raced.length.as_secs_f64().ceil() as usize;
    let mut preview = by_second(&raced.preview.samples, seconds);
    let mut active = raced.active.as_ref().map(|lane| by_second(&lane.samples, seconds));
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
            Second { second: second as f64, preview_p50, preview_p99, active_p50, active_p99, failures }
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
    use crate::deck::Origin;

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
        let lane = |milliseconds| Lane { samples: samples(5, milliseconds), ..Lane::default() };
        let length = Duration::from_secs(5);
        let raced = Raced { preview: lane(20), active: Some(lane(10)), length, ..Raced::default() };
        let settings = Settings { rate: 100.0, length, seed: 1, in_flight: 10, compared: 0 };
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

    #[tokio::test]
    async fn a_number_has_its_pull_request_whichever_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prs");
        let lines: Vec<_> = (0..7).map(|number| format!("{{\"number\": {number}}}")).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        let deck = Arc::new(Deck::draw(&Origin::Files(vec![path]), None, 7, 1).await.unwrap());
        let numbered = || Numbered { draws: Draws::of(&deck, 3), next: 0 };
        let (mut all, mut some) = (numbered(), numbered());
        let all: Vec<_> = (0..20).map(|number| all.get(number)).collect();
        for number in [0, 1, 5, 6, 19] {
            assert_eq!(some.get(number), all[number as usize], "{number}");
        }
    }

    fn arrived(outcomes: &[(usize, Outcome)]) -> Arrived<Seen> {
        let sample = |(number, &(place, outcome)): (u64, &(usize, Outcome))| {
            let due = Duration::from_millis(number);
            let answer = (outcome == Outcome::Answered).then(ScoreResponse::default);
            let sample = Sample { due, lag: Duration::ZERO, took: Duration::from_millis(2), outcome };
            (sample, Seen { place, judged: place != 3, answer })
        };
        let samples = (0..).zip(outcomes).map(sample).collect();
        Arrived { begun: tokio::time::Instant::now(), samples, shed: 4 }
    }

    #[test]
    fn what_both_refuse_alike_is_left_out_and_nothing_else_is() {
        let (unread, long, full) = (Outcome::Refused(3), Outcome::Refused(11), Outcome::Refused(8));
        let wrong = Outcome::Wrong(crate::sample::Fault::Incomplete);
        let answered = Outcome::Answered;
        let ours = [(1, unread), (2, unread), (3, answered), (4, full), (5, wrong), (6, long), (7, answered)];
        let theirs = [(1, unread), (2, answered), (3, answered), (4, full), (5, wrong), (6, unread), (7, unread)];
        let raced = Raced::of(arrived(&ours), Some(arrived(&theirs)), Duration::from_secs(1));
        assert_eq!(raced.refused, BTreeSet::from([1]));
        let (preview, active) = (raced.preview, raced.active.unwrap());
        assert_eq!((preview.samples.len(), preview.refused, preview.shed, preview.judged), (6, 1, 4, 1));
        assert_eq!(preview.asked(), 7);
        assert_eq!((active.samples.len(), active.refused, active.judged), (6, 1, 1));
        assert_eq!(preview.samples.failures().values().sum::<u64>(), 4);
        assert_eq!(raced.answers.keys().copied().collect::<Vec<_>>(), [2, 3, 7]);
        // By itself nothing is left out.
        let alone = Raced::of(arrived(&ours), None, Duration::from_secs(1));
        assert_eq!((alone.preview.samples.len(), alone.preview.refused), (7, 0));
    }

    #[test]
    fn nothing_that_was_answered_has_no_figures() {
        let none = latency(&Samples::default());
        assert!(none.p99.is_nan() && none.calls == 0 && none.cdf.is_empty());
    }
}
