//! What our operators ask of their input: the rows of one bucket in one partition, in an order.

use std::sync::Arc;

use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::Schema;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};

use crate::rows::{BUCKET, NUMBER, REPOSITORY};

/// The rows of a repository together, the highest number first; what was read of a file in its order, by which its
/// lines are numbered ([`crate::sources`]).
pub(crate) const BY_REPOSITORY: [(usize, bool); 3] = [(BUCKET, false), (REPOSITORY, false), (NUMBER, true)];

/// Rows of one bucket belong into one partition.
pub(crate) fn by_bucket() -> Vec<Arc<dyn PhysicalExpr>> {
    vec![Arc::new(Column::new("bucket", BUCKET))]
}

/// An order by columns of `schema`, each ascending or, with `true`, descending; nulls come last either way.
pub(crate) fn order(schema: &Schema, columns: &[(usize, bool)]) -> LexOrdering {
    let by = columns.iter().map(|(index, descending)| {
        PhysicalSortExpr::new(
            Arc::new(Column::new(schema.field(*index).name(), *index)),
            SortOptions { descending: *descending, nulls_first: false },
        )
    });
    LexOrdering::new(by).expect("every operator sorts by at least one column")
}
