//! The programs, as a user starts them.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prowl_platform::Secrets;

use crate::{signals, words};

/// The longest wait for anything: much longer than it takes, since a machine may be busy.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long a program may take to end what it has begun, where the one that started it fails.
const GRACE: Duration = Duration::from_secs(5);

/// Waits until `find` finds something.
pub fn wait_for<T>(what: &str, find: impl FnMut() -> Option<T>) -> T {
    wait_up_to(PATIENCE, Duration::from_millis(1), find).unwrap_or_else(|| panic!("waited {PATIENCE:?} for {what}"))
}

/// The same for so long at the most, looking after each such pause.
pub(crate) fn wait_up_to<T>(patience: Duration, pause: Duration, mut find: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        signals::look();
        let found = find();
        if found.is_some() || Instant::now() >= end {
            return found;
        }
        std::thread::sleep(pause);
    }
}

/// Path of a program of this build.
fn program(name: &str) -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    // target/<profile>/deps/<test>, or target/<profile>/examples/<example>
    path.pop();
    path.pop();
    path.push(name);
    assert!(path.exists(), "{} is not built: run `cargo build --workspace` first", path.display());
    path
}

/// A variable that a program gets, and its value.
pub type Variable = (&'static str, String);

/// Whether a variable changes what the programs do.
fn is_ours(variable: &str) -> bool {
    ["PROWL_", "SPACES_", "VAULT_", "OTEL_", "MLFLOW_", "GITHUB_", "MONGO_", "LOGIN_HASH_"]
        .iter()
        .any(|prefix| variable.starts_with(prefix))
        || Secrets::VARIABLES.contains(&variable)
}

/// A program that gets these arguments, and nothing of the developer's environment that would change what it does.
fn command(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program(name));
    command.args(arguments);
    for (variable, _) in std::env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
        command.env_remove(variable);
    }
    command
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

    /// What it says it failed of. Threads that have not ended yet may log after that.
    pub fn error(&self) -> &str {
        self.stderr
            .lines()
            .find(|line| line.starts_with("error: "))
            .unwrap_or_else(|| panic!("none in {}", self.stderr))
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

/// Runs a program to its end, with variables of its own.
pub fn run_with(environment: &[Variable], name: &str, arguments: &[&str]) -> Outcome {
    Running::start_with(environment, name, arguments).wait()
}

/// Runs a program that has much to say to its end, and nobody listens; tells its exit code.
pub fn run_unheard(name: &str, arguments: &[&str]) -> i32 {
    let mut child = command(name, arguments).env("PROWL_LOG", "debug").stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let status = wait_for(&format!("the end of {name}"), || child.try_wait().unwrap());
    status.code().unwrap_or(-1)
}

/// A program that runs; it is killed when it is no longer needed.
#[derive(Debug)]
pub struct Running {
    name: String,
    child: Child,
    log: Arc<Mutex<String>>,
    /// Where its words are kept, but for the extension.
    place: Option<PathBuf>,
    /// The threads that drain its log and its standard output, so that it never waits for a reader.
    readers: Option<(JoinHandle<()>, JoinHandle<String>)>,
}

impl Running {
    /// Starts a program.
    pub fn start(name: &str, arguments: &[&str]) -> Self {
        Self::start_with(&[], name, arguments)
    }

    /// Starts a program, with variables of its own.
    pub fn start_with(environment: &[Variable], name: &str, arguments: &[&str]) -> Self {
        let mut command = command(name, arguments);
        signals::shield(&mut command);
        let mut child = command
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();

        let mut stdout = child.stdout.take().unwrap();
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            text
        });
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let (prefix, kept) = (name.to_owned(), Arc::clone(&log));
        let place = words::place(name);
        let mut file = place.as_ref().map(|place| File::create(place.with_extension("log")).unwrap());
        let stderr = std::thread::spawn(move || {
            for line in lines.map(Result::unwrap) {
                match &mut file {
                    Some(file) => writeln!(file, "{line}").unwrap(),
                    // Shown only when the test fails.
                    None => println!("{prefix}: {line}"),
                }
                *kept.lock().unwrap() += &(line + "\n");
            }
        });
        Self { name: name.to_owned(), child, log, place, readers: Some((stderr, stdout)) }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Outcome {
        let what = format!("the end of {}", self.name);
        let status = wait_for(&what, || self.child.try_wait().unwrap());
        let (stderr, stdout) = self.readers.take().unwrap();
        stderr.join().unwrap();
        let stdout = stdout.join().unwrap();
        if let Some(place) = self.place.as_ref().filter(|_| !stdout.is_empty()) {
            fs::write(place.with_extension("json"), &stdout).unwrap();
        }
        let stderr = std::mem::take(&mut *self.log.lock().unwrap());
        Outcome { code: status.code().unwrap_or(-1), stdout, stderr }
    }

    /// Sends SIGTERM and waits for its end.
    pub fn stop(self) -> Outcome {
        self.tell_to_stop();
        self.wait()
    }

    /// Sends SIGTERM.
    pub fn tell_to_stop(&self) {
        signals::send("TERM", self.id()).unwrap();
    }

    /// Waits until `find` finds something, while the program runs.
    pub fn wait_for<T>(&mut self, what: &str, mut find: impl FnMut() -> Option<T>) -> T {
        let (name, child) = (&self.name, &mut self.child);
        wait_for(&format!("{what} of {name}"), || {
            let found = find();
            assert!(found.is_some() || child.try_wait().unwrap().is_none(), "{name} ended before {what}");
            found
        })
    }

    /// Waits for a line of its log that holds `text`.
    pub fn wait_for_line(&mut self, text: &str) -> String {
        let log = Arc::clone(&self.log);
        let find = || log.lock().unwrap().lines().find(|line| line.contains(text)).map(str::to_owned);
        self.wait_for(&format!("the line {text:?}"), find)
    }

    /// Lets it end what it has begun: programs that it has started, and what it was about to publish.
    fn end_in_order(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            // Where there is no `kill`, it is only ended the hard way.
            let _ = signals::send("TERM", self.id());
            wait_up_to(GRACE, Duration::from_millis(10), || self.child.try_wait().ok().flatten());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // In a test it is killed on purpose; on the way out of one that fails, or after a signal, nothing is to be left.
        if std::thread::panicking() {
            self.end_in_order();
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running `prowl-inference`.
#[derive(Debug)]
pub struct Server {
    process: Running,
    grpc: String,
    http: String,
}

impl Server {
    /// Serves `model` of `store`, and waits until it is ready.
    pub fn start(store: &str, model: &str) -> Self {
        Self::start_with(&[], store, model)
    }

    /// The same, with variables of its own.
    pub fn start_with(environment: &[Variable], store: &str, model: &str) -> Self {
        Self::run(environment, &["--store", store, "--model", model, "--insecure"])
    }

    /// The same for those who bring one of these tokens.
    pub fn start_guarded(store: &str, model: &str, tokens: &str) -> Self {
        Self::start_guarded_with(&[("API_TOKENS", tokens.to_owned())], store, model)
    }

    /// The same for those who bring one of the tokens that these variables lead to.
    pub fn start_guarded_with(environment: &[Variable], store: &str, model: &str) -> Self {
        Self::run(environment, &["--store", store, "--model", model])
    }

    /// The same with arguments and variables of its own.
    pub fn run(environment: &[Variable], arguments: &[&str]) -> Self {
        let anywhere = ["--grpc-addr", "127.0.0.1:0", "--http-addr", "127.0.0.1:0"];
        let mut process = Running::start_with(environment, "prowl-inference", &[arguments, &anywhere].concat());
        let listening = process.wait_for_line("listening");
        let addresses: serde_json::Value = serde_json::from_str(&listening).unwrap();
        let address = |port: &str| addresses[port].as_str().unwrap().to_owned();
        let (grpc, http) = (address("grpc"), address("http"));
        process.wait_for("readiness", || get(&http, "/readyz").filter(|(status, _)| *status == 200));
        Self { process, grpc, http }
    }

    /// Address of the gRPC side.
    pub fn grpc(&self) -> &str {
        &self.grpc
    }

    /// Address of the HTTP side.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// URL of the gRPC side.
    pub fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// The status and the body that a GET of `path` with these lines in its head answers with.
    pub fn get_with(&self, path: &str, lines: &str) -> Option<(u16, String)> {
        ask(&self.http, &format!("GET {path} HTTP/1.0\r\n{lines}\r\n"))
    }

    /// The status and the body that a POST of `body` to `path` with these lines in its head answers with.
    pub fn post_with(&self, path: &str, lines: &str, body: &str) -> Option<(u16, String)> {
        ask(&self.http, &format!("POST {path} HTTP/1.0\r\n{lines}content-length: {}\r\n\r\n{body}", body.len()))
    }

    /// Sends SIGTERM, and waits for nothing.
    pub fn tell_to_stop(&self) {
        self.process.tell_to_stop();
    }

    /// Stops it by SIGTERM and tells its exit code.
    pub fn stop(self) -> i32 {
        self.process.stop().code
    }
}

/// The status and the body that a GET of `path` answers with, in JSON where there is a choice.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    ask(address, &format!("GET {path} HTTP/1.0\r\nhost: test\r\naccept: application/json\r\n\r\n"))
}

/// The same for who brings this token.
pub fn get_as(token: &str, address: &str, path: &str) -> Option<(u16, String)> {
    ask(address, &format!("GET {path} HTTP/1.0\r\nhost: test\r\nauthorization: Bearer {token}\r\n\r\n"))
}

/// The status and the body that a request in HTTP/1.0 answers with: in one piece, which ends with the connection.
pub(crate) fn ask(address: &str, request: &str) -> Option<(u16, String)> {
    let (status, body) = ask_for_bytes(address, request)?;
    Some((status, String::from_utf8(body).ok()?))
}

/// The same, of a body that may be no text.
pub(crate) fn ask_for_bytes(address: &str, request: &str) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_off(end + 4)))
}
