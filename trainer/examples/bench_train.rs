//! Our side of `make bench-train`: the fit alone, on rows of 32-bit floats that the race made.
//!
//! It prints one line of JSON: seconds and losses of each epoch, and the bytes that it held before.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use ndarray::{Array2, Axis};
use prowl_trainer::{Settings, autoencoder};
use serde_json::json;

#[derive(Parser)]
struct Args {
    /// Folder of `training.f32` and `validation.f32`
    #[arg(long)]
    data: PathBuf,
    #[arg(long)]
    inputs: usize,
    #[arg(long)]
    hidden: usize,
    #[arg(long)]
    code: usize,
    #[arg(long)]
    batch: usize,
    #[arg(long)]
    epochs: usize,
    #[arg(long)]
    hide: f32,
    #[arg(long)]
    learning_rate: f32,
    #[arg(long)]
    weight_decay: f32,
    /// Rows of the training slice to take; 0 for all
    #[arg(long, default_value_t = 0)]
    rows: usize,
    /// Write the initial weights and biases here, layer by layer, and do nothing else
    #[arg(long)]
    initial: Option<PathBuf>,
    /// Print the speed of a product of two square matrices of this width and do nothing else
    #[arg(long)]
    product: Option<usize>,
    #[arg(long)]
    threads: usize,
}

fn main() -> anyhow::Result<()> {
    let at_start = resident()?;
    let args = Args::parse();
    rayon::ThreadPoolBuilder::new().num_threads(args.threads).build_global()?;
    if let Some(width) = args.product {
        println!("{}", json!({ "flops_per_second": product(width, args.threads) }));
        return Ok(());
    }
    let training = matrix(&args.data.join("training.f32"), args.inputs, args.rows)?;
    let settings = Settings {
        epochs: args.epochs,
        patience: args.epochs,
        batch_size: args.batch,
        hidden: args.hidden,
        code: args.code,
        hide: args.hide,
        learning_rate: args.learning_rate,
        weight_decay: args.weight_decay,
        ..Settings::default()
    };
    if let Some(path) = args.initial {
        let mut bytes = Vec::new();
        for layer in autoencoder::initial(training.view(), &settings).layers {
            bytes.extend(layer.weights.iter().chain(&layer.bias).flat_map(|value| value.to_le_bytes()));
        }
        return std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()));
    }
    let validation = matrix(&args.data.join("validation.f32"), args.inputs, 0)?;
    let mut seconds = Vec::new();
    let mut last = Instant::now();
    let fitted = autoencoder::fit(training.view(), validation.view(), &settings, &mut |_| {
        seconds.push(last.elapsed().as_secs_f64());
        last = Instant::now();
        ControlFlow::Continue(())
    })?;
    let losses = |of: fn(&autoencoder::Epoch) -> f64| fitted.epochs.iter().map(of).collect::<Vec<_>>();
    println!(
        "{}",
        json!({
            "seconds": seconds,
            "training": losses(|epoch| epoch.training_loss),
            "validation": losses(|epoch| epoch.validation_loss),
            "at_start": at_start,
        })
    );
    Ok(())
}

/// Bytes of memory that this process holds, in pages of 4 KiB.
fn resident() -> anyhow::Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").context("this race needs Linux")?;
    let pages = statm.split(' ').nth(1).context("no second field in /proc/self/statm")?;
    Ok(4096 * pages.parse::<usize>()?)
}

/// The first `rows` rows of a file, or all.
fn matrix(path: &Path, columns: usize, rows: usize) -> anyhow::Result<Array2<f32>> {
    let say = || format!("cannot read {}", path.display());
    let mut file = std::fs::File::open(path).with_context(say)?;
    let all = file.metadata().with_context(say)?.len() as usize / 4 / columns;
    let rows = if rows == 0 { all } else { rows.min(all) };
    let mut matrix = Array2::zeros((rows, columns));
    let mut bytes = vec![0; 4 * columns];
    for mut row in matrix.outer_iter_mut() {
        file.read_exact(&mut bytes).with_context(say)?;
        for (value, bytes) in row.iter_mut().zip(bytes.as_chunks().0) {
            *value = f32::from_le_bytes(*bytes);
        }
    }
    Ok(matrix)
}

/// Floating-point operations a second of the fastest of ten products, each thread on rows of its own.
fn product(width: usize, threads: usize) -> f64 {
    let one = Array2::from_elem((width, width), 0.5_f32);
    let mut best = f64::INFINITY;
    for _ in 0..10 {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for part in one.axis_chunks_iter(Axis(0), width.div_ceil(threads)) {
                let one = &one;
                scope.spawn(move || std::hint::black_box(part.dot(one)));
            }
        });
        best = best.min(start.elapsed().as_secs_f64());
    }
    2.0 * (width as f64).powi(3) / best
}
