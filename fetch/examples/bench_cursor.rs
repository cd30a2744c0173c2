//! The bound of the export in `make bench-fetch`: reads a collection through one cursor of the same driver, and does nothing
//! with the documents but count their bytes.
//!
//! It prints one line of JSON: documents, bytes and seconds.

use std::time::Instant;

use anyhow::Context;
use bson::{Document, doc};
use clap::Parser;
use futures::TryStreamExt;
use mongodb::Client;
use serde_json::json;

#[derive(Parser)]
struct Args {
    /// The server, such as `mongodb://localhost`
    #[arg(long)]
    mongo: String,
    #[arg(long, default_value = "prowl")]
    database: String,
    #[arg(long, default_value = "pull_requests")]
    collection: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let client = Client::with_uri_str(&args.mongo).await.context("the URI is none")?;
    let collection = client.database(&args.database).collection::<Document>(&args.collection);
    let begun = Instant::now();
    let (mut documents, mut bytes) = (0_u64, 0_u64);
    // Batches as they come: the driver takes no document apart.
    let mut batches = collection.find(doc! {}).batch().await?;
    while let Some(batch) = batches.try_next().await? {
        for document in batch.doc_slices()? {
            let document = document?.as_document().context("a batch holds something else than documents")?;
            documents += 1;
            bytes += document.as_bytes().len() as u64;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    drop(batches);
    client.shutdown().await;
    println!("{}", json!({ "documents": documents, "bytes": bytes, "seconds": seconds }));
    Ok(())
}
