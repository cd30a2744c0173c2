//! The programs, as a user starts them.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Path of a program of this build.
fn program(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    // target/<profile>/deps/<test>
    path.pop();
    path.pop();
    path.push(name);
    assert!(path.exists(), "{} is not built; run `cargo build --workspace` first", path.display());
    path
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// The same outcome, if the program succeeded.
    #[must_use]
    pub fn expect_success(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.stderr, self.stdout);
        self
    }

    /// Standard output as one JSON value.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {:?}", self.stdout))
    }
}

/// Runs a program to its end.
pub fn run(name: &str, arguments: &[&str]) -> Outcome {
    Running::start(name, arguments).wait()
}

/// A program that says something before it ends.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts a program.
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program(name));
        command.args(arguments).env_remove("PROWL_STORE").env_remove("PROWL_SCHEDULER");
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Waits for its end.
    pub fn wait(self) -> Outcome {
        let output = self.0.wait_with_output().unwrap();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Sends SIGTERM and waits for its end.
    pub fn stop(self) -> Outcome {
        terminate(&self.0);
        self.wait()
    }
}

fn terminate(child: &Child) {
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program in the background; it is told to stop, or killed, at the end.
#[derive(Debug)]
struct Background {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Background {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program(name))
            .args(arguments)
            .env_remove("PROWL_STORE")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Its log is drained, so that it never waits for a reader; it is shown only when a test fails.
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (name, kept) = (name.to_owned(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                println!("{name}: {line}");
                kept.lock().unwrap().push(line);
            }
        });
        Self { child, log }
    }

    /// Sends SIGTERM and waits for the end; `None` if a signal ended it.
    fn terminate(&mut self) -> Option<i32> {
        terminate(&self.child);
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it did not stop within 30 s of SIGTERM");
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for_port(port: u16) {
    let end = Instant::now() + Duration::from_mins(1);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < end, "nothing listens on port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A scheduler and executors, each a process of its own.
#[derive(Debug)]
pub struct Cluster {
    port: u16,
    executors: Vec<Background>,
    scheduler: Background,
    work: tempfile::TempDir,
}

impl Cluster {
    /// Starts a scheduler and `executors` executors of one core each.
    pub fn start(executors: usize) -> Self {
        let work = tempfile::tempdir().unwrap();
        let port = free_port();
        let port_text = port.to_string();
        let scheduler = Background::start("prowl-scheduler", &["--bind-host", "127.0.0.1", "--bind-port", &port_text]);
        wait_for_port(port);
        let mut cluster = Self { port, executors: Vec::new(), scheduler, work };
        for _ in 0..executors {
            cluster.add_executor();
        }
        cluster
    }

    /// Starts one more executor of one core.
    pub fn add_executor(&mut self) {
        let folder = self.work.path().join(self.executors.len().to_string());
        let ports = [free_port(), free_port(), free_port()].map(|port| port.to_string());
        let executor = Background::start(
            "prowl-executor",
            &[
                "--bind-host",
                "127.0.0.1",
                "--external-host",
                "127.0.0.1",
                "--scheduler-host",
                "127.0.0.1",
                "--scheduler-port",
                &self.port.to_string(),
                "--bind-port",
                &ports[0],
                "--bind-grpc-port",
                &ports[1],
                "--bind-health-port",
                &ports[2],
                "--vcores",
                "1",
                "--work-dir",
                folder.to_str().unwrap(),
            ],
        );
        wait_for_port(ports[0].parse().unwrap());
        self.executors.push(executor);
    }

    /// What `--scheduler` takes.
    pub fn url(&self) -> String {
        format!("df://127.0.0.1:{}", self.port)
    }

    /// In how many lines of its log the scheduler has said `text`.
    pub fn scheduler_said(&self, text: &str) -> usize {
        self.scheduler.log.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    /// Stops every process by SIGTERM and tells the exit codes, the scheduler's last.
    pub fn stop(mut self) -> Vec<Option<i32>> {
        let mut codes: Vec<_> = self.executors.iter_mut().map(Background::terminate).collect();
        codes.push(self.scheduler.terminate());
        codes
    }
}

/// A running `prowl-inference`.
#[derive(Debug)]
pub struct Server {
    process: Background,
    /// Port of gRPC.
    pub grpc: u16,
    /// Port of HTTP.
    pub http: u16,
}

impl Server {
    /// Serves `model` of `store`, and waits until it is ready.
    pub fn start(store: &str, model: &str) -> Self {
        let (grpc, http) = (free_port(), free_port());
        let addresses = [format!("127.0.0.1:{grpc}"), format!("127.0.0.1:{http}")];
        let process = Background::start(
            "prowl-inference",
            &["--store", store, "--model", model, "--grpc-addr", &addresses[0], "--http-addr", &addresses[1]],
        );
        let server = Self { process, grpc, http };
        let end = Instant::now() + Duration::from_mins(1);
        while server.get("/readyz") != Some(200) {
            assert!(Instant::now() < end, "the server did not get ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }

    /// URL of the gRPC side.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc)
    }

    /// The status that a GET of `path` answers with.
    fn get(&self, path: &str) -> Option<u16> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.http)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    /// Stops it by SIGTERM and tells its exit code.
    pub fn stop(mut self) -> Option<i32> {
        self.process.terminate()
    }
}
