//! How far a job is, as its scheduler sees it.

use indicatif::HumanCount;
use serde::Deserialize;

/// Stages and tasks that are done, and rows that have passed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Standing {
    /// Stages of the job.
    pub(crate) stages: usize,
    /// Those that are done.
    pub(crate) stages_done: usize,
    /// Tasks that have begun: the scheduler makes those of a stage when an executor has room.
    pub(crate) tasks: usize,
    /// Those that are done.
    pub(crate) tasks_done: usize,
    /// Rows that finished tasks have handed to the next stage, each counted once a stage.
    pub(crate) rows: u64,
}

/// What is read of the scheduler's `/api/job/{id}/stages`.
#[derive(Deserialize)]
struct Stages {
    stages: Vec<Stage>,
}

#[derive(Deserialize)]
struct Stage {
    #[serde(rename = "stage_status")]
    status: String,
    output_rows: u64,
    tasks: Vec<Option<Task>>,
}

#[derive(Deserialize)]
struct Task {
    status: serde_json::Value,
}

impl Standing {
    /// Reads it off the answer of the scheduler; `None` where that is none.
    pub(super) fn parse(answer: &[u8]) -> Option<Self> {
        let Stages { stages } = serde_json::from_slice(answer).ok()?;
        let mut standing = Self { stages: stages.len(), ..Self::default() };
        for stage in stages {
            standing.stages_done += usize::from(stage.status == "Successful");
            standing.rows += stage.output_rows;
            for task in stage.tasks.into_iter().flatten() {
                standing.tasks += 1;
                standing.tasks_done += usize::from(task.status == "Successful");
            }
        }
        Some(standing)
    }
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { stages, stages_done, tasks, tasks_done, rows } = *self;
        write!(f, "{stages_done} of {stages} stages, {tasks_done} of {tasks} tasks, {} rows", HumanCount(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_off_what_the_scheduler_says() {
        let said = br#"{"stages": [
            {"stage_id": "1", "stage_status": "Successful", "input_rows": 2, "output_rows": 1200, "tasks": [
                {"id": 0, "status": "Successful"}, {"id": 1, "status": "Successful"}]},
            {"stage_id": "2", "stage_status": "Running", "input_rows": 0, "output_rows": 34, "tasks": [
                {"id": 0, "status": "Running"}, null, {"id": 1, "status": {"Failed": {"reason": "r", "error": "e"}}}]},
            {"stage_id": "3", "stage_status": "UnResolved", "input_rows": 0, "output_rows": 0, "tasks": []}]}"#;
        let standing = Standing::parse(said).unwrap();
        assert_eq!(standing, Standing { stages: 3, stages_done: 1, tasks: 4, tasks_done: 2, rows: 1234 });
        assert_eq!(standing.to_string(), "1 of 3 stages, 2 of 4 tasks, 1,234 rows");
        assert_eq!(Standing::parse(b"not found"), None);
    }
}
