//! A cluster on a real S3 server, with its secrets from a real Vault: parts of it are killed or go away while it works, and
//! it publishes the same; and none of them tells a secret.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use prowl_e2e::servers::{OpenBao, Seaweedfs};
use prowl_e2e::{Cluster, Outcome, Running, Variable, digests, run_with, texts_below};
use prowl_platform::{Folder, Kind, Store};
use serde_json::{Value, json};

/// What the secret of another stage holds.
const OF_ANOTHER_STAGE: &str = "planted-for-the-trainer";

/// The servers, and the job that runs on them.
struct Parts {
    s3: Seaweedfs,
    vault: OpenBao,
    url: String,
    environment: Vec<Variable>,
    /// What it logs in to Vault with.
    token: String,
    expected: BTreeMap<String, String>,
}

impl Parts {
    /// Servers with an export in twelve files, and what a run in one process makes of it.
    async fn start() -> Self {
        let (s3, vault) = (Seaweedfs::start(), OpenBao::start());
        vault.put_policies();
        vault.put("secret/prowl/staging/trainer", &json!({ "mlflow_token": OF_ANOTHER_STAGE }));
        let mut environment = vault.let_in("cluster", &s3.secret().into());
        let token = vault.token_of("cluster");
        environment.push(("PROWL_LOG", "debug".to_owned()));
        let mut parts = Self { url: s3.url("deep/store"), s3, vault, environment, token, expected: BTreeMap::new() };
        let synth = ["synth", "--count", "6000", "--part-size", "500", "--seed", "5", "--store", &parts.url];
        parts.checked(run_with(&parts.environment, "prowl-fetch", &synth).expect_success());
        let done = run_with(&parts.environment, "prowl-preprocess", &parts.arguments(&[])).expect_success();
        parts.expected = digests(&parts.published(&done).await);
        parts
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["--store", &self.url, "--export", "latest", "--json", "--partitions", "8"], more].concat()
    }

    /// Starts the job on a cluster.
    fn job(&self, cluster: &Cluster) -> Running {
        let scheduler = cluster.url();
        Running::start_with(&self.environment, "prowl-preprocess", &self.arguments(&["--scheduler", &scheduler]))
    }

    fn store(&self) -> Store {
        self.s3.store("deep/store")
    }

    async fn published(&self, done: &Outcome) -> Folder {
        self.store().folder(Kind::Features, done.json()["run"].as_str().unwrap()).await.unwrap()
    }

    /// What the job published has to be what one process would have.
    async fn check(&self, done: Outcome) {
        let done = self.checked(done).expect_success();
        assert_eq!(digests(&self.published(&done).await), self.expected);
        self.nothing_else().await;
    }

    /// In the store lies what is published, and nothing else.
    async fn nothing_else(&self) {
        let store = self.store();
        let all: Vec<_> = store.object_store().list(None).try_collect().await.unwrap();
        let mut found: BTreeSet<_> = all.into_iter().map(|object| object.location.to_string()).collect();
        found.retain(|path| path.contains("/features/"));
        let runs: BTreeSet<_> = found.iter().map(|path| path.split('/').nth(3).unwrap().to_owned()).collect();
        for run in runs {
            let folder = store.folder(Kind::Features, &run).await.unwrap();
            let files = folder.files("").map(|entry| entry.path.as_str()).chain(["manifest.json"]);
            for path in files {
                assert!(found.remove(&format!("deep/store/features/{run}/{path}")), "{path} of {run} is missing");
            }
        }
        assert_eq!(found, BTreeSet::new());
        assert_eq!(self.s3.unfinished_uploads(), 0);
    }

    /// Whether a text gives a secret away.
    fn is_given_away_by(&self, text: &str) -> bool {
        Seaweedfs::is_given_away_by(text)
            || OpenBao::is_given_away_by(text)
            || [&self.token, OF_ANOTHER_STAGE].iter().any(|secret| text.contains(secret))
    }

    /// The same outcome, if it gives no secret away.
    fn checked(&self, ended: Outcome) -> Outcome {
        assert!(!self.is_given_away_by(&ended.stderr) && !self.is_given_away_by(&ended.stdout), "{ended:?}");
        ended
    }
}

/// What others can see of the processes while they work.
#[derive(Default)]
struct Seen {
    texts: BTreeSet<String>,
}

impl Seen {
    /// Looks until it is told to stop.
    fn look(cluster: &Cluster, client: u32, stop: &AtomicBool) -> Self {
        let mut seen = Self::default();
        while !stop.load(Ordering::Relaxed) {
            for process in cluster.processes().map(Running::id).chain([client]) {
                seen.process(process);
            }
            seen.scheduler(cluster);
        }
        seen
    }

    /// The arguments and the environment of a process and of its children.
    fn process(&mut self, id: u32) {
        for file in ["cmdline", "environ"] {
            // It may have ended.
            self.texts.extend(fs::read_to_string(format!("/proc/{id}/{file}")));
        }
        for thread in fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            children.split_whitespace().for_each(|child| self.process(child.parse().unwrap()));
        }
    }

    /// All that the scheduler answers.
    fn scheduler(&mut self, cluster: &Cluster) {
        for path in ["state", "version", "executors", "metrics", "openapi.json"] {
            self.answer(cluster, &format!("/api/{path}"));
        }
        self.answer(cluster, "/metrics");
        let Some(jobs) = self.answer(cluster, "/api/jobs") else { return };
        let jobs: Vec<Value> = serde_json::from_str(&jobs).unwrap();
        for job in jobs.iter().map(|job| job["job_id"].as_str().unwrap()) {
            for path in ["", "/config", "/stages", "/dot", "/stage/1/dot", "/stage/2/dot"] {
                self.answer(cluster, &format!("/api/job/{job}{path}"));
            }
        }
    }

    fn answer(&mut self, cluster: &Cluster, path: &str) -> Option<String> {
        let answer = cluster.get(path).filter(|(status, _)| *status == 200)?.1;
        self.texts.insert(answer.clone());
        Some(answer)
    }

    fn hold(&self, text: &str) -> bool {
        self.texts.iter().any(|seen| seen.contains(text))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_whole_run_shows_no_secret_to_anyone() {
    let parts = Parts::start().await;
    let cluster = Cluster::start_with(2, parts.environment.clone());
    let job = parts.job(&cluster);
    let (client, stop) = (job.id(), AtomicBool::new(false));
    let (seen, done) = thread::scope(|scope| {
        let looking = scope.spawn(|| Seen::look(&cluster, client, &stop));
        let done = job.wait();
        stop.store(true, Ordering::Relaxed);
        (looking.join().unwrap(), done)
    });
    parts.check(done).await;

    // It has looked where they would be.
    for text in
        ["PublishExec", "s3://prowl-test/deep/store/features", "VAULT_JWT_FILE", "--scheduler-port", "ballista."]
    {
        assert!(seen.hold(text), "{text} was not seen");
    }
    let mut texts: Vec<String> = seen.texts.into_iter().chain(cluster.processes().map(Running::log)).collect();
    let before = texts.len();
    texts.extend(texts_below(cluster.work()));
    assert!(texts.len() > before, "no shuffle file was seen");
    for text in &texts {
        assert!(!parts.is_given_away_by(text), "{text}");
    }
    assert_eq!(cluster.stop(), [0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_happens_to_its_parts_the_cluster_publishes_the_same() {
    let mut parts = Parts::start().await;
    let mut cluster = Cluster::start_with(2, parts.environment.clone());

    // The S3 server is away for 5 seconds.
    let mut job = parts.job(&cluster);
    cluster.wait_for_the_middle(&mut job, 2);
    parts.s3.stop();
    thread::sleep(Duration::from_secs(5));
    parts.s3.start_again();
    parts.check(job.wait()).await;

    // Nobody who has logged in needs Vault to go on.
    let mut job = parts.job(&cluster);
    cluster.wait_for_the_middle(&mut job, 2);
    parts.vault.seal();
    parts.check(job.wait()).await;
    parts.vault.unseal();

    let mut job = parts.job(&cluster);
    cluster.wait_for_the_middle(&mut job, 2);
    let log = cluster.kill_executor(0);
    assert!(!parts.is_given_away_by(&log));
    parts.check(job.wait()).await;

    let mut job = parts.job(&cluster);
    cluster.wait_for_the_middle(&mut job, 2);
    let log = cluster.kill_scheduler();
    let killed = Instant::now();
    assert!(!parts.is_given_away_by(&log));
    let lost = parts.checked(job.wait());
    assert!(killed.elapsed() < Duration::from_secs(30));
    assert_eq!(lost.code, 1);
    assert!(lost.error().contains("does not answer: see that prowl-scheduler listens there"), "{}", lost.error());
    // The last writes of its tasks.
    thread::sleep(Duration::from_secs(1));
    parts.nothing_else().await;
    cluster.start_scheduler();
    parts.check(parts.job(&cluster).wait()).await;
    for process in cluster.processes() {
        assert!(!parts.is_given_away_by(&process.log()));
    }
    assert_eq!(cluster.stop(), [0, 0]);
}
