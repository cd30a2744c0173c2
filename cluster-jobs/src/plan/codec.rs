//! How the plan crosses from client to scheduler and from scheduler to executor.
//!
//! Both codecs take what is ours and leave the rest to Ballista's, which also carry its shuffles.

use std::sync::Arc;

use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{DataFusionError, Result, TableReference};
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use serde::{Deserialize, Serialize};

use super::nodes::{Node, Operation};
use crate::outcomes::OutcomesExec;
use crate::publish::PublishExec;
use crate::rows::{pack, unpack};
use crate::scan::{ExportTable, Scan, ScanExec};

/// What begins our messages. Ballista's are protocol buffers, which never begin with a byte of zeros.
const MARK: &[u8] = b"\0prowl";

fn write<T: Serialize>(value: &T, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.extend_from_slice(MARK);
    buffer.extend_from_slice(&pack(value)?);
    Ok(())
}

/// The value, or `None` if the message is not ours.
fn read<'a, T: Deserialize<'a>>(buffer: &'a [u8]) -> Result<Option<T>> {
    buffer.strip_prefix(MARK).map(unpack).transpose()
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
    Scan(Scan),
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
        match read::<Operator>(buffer)? {
            Some(Operator::Scan(scan)) => Ok(Arc::new(ScanExec::new(scan))),
            Some(Operator::Over(operation)) => {
                Ok(operation.over(Arc::clone(inputs.first().ok_or_else(|| missing("physical"))?)))
            }
            None => self.0.try_decode(buffer, inputs, context, converter),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buffer: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let any = node.as_ref() as &dyn std::any::Any;
        if let Some(scan) = any.downcast_ref::<ScanExec>() {
            write(&Operator::Scan(scan.scan.clone()), buffer)
        } else if let Some(outcomes) = any.downcast_ref::<OutcomesExec>() {
            write(&Operator::Over(Operation::Outcomes { maturity: outcomes.maturity }), buffer)
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
