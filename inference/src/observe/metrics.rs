//! The figures, in the names that dashboards for gRPC servers and for Prowl expect.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(target_os = "linux")]
use prometheus::process_collector::ProcessCollector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder, core::Collector,
};
use prowl_proto::v1;
use tonic::Code;

use super::{Drifts, House};
use crate::engine::Engine;

/// Upper ends of the buckets of a duration, in seconds: fine where an answer usually lies.
const SECONDS: [f64; 16] = [
    25e-6, 50e-6, 100e-6, 200e-6, 400e-6, 800e-6, 1.6e-3, 3.2e-3, 6.4e-3, 12.8e-3, 25.6e-3, 51.2e-3, 0.1024, 0.4, 1.6,
    6.4,
];

/// Upper ends of the buckets of a percentile: where bands begin, and fine at the end.
pub(super) const PERCENTILES: [f64; 9] = [10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0];

/// Upper ends of the buckets of a probability.
pub(super) const PROBABILITIES: [f64; 10] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0];

/// The bands, as the protocol numbers them.
pub(super) const BANDS: [&str; 4] = ["none", "routine", "unusual", "very_unusual"];

/// A method of the gRPC port, by its place in [`METHODS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Method(usize);

/// The methods that are counted: their paths, and their kinds.
const METHODS: [(&str, &str); 13] = [
    ("/prowl.v1.Scoring/Score", "unary"),
    ("/prowl.v1.Scoring/ScoreBatch", "unary"),
    ("/prowl.v1.Scoring/ScoreStream", "bidi_stream"),
    ("/prowl.v1.Scoring/GetModel", "unary"),
    ("/prowl.v1.Scoring/SendFeedback", "unary"),
    ("/inference.GRPCInferenceService/ServerLive", "unary"),
    ("/inference.GRPCInferenceService/ServerReady", "unary"),
    ("/inference.GRPCInferenceService/ModelReady", "unary"),
    ("/inference.GRPCInferenceService/ServerMetadata", "unary"),
    ("/inference.GRPCInferenceService/ModelMetadata", "unary"),
    ("/inference.GRPCInferenceService/ModelInfer", "unary"),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "bidi_stream"),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "bidi_stream"),
];

impl Method {
    /// The method of a path such as `/prowl.v1.Scoring/Score`.
    pub(crate) fn of(path: &str) -> Option<Self> {
        METHODS.iter().position(|(known, _)| *known == path).map(Self)
    }

    /// Its path.
    pub(crate) fn path(self) -> &'static str {
        METHODS[self.0].0
    }

    /// What it is counted under: kind, service, name.
    fn labels(self) -> [&'static str; 3] {
        let (path, kind) = METHODS[self.0];
        let (service, name) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        [kind, service, name]
    }
}

/// A call that was begun.
#[derive(Debug)]
pub(crate) struct Call {
    method: Method,
    began: Instant,
}

pub(crate) struct Metrics {
    registry: Registry,
    /// By method.
    started: Vec<IntCounter>,
    succeeded: Vec<IntCounter>,
    handled: IntCounterVec,
    handling: Vec<Histogram>,
    http_requests: IntCounterVec,
    http_seconds: Histogram,
    callers: IntCounterVec,
    percentile: Histogram,
    risk: Histogram,
    /// By band, as the protocol numbers them.
    bands: Vec<IntCounter>,
    in_flight: IntGauge,
    in_flight_limit: IntGauge,
    waiting: IntGauge,
    feedback: IntCounter,
    webhooks: IntCounterVec,
    webhooks_waiting: IntGauge,
    check_runs: IntCounterVec,
    refused_models: IntCounter,
    model: GaugeVec,
    history_as_of: Gauge,
    history_age: Gauge,
    drift: GaugeVec,
    drift_rows: Gauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let registry = Registry::new();
        #[cfg(target_os = "linux")]
        registry.register(Box::new(ProcessCollector::for_self())).expect("its names are its own");
        let grpc = ["grpc_type", "grpc_service", "grpc_method"];
        let with_code = [&grpc[..], &["grpc_code"]].concat();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            keep(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let counter = |name: &str, help: &str| keep(&registry, IntCounter::new(name, help));
        let gauge = |name: &str, help: &str| keep(&registry, Gauge::new(name, help));
        let gauges =
            |name: &str, help: &str, labels: &[&str]| keep(&registry, GaugeVec::new(Opts::new(name, help), labels));
        let buckets = |name: &str, help: &str, ends: &[f64]| HistogramOpts::new(name, help).buckets(ends.to_vec());
        let histogram =
            |name: &str, help: &str, ends: &[f64]| keep(&registry, Histogram::with_opts(buckets(name, help, ends)));
        let started = counters("grpc_server_started_total", "Calls that were begun.", &grpc);
        let handled = counters("grpc_server_handled_total", "Calls that were answered, by code.", &with_code);
        let handling = buckets("grpc_server_handling_seconds", "Time from the head of a call to its answer.", &SECONDS);
        let handling = keep(&registry, HistogramVec::new(handling, &grpc));
        let bands = counters("prowl_answers_total", "Answers by the band of their anomaly.", &["band"]);
        let methods = || (0..METHODS.len()).map(|place| Method(place).labels());
        let webhooks =
            counters("prowl_webhooks_total", "Deliveries of GitHub's, by what they were answered.", &["outcome"]);
        let check_runs = counters("prowl_check_runs_total", "Check runs, by what became of them.", &["outcome"]);
        // What alerts look at is there before it grows, or its first step would not be seen.
        webhooks.with_label_values(&["refused"]);
        check_runs.with_label_values(&["failed"]);
        let succeeded = |names: [&str; 3]| handled.with_label_values(&[&names[..], &["OK"]].concat());
        Self {
            started: methods().map(|names| started.with_label_values(&names)).collect(),
            succeeded: methods().map(succeeded).collect(),
            handling: methods().map(|names| handling.with_label_values(&names)).collect(),
            handled,
            http_requests: counters("http_requests_total", "HTTP requests that were answered.", &["route", "status"]),
            http_seconds: histogram(
                "http_request_duration_seconds",
                "Time from a request's head to its answer.",
                &SECONDS,
            ),
            callers: counters(
                "prowl_calls_by_token_total",
                "Calls by the name of the token they came with.",
                &["token"],
            ),
            percentile: histogram("prowl_score", "Percentiles of the anomaly of what was scored.", &PERCENTILES),
            risk: histogram("prowl_risk", "Probabilities of what was scored to be taken back.", &PROBABILITIES),
            bands: BANDS.map(|band| bands.with_label_values(&[band])).to_vec(),
            in_flight: keep(&registry, IntGauge::new("prowl_in_flight", "Requests that are in the house.")),
            in_flight_limit: keep(&registry, IntGauge::new("prowl_in_flight_limit", "Most that may be in it.")),
            waiting: keep(&registry, IntGauge::new("prowl_waiting", "Requests that wait before the full house.")),
            feedback: counter("prowl_feedback_total", "Verdicts of reviewers that were kept."),
            webhooks,
            webhooks_waiting: keep(&registry, IntGauge::new("prowl_webhook_queue", "Deliveries that wait.")),
            check_runs,
            refused_models: counter(
                "prowl_models_refused_total",
                "Published models or histories that could not be used.",
            ),
            model: gauges("prowl_model_info", "The model that is served: 1.", &["version", "digest"]),
            history_as_of: gauge("prowl_history_as_of_timestamp_seconds", "The moment up to which the past is known."),
            history_age: gauge("prowl_history_age_seconds", "How long ago that is."),
            drift: gauges("prowl_drift_psi", "Population stability index of a feature against training.", &["feature"]),
            drift_rows: gauge("prowl_drift_rows", "Pull requests that the index is taken over."),
            registry,
        }
    }

    /// Where other figures are told beside these.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(super) fn answered(&self, response: &v1::ScoreResponse) {
        if let Some(counter) = self.bands.get(response.band as usize) {
            counter.inc();
        }
        if let Some(percentile) = response.percentile {
            self.percentile.observe(percentile.into());
        }
        if let Some(risk) = response.risk {
            self.risk.observe(risk.into());
        }
    }

    /// A call begins.
    pub(crate) fn begin(&self, method: Method) -> Call {
        self.started[method.0].inc();
        Call { method, began: Instant::now() }
    }

    /// A call ends.
    pub(crate) fn end(&self, call: &Call, code: Code) -> Duration {
        let took = call.began.elapsed();
        self.handling[call.method.0].observe(took.as_secs_f64());
        if code == Code::Ok {
            self.succeeded[call.method.0].inc();
        } else {
            // As the metrics of other gRPC servers write it: `InvalidArgument`.
            let code = format!("{code:?}");
            self.handled.with_label_values(&[&call.method.labels()[..], &[&code]].concat()).inc();
        }
        took
    }

    /// An HTTP request was answered. `route` is a pattern, so that no caller can make new ones.
    pub(crate) fn http(&self, route: &str, status: u16, took: Duration) {
        self.http_requests.with_label_values(&[route, &status.to_string()]).inc();
        self.http_seconds.observe(took.as_secs_f64());
    }

    /// A call came with the token of this name.
    pub(crate) fn caller(&self, name: &str) {
        self.callers.with_label_values(&[name]).inc();
    }

    /// A verdict was kept.
    pub(crate) fn feedback(&self) {
        self.feedback.inc();
    }

    /// A delivery of GitHub's was answered.
    pub(crate) fn webhook(&self, outcome: &str) {
        self.webhooks.with_label_values(&[outcome]).inc();
    }

    /// So many of them wait.
    pub(crate) fn webhooks_waiting(&self, waiting: usize) {
        self.webhooks_waiting.set(waiting as i64);
    }

    /// One of them was worked on.
    pub(crate) fn check_run(&self, outcome: &str) {
        self.check_runs.with_label_values(&[outcome]).inc();
    }

    /// Something that was published could not be used.
    pub(crate) fn refused_model(&self) {
        self.refused_models.inc();
    }

    pub(super) fn engine(&self, engine: &Engine, drifts: &Drifts, now: SystemTime) {
        self.model.reset();
        self.model.with_label_values(&[&engine.id().version, &engine.id().digest]).set(1.0);
        // No number where nothing is known, or that of the engine before would stay.
        let as_of = engine.past().profiles.as_of().map_or(f64::NAN, |as_of| as_of as f64 / 1e3);
        self.history_as_of.set(as_of);
        self.history_age.set(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() - as_of);
        self.drift_rows.set(f64::from(drifts.rows));
        self.drift.reset();
        for feature in &drifts.features {
            if let Some(psi) = feature.psi {
                self.drift.with_label_values(&[&feature.name]).set(psi);
            }
        }
    }

    pub(super) fn text(&self, House { in_flight, limit, waiting }: House) -> String {
        self.in_flight.set(in_flight as i64);
        self.in_flight_limit.set(limit as i64);
        self.waiting.set(waiting as i64);
        let mut text = Vec::new();
        // It writes into memory, and the names were checked when they were registered.
        let written = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        debug_assert!(written.is_ok(), "{written:?}");
        String::from_utf8(text).unwrap_or_default()
    }
}

/// Registers a metric; its name and labels are constants, of which the tests make all.
pub(super) fn keep<M: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<M>) -> M {
    let metric = made.expect("the names are valid");
    registry.register(Box::new(metric.clone())).expect("the names are distinct");
    metric
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn each_method_of_the_protocols_is_counted() {
        let files = FileDescriptorSet::decode(prowl_proto::FILE_DESCRIPTOR_SET).unwrap().file;
        for (file, service) in files.iter().flat_map(|file| file.service.iter().map(move |service| (file, service))) {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                assert!(Method::of(&path).is_some(), "{path}");
            }
        }
    }

    #[test]
    fn a_method_is_known_by_its_path() {
        assert_eq!(Method::of("/prowl.v1.Scoring/ScoreStream"), Some(Method(2)));
        for place in 0..METHODS.len() {
            let [_, service, name] = Method(place).labels();
            assert_eq!(Method::of(&format!("/{service}/{name}")), Some(Method(place)));
            assert_eq!(Method(place).path(), format!("/{service}/{name}"));
        }
        for path in ["", "/", "/prowl.v1.Scoring", "/prowl.v1.Scoring/", "/grpc.health.v1.Health/Check", "x/Score"] {
            assert_eq!(Method::of(path), None, "{path}");
        }
    }

    #[test]
    fn calls_are_counted_by_method_and_code() {
        let metrics = Metrics::new();
        let call = metrics.begin(Method(0));
        metrics.end(&call, Code::Ok);
        metrics.end(&metrics.begin(Method(0)), Code::ResourceExhausted);
        let text = metrics.text(House { in_flight: 3, limit: 64, waiting: 5 });
        let labels = r#"grpc_method="Score",grpc_service="prowl.v1.Scoring",grpc_type="unary""#;
        for line in [
            format!("grpc_server_started_total{{{labels}}} 2"),
            format!("grpc_server_handled_total{{grpc_code=\"OK\",{labels}}} 1"),
            format!("grpc_server_handled_total{{grpc_code=\"ResourceExhausted\",{labels}}} 1"),
            format!("grpc_server_handling_seconds_count{{{labels}}} 2"),
            "prowl_in_flight 3".to_owned(),
            "prowl_in_flight_limit 64".to_owned(),
            "prowl_waiting 5".to_owned(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
