//! Traces, as a collector of OpenTelemetry's receives them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use prowl_e2e::{Cluster, Outcome, Running, Server, TestStore, Variable};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// Every span that has arrived, with the name of the program that sent it.
type Arrived = Arc<Mutex<Vec<(String, Span)>>>;

#[derive(Clone, Default)]
struct Collector(Arrived);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = &resource.resource.as_ref().unwrap().attributes;
            let name = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
            let name = format!("{:?}", name.value);
            let program = name.split('"').nth(1).unwrap().to_owned();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.0.lock().unwrap().extend(spans.map(|span| (program.clone(), span)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector, and the environment of programs that send to it.
fn collector(runtime: &Runtime) -> (Arrived, Vec<Variable>) {
    let collector = Collector::default();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let service = TraceServiceServer::new(collector.clone());
    runtime.spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)),
    );
    (collector.0, environment_of(&endpoint))
}

fn environment_of(endpoint: &str) -> Vec<Variable> {
    vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned())]
}

fn run_in(environment: &[Variable], name: &str, arguments: &[&str]) -> Outcome {
    Running::start_with(environment, name, arguments).wait().expect_success()
}

#[test]
fn a_job_its_tasks_a_training_and_an_answer_are_traced() {
    let runtime = Runtime::new().unwrap();
    let (arrived, environment) = collector(&runtime);
    let store = TestStore::empty();
    store.synth(600, 4);
    let cluster = Cluster::start_with(1, environment.clone());
    let arguments = ["--store", &store.url, "--export", "latest", "--scheduler", &cluster.url()];
    run_in(&environment, "prowl-preprocess", &arguments);
    let stages = cluster.stages();
    assert_eq!(cluster.stop(), [0, 0]);
    run_in(&environment, "prowl-trainer", &["train", "--store", &store.url, "--features", "latest"]);
    let server = Server::start_with(&environment, &store.url, "latest");
    let (trace, caller) = ([7; 16], [9; 8]);
    let traceparent = format!("traceparent: 00-{}-{}-01\r\n", "07".repeat(16), "09".repeat(8));
    let document = r#"{"number": 1, "created_at": "2024-05-01T12:00:00Z", "base": {"repo": {"full_name": "o/n"}}}"#;
    assert_eq!(server.post_with("/v1/score", &traceparent, document).map(|(status, _)| status), Some(200));
    assert_eq!(server.stop(), 0);

    let arrived = arrived.lock().unwrap();
    let spans = |program: &str, name: &str| -> Vec<Span> {
        let of = |(sender, span): &&(String, Span)| sender == program && span.name == name;
        arrived.iter().filter(of).map(|(_, span)| span.clone()).collect()
    };
    let job = spans("prowl-preprocess", "preprocess");
    assert_eq!(job.len(), 1);
    let tasks = spans("prowl-executor", "task");
    let done: usize = stages.iter().map(|stage| stage["tasks"].as_array().unwrap().len()).sum();
    assert_eq!(tasks.len(), done);
    for task in &tasks {
        assert_eq!(task.trace_id, job[0].trace_id, "a task is a part of the trace of its job");
        assert_eq!(task.parent_span_id, job[0].span_id);
    }
    let train = spans("prowl-trainer", "train");
    for step in ["read", "learn", "publish"] {
        assert_eq!(spans("prowl-trainer", step)[0].parent_span_id, train[0].span_id, "{step}");
    }
    assert_eq!(spans("prowl-inference", "load").len(), 1);
    let request = spans("prowl-inference", "request").into_iter().find(|span| span.trace_id == trace).unwrap();
    assert_eq!(request.parent_span_id, caller);
    assert_eq!(spans("prowl-inference", "score")[0].parent_span_id, request.span_id);
}

#[test]
fn a_collector_that_is_away_is_told_once_and_stops_nothing() {
    let store = TestStore::empty();
    store.synth(100, 4);
    // Nothing listens on port 1.
    let environment = environment_of("http://127.0.0.1:1");
    let done = run_in(&environment, "prowl-preprocess", &["--store", &store.url, "--export", "latest"]);
    let told: Vec<_> = done.stderr.lines().filter(|line| line.contains("traces are lost")).collect();
    assert_eq!(told.len(), 1, "{}", done.stderr);
    assert!(told[0].contains("the collector http://127.0.0.1:1 does not take them"), "{}", told[0]);

    let wrong = Running::start_with(
        &environment_of("collector:4317"),
        "prowl-preprocess",
        &["--store", &store.url, "--export", "latest"],
    )
    .wait();
    assert_eq!(wrong.code, 1);
    assert!(wrong.error().contains("OTEL_EXPORTER_OTLP_ENDPOINT"), "{}", wrong.stderr);
}
