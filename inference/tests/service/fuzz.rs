//! Whatever comes as a request, it is answered: JSON over HTTP, and messages of both protocols over gRPC, damaged by chance.
//!
//! By default a fixed number is tried; `PROWL_FUZZ_SECONDS` (`make fuzz`) goes on for so long with others.

use std::time::{Duration, Instant};

use axum::http::{Request, Response, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use prost_types::Timestamp;
use prowl_proto::{
    inference::{
        InferParameter, InferTensorContents, ModelInferRequest,
        infer_parameter::ParameterChoice,
        model_infer_request::{InferInputTensor, InferRequestedOutputTensor},
    },
    v1::{
        AuthorHistory, ChangedFile, DirectoryHistory, FileHistory, Files, History, Labels, PullRequest, Quartiles,
        RepositoryHistory, RevertRatios, ScoreBatchRequest, ScoreRequest, User, score_request::Source,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;
use tokio::{net::TcpStream, time::timeout};

use self::corpus::Corpus;
use crate::{
    fixture::{TempStore, document, feature_names, new_document, odd_document},
    programs::Server,
};

#[path = "../../../fuzz/corpus.rs"]
mod corpus;

/// Requests of each kind that are tried where no time is given.
const ROUNDS: u64 = 200;

/// Longest time for one answer, in a build for tests on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Requests after which what the server holds is what it needs, and how much more it may hold at the end, in bytes.
const WARM: u64 = 2_000;
const GROWTH: u64 = 32 << 20;

const LONGEST: usize = 64 << 10;

/// Pieces of JSON and of messages that mean something where they stand.
const WORDS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"9999-12-31T23:59:59Z",
    b"-9999-01-01T00:00:00Z",
    b"{\"$date\":{\"$numberLong\":\"-1\"}}",
    b"\x0a\x00",
    b"\x12\xff\xff\xff\xff\x0f",
    b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xfb\xff",
    b"\x00\x00\xc0\x7f",
    b"\xff\xff\x7f\x7f",
    b"\xf0\x9f\x9a\x80",
];

fn damage(bytes: &mut Vec<u8>, dice: &mut StdRng) {
    let at = dice.random_range(0..=bytes.len());
    let end = dice.random_range(at..=bytes.len().min(at + 200));
    let word = WORDS[dice.random_range(0..WORDS.len())];
    match dice.random_range(0..10) {
        0..3 if at < bytes.len() => bytes[at] ^= 1 << dice.random_range(0..8),
        3 if at < bytes.len() => bytes[at] = dice.random(),
        4 => drop(bytes.splice(at..at, word.iter().copied())),
        5 => drop(bytes.splice(at..end, word.iter().copied())),
        6 => drop(bytes.drain(at..end)),
        7 => {
            let piece = bytes[at..end].to_vec();
            let to = dice.random_range(0..=bytes.len());
            bytes.splice(to..to, piece);
        }
        8 if dice.random_range(0..8) == 0 => bytes.truncate(at),
        9 if dice.random_range(0..8) == 0 => drop(bytes.splice(at..at, word.repeat(dice.random_range(0..4_000)))),
        _ => {}
    }
    bytes.truncate(LONGEST);
}

/// A number that is often one at an edge.
fn number(dice: &mut StdRng) -> u64 {
    match dice.random_range(0..5) {
        0 => 0,
        1 => [1, u64::MAX, i64::MAX as u64, 1 << 53, u64::from(u32::MAX)][dice.random_range(0..5)],
        _ => dice.random_range(0..5_000),
    }
}

fn float(dice: &mut StdRng) -> f32 {
    match dice.random_range(0..4) {
        0 => f32::from_bits(dice.random()),
        1 => [f32::NAN, f32::INFINITY, f32::MAX, f32::MIN, 0.0][dice.random_range(0..5)],
        _ => dice.random_range(-10.0..1_000.0),
    }
}

fn time(dice: &mut StdRng) -> Option<Timestamp> {
    let seconds = match dice.random_range(0..6) {
        0 => return None,
        1 => [i64::MIN, i64::MAX, -62_135_596_800, 253_402_300_799, 0][dice.random_range(0..5)],
        _ => dice.random_range(1_600_000_000..1_750_000_000),
    };
    Some(Timestamp { seconds, nanos: if dice.random_range(0..8) == 0 { dice.random() } else { 0 } })
}

fn words(dice: &mut StdRng) -> String {
    let some = [
        "fix",
        "",
        "src/a.rs",
        "tideworks/harbour",
        "\u{0}",
        "\u{202e}",
        "ada",
        "[bot]",
        "é🚀",
        "/",
        "..",
        "Revert \"x\"",
        "\n\n",
    ];
    (0..dice.random_range(0..6)).map(|_| some[dice.random_range(0..some.len())]).collect()
}

/// Something, or nothing now and then.
fn some<T>(dice: &mut StdRng, of: impl FnOnce(&mut StdRng) -> T) -> Option<T> {
    (dice.random_range(0..5) > 0).then(|| of(dice))
}

fn pull_request(dice: &mut StdRng) -> PullRequest {
    let file = |dice: &mut StdRng| ChangedFile {
        filename: words(dice),
        status: some(dice, words),
        additions: some(dice, number),
        deletions: some(dice, number),
    };
    PullRequest {
        repository: if dice.random_range(0..4) == 0 { words(dice) } else { "tideworks/harbour".to_owned() },
        number: number(dice),
        created_at: time(dice),
        title: some(dice, words),
        body: some(dice, words),
        user: some(dice, |dice| User { login: words(dice), r#type: some(dice, words) }),
        author_association: some(dice, words),
        labels: some(dice, |dice| Labels { names: (0..dice.random_range(0..4)).map(|_| words(dice)).collect() }),
        assignees: some(dice, number),
        requested_reviewers: some(dice, number),
        draft: some(dice, RngExt::random),
        additions: some(dice, number),
        deletions: some(dice, number),
        changed_files: some(dice, number),
        commits: some(dice, number),
        base_ref: some(dice, words),
        from_fork: some(dice, RngExt::random),
        files: some(dice, |dice| Files { files: (0..dice.random_range(0..6)).map(|_| file(dice)).collect() }),
    }
}

fn history(dice: &mut StdRng) -> History {
    let count = |dice: &mut StdRng| number(dice) as u32;
    let quartiles = |dice: &mut StdRng| Quartiles { lower: float(dice), median: float(dice), upper: float(dice) };
    let rows = dice.random_range(0..4);
    History {
        author: some(dice, |dice| AuthorHistory {
            opened: count(dice),
            merged: count(dice),
            reverted: count(dice),
            last_opened_at: time(dice),
        }),
        repository: some(dice, |dice| RepositoryHistory {
            opened: count(dice),
            merged: count(dice),
            reverted: count(dice),
            churn: some(dice, quartiles),
            changed_files: some(dice, quartiles),
        }),
        files: (0..rows)
            .map(|_| FileHistory {
                merged: count(dice),
                authors: count(dice),
                fixes: count(dice),
                reverts: count(dice),
                last_merged_at: time(dice),
                by_author: count(dice),
            })
            .collect(),
        directories: (0..rows)
            .map(|_| DirectoryHistory { merged: count(dice), reverts: count(dice), by_author: count(dice) })
            .collect(),
        reverts: some(dice, |dice| RevertRatios {
            paths: some(dice, float),
            title: some(dice, float),
            author: some(dice, float),
        }),
    }
}

fn json(dice: &mut StdRng) -> Vec<u8> {
    let one = |dice: &mut StdRng| match dice.random_range(0..4) {
        0 => odd_document(),
        1 => json!({"action": "opened", "pull_request": new_document()}),
        2 => {
            json!({"number": {"$numberInt": "2"}, "created_at": {"$date": {"$numberLong": "1706702400500"}}, "title": "Revert \"x\"",
            "base": {"repo": {"full_name": "o/r"}}, "deletions": {"$numberDouble": "7.0"}, "files": []})
        }
        _ => document(dice.random_range(1..120)),
    };
    let text = match dice.random_range(0..5) {
        0 => serde_json::Value::from((0..dice.random_range(0..5)).map(|_| one(dice)).collect::<Vec<_>>()).to_string(),
        1 => serde_json::to_string_pretty(&one(dice)).unwrap(),
        _ => one(dice).to_string(),
    };
    text.into()
}

fn score(dice: &mut StdRng) -> ScoreRequest {
    let source = match dice.random_range(0..8) {
        0 => None,
        1 => Some(Source::GithubJson(json(dice).into())),
        _ => Some(Source::PullRequest(pull_request(dice))),
    };
    ScoreRequest {
        source,
        history: if dice.random() { some(dice, history) } else { None },
        include_features: dice.random(),
    }
}

fn infer(dice: &mut StdRng) -> ModelInferRequest {
    let rows = dice.random_range(0..4_usize);
    let shape = |dice: &mut StdRng, shape: &[i64]| -> Vec<i64> {
        let odd = [0, -1, i64::MAX, i64::MIN, 1 << 32, 7];
        shape.iter().map(|&of| if dice.random_range(0..12) == 0 { odd[dice.random_range(0..6)] } else { of }).collect()
    };
    let parameters = |dice: &mut StdRng| {
        let choice = Some(ParameterChoice::StringParam(words(dice)));
        some(dice, |dice| (words(dice), InferParameter { parameter_choice: choice })).into_iter().collect()
    };
    let (mut inputs, mut raw) = (Vec::new(), Vec::new());
    let is_raw = dice.random::<bool>();
    let mut add =
        |dice: &mut StdRng, name: &str, datatype: &str, of: Vec<i64>, contents: InferTensorContents, bytes: Vec<u8>| {
            let contents = (!is_raw || dice.random_range(0..20) == 0).then_some(contents);
            let (shape, parameters) = (shape(dice, &of), parameters(dice));
            inputs.push(InferInputTensor {
                name: name.to_owned(),
                datatype: datatype.to_owned(),
                shape,
                parameters,
                contents,
            });
            if is_raw {
                raw.push(bytes.into());
            }
        };
    let texts = |texts: &[Vec<u8>]| {
        let bytes = texts.iter().flat_map(|text| [&(text.len() as u32).to_le_bytes()[..], text].concat()).collect();
        let bytes_contents = texts.iter().map(|text| text.clone().into()).collect();
        (InferTensorContents { bytes_contents, ..InferTensorContents::default() }, bytes)
    };
    if dice.random() {
        let (contents, bytes) = texts(&(0..rows).map(|_| json(dice)).collect::<Vec<_>>());
        add(dice, "pull_request", "BYTES", vec![rows as i64], contents, bytes);
    } else {
        let width = feature_names().len();
        let values: Vec<f32> = (0..rows * width).map(|_| float(dice)).collect();
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let contents = InferTensorContents { fp32_contents: values, ..InferTensorContents::default() };
        let datatype = ["FP32", "FP32", "FP32", "FP64", "INT64"][dice.random_range(0..5)];
        add(dice, "features", datatype, vec![rows as i64, width as i64], contents, bytes);
        if dice.random() {
            let (contents, bytes) = texts(&(0..rows).map(|_| words(dice).into()).collect::<Vec<_>>());
            add(dice, "repository", "BYTES", vec![rows as i64], contents, bytes);
        }
    }
    let wanted = ["score", "percentile", "band", "risk", "category", "reasons", "nothing"];
    let outputs = (0..dice.random_range(0..3)).map(|_| wanted[dice.random_range(0..wanted.len())].to_owned());
    let output = |name| InferRequestedOutputTensor { name, ..InferRequestedOutputTensor::default() };
    ModelInferRequest {
        model_name: "prowl".to_owned(),
        inputs,
        outputs: outputs.map(output).collect(),
        raw_input_contents: raw,
        ..ModelInferRequest::default()
    }
}

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Json,
    Score,
    Batch,
    Infer,
}

impl Way {
    /// A request that makes sense for the most part.
    fn request(self, dice: &mut StdRng) -> Vec<u8> {
        match self {
            Self::Json => json(dice),
            Self::Score => score(dice).encode_to_vec(),
            Self::Batch => {
                let requests = (0..dice.random_range(0..5)).map(|_| score(dice)).collect();
                ScoreBatchRequest { requests }.encode_to_vec()
            }
            Self::Infer => infer(dice).encode_to_vec(),
        }
    }

    fn corpus(self) -> Corpus {
        Corpus::of(match self {
            Self::Json => "requests/json",
            Self::Score => "requests/score",
            Self::Batch => "requests/batch",
            Self::Infer => "requests/infer",
        })
    }

    fn path(self) -> &'static str {
        match self {
            Self::Json => "/v1/score",
            Self::Score => "/prowl.v1.Scoring/Score",
            Self::Batch => "/prowl.v1.Scoring/ScoreBatch",
            Self::Infer => "/inference.GRPCInferenceService/ModelInfer",
        }
    }
}

/// An open connection to one of the ports.
enum Line {
    Http(http1::SendRequest<Full<Bytes>>),
    Grpc(http2::SendRequest<Full<Bytes>>),
}

impl Line {
    async fn open(server: &Server, way: Way) -> Self {
        let address = if way == Way::Json { &server.http } else { &server.grpc };
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        if way == Way::Json {
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            Self::Http(sender)
        } else {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
            tokio::spawn(connection);
            Self::Grpc(sender)
        }
    }

    /// The status of the answer: that of HTTP, or that of gRPC.
    async fn ask(&mut self, way: Way, bytes: &[u8]) -> Result<String, hyper::Error> {
        let answer: Response<Incoming> = match self {
            Self::Http(sender) => {
                let request = Request::post(way.path()).header(header::HOST, "test");
                sender.ready().await?;
                sender.send_request(request.body(Bytes::copy_from_slice(bytes).into()).unwrap()).await?
            }
            Self::Grpc(sender) => {
                let request = Request::post(format!("http://test{}", way.path()));
                let request = request.header(header::CONTENT_TYPE, "application/grpc").header(header::TE, "trailers");
                let framed = [&[0], (bytes.len() as u32).to_be_bytes().as_slice(), bytes].concat();
                sender.ready().await?;
                sender.send_request(request.body(Bytes::from(framed).into()).unwrap()).await?
            }
        };
        let (head, body) = answer.into_parts();
        let body = body.collect().await?;
        let status = body.trailers().and_then(|trailers| trailers.get("grpc-status"));
        let status = status.or(head.headers.get("grpc-status")).map(|status| status.to_str().unwrap().to_owned());
        Ok(status.unwrap_or_else(|| head.status.as_u16().to_string()))
    }
}

/// Tries requests of one kind until the time is over, or the rounds are; tells how many, and how many were scored.
async fn tries(server: &Server, way: Way, end: Option<Instant>, seed: u64) -> (u64, u64) {
    let (mut line, corpus) = (Line::open(server, way).await, way.corpus());
    let (mut rounds, mut scored, mut warm) = (0, 0, 0);
    while end.map_or(rounds < ROUNDS, |end| Instant::now() < end) {
        // Those that are kept come first, as they are.
        let kept = corpus.inputs.get(rounds as usize);
        rounds += 1;
        let mut dice = StdRng::seed_from_u64(seed + rounds);
        let mut bytes = match kept {
            Some(input) => input.clone(),
            None if dice.random_range(0..8) == 0 => corpus.inputs[dice.random_range(0..corpus.inputs.len())].clone(),
            None => way.request(&mut dice),
        };
        let times = if kept.is_some() { 0 } else { dice.random_range(0..4) };
        for _ in 0..times {
            damage(&mut bytes, &mut dice);
        }
        let answer = timeout(PATIENCE, line.ask(way, &bytes)).await;
        let told = answer.as_ref().ok().and_then(|answer| answer.as_deref().ok()).unwrap_or_default();
        // Well, or wrong in a way that is told; a message that is none at all is INTERNAL.
        if !matches!(told, "200" | "400" | "422" | "0" | "3" | "13" | "5") || server.count("panicked") > 0 {
            let _trying = corpus.trying(&bytes);
            panic!("{way:?} of seed {} is answered by {answer:?}", seed + rounds);
        }
        scored += u64::from(matches!(told, "200" | "0"));
        if rounds == WARM {
            warm = server.resident();
        }
    }
    let held = server.resident();
    assert!(
        rounds < WARM || held < warm + GROWTH,
        "it held {warm} bytes after {WARM} requests, and {held} after {rounds}"
    );
    (rounds, scored)
}

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes_are_answered() {
    let seconds: Option<u64> = std::env::var("PROWL_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let store = TempStore::with_model();
    let server = Server::ready(&store.url(), &["--access-log", "none"]);
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let seed = seconds.map_or(0, |seconds| u64::from(std::process::id()) << 32 | seconds);
    let ways = [Way::Json, Way::Score, Way::Batch, Way::Infer];
    let all = futures::future::join_all(ways.map(|way| tries(&server, way, end, seed))).await;
    for (way, (rounds, scored)) in ways.iter().zip(all) {
        println!("{rounds} damaged requests to {}, of which {scored} were scored", way.path());
        assert!(0 < scored && scored < rounds, "this test could not fail");
    }
}
