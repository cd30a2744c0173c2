//! Our side of the race against ONNX Runtime: what `model.onnx` computes, from raw features to the network's view of a pull
//! request, in Prowl's own code.
//!
//! It writes the inputs and its reconstructions as 32-bit floats, for the other side to read and to compare, and prints
//! one line of JSON: seconds a vector, one by one and over runs of `--batch`, and the widths of the network.

use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use flate2::read::MultiGzDecoder;
use prowl_features::{Facts, Ledger, PullRequest};
use prowl_model::{Model, Parts, View};
use serde_json::json;

#[derive(Parser)]
struct Args {
    /// The folder of a published model
    #[arg(long)]
    model: PathBuf,
    /// An export of pull requests, gzip
    #[arg(long)]
    export: PathBuf,
    /// Vectors to take
    #[arg(long, default_value_t = 2_048)]
    rows: usize,
    #[arg(long, default_value_t = 256)]
    batch: usize,
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Where to write `features.f32`, `text.f32` and `reconstruction.f32`
    #[arg(long)]
    output: PathBuf,
}

/// What the other side is given: raw features, and the projection of the words, both NaN where unknown.
struct Raw {
    features: Vec<f32>,
    text: Vec<f32>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let file = args.model.join(prowl_model::FILE_NAME);
    let bytes = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let model = Model::from_bytes(&bytes)?;
    let parts = model.parts();
    let export = File::open(&args.export).with_context(|| format!("cannot open {}", args.export.display()))?;
    let mut rows = Vec::new();
    for line in BufReader::new(MultiGzDecoder::new(export)).lines().take(args.rows) {
        rows.push(raw(parts, &PullRequest::from_json(line?.as_bytes())?));
    }
    anyhow::ensure!(rows.len() == args.rows, "the export holds {} pull requests only", rows.len());
    write(&args.output.join("features.f32"), rows.iter().map(|row| row.features.as_slice()))?;
    write(&args.output.join("text.f32"), rows.iter().map(|row| row.text.as_slice()))?;
    write(&args.output.join("reconstruction.f32"), [view(parts, &rows).0.as_slice()].into_iter())?;

    let one = seconds(args.seconds, rows.chunks(1), |rows| black_box(view(parts, rows)).1);
    let many = seconds(args.seconds, rows.chunks_exact(args.batch), |rows| black_box(view(parts, rows)).1);
    let shape = [parts.network.inputs(), parts.network.layers[0].bias.len(), parts.network.code_length()];
    println!("{}", json!({ "one": one, "many": many / args.batch as f64, "shape": shape }));
    Ok(())
}

fn raw(parts: &Parts, pull_request: &PullRequest<'_>) -> Raw {
    let facts = Facts::of(pull_request);
    let vector = facts.vector(&Ledger::default().history(&facts));
    let words = parts.text.vector(&vector.tokens);
    let dimension = |dimension: usize| match words.as_slice() {
        [] => f32::NAN,
        words => {
            words.iter().map(|&(bucket, weight)| weight * parts.text.components[(bucket as usize, dimension)]).sum()
        }
    };
    Raw { features: vector.values.to_vec(), text: (0..parts.text.dimensions()).map(dimension).collect() }
}

/// The reconstructions, and the sum of the scores of the network's view.
fn view(parts: &Parts, rows: &[Raw]) -> (Vec<f32>, f32) {
    let width = parts.network.inputs();
    let (mut scaled, mut known) = (Vec::with_capacity(rows.len() * width), Vec::with_capacity(rows.len() * width));
    for row in rows {
        for value in parts.scaler.scaled(&row.features) {
            scaled.push(value.unwrap_or(0.0));
            known.push(value.is_some());
        }
        let usual = parts.text.centre.iter().zip(&parts.text.spread);
        for (&value, (centre, spread)) in row.text.iter().zip(usual) {
            let is_known = value.is_finite();
            scaled.push(if is_known { ((value - centre) / spread).clamp(-CLIP, CLIP) } else { 0.0 });
            known.push(is_known);
        }
    }
    let reconstructions = parts.network.reconstruct(&scaled);
    let rows = scaled.chunks_exact(width).zip(known.chunks_exact(width)).zip(reconstructions.chunks_exact(width));
    let score = |((scaled, known), reconstruction): ((&[f32], &[bool]), &[f32])| {
        let view = View { scaled, known, weights: parts.views.weights(known) };
        parts.views.surprise.opinion(&view, reconstruction).score
    };
    let scores = rows.map(score).sum();
    (reconstructions, scores)
}

/// How far from usual a scaled input may lie; the comparison with the other side fails where this is another.
const CLIP: f32 = 10.0;

fn write<'a>(path: &Path, rows: impl Iterator<Item = &'a [f32]>) -> anyhow::Result<()> {
    let bytes: Vec<u8> = rows.flatten().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Seconds of one call, the median over all made in this time.
fn seconds<T>(most: f64, items: impl Iterator<Item = T> + Clone, mut call: impl FnMut(T) -> f32) -> f64 {
    let (began, mut found) = (Instant::now(), Vec::new());
    for item in items.cycle() {
        let call_began = Instant::now();
        black_box(call(item));
        found.push(call_began.elapsed());
        if began.elapsed() > Duration::from_secs_f64(most) {
            break;
        }
    }
    found.sort_unstable();
    found[found.len() / 2].as_secs_f64()
}
