//! A second model that judges a share of what was answered, to see how it would have answered. No caller waits for it or sees it.
//!
//! ```text
//! answered ─> offer ─> queue ─> one thread of low priority ─> Comparison, figures
//!               └─ full: dropped, and counted
//! ```
//!
//! It judges the vector that the served model has judged, so the two have looked at the same histories, and it needs none of its
//! own. The share is drawn anew for each pull request, whoever asks and however often.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use arc_swap::ArcSwapOption;
use prometheus::{Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};
use prowl_features::FeatureVector;
use prowl_proto::v1;
use serde::Serialize;
use thread_priority::ThreadPriority;

use super::{
    comparison::{Compared, Comparison, ENOUGH, Named, Pair, Verdict, WINDOW},
    metrics::{BANDS, PERCENTILES, PROBABILITIES, keep},
};
use crate::{
    config::Shadowing,
    engine::{self, Engine},
    error::Error,
};

/// Vectors that wait to be judged, of about 2 KB each.
const QUEUE: usize = 256;

/// Upper ends of the buckets of how far two percentiles are apart.
const DIFFERENCES: [f64; 9] = [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// The second model, or where it will be once it is loaded.
pub(crate) struct Shadow {
    shadowing: Shadowing,
    queue: SyncSender<Sample>,
    model: ArcSwapOption<Engine>,
    found: Arc<Found>,
}

/// What was found out so far.
struct Found {
    figures: Figures,
    comparison: Mutex<Comparison>,
}

struct Figures {
    info: GaugeVec,
    scored: IntCounter,
    dropped: IntCounter,
    failed: IntCounter,
    percentile: Histogram,
    risk: Histogram,
    difference: Histogram,
    bands: IntCounterVec,
    psi: GaugeVec,
    rows: Gauge,
}

/// A pull request that was answered, with both models as they were then.
struct Sample {
    served: Engine,
    shadow: Arc<Engine>,
    vector: FeatureVector,
    repository: String,
    number: u64,
    foreign: bool,
    verdict: Verdict,
}

/// What is told of it.
#[derive(Serialize)]
pub(crate) struct Told<'a> {
    /// The model that was asked for.
    wanted: &'a str,
    share: f64,
    /// The one that judges, once it is loaded.
    loaded: Option<Named>,
    /// Pull requests since the start of the service.
    scored: u64,
    dropped: u64,
    failed: u64,
    /// Most that are compared: the last ones.
    window: usize,
    /// So many are needed for a stability index.
    enough: usize,
    compared: Option<Compared>,
}

impl Shadow {
    /// Starts the thread that judges.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(shadowing: Shadowing, registry: &Registry) -> io::Result<Self> {
        let (queue, samples) = sync_channel(QUEUE);
        let found = Arc::new(Found { figures: Figures::new(registry), comparison: Mutex::default() });
        let finder = Arc::clone(&found);
        thread::Builder::new().name("shadow".to_owned()).spawn(move || work(&samples, &finder))?;
        Ok(Self { shadowing, queue, model: ArcSwapOption::empty(), found })
    }

    /// The model that was asked for: the name of its folder, or `latest`.
    pub(crate) fn wanted(&self) -> &str {
        &self.shadowing.version
    }

    /// The name of the folder of the model that judges, once there is one.
    pub(crate) fn folder(&self) -> Option<String> {
        self.model.load().as_ref().map(|model| model.folder().to_owned())
    }

    /// Judges by this model from now on.
    pub(crate) fn judge_by(&self, model: Engine) {
        self.model.store(Some(Arc::new(model)));
    }

    /// Has an answer judged a second time where the dice say so, unless the queue is full. A model is not compared with itself.
    pub(super) fn offer(&self, served: &Engine, response: &v1::ScoreResponse, vector: FeatureVector) {
        let model = self.model.load();
        let Some(shadow) = model.as_ref().filter(|shadow| shadow.id().digest != served.id().digest) else { return };
        let Some(percentile) = response.percentile else { return };
        if rand::random::<f64>() >= self.shadowing.share {
            return;
        }
        let sample = Sample {
            served: served.clone(),
            shadow: Arc::clone(shadow),
            vector,
            repository: response.repository.clone(),
            number: response.number,
            foreign: response.repository_is_foreign,
            verdict: Verdict { percentile, band: response.band(), risk: response.risk },
        };
        if self.queue.try_send(sample).is_err() {
            self.found.figures.dropped.inc();
        }
    }

    /// What was found out, for people.
    pub(crate) fn tell(&self) -> Told<'_> {
        let figures = &self.found.figures;
        Told {
            wanted: self.wanted(),
            share: self.shadowing.share,
            loaded: self.model.load().as_ref().map(|model| Named::from(model.id())),
            scored: figures.scored.get(),
            dropped: figures.dropped.get(),
            failed: figures.failed.get(),
            window: WINDOW,
            enough: ENOUGH,
            compared: self.found.comparison().tell(),
        }
    }

    /// Brings the figures up to date that are not counted.
    pub(super) fn export(&self) {
        let Figures { info, psi, rows, .. } = &self.found.figures;
        info.reset();
        if let Some(model) = self.model.load().as_ref() {
            info.with_label_values(&[&model.id().version, &model.id().digest]).set(1.0);
        }
        let (count, compared) = {
            let comparison = self.found.comparison();
            (comparison.rows(), comparison.tell())
        };
        rows.set(count as f64);
        psi.reset();
        let Some(Compared { percentile, risk, .. }) = compared else { return };
        let indices = [("score", percentile.psi), ("risk", risk.and_then(|risk| risk.psi))];
        for (of, index) in indices.into_iter().filter_map(|(of, index)| Some((of, index?))) {
            psi.with_label_values(&[of]).set(index);
        }
    }
}

impl Found {
    fn comparison(&self) -> MutexGuard<'_, Comparison> {
        self.comparison.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares what the second model says of a sample with what the caller got.
    fn compare(&self, sample: Sample) -> Result<(), Error> {
        let Sample { served, shadow, vector, repository, number, foreign, verdict } = sample;
        let mut scores = shadow.scores(&[(&vector, &repository, foreign)]);
        let score = scores.pop().expect("there is a score of each vector")?;
        let second = Verdict { percentile: score.percentile, band: engine::band(score.band), risk: score.risk };
        let pair = Pair { pull_request: format!("{repository}#{number}"), served: verdict, shadow: second };
        let figures = &self.figures;
        figures.percentile.observe(second.percentile.into());
        if let Some(risk) = second.risk {
            figures.risk.observe(risk.into());
        }
        figures.difference.observe(pair.difference().into());
        figures.bands.with_label_values(&[verdict.band(), second.band()]).inc();
        self.comparison().add(served.id(), shadow.id(), pair);
        figures.scored.inc();
        Ok(())
    }
}

impl Figures {
    fn new(registry: &Registry) -> Self {
        let counter = |name: &str, help: &str| keep(registry, IntCounter::new(name, help));
        let gauges =
            |name: &str, help: &str, labels: &[&str]| keep(registry, GaugeVec::new(Opts::new(name, help), labels));
        let histogram = |name: &str, help: &str, ends: &[f64]| {
            keep(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(ends.to_vec())))
        };
        let bands =
            Opts::new("prowl_shadow_bands_total", "Pull requests by their band of the served model and of the shadow.");
        let bands = keep(registry, IntCounterVec::new(bands, &["served", "shadow"]));
        // From the start on, so that a sum over some of them is one.
        for served in &BANDS[1..] {
            BANDS[1..].iter().for_each(|shadow| drop(bands.with_label_values(&[served, shadow])));
        }
        Self {
            info: gauges(
                "prowl_shadow_info",
                "The model that is compared with the served one: 1.",
                &["version", "digest"],
            ),
            scored: counter("prowl_shadow_scored_total", "Pull requests that the shadow has judged."),
            dropped: counter("prowl_shadow_dropped_total", "Pull requests that the shadow had no time for."),
            failed: counter("prowl_shadow_failed_total", "Pull requests that the shadow gave no number for."),
            percentile: histogram("prowl_shadow_score", "Percentiles that the shadow gives.", &PERCENTILES),
            risk: histogram(
                "prowl_shadow_risk",
                "Probabilities to be taken back that the shadow gives.",
                &PROBABILITIES,
            ),
            difference: histogram(
                "prowl_shadow_difference",
                "How far the percentiles of the served model and of the shadow are apart.",
                &DIFFERENCES,
            ),
            bands,
            psi: gauges(
                "prowl_shadow_psi",
                "Stability index of what the shadow says against the served model.",
                &["of"],
            ),
            rows: keep(registry, Gauge::new("prowl_shadow_rows", "Pull requests that the index is taken over.")),
        }
    }
}

/// Judges what comes until nothing can come any more.
fn work(samples: &Receiver<Sample>, found: &Found) {
    // Whatever callers wait for goes first. Where the system does not let it, it is a thread like others.
    if let Err(error) = ThreadPriority::Min.set_for_current() {
        tracing::debug!(?error, "the shadow runs at the usual priority");
    }
    for sample in samples {
        // Those that follow are judged also where one finds a fault of ours.
        let compared = catch_unwind(AssertUnwindSafe(|| found.compare(sample)));
        if let Err(error) = compared.unwrap_or_else(|_| Err(Error::Model("it panicked".to_owned()))) {
            if found.figures.failed.get() == 0 {
                tracing::warn!(%error, "the shadow could not judge a pull request; those that follow are counted only");
            }
            found.figures.failed.inc();
        }
    }
}
