//! Reads one part of an export, from documents to rows.

use std::io::{self, Read};

use arrow::array::RecordBatch;
use datafusion::common::{DataFusionError, Result};
use prowl_features::{Facts, PullRequest};
use prowl_platform::{documents::MARK, reason};

use super::documents::{Document, Documents};
use super::ranges::Part;
use super::stored::Text;
use crate::failure::failure;
use crate::rows::{Reject, RowBuilder, Source, Tally};

/// A batch is handed on when it holds this many rows or bytes, whichever comes first: few enough that they are still in the
/// cache when the exchange sorts them by bucket.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 1 << 20;

/// Characters of a rejected document that are kept.
const SAMPLE_CHARACTERS: usize = 200;

/// Reads a part to its end and hands its rows on in batches. `input` begins with the file, or one byte before the range.
pub(super) fn read(
    part: &Part,
    input: impl Read,
    limit: usize,
    mut hand_on: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let file = &part.file;
    let fail = |error: io::Error| unreadable(&file.url, &error);
    let mut documents = match &part.range {
        None => Text::of(input, file.sha256.is_some()).and_then(|text| Documents::of(text, limit)).map_err(fail)?,
        Some(range) => Documents::of_range(Text::of_range(input, range), range.clone(), limit),
    };
    let mut rows = RowBuilder::default();
    let mut read = 0;
    while let Some(mut document) = documents.next().map_err(fail)? {
        if document.offset == 0 {
            document.bytes = document.bytes.strip_prefix(MARK).unwrap_or(document.bytes);
        }
        // What follows the part of a cut line that was kept is not known to be blank.
        if !document.cut && document.bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        read += 1;
        if document.cut {
            let reason = format!("longer than {limit} bytes: raise --max-line-bytes to read it");
            rows.reject(&reject(&file.url, &document, String::new(), reason))?;
        } else {
            match PullRequest::from_json(document.bytes) {
                Ok(pull_request) => rows.document(&Facts::of(&pull_request))?,
                Err(error) => rows.reject(&reject(&file.url, &document, error.field, error.message))?,
            }
        }
        if rows.len() >= BATCH_ROWS || rows.bytes() >= BATCH_BYTES {
            hand_on(rows.finish()?)?;
        }
    }
    let newlines = documents.newlines();
    let digest = documents.into_inner().finish().map_err(fail)?;
    let found = hex::encode(digest);
    if let Some(expected) = file.sha256.as_ref().filter(|expected| **expected != found) {
        return Err(failure(&format_args!(
            "{} was changed after it was published: its manifest says SHA-256 {expected}, found {found}; \
             write the export again",
            file.url
        )));
    }
    let start = part.range.as_ref().map_or(0, |range| range.start);
    let source = Source { file: file.url.clone(), start, newlines, digest };
    rows.tally(&Tally { read, source })?;
    hand_on(rows.finish()?)
}

fn reject(file: &str, document: &Document<'_>, field: String, reason: String) -> Reject {
    let bytes = document.bytes;
    let sample = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * SAMPLE_CHARACTERS)]);
    Reject {
        file: file.to_owned(),
        line: document.line,
        offset: document.offset,
        field,
        reason,
        sample: sample.chars().take(SAMPLE_CHARACTERS).collect(),
    }
}

/// What is wrong with a file: what the store says of it, or else what the decoder finds.
pub(super) fn unreadable(url: &str, error: &io::Error) -> DataFusionError {
    let of_store = error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<object_store::Error>);
    if of_store {
        return failure(&format_args!(
            "cannot read the export file {url}: {}; every machine of the cluster has to see it and may read it",
            reason(error)
        ));
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            failure(&format_args!("the export file {url} ends too early: copy or export it again"))
        }
        _ => failure(&format_args!("the export file {url} is damaged ({error}): copy or export it again")),
    }
}
