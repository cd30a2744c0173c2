//! How long one pull request takes within the service, below the transport: from the bytes of a request to the bytes of the
//! answer, on one thread.
//!
//! `cargo run --release -p prowl-inference --example bench_engine -- --store URL --input pulls.ndjson.gz --stages`

#[path = "bench_load/requests.rs"]
mod requests;

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use clap::Parser;
use prost::Message;
use prowl_features::{FeatureVector, Ledger};
use prowl_inference::{
    engine::{Answer, Engine},
    loading::load,
    reasons::Reasons,
    task::Task,
};
use prowl_model::{Inputs, Score, Vector};
use prowl_platform::{Store, StoreUrl};
use prowl_proto::v1;

/// The one of the service.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures the service's work on a pull request.
#[derive(Parser)]
struct Args {
    /// URL of the store that holds the model.
    #[arg(long, value_name = "URL")]
    store: String,
    /// Name of the model's folder, or the newest.
    #[arg(long, default_value = "latest")]
    model: String,
    /// Pull requests, one JSON object a line; of a name that ends in `.gz`, compressed.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Most reasons in one answer.
    #[arg(long, default_value_t = 5)]
    reasons: usize,
    /// How long to measure, in seconds; each stage takes a tenth of it.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Measure the stages by themselves, too.
    #[arg(long)]
    stages: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let engine = load(&Store::connect(&StoreUrl::parse(&args.store)?).await?, &args.model, args.reasons).await?;
    let (_, requests) = requests::of_export(&args.input, None, usize::MAX)?;
    let time = Duration::try_from_secs_f64(args.seconds)?;

    let mut answer = Vec::new();
    let all = mean_time(time, &requests, |bytes| {
        let request = v1::ScoreRequest::decode(bytes.as_slice()).expect("it was encoded here");
        let response = answer_of(&engine, request).response;
        answer.clear();
        response.encode(&mut answer).expect("a vector grows");
        black_box(&answer);
    });
    println!("{} pull requests, each {all:.2} µs: {:.0} a second", requests.len(), 1e6 / all);
    let runs: Vec<_> = requests.chunks(16).collect();
    let run = mean_time(time, &runs, |run| {
        let decoded = run.iter().map(|bytes| v1::ScoreRequest::decode(bytes.as_slice()).expect("it was encoded here"));
        let questions = decoded.map(|request| engine.question(request.into()).expect("it is a pull request"));
        for found in engine.answer_all(questions.collect()) {
            answer.clear();
            found.expect("it was scored").response.encode(&mut answer).expect("a vector grows");
            black_box(&answer);
        }
    });
    let each = run * runs.len() as f64 / requests.len() as f64;
    println!("in runs of 16, each {each:.2} µs: {:.0} a second", 1e6 / each);
    if args.stages {
        stages(&engine, &requests, time / 10, args.reasons);
    }
    Ok(())
}

fn answer_of(engine: &Engine, request: v1::ScoreRequest) -> Answer {
    let question = engine.question(request.into()).expect("it is a pull request");
    engine.answer_all(vec![question]).remove(0).expect("it has a score")
}

/// Mean time in µs of `work` on one of `items`, over whole rounds of all of them.
fn mean_time<T>(time: Duration, items: &[T], mut work: impl FnMut(&T)) -> f64 {
    items.iter().for_each(&mut work);
    let (began, busy_before, mut rounds) = (Instant::now(), busy(), 0);
    while rounds == 0 || began.elapsed() < time {
        items.iter().for_each(&mut work);
        rounds += 1;
    }
    busy().saturating_sub(busy_before).as_secs_f64() * 1e6 / (f64::from(rounds) * items.len() as f64)
}

/// Time that this thread has been running, where the system tells, so that other work of the machine does not count; else
/// the time that has passed.
fn busy() -> Duration {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let running = told.and_then(|told| told.split(' ').next()?.parse().ok());
    running.map_or_else(|| BEGAN.elapsed(), Duration::from_nanos)
}

/// Prints the mean time of each stage, alone on what the one before it gave. What they lack to the whole is what joins them.
fn stages(engine: &Engine, requests: &[Vec<u8>], time: Duration, most_reasons: usize) {
    let model = engine.model();
    let parts = model.parts();
    let show = |name: &str, mean: f64| println!("{name:<24} {mean:8.3}");

    let decode = |bytes: &Vec<u8>| v1::ScoreRequest::decode(bytes.as_slice()).expect("it was encoded here");
    show("decode", mean_time(time, requests, |bytes| drop(black_box(decode(bytes)))));
    let decoded: Vec<_> = requests.iter().map(decode).collect();
    let copy = mean_time(time, &decoded, |request| drop(black_box(request.clone())));
    let facts = |request: &v1::ScoreRequest| Task::try_from(request.clone()).expect("it was scored").facts;
    show("facts", mean_time(time, &decoded, |request| drop(black_box(facts(request)))) - copy);
    let facts: Vec<_> = decoded.iter().map(facts).collect();

    let ledger = |repository: &str| engine.past().profiles.ledger(repository);
    let unknown = Ledger::default();
    let history = |facts: &prowl_features::Facts| ledger(&facts.repository).unwrap_or(&unknown).history(facts);
    show("history", mean_time(time, &facts, |facts| drop(black_box(history(facts)))));
    let with_history: Vec<_> = facts.iter().map(|facts| (facts, history(facts))).collect();
    show("vector", mean_time(time, &with_history, |(facts, history)| drop(black_box(facts.vector(history)))));
    let vectors: Vec<FeatureVector> = with_history.iter().map(|(facts, history)| facts.vector(history)).collect();
    show("missing fields", mean_time(time, &vectors, |vector| drop(black_box(vector.missing_fields()))));

    let score = |(vector, facts): &(&FeatureVector, &prowl_features::Facts)| {
        let repository = Some(facts.repository.as_str());
        let FeatureVector { values, tokens, kind_tokens } = vector;
        model.score(&Vector { values, tokens, kind_tokens, repository }).expect("it reads these features")
    };
    let named: Vec<_> = vectors.iter().zip(&facts).collect();
    show("model", mean_time(time, &named, |named| drop(black_box(score(named)))));
    let scores: Vec<Score> = named.iter().map(score).collect();

    let inputs = |vector: &FeatureVector| Inputs::of(&parts.scaler, &parts.text, &vector.values, &vector.tokens);
    show("  scale and text", mean_time(time, &vectors, |vector| drop(black_box(inputs(vector)))));
    let inputs: Vec<_> = vectors.iter().map(inputs).collect();
    let reconstruct = |inputs: &Inputs| parts.network.reconstruct(&inputs.scaled);
    show("  network", mean_time(time, &inputs, |inputs| drop(black_box(reconstruct(inputs)))));
    let reconstructions: Vec<_> = inputs.iter().map(reconstruct).collect();
    let views: Vec<_> = inputs.iter().map(|inputs| parts.views.view(inputs)).collect();
    let views_and: Vec<_> = views.iter().zip(&reconstructions).collect();
    let surprise = &parts.views.surprise;
    show(
        "  surprise",
        mean_time(time, &views_and, |(view, expected)| drop(black_box(surprise.opinion(view, expected)))),
    );
    show(
        "  neighbours",
        mean_time(time, &views, |view| {
            drop(black_box(parts.views.neighbours.opinions_by(model.tables().sketch.as_ref(), view)));
        }),
    );
    show("  covariance", mean_time(time, &views, |view| drop(black_box(parts.views.covariance.opinion(view)))));
    show("  forest", mean_time(time, &views, |view| drop(black_box(model.tables().walks.opinion(view)))));
    if let Some(risk) = &parts.risk {
        let effects = |vector: &FeatureVector| risk.effects_and_probability(&vector.values);
        show("  risk", mean_time(time, &vectors, |vector| drop(black_box(effects(vector)))));
    }
    if let Some(head) = &parts.category {
        let features = parts.scaler.columns.len();
        let with_kind: Vec<_> = inputs.iter().zip(&vectors).collect();
        let probabilities = |(inputs, vector): &(&Inputs, &FeatureVector)| {
            head.probabilities(&inputs.scaled[..features], &vector.kind_tokens)
        };
        show("  category", mean_time(time, &with_kind, |with_kind| drop(black_box(probabilities(with_kind)))));
    }
    if let Some(clusters) = &parts.clusters {
        let codes: Vec<_> = inputs.iter().map(|inputs| parts.network.code(&inputs.scaled)).collect();
        show("  clusters", mean_time(time, &codes, |code| _ = black_box(clusters.nearest(code))));
    }

    let reasons = Reasons::new(model, most_reasons);
    let why = |score: &Score| (reasons.of(&score.contributions, None), reasons.of_risk(&score.effects, None));
    show("reasons", mean_time(time, &scores, |score| drop(black_box(why(score)))));
    let answers: Vec<_> = decoded.iter().map(|request| answer_of(engine, request.clone()).response).collect();
    let mut bytes = Vec::new();
    let encode = mean_time(time, &answers, |answer| {
        bytes.clear();
        answer.encode(&mut bytes).expect("a vector grows");
        black_box(&bytes);
    });
    show("encode", encode);
}
