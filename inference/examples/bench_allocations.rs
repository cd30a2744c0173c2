//! How often the work on one call asks for memory, and for how much: from the bytes of a request to those of its answer.
//!
//! `cargo run --release -p prowl-inference --example bench_allocations -- --store URL --input pulls.ndjson.gz`

#[path = "bench_load/requests.rs"]
mod requests;

use std::path::PathBuf;

use clap::Parser;
use dhat::HeapStats;
use prost::Message;
use prowl_inference::loading::load;
use prowl_platform::{Store, StoreUrl};
use prowl_proto::v1;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Counts what the work on a call allocates.
#[derive(Parser)]
struct Args {
    /// URL of the store that holds the model.
    #[arg(long, value_name = "URL")]
    store: String,
    /// Pull requests, one JSON object a line; of a name that ends in `.gz`, compressed.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Most pull requests to take.
    #[arg(long, default_value_t = 1_000)]
    rows: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let engine = load(&Store::connect(&StoreUrl::parse(&args.store)?).await?, "latest", 5).await?;
    let (_, requests) = requests::of_export(&args.input, None, args.rows)?;
    let _profiler = dhat::Profiler::builder().testing().build();
    let mut counts = [Count::default(); 3];
    for bytes in &requests {
        let request = counts[0].of(|| v1::ScoreRequest::decode(bytes.as_slice()))?;
        let answer = counts[1]
            .of(|| engine.question(request.into()).and_then(|asked| engine.answer_all(vec![asked]).remove(0)))?;
        counts[2].of(|| answer.response.encode_to_vec());
    }
    let rows = requests.len() as f64;
    let told = |count: Count| json!({ "allocations": count.blocks as f64 / rows, "bytes": count.bytes as f64 / rows });
    let [decode, answer, encode] = counts.map(told);
    println!("{}", json!({ "decode": decode, "answer": answer, "encode": encode }));
    Ok(())
}

#[derive(Clone, Copy, Default)]
struct Count {
    blocks: u64,
    bytes: u64,
}

impl Count {
    /// Adds what some work asks for.
    fn of<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let before = HeapStats::get();
        let done = work();
        let after = HeapStats::get();
        self.blocks += after.total_blocks - before.total_blocks;
        self.bytes += after.total_bytes - before.total_bytes;
        done
    }
}
