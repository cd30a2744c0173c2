//! The load of `make bench-inference`: many calls over a few connections, on one thread.
//!
//! With `--rate` calls become due at the moments of a Poisson process, whether or not the answers before them have come, and
//! each is timed from the moment at which it was due: a server that stalls pays for all that had to wait. Without it a fixed
//! number of calls is in flight at any moment, which finds the largest throughput.
//!
//! Requests are encoded beforehand and answers are not decoded, so that the load takes little of the machine. It prints one
//! line of JSON.

mod load;
mod requests;
mod tally;
mod wire;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::Parser;
use hyper::Uri;
use prost::Message;
use prowl_proto::v1::ScoreResponse;

use crate::tally::Tally;
use crate::wire::{Protocol, Wire};

#[derive(Parser)]
struct Args {
    /// Where the server listens, such as `http://127.0.0.1:50051`; with --http the whole address to post to
    #[arg(long)]
    url: Uri,
    /// Post over HTTP/1.1 instead of gRPC; each connection then carries one call at a time
    #[arg(long)]
    http: bool,
    /// An export of pull requests to score, as lines of JSON, plain or gzip
    #[arg(long, required_unless_present_any = ["payload", "await_serving"])]
    export: Option<PathBuf>,
    /// Pull requests of a batch; without it each is a call of its own
    #[arg(long)]
    batch: Option<usize>,
    /// Calls that differ, after which the same ones come again
    #[arg(long, default_value_t = 4_000)]
    distinct: usize,
    /// What to send instead: the bytes of a message, or of a body
    #[arg(long, conflicts_with = "export")]
    payload: Option<PathBuf>,
    /// The method to call with it, such as `/package.Service/Method`
    #[arg(long)]
    method: Option<String>,
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Calls in flight on each connection, where there is no rate
    #[arg(long, default_value_t = 8)]
    in_flight: usize,
    /// Calls a second
    #[arg(long)]
    rate: Option<f64>,
    /// Most calls in flight at one time, with a rate; those due beyond it wait
    #[arg(long, default_value_t = 4_096)]
    outstanding: usize,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds before these, which do not count
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Call so many times before all else, one after the other, and fail unless each has an answer with a score in it
    #[arg(long, default_value_t = 0)]
    check: usize,
    /// Write the answer of median size among those that were checked here
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Tell which models gave the answers, by their digests
    #[arg(long)]
    models: bool,
    /// Ask every millisecond or two for the health until it is SERVING, say so, and do nothing else
    #[arg(long)]
    await_serving: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if args.await_serving {
        return await_serving(&args.url).await;
    }
    let (method, bodies) = match (&args.payload, &args.export) {
        (Some(path), _) => {
            let payload = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            (args.method.clone().unwrap_or_default(), vec![payload])
        }
        (None, Some(path)) => requests::of_export(path, args.batch, args.distinct)?,
        (None, None) => anyhow::bail!("give --export or --payload"),
    };
    let protocol = if args.http { Protocol::Http } else { Protocol::Grpc { method } };
    let bodies: Vec<_> = bodies.into_iter().map(|body| protocol.framed(body)).collect();
    let wire = Wire::open(protocol, &args.url, args.connections).await?;
    check(&wire, &bodies, args.check, args.keep.as_deref()).await?;

    let [warm_up, length] = [args.warm_up, args.seconds].map(Duration::from_secs_f64);
    let tally = Tally::begin(warm_up, length, args.models);
    match args.rate {
        Some(rate) => {
            let outstanding = if args.http { args.connections } else { args.outstanding };
            load::open(wire, bodies, rate, outstanding, &tally).await;
        }
        None => load::closed(wire, bodies, args.connections * if args.http { 1 } else { args.in_flight }, &tally).await,
    }
    println!("{}", Tally::of(&tally).json(args.rate));
    Ok(())
}

async fn await_serving(url: &Uri) -> anyhow::Result<()> {
    // `HealthCheckResponse { status: SERVING }`, in the encoding of the protocol.
    const SERVING: [u8; 2] = [8, 1];
    loop {
        let protocol = Protocol::Grpc { method: "/grpc.health.v1.Health/Check".to_owned() };
        let question = protocol.framed(Vec::new());
        // It does not listen yet, or ends; whoever waits decides for how long.
        if let Ok(wire) = Wire::open(protocol, url, 1).await
            && wire.call(0, question).await.is_ok_and(|answer| answer.message() == SERVING)
        {
            println!("SERVING");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Calls `count` times and looks into the answers.
async fn check(wire: &Wire, bodies: &[Bytes], count: usize, keep: Option<&std::path::Path>) -> anyhow::Result<()> {
    let mut answers = Vec::new();
    for (turn, body) in bodies.iter().cycle().take(count).enumerate() {
        let answer = wire.call(turn, body.clone()).await.map_err(|code| anyhow::anyhow!("a call ended with {code}"))?;
        answers.push(answer.message());
    }
    answers.sort_by_key(Vec::len);
    for message in &answers {
        let answer = ScoreResponse::decode(message.as_slice()).context("an answer is no ScoreResponse")?;
        let told =
            answer.anomaly.is_some_and(f32::is_finite) && answer.model.is_some() && !answer.repository.is_empty();
        anyhow::ensure!(told, "an answer tells no score: {answer:?}");
    }
    match (keep, answers.get(answers.len() / 2)) {
        (Some(path), Some(answer)) => {
            std::fs::write(path, answer).with_context(|| format!("cannot write {}", path.display()))
        }
        (Some(_), None) => anyhow::bail!("--keep needs --check"),
        (None, _) => Ok(()),
    }
}
