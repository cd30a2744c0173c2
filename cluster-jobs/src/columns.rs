//! The columns of a features run and of its rejects.

use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float32Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
    TimestampMillisecondBuilder, UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::{DataFusionError, Result};
use prowl_features::{FEATURES, Facts, History, catalog_json, digest};

use crate::rows::Reject;

fn time(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), nullable)
}

/// Identity, features by name, tokens, title, labels and, on request, the history.
pub(crate) fn feature_schema(keep_history: bool) -> SchemaRef {
    let mut fields = vec![
        Field::new("repository", DataType::Utf8, false),
        Field::new("number", DataType::Int64, false),
        time("created_at", false),
        time("merged_at", true),
    ];
    fields.extend(FEATURES.iter().map(|feature| Field::new(feature.name, DataType::Float32, true)));
    let tokens =
        |name: &str| Field::new(name, DataType::List(Arc::new(Field::new_list_field(DataType::UInt32, false))), false);
    fields.extend([
        tokens("text_tokens"),
        tokens("kind_tokens"),
        Field::new("title", DataType::Utf8, true),
        Field::new("category", DataType::Utf8, true),
        Field::new("reverted", DataType::Boolean, true),
        time("reverted_at", true),
    ]);
    if keep_history {
        fields.push(Field::new("history", DataType::Utf8, false));
    }
    Arc::new(Schema::new(fields))
}

/// What a reader of one file needs to know of its columns.
pub(crate) fn file_metadata() -> [(&'static str, String); 2] {
    [("features_digest", digest()), ("features", catalog_json().to_string())]
}

/// Gathers feature rows.
pub(crate) struct FeatureColumns {
    schema: SchemaRef,
    repository: StringBuilder,
    number: Int64Builder,
    created_at: TimestampMillisecondBuilder,
    merged_at: TimestampMillisecondBuilder,
    values: Vec<Float32Builder>,
    tokens: ListBuilder<UInt32Builder>,
    kind_tokens: ListBuilder<UInt32Builder>,
    title: StringBuilder,
    category: StringBuilder,
    reverted: BooleanBuilder,
    reverted_at: TimestampMillisecondBuilder,
    history: Option<StringBuilder>,
    rows: usize,
    bytes: usize,
}

impl FeatureColumns {
    pub(crate) fn new(schema: SchemaRef, keep_history: bool) -> Self {
        Self::with_capacity(schema, keep_history, 0, [0; 2], 0)
    }

    fn with_capacity(schema: SchemaRef, keep_history: bool, rows: usize, tokens: [usize; 2], titles: usize) -> Self {
        let times = || TimestampMillisecondBuilder::with_capacity(rows).with_timezone("UTC");
        let [tokens, kind_tokens] = tokens.map(|tokens| {
            ListBuilder::with_capacity(UInt32Builder::with_capacity(tokens), rows)
                .with_field(Arc::new(Field::new_list_field(DataType::UInt32, false)))
        });
        Self {
            schema,
            repository: StringBuilder::new(),
            number: Int64Builder::with_capacity(rows),
            created_at: times(),
            merged_at: times(),
            values: FEATURES.iter().map(|_| Float32Builder::with_capacity(rows)).collect(),
            tokens,
            kind_tokens,
            title: StringBuilder::with_capacity(rows, titles),
            category: StringBuilder::new(),
            reverted: BooleanBuilder::with_capacity(rows),
            reverted_at: times(),
            history: keep_history.then(StringBuilder::new),
            rows: 0,
            bytes: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Bytes of what has no fixed size: tokens, title and history.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn push(
        &mut self,
        facts: &Facts,
        history: &History,
        reverted_at: Option<i64>,
        reverted: Option<bool>,
    ) -> Result<()> {
        self.rows += 1;
        self.repository.append_value(&facts.repository);
        self.number.append_value(facts.lifecycle.number as i64);
        self.created_at.append_value(facts.lifecycle.created_at);
        self.merged_at.append_option(facts.lifecycle.merged_at);
        for (column, value) in self.values.iter_mut().zip(facts.values(history)) {
            column.append_option((!value.is_nan()).then_some(value));
        }
        self.tokens.values().append_slice(&facts.tokens);
        self.tokens.append(true);
        let kind_tokens = facts.kind_tokens();
        self.kind_tokens.values().append_slice(&kind_tokens);
        self.kind_tokens.append(true);
        self.bytes += size_of_val(facts.tokens.as_slice()) + size_of_val(kind_tokens.as_slice());
        self.bytes += facts.title.as_ref().map_or(0, String::len);
        self.title.append_option(facts.title.as_deref());
        self.category.append_option(facts.category.map(prowl_features::Category::as_str));
        self.reverted.append_option(reverted);
        self.reverted_at.append_option(reverted_at);
        if let Some(column) = &mut self.history {
            let history = serde_json::to_string(history).map_err(|error| DataFusionError::External(error.into()))?;
            self.bytes += history.len();
            column.append_value(history);
        }
        Ok(())
    }

    /// The rows so far as a batch. The next ones find as much room, since growing by and by would copy them several times.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        let tokens = [&self.tokens, &self.kind_tokens].map(|tokens| tokens.values_ref().len());
        let keep_history = self.history.is_some();
        let next = Self::with_capacity(
            Arc::clone(&self.schema),
            keep_history,
            self.rows,
            tokens,
            self.title.values_slice().len(),
        );
        let mut full = std::mem::replace(self, next);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(full.repository.finish()),
            Arc::new(full.number.finish()),
            Arc::new(full.created_at.finish()),
            Arc::new(full.merged_at.finish()),
        ];
        columns.extend(full.values.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(full.tokens.finish()));
        columns.push(Arc::new(full.kind_tokens.finish()));
        columns.push(Arc::new(full.title.finish()));
        columns.push(Arc::new(full.category.finish()));
        columns.push(Arc::new(full.reverted.finish()));
        columns.push(Arc::new(full.reverted_at.finish()));
        if let Some(mut column) = full.history {
            columns.push(Arc::new(column.finish()));
        }
        Ok(RecordBatch::try_new(full.schema, columns)?)
    }
}

/// Where a line lies and why it was rejected.
pub(crate) fn reject_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("file", DataType::Utf8, false),
        Field::new("line", DataType::UInt64, false),
        Field::new("offset", DataType::UInt64, false),
        Field::new("field", DataType::Utf8, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("sample", DataType::Utf8, false),
    ]))
}

/// Gathers rejects.
#[derive(Default)]
pub(crate) struct RejectColumns {
    file: StringBuilder,
    line: UInt64Builder,
    offset: UInt64Builder,
    field: StringBuilder,
    reason: StringBuilder,
    sample: StringBuilder,
    rows: usize,
}

impl RejectColumns {
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    pub(crate) fn push(&mut self, reject: &Reject) {
        self.rows += 1;
        self.file.append_value(&reject.file);
        self.line.append_value(reject.line);
        self.offset.append_value(reject.offset);
        self.field.append_value(&reject.field);
        self.reason.append_value(&reject.reason);
        self.sample.append_value(&reject.sample);
    }

    pub(crate) fn finish(&mut self) -> Result<RecordBatch> {
        self.rows = 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.file.finish()),
            Arc::new(self.line.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.field.finish()),
            Arc::new(self.reason.finish()),
            Arc::new(self.sample.finish()),
        ];
        Ok(RecordBatch::try_new(reject_schema(), columns)?)
    }
}

#[cfg(test)]
mod tests {
    use prowl_features::PullRequest;

    use super::*;

    #[test]
    fn no_two_columns_have_one_name() {
        let schema = feature_schema(true);
        for (index, field) in schema.fields().iter().enumerate() {
            assert_eq!(schema.index_of(field.name()).unwrap(), index, "{}", field.name());
        }
    }

    #[test]
    fn what_has_no_fixed_size_is_counted_until_it_is_handed_on() {
        let title = Some("some words of a title".into());
        let facts = Facts::of(&PullRequest { repository: "o/r".into(), number: 1, title, ..PullRequest::default() });
        let history = History::default();
        let tokens = 4 * (facts.tokens.len() + facts.kind_tokens().len()) + "some words of a title".len();
        let json = serde_json::to_string(&history).unwrap().len();
        assert!(tokens > 0 && json > 0);
        for (keep_history, bytes) in [(false, tokens), (true, tokens + json)] {
            let mut columns = FeatureColumns::new(feature_schema(keep_history), keep_history);
            for rows in 1..=2 {
                columns.push(&facts, &history, None, None).unwrap();
                assert_eq!((columns.len(), columns.bytes()), (rows, rows * bytes));
            }
            assert_eq!(columns.finish().unwrap().num_rows(), 2);
            assert_eq!((columns.len(), columns.bytes()), (0, 0));
        }
    }
}
