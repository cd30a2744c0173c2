//! Faults that a rehearsal plants in green, so that it can be seen whether the gate catches them.
//!
//! Two are planted by the rehearsal itself: `crash` kills the server, `wrong-model` has it serve another version. The others sit
//! in a [stand-in](super::StandIn) between the gate and the real server.

use std::{
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use clap::ValueEnum;
use prowl_proto::{
    inference::ModelInferResponse,
    v1::{Band, Bands, ScoreResponse},
};
use rand::{RngExt as _, SeedableRng as _, rngs::ChaCha8Rng};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use tonic::Status;

use crate::tensors::{floats, place_of, set_floats, set_texts};

/// What `slow` adds to each call.
const SLOW: Duration = Duration::from_millis(15);

/// How long `cold` takes after its first call to load what calls need: all that come meanwhile wait for the rest of it.
const COLD: Duration = Duration::from_secs(3);

/// Share of the calls that `errors` and `nan` are about.
const SHARE: f64 = 0.01;

/// What `leak` keeps of each call, and in all at most: beyond it the machine, not the gate, would end it.
const KEPT: usize = 100_000;
const MOST_KEPT: usize = (1 << 30) / KEPT;

/// How far `drifted` moves each percentile, and where percentiles end.
const DRIFT: f32 = 12.0;
const HIGHEST: f32 = 99.99;

/// Something wrong with green.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Break {
    /// Each call takes 15 ms more
    Slow,
    /// It serves another version than the one that is expected
    WrongModel,
    /// One call of a hundred is UNAVAILABLE
    Errors,
    /// One percentile of a hundred is no number
    Nan,
    /// It is killed in the middle of the gate
    Crash,
    /// It keeps 100 kB of each call
    Leak,
    /// Percentiles are 12 higher than the model says, and bands follow them
    Drifted,
    /// Its first call begins to load something for 3 s, and all that come meanwhile wait for it
    Cold,
}

impl Break {
    /// As it is typed after `--break`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::WrongModel => "wrong-model",
            Self::Errors => "errors",
            Self::Nan => "nan",
            Self::Crash => "crash",
            Self::Leak => "leak",
            Self::Drifted => "drifted",
            Self::Cold => "cold",
        }
    }

    /// The checks of a gate of which one has to fail: that it failed at something else is luck.
    pub(super) fn caught_by(self) -> &'static [&'static str] {
        match self {
            Self::Slow => &["p50 against active", "p99 against active"],
            Self::WrongModel => &["expected model"],
            Self::Errors => &["answered", "first calls answered"],
            Self::Nan => &["answered", "first calls answered", "panel"],
            Self::Crash => &["answered", "preview is serving at the end"],
            Self::Leak => &["memory"],
            Self::Drifted => &["panel", "bands changed"],
            Self::Cold => &["very first calls", "first calls"],
        }
    }

    /// Whether a stand-in plants it.
    pub(super) fn is_in_front(self) -> bool {
        !matches!(self, Self::WrongModel | Self::Crash)
    }
}

/// A fault at work; nothing at all without one.
#[derive(Debug)]
pub(super) struct Planted {
    fault: Option<Break>,
    /// Where the bands of the model begin.
    bands: Bands,
    /// When its first call came.
    first: OnceLock<Instant>,
    dice: Mutex<ChaCha8Rng>,
    kept: Mutex<Vec<Vec<u8>>>,
}

impl Planted {
    pub(super) fn new(fault: Option<Break>, bands: Bands, seed: u64) -> Self {
        let dice = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        Self { fault, bands, first: OnceLock::new(), dice, kept: Mutex::default() }
    }

    /// What happens before a call reaches the server.
    pub(super) async fn before(&self) -> Result<(), Status> {
        let delay = self.delay(Instant::now());
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if self.fault == Some(Break::Leak) {
            self.keep();
        }
        if self.fault == Some(Break::Errors) && self.hits() {
            return Err(Status::unavailable("a planted error"));
        }
        Ok(())
    }

    /// What becomes of an answer.
    pub(super) fn after(&self, answer: &mut ScoreResponse) {
        let Some(changed) = answer.percentile.and_then(|percentile| self.changed(percentile)) else { return };
        answer.percentile = Some(changed);
        if self.fault == Some(Break::Drifted) {
            answer.set_band(self.band(changed));
        }
    }

    /// The same of an answer of the Open Inference Protocol, where NaN stands for what was not judged.
    pub(super) fn after_inference(&self, answer: &mut ModelInferResponse) {
        if !matches!(self.fault, Some(Break::Nan | Break::Drifted)) {
            return;
        }
        let Some(place) = place_of("percentile", answer) else { return };
        let mut percentiles = floats(answer, place);
        for percentile in percentiles.iter_mut().filter(|percentile| !percentile.is_nan()) {
            *percentile = self.changed(*percentile).unwrap_or(*percentile);
        }
        if self.fault == Some(Break::Drifted)
            && let Some(place) = place_of("band", answer)
        {
            let word = |percentile: &f32| {
                let band = if percentile.is_nan() { Band::Unspecified } else { self.band(*percentile) };
                band.words().unwrap_or_default()
            };
            set_texts(answer, place, &percentiles.iter().map(word).collect::<Vec<_>>());
        }
        set_floats(answer, place, percentiles);
    }

    /// What becomes of a percentile; nothing where it stays.
    fn changed(&self, percentile: f32) -> Option<f32> {
        match self.fault {
            Some(Break::Nan) if self.hits() => Some(f32::NAN),
            Some(Break::Drifted) => Some((percentile + DRIFT).min(HIGHEST)),
            _ => None,
        }
    }

    fn band(&self, percentile: f32) -> Band {
        match percentile {
            high if high >= self.bands.very_unusual => Band::VeryUnusual,
            high if high >= self.bands.unusual => Band::Unusual,
            _ => Band::Routine,
        }
    }

    /// What a call takes more that comes now.
    fn delay(&self, now: Instant) -> Duration {
        match self.fault {
            Some(Break::Slow) => SLOW,
            Some(Break::Cold) => (*self.first.get_or_init(|| now) + COLD).saturating_duration_since(now),
            _ => Duration::ZERO,
        }
    }

    /// Memory that was not written to would not be resident.
    fn keep(&self) {
        let mut kept = lock(&self.kept);
        if kept.len() < MOST_KEPT {
            kept.push(vec![1; KEPT]);
        }
    }

    fn hits(&self) -> bool {
        lock(&self.dice).random_bool(SHARE)
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tensors::tests::answer as answer_of_tensors;

    fn planted(fault: Break, seed: u64) -> Planted {
        Planted::new(Some(fault), Bands { unusual: 95.0, very_unusual: 99.0 }, seed)
    }

    fn answer(percentile: Option<f32>) -> ScoreResponse {
        let band = if percentile.is_some() { Band::Routine } else { Band::Unspecified };
        ScoreResponse { percentile, band: band.into(), anomaly: Some(3.0), ..ScoreResponse::default() }
    }

    fn after(planted: &Planted, percentile: f32) -> ScoreResponse {
        let mut answer = answer(Some(percentile));
        planted.after(&mut answer);
        answer
    }

    #[test]
    fn each_is_typed_and_written_as_it_is_named() {
        let all = Break::value_variants();
        for fault in all {
            assert_eq!(Break::from_str(fault.name(), false).unwrap(), *fault);
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.name());
        }
        assert_eq!(all.iter().map(|fault| fault.name()).collect::<BTreeSet<_>>().len(), 8);
        assert_eq!(all.iter().filter(|fault| fault.is_in_front()).count(), 6);
    }

    #[tokio::test]
    async fn about_one_call_of_a_hundred_fails_by_the_seed() {
        let failed = async |fault, seed| {
            let planted = planted(fault, seed);
            let mut failed = Vec::new();
            for call in 0..10_000 {
                if planted.before().await.is_err_and(|status| status.code() == tonic::Code::Unavailable) {
                    failed.push(call);
                }
            }
            failed
        };
        let calls = failed(Break::Errors, 1).await;
        assert!((60..140).contains(&calls.len()), "{}", calls.len());
        assert_eq!(calls, failed(Break::Errors, 1).await);
        assert_ne!(calls, failed(Break::Errors, 2).await);
        assert!(failed(Break::Nan, 1).await.is_empty());
    }

    #[test]
    fn about_one_percentile_of_a_hundred_is_no_number() {
        let planted = planted(Break::Nan, 1);
        let nan = (0..10_000).filter(|_| after(&planted, 50.0).percentile.unwrap().is_nan()).count();
        assert!((60..140).contains(&nan), "{nan}");
        let errors = self::planted(Break::Errors, 1);
        assert!((0..1_000).all(|_| after(&errors, 50.0).percentile == Some(50.0)));
    }

    #[test]
    fn what_drifts_changes_its_band_and_stays_a_percentile() {
        let planted = planted(Break::Drifted, 1);
        let drifted = |from| {
            let answer = after(&planted, from);
            (answer.percentile.unwrap(), answer.band(), answer.anomaly)
        };
        assert_eq!(drifted(10.0), (22.0, Band::Routine, Some(3.0)));
        assert_eq!(drifted(84.0), (96.0, Band::Unusual, Some(3.0)));
        assert_eq!(drifted(97.0), (HIGHEST, Band::VeryUnusual, Some(3.0)));
        let mut unjudged = answer(None);
        planted.after(&mut unjudged);
        assert_eq!(unjudged, answer(None));
    }

    #[test]
    fn it_is_the_same_over_the_open_inference_protocol() {
        for raw in [false, true] {
            let mut drifted = answer_of_tensors(raw);
            planted(Break::Drifted, 1).after_inference(&mut drifted);
            let percentiles = floats(&drifted, 0);
            assert!(percentiles[0] == HIGHEST && percentiles[1].is_nan(), "{percentiles:?}");
            let mut expected = answer_of_tensors(raw);
            set_texts(&mut expected, 1, &["very unusual", ""]);
            assert_eq!(drifted.raw_output_contents.get(1), expected.raw_output_contents.get(1));
            assert_eq!(drifted.outputs[1], expected.outputs[1]);
            let nan = planted(Break::Nan, 1);
            let hit = |_: &u32| {
                let mut answer = answer_of_tensors(raw);
                nan.after_inference(&mut answer);
                floats(&answer, 0)[0].is_nan()
            };
            let hits = (0..10_000).filter(hit).count();
            assert!((60..140).contains(&hits), "{hits}");
            let mut same = answer_of_tensors(raw);
            planted(Break::Errors, 1).after_inference(&mut same);
            assert_eq!(floats(&same, 0)[0], 90.0);
        }
    }

    #[tokio::test]
    async fn slow_is_slow_for_ever_and_cold_becomes_warm() {
        let slow = planted(Break::Slow, 1);
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!([0, 1_000].map(|seconds| slow.delay(after(seconds))), [SLOW; 2]);
        let cold = planted(Break::Cold, 1);
        // Whenever the first call comes.
        let delays = [7, 8, 10, 11].map(|seconds| cold.delay(after(seconds)));
        assert_eq!(delays, [COLD, COLD.saturating_sub(Duration::from_secs(1)), Duration::ZERO, Duration::ZERO]);
        slow.before().await.unwrap();
        assert!(begun.elapsed() >= SLOW);
        assert_eq!(planted(Break::Leak, 1).delay(begun), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_leak_keeps_something_of_each_call_and_others_nothing() {
        let kept = async |fault| {
            let planted = planted(fault, 1);
            for _ in 0..20 {
                planted.before().await.unwrap();
            }
            lock(&planted.kept).iter().map(Vec::len).sum::<usize>()
        };
        assert_eq!(kept(Break::Leak).await, 2_000_000);
        assert_eq!(kept(Break::Nan).await, 0);
        const { assert!(MOST_KEPT * KEPT <= 1 << 30 && MOST_KEPT >= 10_000) };
    }
}
