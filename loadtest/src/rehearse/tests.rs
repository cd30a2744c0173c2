use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use clap::ValueEnum as _;
use tokio::{net::TcpListener, sync::oneshot};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Response, Status, Streaming,
    transport::{Channel, Server},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_client::HealthClient,
    health_server::{Health, HealthServer},
};

use super::{replica::channel, switch::Switch, *};
use crate::call::never_begun;

fn served(model: &str) -> Served {
    Served { binary: "/bin/false".into(), store: "file:///srv/prowl".to_owned(), model: model.to_owned() }
}

fn config(fault: Option<Break>) -> Config {
    Config {
        blue: served("A"),
        green: served("B"),
        fault,
        wrong_model: None,
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        rate: 1_000.0,
        switches: 2,
        calm: Duration::ZERO,
        scale_down_delay: Duration::ZERO,
        pause: Duration::ZERO,
        crash_after: Duration::ZERO,
        patience: Duration::from_secs(20),
        folder: std::env::temp_dir(),
        program: "/bin/false".into(),
        seed: 1,
    }
}

#[test]
fn each_side_serves_what_it_is_told_and_under_wrong_model_green_another() {
    let model =
        |config: &Config, color| config.served(color).map(|served| served.model).map_err(|error| error.to_string());
    let others = Break::value_variants().iter().copied().filter(|fault| *fault != Break::WrongModel);
    for fault in others.map(Some).chain([None]) {
        let config = config(fault);
        assert_eq!(Color::ALL.map(|color| model(&config, color).unwrap()), ["A", "B"]);
    }
    let mut wrong = config(Some(Break::WrongModel));
    assert_eq!(Color::ALL.map(|color| model(&wrong, color).unwrap()), ["A", "A"]);
    wrong.wrong_model = Some("C".to_owned());
    assert_eq!(model(&wrong, Color::Green).unwrap(), "C");
    (wrong.wrong_model, wrong.blue) = (None, served("B"));
    assert!(model(&wrong, Color::Green).unwrap_err().contains("another than B"));
}

#[tokio::test]
async fn a_crash_comes_in_the_middle_of_a_gate_or_not_at_all() {
    let (milliseconds, killed) = (Duration::from_millis, AtomicBool::new(false));
    let gate = async {
        sleep(milliseconds(200)).await;
        killed.load(Relaxed)
    };
    let told = in_the_middle(gate, milliseconds(20), || killed.store(true, Relaxed)).await.unwrap();
    assert!(told, "the gate saw it");
    let quick = in_the_middle(async {}, milliseconds(500), || panic!("it is over")).await;
    assert!(quick.unwrap_err().to_string().contains("500ms after its begin"));
}

#[tokio::test]
async fn without_a_server_there_is_no_rehearsal() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { folder: folder.path().join("logs"), ..config(None) };
    let load = |_| async { Err::<Carried, _>("there is nothing to load".to_owned()) };
    let gate = |_| async { Err::<Verdict, _>("there is nothing to judge".to_owned()) };
    let error = rehearse(&config, load, gate).await.unwrap_err().to_string();
    assert!(error.contains("blue ended before it was ready (with 1)"), "{error}");
    assert!(folder.path().join("logs/001-blue.log").exists());
}

/// A gRPC server that takes a moment for each call and answers 1 or 2, so that it is known whose answer it is.
struct Named {
    status: ServingStatus,
    calls: Arc<AtomicU64>,
}

#[tonic::async_trait]
impl Health for Named {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        sleep(Duration::from_millis(2)).await;
        self.calls.fetch_add(1, Relaxed);
        Ok(Response::new(HealthCheckResponse { status: self.status.into() }))
    }

    type WatchStream = Streaming<HealthCheckResponse>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("it is not looked at"))
    }
}

/// A server that drains, with GOAWAY, when it is told to end.
struct Draining {
    at: SocketAddr,
    end: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<Result<(), tonic::transport::Error>>,
}

async fn draining(status: ServingStatus, calls: &Arc<AtomicU64>) -> Draining {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, (end, told)) = (listener.local_addr().unwrap(), oneshot::channel::<()>());
    let service = HealthServer::new(Named { status, calls: Arc::clone(calls) });
    let server = Server::builder().add_service(service);
    let ended = tokio::spawn(server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
        drop(told.await);
    }));
    Draining { at, end, ended }
}

/// Asks until the end; how many were made again because no server had begun them.
async fn ask(channel: Channel, over: Arc<AtomicBool>) -> (u64, u64) {
    let (mut answers, mut again) = (0, 0);
    while !over.load(Relaxed) {
        let mut tries = 0;
        loop {
            let question = HealthCheckRequest { service: String::new() };
            match HealthClient::new(channel.clone()).check(question).await {
                Ok(_) => break answers += 1,
                Err(status) => {
                    assert!(never_begun(&status) && tries < 5, "{status:?}");
                    (tries, again) = (tries + 1, again + 1);
                }
            }
        }
    }
    (answers, again)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_switches_and_drains_no_call_over_http2_fails_that_a_client_may_not_make_again() {
    let calls = [Arc::default(), Arc::default()];
    let statuses = [ServingStatus::Serving, ServingStatus::NotServing];
    let switch = Switch::start(SocketAddr::from(([127, 0, 0, 1], 0)), Color::Blue).await.unwrap();
    let mut servers = Vec::new();
    for color in Color::ALL {
        let server = draining(statuses[color.place()], &calls[color.place()]).await;
        switch.point(color, server.at);
        servers.push(server);
    }
    let over = Arc::new(AtomicBool::new(false));
    let shared = channel(&switch.url()).unwrap();
    let others = (0..2).map(|_| channel(&switch.url()).unwrap());
    // Some calls are alone on their connection, others in company.
    let channels = [shared.clone(), shared.clone(), shared.clone(), shared].into_iter().chain(others);
    let asking: Vec<_> = channels.map(|channel| tokio::spawn(ask(channel, Arc::clone(&over)))).collect();
    for _ in 0..20 {
        let from = switch.active();
        sleep(Duration::from_millis(30)).await;
        switch.switch_to(from.other());
        sleep(Duration::from_millis(20)).await;
        let new = draining(statuses[from.place()], &calls[from.place()]).await;
        let old = std::mem::replace(&mut servers[from.place()], new);
        old.end.send(()).unwrap();
        timeout(Duration::from_secs(20), old.ended).await.expect("its clients go").unwrap().unwrap();
        assert!(switch.drained(from, Duration::from_secs(20)).await);
        switch.point(from, servers[from.place()].at);
    }
    over.store(true, Relaxed);
    let mut answered = 0;
    for each in asking {
        answered += each.await.unwrap().0;
    }
    let calls = calls.map(|calls| calls.load(Relaxed));
    assert!(calls.iter().all(|count| *count > 20), "{calls:?}");
    assert_eq!(calls.iter().sum::<u64>(), answered, "each was answered, and none made twice");
    assert_eq!(Color::ALL.map(|color| switch.counts(color).refused), [0, 0]);
}

#[tokio::test]
async fn what_a_server_has_begun_or_refused_is_not_made_again() {
    assert!(!never_begun(&Status::unavailable("it drains")));
    assert!(!never_begun(&Status::cancelled("operation was canceled")), "that a server says");
    let refused = |reason| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = switch::url_of(listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_, mut answer))) = connection.accept().await {
                answer.send_reset(reason);
            }
        });
        let question = HealthCheckRequest { service: String::new() };
        HealthClient::new(channel(&url).unwrap()).check(question).await.unwrap_err()
    };
    let status = refused(h2::Reason::REFUSED_STREAM).await;
    assert!(never_begun(&status), "{status:?}");
    let status = refused(h2::Reason::INTERNAL_ERROR).await;
    assert!(!never_begun(&status), "{status:?}");
    // Nobody listens: other clients do not make it again either, unless they are told to wait.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let question = HealthCheckRequest { service: String::new() };
    let gone = HealthClient::new(channel(&switch::url_of(free)).unwrap()).check(question).await.unwrap_err();
    assert!(gone.code() == Code::Unavailable && !never_begun(&gone), "{gone:?}");
}
