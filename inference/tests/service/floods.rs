//! Callers who come in crowds, or who take their time: connections on which nobody speaks, bodies and heads that come byte by
//! byte, answers that nobody reads, and calls that are taken back as soon as they are made.

use std::{
    io::ErrorKind::WouldBlock,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use axum::http::{Request, header};
use bytes::Bytes;
use futures::future::join_all;
use h2::client::SendRequest;
use prost::Message;
use prowl_proto::v1::ScoreBatchRequest;
use rlimit::Resource;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Mutex, MutexGuard},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    fixture::{document, request},
    siege::{Siege, TOKEN, Wire, framed},
};

/// As many connections as the system lets this process and the server have, for one test at a time.
async fn crowd() -> (usize, MutexGuard<'static, ()>) {
    static ONE: Mutex<()> = Mutex::const_new(());
    let one = ONE.lock().await;
    let (_, most) = Resource::NOFILE.get().unwrap();
    Resource::NOFILE.set(most, most).unwrap();
    // The other tests of this process need some, too.
    let most = most.saturating_sub(2_000).min(10_000) as usize;
    assert!(most >= 1_000, "`ulimit -Hn` lets this test open only {most} connections");
    println!("{most} connections");
    (most, one)
}

async fn open_many(address: &str, count: usize) -> Vec<TcpStream> {
    let mut open = Vec::with_capacity(count);
    while open.len() < count {
        let some = (count - open.len()).min(500);
        let connecting = (0..some).map(|_| timeout(Duration::from_secs(30), TcpStream::connect(address)));
        for stream in join_all(connecting).await {
            open.push(stream.expect("it takes no more connections").unwrap());
        }
    }
    open
}

/// By default there are far fewer places: those who say nothing, or are not known, lose theirs.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_silent_connections_keep_nobody_out() {
    let (most, _alone) = crowd().await;
    for tls in [false, true] {
        let siege = Siege::lay(tls, &[]);
        let of_port = if tls { most / 10 } else { most / 2 };
        siege
            .survives(async || {
                let silent = join_all(siege.ports().map(|(address, _)| open_many(address, of_port))).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                drop(silent);
            })
            .await;
    }
}

/// Those who answer pings, ask for the health and have no token are not known either.
#[tokio::test(flavor = "multi_thread")]
async fn living_connections_of_strangers_keep_nobody_out() {
    let siege = Siege::lay(false, &["--max-connections", "50"]);
    siege
        .survives(async || {
            let open = join_all((0..200).map(|_| caller(&siege, 65_535))).await;
            assert!(open.iter().flatten().count() > 50, "too few were let in for a crowd");
            tokio::time::sleep(Duration::from_secs(1)).await;
        })
        .await;
}

/// Those who deliver without a signature and read no answer hold a part of the house, and their connections give way.
#[tokio::test(flavor = "multi_thread")]
async fn unsigned_deliveries_keep_nobody_out() {
    let siege = Siege::lay(false, &["--max-connections", "50", "--max-in-flight", "16"]);
    let (address, _) = siege.ports()[1];
    siege
        .survives(async || {
            let mut held = Vec::new();
            for _ in 0..100 {
                let stream = TcpStream::connect(address).await.unwrap();
                let shaken = h2::client::Builder::new().initial_window_size(0).handshake::<_, Bytes>(stream).await;
                let Ok((sender, connection)) = shaken else { continue };
                let connection = AbortOnDropHandle::new(tokio::spawn(connection));
                let Ok(mut sender) = sender.ready().await else { continue };
                let deliver =
                    |_| sender.send_request(Request::post("http://test/webhooks/github").body(()).unwrap(), true);
                let answers: Vec<_> = (0..8).map(deliver).collect();
                held.push((connection, answers, sender));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(held.len() > 50, "too few were let in for a crowd");
            // A quarter, and whoever asks beside them.
            assert!(siege.in_flight() <= 4 + 2, "strangers hold {} of 16 places", siege.in_flight());
            assert_eq!(siege.server.http("GET", "/healthz", b"").0, 200);
        })
        .await;
}

/// Where there is a place for each, they are held, and cost little.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_are_held_where_they_may_be() {
    let (most, _alone) = crowd().await;
    let siege = Siege::lay(false, &["--max-connections", "20000"]);
    let (address, _) = siege.ports()[0];
    let each = siege
        .survives(async || {
            let before = siege.server.resident();
            let silent = open_many(address, most).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let held = siege.server.resident().saturating_sub(before);
            let is_open = |stream: &TcpStream| match stream.try_read(&mut [0; 100]) {
                // What the server says first.
                Ok(length) => length > 0,
                Err(error) => error.kind() == WouldBlock,
            };
            assert!(silent.iter().all(is_open), "one of them was closed");
            held / most as u64
        })
        .await;
    assert!(each < 16 << 10, "a connection that says nothing takes {each} bytes");
}

/// Says `first`, then a byte each second, until the server closes.
async fn dribble<S: Wire + ?Sized>(mut stream: std::pin::Pin<Box<S>>, first: &[u8]) {
    stream.write_all(first).await.unwrap();
    loop {
        if stream.write_all(b"x").await.is_err() || stream.flush().await.is_err() {
            return;
        }
        let mut answer = [0; 1_000];
        if let Ok(Ok(0) | Err(_)) = timeout(Duration::from_secs(1), stream.read(&mut answer)).await {
            return;
        }
    }
}

fn scoring(method: &str) -> Request<()> {
    let request = Request::post(format!("http://test/prowl.v1.Scoring/{method}"));
    let request = request.header(header::CONTENT_TYPE, "application/grpc").header(header::TE, "trailers");
    request.header("authorization", format!("Bearer {TOKEN}")).body(()).unwrap()
}

/// A connection to the gRPC port, for as long as both are held.
type Caller = (SendRequest<Bytes>, AbortOnDropHandle<Result<(), h2::Error>>);

/// One whose answers come at most so many bytes before they are read.
async fn caller(siege: &Siege, window: u32) -> Option<Caller> {
    let stream = siege.connect(siege.ports()[0]).await?;
    let shaken = h2::client::Builder::new().initial_window_size(window).handshake(stream).await;
    let (sender, connection) = shaken.ok()?;
    Some((sender.ready().await.ok()?, AbortOnDropHandle::new(tokio::spawn(connection))))
}

/// A call whose message comes byte by byte, until its end; gives the status that it ends with.
async fn slow_call(siege: &Siege) -> String {
    let (mut sender, _connection) = caller(siege, 65_535).await.unwrap();
    let (mut answer, mut sending) = sender.send_request(scoring("Score"), false).unwrap();
    let _ = sending.send_data(Bytes::from_static(b"\0\0\0\x10\0"), false);
    loop {
        tokio::select! {
            answer = &mut answer => {
                let status = answer.unwrap().headers().get("grpc-status").cloned();
                return status.map_or_else(String::new, |status| status.to_str().unwrap().to_owned());
            }
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                let _ = sending.send_data(Bytes::from_static(b"x"), false);
            }
        }
    }
}

/// Asks for an answer that is larger than what lies between the two, and reads a byte of it each second, until that ends.
async fn sip(siege: &Siege) {
    let message = ScoreBatchRequest { requests: vec![request(&document(3)); 100] }.encode_to_vec();
    let (mut sender, _connection) = caller(siege, 1).await.unwrap();
    let (answer, mut sending) = sender.send_request(scoring("ScoreBatch"), false).unwrap();
    sending.send_data(framed(&message), true).unwrap();
    let mut body = answer.await.unwrap().into_body();
    while let Some(Ok(data)) = body.data().await {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let _ = body.flow_control().release_capacity(data.len());
    }
}

async fn is_cut<T>(what: &str, all: impl Future<Output = T>) {
    timeout(Duration::from_secs(45), all).await.map_or_else(|_| panic!("{what} is not cut"), drop);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_his_time_is_cut() {
    let args = ["--request-timeout", "3s", "--idle-timeout", "6s"];
    let sieges = [Siege::lay(false, &args), Siege::lay(true, &args)];
    let body =
        format!("POST /v1/score HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: 9999\r\n\r\n");
    let frame = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\x3e\x80\xfa\0\0\0\0\0";
    let attack = async |siege: &Siege| {
        let [grpc, http] = siege.ports();
        let dribbles: [((&str, &str), &[u8]); 3] =
            [(http, body.as_bytes()), (http, b"POST /v1/score HTTP/1.1\r\nx-slow: "), (grpc, frame)];
        let dribbles = dribbles.into_iter().cycle().take(24).map(async |(port, first)| {
            dribble(siege.connect(port).await.unwrap(), first).await;
        });
        // Below TLS, where that is spoken: its first message is longer than that.
        let hellos = [grpc, http].map(async |(address, _)| {
            let stream = TcpStream::connect(address).await.unwrap();
            dribble(Box::pin(stream), b"\x16\x03\x01\x02\0\x01").await;
        });
        let calls = (0..8).map(async |_| assert_eq!(slow_call(siege).await, "4", "DEADLINE_EXCEEDED"));
        let sips = (0..8).map(|_| sip(siege));
        tokio::join!(
            is_cut("a body, a head or a frame", join_all(dribbles)),
            is_cut("what greets", join_all(hellos)),
            is_cut("a call", join_all(calls)),
            is_cut("a reader", join_all(sips)),
        );
    };
    let [plain, tls] = &sieges;
    tokio::join!(plain.bears(attack(plain)), tls.bears(attack(tls)));
    assert_eq!(plain.in_flight(), 0, "one of them keeps its place");
}

/// How much of a call is sent before it is taken back.
#[derive(Clone, Copy)]
enum Sent {
    Head,
    Part,
    Whole,
}

/// Calls that are taken back at once, each on a stream of its own, for as long as the server lets a connection do that.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_taken_back_at_once_cost_nobody_an_answer() {
    for tls in [false, true] {
        let siege = Siege::lay(tls, &[]);
        let (taken_back, connections) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let until = || Instant::now() + Duration::from_secs(4);
        let whole = framed(&request(&document(7)).encode_to_vec());
        let flood = async |sent: Sent| {
            let until = until();
            while Instant::now() < until {
                let Some((mut sender, _connection)) = caller(&siege, 65_535).await else { continue };
                connections.fetch_add(1, Relaxed);
                while Instant::now() < until {
                    let Ok(ready) = sender.ready().await else { break };
                    sender = ready;
                    let Ok((_, mut sending)) = sender.send_request(scoring("Score"), false) else { break };
                    match sent {
                        Sent::Head => {}
                        Sent::Part => _ = sending.send_data(whole.slice(..whole.len() / 2), false),
                        Sent::Whole => {
                            _ = sending.send_data(whole.clone(), true);
                            // Until it waits to be worked on.
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                    sending.send_reset(h2::Reason::CANCEL);
                    taken_back.fetch_add(1, Relaxed);
                    tokio::task::yield_now().await;
                }
            }
        };
        siege
            .survives(async || {
                join_all([Sent::Head, Sent::Part, Sent::Whole, Sent::Whole].map(|sent| Box::pin(flood(sent)))).await
            })
            .await;
        let [taken_back, connections] = [taken_back, connections].map(AtomicUsize::into_inner);
        assert!(taken_back > 2_000, "only {taken_back} were");
        println!("{taken_back} calls were taken back on {connections} connections");
        if !tls {
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert_eq!(siege.in_flight(), 0, "one of them keeps its place");
        }
    }
}
