//! How the plan crosses from client to scheduler and from scheduler to executor.
//!
//! Both codecs take what is ours and leave the rest to Ballista's, which also carry its shuffles.

use std::sync::{Arc, LazyLock};

use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result, TableReference};
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::nodes::{Node, Operation};
use crate::failure::failure;
use crate::outcomes::OutcomesExec;
use crate::publish::PublishExec;
use crate::rows::{LAYOUT, pack, unpack, unpack_first};
use crate::scan::{ExportTable, FileScan, Scan};

/// What begins our messages. Ballista's are protocol buffers, which never begin with a byte of zeros.
const MARK: &[u8] = b"\0prowl";

/// What both ends of a message have to agree on.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    format!("prowl {} with rows {LAYOUT} and features {}", env!("CARGO_PKG_VERSION"), prowl_features::digest())
});

fn write<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.extend_from_slice(MARK);
    buffer.extend_from_slice(&pack(&*VERSION)?);
    buffer.extend_from_slice(&pack(value)?);
    Ok(())
}

/// The value, or `None` if the message is not ours.
fn read<T: DeserializeOwned>(buffer: &[u8]) -> Result<Option<T>> {
    let Some(message) = buffer.strip_prefix(MARK) else { return Ok(None) };
    let (theirs, value) = unpack_first::<String>(message)?;
    if theirs != *VERSION {
        return Err(failure(&format_args!(
            "client, scheduler and executors differ: one is {theirs}, another {}; run the same version on all",
            *VERSION
        )));
    }
    unpack(value).map(Some)
}

/// For logical plans.
#[derive(Debug, Default)]
pub(crate) struct LogicalCodec(BallistaLogicalExtensionCodec);

impl LogicalExtensionCodec for LogicalCodec {
    fn try_decode(&self, buffer: &[u8], inputs: &[LogicalPlan], context: &TaskContext) -> Result<Extension> {
        match read::<Operation>(buffer)? {
            Some(operation) => {
                let input = inputs.first().ok_or_else(|| missing("logical"))?.clone();
                Ok(Extension { node: Arc::new(Node::new(operation, input)?) })
            }
            None => self.0.try_decode(buffer, inputs, context),
        }
    }

    fn try_encode(&self, node: &Extension, buffer: &mut Vec<u8>) -> Result<()> {
        match node.node.as_any().downcast_ref::<Node>() {
            Some(node) => write(&node.operation, buffer),
            None => self.0.try_encode(node, buffer),
        }
    }

    fn try_decode_table_provider(
        &self,
        buffer: &[u8],
        table: &TableReference,
        schema: SchemaRef,
        context: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        match read::<Scan>(buffer)? {
            Some(scan) => Ok(Arc::new(ExportTable(scan))),
            None => self.0.try_decode_table_provider(buffer, table, schema, context),
        }
    }

    fn try_encode_table_provider(
        &self,
        table: &TableReference,
        provider: Arc<dyn TableProvider>,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        match (provider.as_ref() as &dyn std::any::Any).downcast_ref::<ExportTable>() {
            Some(export) => write(&export.0, buffer),
            None => self.0.try_encode_table_provider(table, provider, buffer),
        }
    }

    fn try_decode_file_format(&self, buffer: &[u8], context: &TaskContext) -> Result<Arc<dyn FileFormatFactory>> {
        self.0.try_decode_file_format(buffer, context)
    }

    fn try_encode_file_format(&self, buffer: &mut Vec<u8>, format: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.0.try_encode_file_format(buffer, format)
    }
}

/// What of ours stands in a physical plan.
#[derive(Serialize, Deserialize)]
enum Operator {
    Scan(FileScan),
    Over(Operation),
}

/// For physical plans.
#[derive(Debug, Default)]
pub(crate) struct PhysicalCodec(BallistaPhysicalExtensionCodec);

impl PhysicalExtensionCodec for PhysicalCodec {
    fn try_decode(
        &self,
        buffer: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(operator) = read::<Operator>(buffer)? else {
            return self.0.try_decode(buffer, inputs, context, converter);
        };
        match operator {
            Operator::Scan(scan) => scan.exec(),
            Operator::Over(operation) => {
                Ok(operation.over(Arc::clone(inputs.first().ok_or_else(|| missing("physical"))?)))
            }
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buffer: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let any = node.as_ref() as &dyn std::any::Any;
        if let Some(scan) = any.downcast_ref::<DataSourceExec>().and_then(FileScan::of) {
            write(&Operator::Scan(scan), buffer)
        } else if let Some(outcomes) = any.downcast_ref::<OutcomesExec>() {
            write(&Operator::Over(outcomes.operation()), buffer)
        } else if let Some(publish) = any.downcast_ref::<PublishExec>() {
            write(&Operator::Over(Operation::Publish(publish.publication.clone())), buffer)
        } else {
            self.0.try_encode(node, buffer, converter)
        }
    }
}

fn missing(kind: &str) -> DataFusionError {
    DataFusionError::Internal(format!("a {kind} node came without its input"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reverts::Reverts;

    #[test]
    fn a_plan_of_another_version_is_refused() {
        let operation = Operation::Outcomes(prowl_features::Maturity { window: 7, now: 9 }, Reverts::default());
        let mut ours = Vec::new();
        write(&operation, &mut ours).unwrap();
        assert_eq!(read::<Operation>(&ours).unwrap(), Some(operation));

        let digest = prowl_features::digest();
        let at = ours.windows(digest.len()).position(|bytes| bytes == digest.as_bytes()).unwrap();
        let mut theirs = ours.clone();
        theirs[at] = if theirs[at] == b'0' { b'1' } else { b'0' };
        let error = read::<Operation>(&theirs).unwrap_err().to_string();
        assert!(error.contains(&digest) && error.contains(&digest[1..]), "{error}");
        assert!(error.contains("the same version"), "{error}");
        // Ballista's own messages are let through.
        assert_eq!(read::<Operation>(b"\x0a\x05other").unwrap(), None);
    }
}
