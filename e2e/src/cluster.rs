//! A scheduler and executors, each a process of its own.

use std::net::TcpStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::programs::{Running, Variable, get};
use crate::servers::free_port;

/// A scheduler and executors.
#[derive(Debug)]
pub struct Cluster {
    port: u16,
    executors: Vec<Executor>,
    scheduler: Option<Running>,
    work: tempfile::TempDir,
    /// What its programs get.
    environment: Vec<Variable>,
}

/// One executor of a cluster.
#[derive(Debug)]
pub struct Executor {
    /// The process.
    pub process: Running,
    /// Where its probes and figures are, as `host:port`.
    pub http: String,
    /// Its work folder.
    folder: PathBuf,
}

impl Cluster {
    /// One of which nothing runs yet.
    pub fn planned() -> Self {
        let (port, work) = (free_port(), tempfile::tempdir().unwrap());
        Self { port, executors: Vec::new(), scheduler: None, work, environment: Vec::new() }
    }

    /// Starts a scheduler and `executors` executors of one core each.
    pub fn start(executors: usize) -> Self {
        Self::start_with(executors, Vec::new())
    }

    /// The same, and all get variables of their own.
    pub fn start_with(executors: usize, environment: Vec<Variable>) -> Self {
        let mut cluster = Self { environment, ..Self::planned() };
        cluster.start_scheduler();
        for _ in 0..executors {
            cluster.add_executor();
        }
        cluster
    }

    /// Starts the scheduler, and waits until it listens.
    pub fn start_scheduler(&mut self) {
        self.start_scheduler_with(&[]);
    }

    /// Starts the scheduler with options beside the usual ones, and waits until it listens.
    pub fn start_scheduler_with(&mut self, more: &[&str]) {
        let port = self.port.to_string();
        let arguments = [&["--bind-host", "127.0.0.1", "--bind-port", &port][..], more].concat();
        let mut scheduler = Running::start_with(&self.environment, "prowl-scheduler", &arguments);
        let port = self.port;
        scheduler.wait_for("its port", || TcpStream::connect(("127.0.0.1", port)).ok());
        self.scheduler = Some(scheduler);
    }

    /// Ends the scheduler without a warning, and gives its log.
    pub fn kill_scheduler(&mut self) -> String {
        self.scheduler.take().unwrap().log()
    }

    /// Takes the scheduler out, to do with it what the caller wants.
    pub fn take_scheduler(&mut self) -> Running {
        self.scheduler.take().unwrap()
    }

    /// Starts one more executor of one core, and waits until the scheduler knows it.
    pub fn add_executor(&mut self) {
        let mut executor = self.start_executor(&[]);
        executor.process.wait_for_line("Executor registration succeed");
        self.executors.push(executor);
    }

    /// Ends an executor without a warning; its machine goes with all that is on it, except the log, which this
    /// gives.
    pub fn kill_executor(&mut self, index: usize) -> String {
        let executor = self.executors.remove(index);
        let log = executor.process.log();
        drop(executor.process);
        std::fs::remove_dir_all(executor.folder).unwrap();
        log
    }

    /// Takes an executor out, to do with it what the caller wants.
    pub fn take_executor(&mut self, index: usize) -> Executor {
        self.executors.remove(index)
    }

    /// Starts an executor of one core that the caller looks after, with options beside or instead of the usual ones.
    pub fn start_executor(&self, more: &[&str]) -> Executor {
        let port = self.port.to_string();
        let ports = [free_port(), free_port(), free_port()].map(|port| port.to_string());
        let folder = self.work.path().join(&ports[0]);
        let arguments = [
            ["--bind-host", "127.0.0.1"],
            ["--external-host", "127.0.0.1"],
            ["--scheduler-host", "127.0.0.1"],
            ["--scheduler-port", &port],
            ["--bind-port", &ports[0]],
            ["--bind-grpc-port", &ports[1]],
            ["--bind-health-port", &ports[2]],
            ["--vcores", "1"],
            ["--work-dir", folder.to_str().unwrap()],
        ];
        let usual = arguments.iter().filter(|[option, _]| !more.contains(option)).flatten().copied();
        let arguments = usual.chain(more.iter().copied()).collect::<Vec<_>>();
        let process = Running::start_with(&self.environment, "prowl-executor", &arguments);
        Executor { process, http: format!("127.0.0.1:{}", ports[2]), folder }
    }

    /// What `--scheduler` takes.
    pub fn url(&self) -> String {
        format!("df://127.0.0.1:{}", self.port)
    }

    /// What the scheduler answers over HTTP.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        get(&format!("127.0.0.1:{}", self.port), path)
    }

    /// The stages of the newest job, by their number, as the scheduler tells of them: none before it has been planned.
    pub fn stages(&self) -> Vec<Value> {
        let ask = |path: &str| serde_json::from_str::<Value>(&self.get(path)?.1).ok();
        let jobs = ask("/api/jobs").unwrap_or_default();
        let newest = jobs.as_array().into_iter().flatten().max_by_key(|job| job["start_time"].as_u64());
        let Some(job) = newest.and_then(|job| job["job_id"].as_str()) else { return Vec::new() };
        let answer = ask(&format!("/api/job/{job}/stages")).unwrap_or_default();
        let mut stages = answer["stages"].as_array().cloned().unwrap_or_default();
        stages.sort_by_key(|stage| stage["stage_id"].as_str().and_then(|id| id.parse::<u32>().ok()));
        stages
    }

    /// Waits until so many tasks of the first stage of `job` are done, and others are not.
    pub fn wait_for_the_middle(&self, job: &mut Running, least: usize) {
        job.wait_for("the middle", || {
            let first = self.stages().into_iter().next()?;
            // Not that of a job before.
            (first["stage_status"] == "Running" && done(&first) >= least).then_some(())
        });
    }

    /// The processes that run.
    pub fn processes(&self) -> impl Iterator<Item = &Running> {
        self.executors.iter().map(|executor| &executor.process).chain(&self.scheduler)
    }

    /// The folder of what its executors keep.
    pub fn work(&self) -> &Path {
        self.work.path()
    }

    /// In how many lines of its log the scheduler has said `text`.
    pub fn scheduler_said(&self, text: &str) -> usize {
        let log = self.scheduler.as_ref().unwrap().log();
        log.lines().filter(|line| line.contains(text)).count()
    }

    /// What executor `index` answers over HTTP.
    pub fn executor_get(&self, index: usize, path: &str) -> Option<(u16, String)> {
        get(&self.executors[index].http, path)
    }

    /// How many executors hold what tasks have written for other tasks or the client.
    pub fn executors_with_shuffle_files(&self) -> usize {
        let folders = std::fs::read_dir(self.work.path()).unwrap().map(|folder| folder.unwrap().path().join("shuffle"));
        folders.filter(|folder| std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some())).count()
    }

    /// Stops every process by SIGTERM and tells the exit codes, the scheduler's last.
    pub fn stop(self) -> Vec<i32> {
        let executors = self.executors.into_iter().map(|executor| executor.process);
        executors.chain(self.scheduler).map(|process| process.stop().code).collect()
    }
}

/// How many tasks of a stage, as [`Cluster::stages`] gives it, are done.
pub fn done(stage: &Value) -> usize {
    stage["tasks"].as_array().into_iter().flatten().filter(|task| task["status"] == "Successful").count()
}
