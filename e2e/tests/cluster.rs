//! The job on a cluster whose parts come, go and are told to stop.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use prowl_e2e::{Cluster, Running, TestStore, run};

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
        assert_eq!(stopped.stderr, "error: stopped by SIGTERM; nothing was published\n");
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
    assert_eq!(lost.stderr, format!("error: the scheduler {url} does not answer; {way_out}\n"));
    assert_eq!(store.feature_files(), Vec::<PathBuf>::new());
}

#[test]
fn an_executor_waits_for_its_scheduler_comes_back_to_a_new_one_and_ends_without_any() {
    let store = TestStore::empty();
    store.synth(100, 8);
    let mut cluster = Cluster::planned();
    let url = cluster.url();
    let mut executor = cluster.start_executor(&["--executor-heartbeat-interval-seconds", "2"]);
    let waiting = executor.wait_for_line("waiting up to 60 s for the scheduler");
    assert!(waiting.contains(&url), "{waiting}");
    for _ in 0..2 {
        cluster.start_scheduler();
        assert_eq!(store.preprocess("latest", &["--scheduler", &url]).counts["kept"], 100);
        cluster.kill_scheduler();
    }
    let ended = executor.wait();
    assert_eq!(ended.code, 1);
    let said = ended.error();
    assert_eq!(said, "error: the executor stopped by itself; its log above says why");
}

#[test]
fn an_executor_without_a_scheduler_ends_when_it_is_told_or_has_waited_enough() {
    let cluster = Cluster::planned();
    let mut told = cluster.start_executor(&[]);
    told.wait_for_line("waiting up to 60 s for the scheduler");
    let ended = told.stop();
    assert_eq!(ended.code, 0, "{}", ended.stderr);

    let ended = cluster.start_executor(&["--scheduler-connect-timeout-seconds", "1"]).wait();
    assert_eq!(ended.code, 1);
    let url = cluster.url();
    let way_out = format!("error: the executor cannot work for the scheduler {url}; start prowl-scheduler there: ");
    assert!(ended.error().starts_with(&way_out), "{}", ended.stderr);
}

#[test]
fn an_executor_that_its_scheduler_cannot_reach_says_so() {
    let cluster = Cluster::start(0);
    // It listens on 127.0.0.1 only.
    let ended = cluster.start_executor(&["--external-host", "127.0.0.9"]).wait();
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
        let told = format!("error: cannot listen on {address}; free the port, or give another with {option}");
        assert!(said.stderr.contains(&told), "{}", said.stderr);
        assert!(!said.stderr.contains("Stack backtrace"), "{}", said.stderr);
    }
}
