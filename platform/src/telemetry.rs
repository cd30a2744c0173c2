//! Logs and traces.
//!
//! Logs go to stderr, as text for a person at a terminal and as JSON lines for a machine elsewhere. Traces go to an
//! OpenTelemetry collector where `OTEL_EXPORTER_OTLP_ENDPOINT` names one, over OTLP's gRPC; without it, spans cost nothing.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use tokio::runtime::{Handle, Runtime};
use tracing::Span;
use tracing::level_filters::LevelFilter;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::{FilterExt, FilterFn, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::{Error, arguments::variable};

const FILTER: &str = "PROWL_LOG";
const FORMAT: &str = "PROWL_LOG_FORMAT";
const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// How long a collector has to take some spans, and at the end of the program the last of them: longer, so that one which
/// does not is told of.
const PATIENCE: Duration = Duration::from_secs(2);
const LAST_PATIENCE: Duration = Duration::from_secs(4);

/// Where a span belongs in a trace, as W3C Trace Context calls it.
const TRACEPARENT: &str = "traceparent";

/// What must live as long as the program: when it goes, the last spans are sent.
#[must_use = "spans are sent until it goes"]
#[derive(Debug)]
pub struct Telemetry {
    _traces: Option<Traces>,
}

/// Starts logs and traces for the rest of the program `name`, such as `prowl-fetch`. `default_level` is a filter such as
/// `info` or `warn,prowl_fetch=info`; `PROWL_LOG` takes its place, and `PROWL_LOG_FORMAT=text|json` that of the terminal's
/// presence. A second call changes nothing.
///
/// # Errors
/// [`Error::Variable`] when one of the variables cannot be understood.
pub fn init(name: &'static str, default_level: &str) -> Result<Telemetry, Error> {
    let traces = match variable(COLLECTOR) {
        None => None,
        Some(endpoint) => Some(Traces::start(name, &endpoint)?),
    };
    // Spans of ours, and nothing of the libraries below them.
    let ours: FilterFn = filter_fn(|of| of.is_span() && of.target().starts_with("prowl"));
    let spans = traces.as_ref().map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.provider.tracer(name))
            .with_location(false)
            .with_threads(false)
            .with_filter(ours.with_max_level_hint(LevelFilter::INFO))
    });
    // An error means that a subscriber is there already, as in tests that run several programs in one process.
    let _ = Registry::default().with(spans).with(logs(default_level)?).try_init();
    Ok(Telemetry { _traces: traces })
}

fn logs<S>(default_level: &str) -> Result<Box<dyn Layer<S> + Send + Sync>, Error>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
{
    let value = variable(FILTER);
    // Each request that is tried again, where the store itself says once that it cannot be reached.
    let default = format!("{default_level},object_store=warn");
    let filter = value.as_deref().unwrap_or(&default);
    let filter = EnvFilter::try_new(filter).map_err(|error| Error::Variable {
        variable: FILTER,
        value: filter.to_owned(),
        hint: format!("{error}; write a level such as info, or prowl_fetch=debug,warn"),
    })?;
    let json = match variable(FORMAT).as_deref() {
        Some("json") => true,
        Some("text") => false,
        None => !std::io::stderr().is_terminal(),
        Some(other) => {
            let hint = "write text or json".to_owned();
            return Err(Error::Variable { variable: FORMAT, value: other.to_owned(), hint });
        }
    };
    // Spans are for traces: a line of the log says by itself what it is about.
    let events: FilterFn = filter_fn(|of| !of.is_span());
    let filter = filter.and(events.with_max_level_hint(LevelFilter::TRACE));
    // A line that cannot be written is lost. To say so on stderr, too, would panic where nobody reads it any more.
    let layer = fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    Ok(if json {
        layer.json().flatten_event(true).with_filter(filter).boxed()
    } else {
        layer.with_ansi(std::io::stderr().is_terminal()).with_target(false).with_filter(filter).boxed()
    })
}

/// The sender of spans, on a thread of its own: a program need not have begun its own runtime yet, or may have ended it.
#[derive(Debug)]
struct Traces {
    provider: SdkTracerProvider,
    runtime: Option<Runtime>,
}

impl Traces {
    fn start(name: &'static str, endpoint: &str) -> Result<Self, Error> {
        let wrong = |hint: String| Error::Variable { variable: COLLECTOR, value: endpoint.to_owned(), hint };
        if !endpoint.starts_with("http://") {
            return Err(wrong(
                "write the address of a collector's gRPC port, such as http://localhost:4317".to_owned(),
            ));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("traces")
            .enable_all()
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let within_runtime = runtime.enter();
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(PATIENCE)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        drop(within_runtime);
        let exporter = ToldOnce {
            exporter: Arc::new(exporter),
            runtime: runtime.handle().clone(),
            endpoint: endpoint.to_owned(),
            told: AtomicBool::new(false),
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(Resource::builder().with_service_name(name).build())
            .build();
        Ok(Self { provider, runtime: Some(runtime) })
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        // That a collector does not take them was told by the exporter.
        let _ = self.provider.shutdown_with_timeout(LAST_PATIENCE);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An exporter that tells the first time that its collector takes nothing, and no more. It is called on a thread of the
/// SDK, and works on the runtime.
#[derive(Debug)]
struct ToldOnce {
    exporter: Arc<SpanExporter>,
    runtime: Handle,
    endpoint: String,
    told: AtomicBool,
}

impl opentelemetry_sdk::trace::SpanExporter for ToldOnce {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = Arc::clone(&self.exporter);
        let sent = self.runtime.spawn(async move { exporter.export(batch).await }).await;
        let sent = sent.unwrap_or_else(|ended| Err(OTelSdkError::InternalFailure(ended.to_string())));
        if let Err(error) = &sent
            && !self.told.swap(true, Ordering::Relaxed)
        {
            tracing::warn!("traces are lost, the collector {} does not take them: {error}", self.endpoint);
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}

/// Where the present span belongs in its trace, for another process; empty without a trace.
pub fn traceparent() -> String {
    let mut carrier = HashMap::<String, String>::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carrier);
    carrier.remove(TRACEPARENT).unwrap_or_default()
}

/// Makes `span` a part of what another process does, which said [`traceparent`]. One that is empty, or none, changes
/// nothing.
pub fn continue_trace(span: &Span, traceparent: &str) {
    if !traceparent.is_empty() {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
        // An error is that no spans are sent, or that this one has begun already.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&carrier));
    }
}
