//! What an executor does, counted for `/metrics` and traced: an engine around Ballista's own.

use std::fmt;
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::serde::protobuf::{RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport};
use ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor};
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use prowl_platform::telemetry;
use tracing::Instrument;

use super::Trace;

/// The figures of one executor.
pub(super) struct Figures {
    registry: Registry,
    pool: Arc<dyn MemoryPool>,
    reserved: IntGauge,
    running: IntGauge,
    ended: IntCounterVec,
    rows_read: IntCounter,
    rows_written: IntCounter,
    bytes_written: IntCounter,
    spilled: IntCounter,
}

impl Figures {
    /// All zero, for an executor whose tasks share `pool`.
    pub(super) fn new(pool: Arc<dyn MemoryPool>) -> prometheus::Result<Self> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone())).map(|()| gauge)
        };
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone())).map(|()| counter)
        };
        let limit = gauge("prowl_executor_memory_pool_bytes", "Memory that tasks may reserve together")?;
        if let MemoryLimit::Finite(bytes) = pool.memory_limit() {
            limit.set(bytes as i64);
        }
        let ended = IntCounterVec::new(
            Opts::new("prowl_executor_tasks_total", "Tasks that have ended, by outcome: done, failed, cancelled"),
            &["outcome"],
        )?;
        registry.register(Box::new(ended.clone()))?;
        for outcome in ["done", "failed", "cancelled"] {
            ended.with_label_values(&[outcome]);
        }
        Ok(Self {
            reserved: gauge("prowl_executor_memory_reserved_bytes", "Memory that tasks have reserved")?,
            running: gauge("prowl_executor_tasks_running", "Tasks at work")?,
            ended,
            rows_read: counter("prowl_executor_rows_read_total", "Rows that ended tasks have read")?,
            rows_written: counter("prowl_executor_rows_written_total", "Rows that ended tasks have handed on")?,
            bytes_written: counter(
                "prowl_executor_bytes_written_total",
                "Bytes of shuffle files that ended tasks have written",
            )?,
            spilled: counter("prowl_executor_spilled_bytes_total", "Bytes that ended tasks have spilled to disk")?,
            pool,
            registry,
        })
    }

    /// Tasks at work.
    pub(super) fn running(&self) -> i64 {
        self.running.get()
    }

    /// In Prometheus' text format.
    pub(super) fn text(&self) -> prometheus::Result<String> {
        self.reserved.set(self.pool.reserved() as i64);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Adds up what a task has done; `metrics` are its operators', from the shuffle writer down to what reads.
    fn add(&self, written: &[ShuffleWritePartition], metrics: &[MetricsSet]) {
        self.rows_written.inc_by(written.iter().map(|part| part.num_rows).sum());
        self.bytes_written.inc_by(written.iter().map(|part| part.num_bytes).sum());
        self.rows_read.inc_by(metrics.last().and_then(MetricsSet::output_rows).unwrap_or(0) as u64);
        self.spilled.inc_by(metrics.iter().filter_map(MetricsSet::spilled_bytes).sum::<usize>() as u64);
    }
}

/// A task at work; one that is dropped before its end was cancelled.
struct AtWork<'a> {
    figures: &'a Figures,
    outcome: &'static str,
}

impl<'a> AtWork<'a> {
    fn begin(figures: &'a Figures) -> Self {
        figures.running.inc();
        Self { figures, outcome: "cancelled" }
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.figures.running.dec();
        self.figures.ended.with_label_values(&[self.outcome]).inc();
    }
}

/// Ballista's engine, counted.
pub(super) struct Engine {
    inner: DefaultExecutionEngine,
    figures: Arc<Figures>,
}

impl Engine {
    /// One that counts into `figures`.
    pub(super) fn new(figures: Arc<Figures>) -> Self {
        Self { inner: DefaultExecutionEngine::new(), figures }
    }
}

impl ExecutionEngine for Engine {
    fn create_query_stage_exec(
        &self,
        job: JobId,
        stage: usize,
        task: usize,
        partitions: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let span =
            tracing::info_span!("task", %job, stage, task, partitions = ?partitions, error = tracing::field::Empty);
        if let Some(Trace { parent }) = config.options().extensions.get::<Trace>() {
            telemetry::continue_trace(&span, parent);
        }
        let inner = self.inner.create_query_stage_exec(job, stage, task, partitions, plan, work_dir, config)?;
        Ok(Arc::new(Stage { inner, figures: Arc::clone(&self.figures), span }))
    }
}

/// A task of Ballista's, counted.
struct Stage {
    inner: Arc<dyn QueryStageExecutor>,
    figures: Arc<Figures>,
    span: tracing::Span,
}

#[async_trait::async_trait]
impl QueryStageExecutor for Stage {
    async fn execute_query_stage(&self, task: usize, context: Arc<TaskContext>) -> Result<Vec<ShuffleWritePartition>> {
        let mut at_work = AtWork::begin(&self.figures);
        let result = self.inner.execute_query_stage(task, context).instrument(self.span.clone()).await;
        match &result {
            Ok(written) => {
                at_work.outcome = "done";
                self.figures.add(written, &self.inner.collect_plan_metrics());
            }
            Err(error) => {
                at_work.outcome = "failed";
                self.span.record("error", tracing::field::display(error));
            }
        }
        result
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        self.inner.collect_plan_metrics()
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.inner.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.inner.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.inner.collect_column_stats()
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer};

    use super::*;

    #[test]
    fn what_is_at_work_has_ended_or_is_reserved_is_told() {
        let pool: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(1000));
        let figures = Figures::new(Arc::clone(&pool)).unwrap();
        let mut done = AtWork::begin(&figures);
        done.outcome = "done";
        drop(done);
        drop(AtWork::begin(&figures));
        let _at_work = AtWork::begin(&figures);
        let reservation = MemoryConsumer::new("test").register(&pool);
        reservation.try_grow(300).unwrap();
        let written = ShuffleWritePartition { num_rows: 7, num_bytes: 90, ..Default::default() };
        figures.add(&[written, written], &[]);
        let text = figures.text().unwrap();
        for line in [
            "prowl_executor_tasks_running 1",
            "prowl_executor_tasks_total{outcome=\"done\"} 1",
            "prowl_executor_tasks_total{outcome=\"cancelled\"} 1",
            "prowl_executor_tasks_total{outcome=\"failed\"} 0",
            "prowl_executor_memory_reserved_bytes 300",
            "prowl_executor_memory_pool_bytes 1000",
            "prowl_executor_rows_written_total 14",
            "prowl_executor_bytes_written_total 180",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is not in {text}");
        }
    }
}
