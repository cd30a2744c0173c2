//! The job on a cluster whose parts come, go and are told to stop.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use prowl_e2e::{Cluster, Outcome, Running, TestStore, Variable, done, read_run, run, wait_for};

/// A store and an export that several tasks read, and what a run in one process makes of it.
struct Job {
    store: TestStore,
    export: String,
    environment: Vec<Variable>,
    expected: std::collections::BTreeMap<String, String>,
}

impl Job {
    /// One whose programs find these variables.
    fn new(environment: Vec<Variable>) -> Self {
        let store = TestStore::empty();
        let documents = store.synth(4000, 5);
        let folder = store.root.join("export");
        std::fs::create_dir(&folder).unwrap();
        for (index, part) in documents.0.chunks(documents.0.len() / 8 + 1).enumerate() {
            prowl_e2e::Documents(part.to_vec()).write(&folder.join(format!("{index}.ndjson")));
        }
        let export = folder.to_str().unwrap().to_owned();
        let expected = store.preprocess(&export, &[]).files;
        std::fs::remove_dir_all(store.root.join("features")).unwrap();
        Self { store, export, environment, expected }
    }

    /// Starts it on a cluster.
    fn start(&self, cluster: &Cluster) -> Running {
        let url = cluster.url();
        let arguments = ["--store", &self.store.url, "--export", &self.export, "--scheduler", &url, "--json"];
        Running::start_with(&self.environment, "prowl-preprocess", &[&arguments[..], &["--partitions", "8"]].concat())
    }

    /// What it published has to be what one process would have, and nothing else may lie beside it.
    fn check(&self, done: Outcome) {
        let run = read_run(&self.store.root, done.expect_success().json()["run"].as_str().unwrap());
        assert_eq!(run.files, self.expected);
        let files: BTreeSet<_> = run.files.keys().map(|file| run.folder.join(file)).collect();
        let found: BTreeSet<_> = self.store.feature_files().into_iter().collect();
        let others: Vec<_> = found.difference(&files).collect();
        assert_eq!(others, [&run.folder.join("manifest.json")]);
        std::fs::remove_dir_all(run.folder).unwrap();
    }
}

#[test]
fn a_run_that_loses_an_executor_publishes_the_same() {
    let job = Job::new(Vec::new());
    // While it reads, and while it writes what the other stage has left with both executors.
    for stage in [0, 1] {
        let mut cluster = Cluster::start(2);
        let mut running = job.start(&cluster);
        let stages = running.wait_for("the middle", || {
            let stages = cluster.stages();
            let half = stages.get(stage).is_some_and(|stage| stage["stage_status"] == "Running" && done(stage) >= 2);
            // Both have done something that is needed later.
            (half && cluster.executors_with_shuffle_files() == 2).then_some(stages)
        });
        assert_eq!(done(&stages[1]) > 0, stage == 1, "{stages:?}");
        cluster.kill_executor(0);
        job.check(running.wait());
        assert_eq!(cluster.stop(), [0, 0]);
    }
}

#[test]
fn a_run_that_loses_its_scheduler_fails_and_the_next_one_does_not() {
    let job = Job::new(Vec::new());
    let mut cluster = Cluster::start(2);
    let mut running = job.start(&cluster);
    cluster.wait_for_the_middle(&mut running, 2);
    cluster.kill_scheduler();
    let killed = Instant::now();
    let lost = running.wait();
    assert!(killed.elapsed() < Duration::from_secs(30));
    assert_eq!(lost.code, 1);
    assert!(
        lost.error()
            .ends_with("does not answer: see that prowl-scheduler listens there and is well, then run it again")
    );
    assert_eq!(job.store.feature_files(), Vec::<PathBuf>::new());
    // The executors come back to the new one by themselves.
    cluster.start_scheduler();
    job.check(job.start(&cluster).wait());
    assert_eq!(cluster.stop(), [0, 0, 0]);
}

#[test]
fn an_executor_that_is_told_to_stop_finishes_its_tasks_and_hands_the_rest_on() {
    let job = Job::new(Vec::new());
    let mut cluster = Cluster::start(2);
    let mut running = job.start(&cluster);
    cluster.wait_for_the_middle(&mut running, 2);
    let ended = cluster.take_executor(0).process.stop();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    job.check(running.wait());
    assert_eq!(cluster.stop(), [0, 0]);
}

#[test]
fn a_scheduler_that_is_told_to_stop_lets_jobs_finish_and_takes_no_more() {
    let job = Job::new(Vec::new());
    let mut cluster = Cluster::planned();
    cluster.start_scheduler_with(&["--drain-timeout", "5m"]);
    cluster.add_executor();
    let mut running = job.start(&cluster);
    cluster.wait_for_the_middle(&mut running, 1);
    let scheduler = cluster.take_scheduler();
    scheduler.tell_to_stop();
    wait_for("the end of readiness", || cluster.get("/readyz").filter(|(status, _)| *status == 503));
    let refused = job.start(&cluster).wait();
    assert_eq!(refused.code, 1);
    let url = cluster.url();
    assert_eq!(refused.error(), format!("error: the scheduler {url} is stopping: run it again when it is back"));
    let finished = running.wait();
    assert!(!finished.stderr.contains("waiting for an executor"), "{}", finished.stderr);
    job.check(finished);
    assert_eq!(scheduler.wait().code, 0);

    // One that may not wait tells the client that it gives the job up.
    cluster.start_scheduler_with(&["--drain-timeout", "0s"]);
    let mut running = job.start(&cluster);
    cluster.wait_for_the_middle(&mut running, 1);
    assert_eq!(cluster.take_scheduler().stop().code, 0);
    let given_up = running.wait();
    assert_eq!(given_up.code, 1);
    assert!(given_up.error().starts_with("error: the scheduler gave the job up"), "{}", given_up.stderr);
    assert_eq!(job.store.feature_files(), Vec::<PathBuf>::new());
}

#[test]
fn scheduler_and_executor_tell_their_figures() {
    let job = Job::new(Vec::new());
    let cluster = Cluster::start(1);
    let mut running = job.start(&cluster);
    let tasks_at_work = || {
        let figures = cluster.executor_get(0, "/metrics").unwrap().1;
        let figure = figures.lines().find_map(|line| line.strip_prefix("prowl_executor_tasks_running ")).unwrap();
        figure.parse::<u64>().unwrap()
    };
    let mut most = 0;
    running.wait_for("its second stage", || {
        most = most.max(tasks_at_work());
        cluster.stages().get(1).filter(|stage| done(stage) >= 2).cloned()
    });
    assert_eq!(most, 1, "tasks at work on one core");
    job.check(running.wait());
    assert_eq!(cluster.get("/healthz"), Some((200, "ok\n".to_owned())));
    assert_eq!(cluster.get("/readyz"), Some((200, "ready\n".to_owned())));
    let scheduler = cluster.get("/metrics").unwrap().1;
    assert!(scheduler.lines().any(|line| line == "job_completed_total 1"), "{scheduler}");

    assert_eq!(cluster.executor_get(0, "/healthz"), Some((200, "ok\n".to_owned())));
    assert_eq!(cluster.executor_get(0, "/readyz"), Some((200, "ready\n".to_owned())));
    let executor = cluster.executor_get(0, "/metrics").unwrap().1;
    let figure = |name: &str| -> u64 {
        let line = executor.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in {executor}")).parse().unwrap()
    };
    let done: usize = cluster.stages().iter().map(done).sum();
    assert_eq!(figure("prowl_executor_tasks_total{outcome=\"done\"}"), done as u64);
    assert_eq!(figure("prowl_executor_tasks_running"), 0);
    assert_eq!(figure("prowl_executor_memory_pool_bytes"), 1728 << 20);
    assert_eq!(figure("prowl_executor_memory_reserved_bytes"), 0);
    // Each document goes from the task that reads it to the one that writes it, and the tallies of the files with them.
    assert!(figure("prowl_executor_rows_written_total") > 4000);
    assert!(figure("prowl_executor_rows_read_total") > 4000);
    assert!(figure("prowl_executor_bytes_written_total") > 100_000);
}

#[test]
fn a_job_that_is_stopped_leaves_neither_files_nor_tasks() {
    let store = TestStore::empty();
    store.synth(6000, 6);
    let cluster = Cluster::start(1);
    let arguments = ["--store", &store.url, "--export", "latest", "--scheduler", &cluster.url(), "--partitions", "1"];
    let whole = Instant::now();
    assert_eq!(run("prowl-preprocess", &arguments).code, 0);
    let whole = whole.elapsed();
    std::fs::remove_dir_all(store.root.join("features")).unwrap();

    // As soon as the scheduler has it, and once it writes into its folder, where a marker lies already.
    for (jobs, files) in [(2, 1), (3, 2)] {
        let mut job = Running::start("prowl-preprocess", &arguments);
        let begun = || cluster.scheduler_said("Job queued") >= jobs && store.feature_files().len() >= files;
        job.wait_for("beginning", || begun().then_some(()));
        let stopped = job.stop();
        assert_eq!(stopped.code, 1, "{}", stopped.stderr);
        assert_eq!(stopped.error(), "error: stopped by SIGTERM: nothing was published");
    }
    std::thread::sleep(whole + Duration::from_secs(1));
    assert_eq!(store.feature_files(), Vec::<PathBuf>::new(), "tasks went on writing");
    assert_eq!(std::fs::read_dir(store.root.join("features")).unwrap().count(), 0, "a folder came back");
    assert_eq!(run("prowl-preprocess", &arguments).code, 0);
    assert_eq!(cluster.scheduler_said("Received cancellation request"), 2);
    assert_eq!(cluster.stop(), [0, 0]);
}

#[test]
fn a_job_that_loses_its_scheduler_says_so() {
    let store = TestStore::empty();
    // Enough to read that it is still at it when the scheduler goes.
    let path = store.root.join("long.ndjson");
    store.synth(300, 3).write(&path);
    let lines = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, lines.repeat(200)).unwrap();
    let mut cluster = Cluster::start(1);
    let url = cluster.url();
    let arguments = ["--store", &store.url, "--export", path.to_str().unwrap(), "--scheduler", &url];
    let mut job = Running::start("prowl-preprocess", &arguments);
    job.wait_for("submission", || (cluster.scheduler_said("Job submitted") == 1).then_some(()));
    cluster.kill_scheduler();
    let lost = job.wait();
    assert_eq!(lost.code, 1);
    let way_out = "see that prowl-scheduler listens there and is well, then run it again";
    assert_eq!(lost.error(), format!("error: the scheduler {url} does not answer: {way_out}"));
    assert_eq!(store.feature_files(), Vec::<PathBuf>::new());
}

#[test]
fn an_executor_waits_for_its_scheduler_comes_back_to_a_new_one_and_ends_without_any() {
    let store = TestStore::empty();
    store.synth(100, 8);
    let mut cluster = Cluster::planned();
    let url = cluster.url();
    let options = ["--executor-heartbeat-interval-seconds", "1", "--scheduler-connect-timeout-seconds", "20"];
    let mut executor = cluster.start_executor(&options).process;
    let waiting = executor.wait_for_line("waiting up to 20 s for the scheduler");
    assert!(waiting.contains(&url), "{waiting}");
    for _ in 0..2 {
        cluster.start_scheduler();
        assert_eq!(store.preprocess("latest", &["--scheduler", &url]).counts["kept"], 100);
        cluster.kill_scheduler();
    }
    // Away for longer than it takes to be given up.
    executor.wait_for_line("has lost the scheduler");
    cluster.start_scheduler();
    assert_eq!(store.preprocess("latest", &["--scheduler", &url]).counts["kept"], 100);
    cluster.kill_scheduler();
    let ended = executor.wait();
    assert_eq!(ended.code, 1);
    let way_out = format!("error: the executor cannot work for the scheduler {url}: start prowl-scheduler there: ");
    assert!(ended.error().starts_with(&way_out), "{}", ended.stderr);
}

#[test]
fn an_executor_without_a_scheduler_ends_when_it_is_told_or_has_waited_enough() {
    let cluster = Cluster::planned();
    let mut told = cluster.start_executor(&[]).process;
    told.wait_for_line("waiting up to 60 s for the scheduler");
    let ended = told.stop();
    assert_eq!(ended.code, 0, "{}", ended.stderr);

    let ended = cluster.start_executor(&["--scheduler-connect-timeout-seconds", "1"]).process.wait();
    assert_eq!(ended.code, 1);
    let url = cluster.url();
    let way_out = format!("error: the executor cannot work for the scheduler {url}: start prowl-scheduler there: ");
    assert!(ended.error().starts_with(&way_out), "{}", ended.stderr);
}

#[test]
fn an_executor_without_memory_to_sort_with_says_so() {
    let ended = Cluster::planned().start_executor(&["--memory-limit", "383MiB"]).process.wait();
    assert_eq!(ended.code, 1);
    let said = "error: --memory-limit 383MiB is too little for 1 core: give at least 384MiB, or fewer --vcores";
    assert_eq!(ended.error(), said);
}

#[test]
fn an_executor_that_its_scheduler_cannot_reach_says_so() {
    let cluster = Cluster::start(0);
    // It listens on 127.0.0.1 only.
    let ended = cluster.start_executor(&["--external-host", "127.0.0.9"]).process.wait();
    assert_eq!(ended.code, 1);
    let said = ended.error();
    assert!(said.contains("cannot reach this executor at 127.0.0.9:") && said.contains("--external-host"), "{said}");
    assert!(said.starts_with(&format!("error: the scheduler {} ", cluster.url())), "{said}");
}

#[test]
fn a_job_waits_for_an_executor_and_says_so() {
    let store = TestStore::empty();
    store.synth(100, 8);
    let mut cluster = Cluster::start(0);
    let url = cluster.url();
    let mut job = Running::start(
        "prowl-preprocess",
        &["--store", &store.url, "--export", "latest", "--scheduler", &url, "--json"],
    );
    let line = job.wait_for_line("waiting for an executor");
    assert!(line.contains(&url), "{line}");
    cluster.add_executor();
    assert_eq!(job.wait().code, 0);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    for (program, option) in [
        ("prowl-scheduler", "--bind-port"),
        ("prowl-executor", "--bind-port"),
        ("prowl-executor", "--bind-grpc-port"),
        ("prowl-executor", "--bind-health-port"),
    ] {
        // The other ports are whatever is free.
        let mut arguments = vec!["--bind-host", "127.0.0.1"];
        if program == "prowl-executor" {
            for other in ["--bind-port", "--bind-grpc-port", "--bind-health-port"] {
                arguments.extend([other, if other == option { &port } else { "0" }]);
            }
        } else {
            arguments.extend([option, &port]);
        }
        let said = run(program, &arguments);
        assert_eq!(said.code, 1, "{program} {option}: {}", said.stderr);
        let told = format!("error: cannot listen on {address}: free the port, or give another with {option}");
        assert!(said.stderr.contains(&told), "{}", said.stderr);
        assert!(!said.stderr.contains("Stack backtrace"), "{}", said.stderr);
    }
}
