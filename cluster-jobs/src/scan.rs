//! The scan: an export as a table of rows, read by a file source of the engine.
//!
//! ```text
//! ExportTable    what is to be read: the table of the logical plan
//! ranges         cuts big files of lines, and deals the parts out to partitions
//! ExportSource   the file source below DataSourceExec                           (source.rs)
//! read           one part, from documents to rows                               (read.rs)
//! documents      finds lines, or the elements of an array, in big blocks        (lines.rs, elements.rs, window.rs)
//! stored         bytes as they are stored: fetched, hashed, decompressed        (stored.rs)
//! ```
//!
//! Each document is parsed straight into its type and reduced to its facts at once, so that no body or path leaves the
//! scan.

mod documents;
mod elements;
mod form;
#[cfg(test)]
mod fuzz;
mod lines;
mod ranges;
mod read;
mod source;
mod stored;
mod window;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use serde::{Deserialize, Serialize};

pub(crate) use form::{Form, START};
pub(crate) use source::FileScan;

use crate::rows::FACT_ROWS;

/// One file of an export.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub(crate) struct ExportFile {
    pub(crate) url: String,
    pub(crate) bytes: u64,
    /// What its manifest says of it, if it has one.
    pub(crate) sha256: Option<String>,
    /// Whether several tasks may read it, a range of its lines each: it is plain text, and nobody has to know the SHA-256
    /// of the whole.
    pub(crate) divisible: bool,
}

/// What is to be read, and how.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub(crate) struct Scan {
    pub(crate) files: Vec<ExportFile>,
    pub(crate) max_line_bytes: usize,
}

/// An export as a table of rows.
#[derive(Debug)]
pub(crate) struct ExportTable(pub(crate) Scan);

#[async_trait::async_trait]
impl TableProvider for ExportTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&FACT_ROWS)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = FileScan {
            groups: ranges::groups(&self.0.files, session.config().target_partitions()),
            columns: projection.cloned(),
            limit,
            max_line_bytes: self.0.max_line_bytes,
        };
        scan.exec()
    }
}
