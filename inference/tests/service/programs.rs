//! The two programs, started and asked as their users do.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use prowl_proto::v1::scoring_client::ScoringClient;
use serde_json::Value;
use tonic::transport::{Channel, Endpoint};

/// Nothing in these tests takes longer, on a loaded machine either.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server; it ends with the test.
pub(crate) struct Server {
    child: Child,
    log: Arc<Log>,
    pub(crate) grpc: String,
    pub(crate) http: String,
}

#[derive(Default)]
struct Log {
    /// The lines so far, and whether there will be no more.
    lines: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
}

impl Server {
    /// Starts a server on free ports and returns as soon as they are open.
    pub(crate) fn start(store: &str, args: &[&str]) -> Self {
        Self::run(command(store, args))
    }

    /// Starts a server that asks for one of these tokens, and waits until it is ready.
    pub(crate) fn guarded(store: &str, args: &[&str], tokens: &str) -> Self {
        let mut command = guarded_command(store, args);
        command.env("API_TOKENS", tokens);
        let server = Self::run(command);
        server.logged("serving");
        server
    }

    /// Starts a server with secrets, and waits until it is ready.
    pub(crate) fn with_secrets(store: &str, args: &[&str], secrets: &[(&str, &str)]) -> Self {
        let server = Self::start_with_secrets(store, args, secrets).listening();
        server.logged("serving");
        server
    }

    /// Starts a server with secrets, by the variables that hold them or tell where they are. It asks for tokens where these are
    /// among them. Its ports are open once they are read, which is not waited for.
    pub(crate) fn start_with_secrets(store: &str, args: &[&str], secrets: &[(&str, &str)]) -> Self {
        let guarded = secrets.iter().any(|(variable, _)| *variable == "API_TOKENS");
        let mut command = if guarded { guarded_command(store, args) } else { command(store, args) };
        command.envs(secrets.iter().copied());
        Self::spawn(command)
    }

    /// Runs a server that asks for tokens and is given none.
    pub(crate) fn unguarded(store: &str, args: &[&str]) -> Output {
        guarded_command(store, args).output().unwrap()
    }

    /// Starts a server that may open `most` files and connections, and waits until it is ready.
    pub(crate) fn ready_with_descriptors(store: &str, most: usize) -> Self {
        let server = command(store, &[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {most} && exec \"$0\" \"$@\"")]);
        shell.arg(server.get_program()).args(server.get_args());
        shell.env_remove("PROWL_LOG").env("PROWL_LOG_FORMAT", "json");
        let server = Self::run(shell);
        server.logged("serving");
        server
    }

    fn run(command: Command) -> Self {
        Self::spawn(command).listening()
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Log::default());
        let (stderr, shared) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                shared.lines.lock().unwrap().0.push(line);
                shared.changed.notify_all();
            }
            shared.lines.lock().unwrap().1 = true;
            shared.changed.notify_all();
        });
        Self { child, log, grpc: String::new(), http: String::new() }
    }

    /// Waits until its ports are open.
    fn listening(mut self) -> Self {
        let listening = self.logged("listening");
        let address = |port: &str| listening[port].as_str().unwrap().to_owned();
        (self.grpc, self.http) = (address("grpc"), address("http"));
        self
    }

    /// Starts a server and waits until it is ready.
    pub(crate) fn ready(store: &str, args: &[&str]) -> Self {
        let server = Self::start(store, args);
        server.logged("serving");
        server
    }

    /// The event of the log with this message, waiting for it.
    pub(crate) fn logged(&self, message: &str) -> Value {
        self.find(message, |line| serde_json::from_str::<Value>(line).ok().filter(|event| event["message"] == message))
    }

    /// How often the log says this so far.
    pub(crate) fn count(&self, message: &str) -> usize {
        self.log.lines.lock().unwrap().0.iter().filter(|line| line.contains(message)).count()
    }

    fn find<T>(&self, what: &str, in_line: impl Fn(&str) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            if let Some(found) = lines.0.iter().find_map(|line| in_line(line)) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!lines.1 && !left.is_zero(), "no {what:?} in the log:\n{}", lines.0.join("\n"));
            lines = self.log.changed.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// The first line of stderr that begins so, waiting for it.
    pub(crate) fn said(&self, begin: &str) -> String {
        self.find(begin, |line| line.starts_with(begin).then(|| line.to_owned()))
    }

    pub(crate) async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.grpc)).unwrap().connect().await.unwrap()
    }

    pub(crate) async fn client(&self) -> ScoringClient<Channel> {
        ScoringClient::new(self.channel().await)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, as a supervisor does.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the server to end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "the server does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// One HTTP request on a connection of its own: status, content type and body.
    pub(crate) fn http(&self, method: &str, path: &str, body: &[u8]) -> (u16, String, String) {
        let mut stream = self.http_head(method, path, body.len(), "content-type: application/json\r\n");
        // A server that refuses a large body closes before it has read all of it.
        let _ = stream.write_all(body);
        http_answer(stream)
    }

    /// `POST /v1/score`, with the answer parsed.
    pub(crate) fn post(&self, body: &[u8]) -> (u16, String, Value) {
        let (status, kind, text) = self.http("POST", "/v1/score", body);
        (status, kind, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text:?}")))
    }

    /// The head of a request whose body is still to come; `more` are further lines of it.
    pub(crate) fn http_head(&self, method: &str, path: &str, length: usize, more: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.http).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{more}").unwrap();
        write!(stream, "content-length: {length}\r\n\r\n").unwrap();
        stream
    }
}

/// Reads an answer until the server closes: status, content type and body.
pub(crate) fn http_answer(stream: TcpStream) -> (u16, String, String) {
    let (head, body) = head_and_body(stream);
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, header(&head, "content-type").unwrap_or_default().to_owned(), body)
}

/// Reads an answer until the server closes, its head in lower case.
pub(crate) fn head_and_body(mut stream: TcpStream) -> (String, String) {
    let mut answer = Vec::new();
    // A reset after the answer is how TCP tells that the rest of a refused body was not read.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP answer: {answer:?}"));
    (head.to_lowercase(), body.to_owned())
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(store: &str, args: &[&str]) -> Command {
    let mut command = guarded_command(store, args);
    command.arg("--insecure");
    command
}

fn guarded_command(store: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prowl-inference"));
    command
        .args(["--store", store])
        .args(if args.contains(&"--grpc-addr") { &[][..] } else { &["--grpc-addr", "127.0.0.1:0"] })
        .args(if args.contains(&"--http-addr") { &[][..] } else { &["--http-addr", "127.0.0.1:0"] })
        .args(args)
        .env_remove("PROWL_LOG")
        .env_remove("API_TOKENS")
        .env_remove("GITHUB_TOKEN")
        .env("PROWL_LOG_FORMAT", "json");
    command
}

/// Runs a server that is expected to end by itself.
pub(crate) fn fail_to_start(store: &str, args: &[&str]) -> Output {
    fail_with_secrets(store, args, &[])
}

/// The same with secrets, by the variables that hold them.
pub(crate) fn fail_with_secrets(store: &str, args: &[&str], secrets: &[(&str, &str)]) -> Output {
    let mut command = command(store, args);
    let mut child =
        command.envs(secrets.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            panic!("the server did not end by itself");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// The client, with pipes on all sides.
pub(crate) fn client(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prowl"));
    command.args(args).env_remove("PROWL_SERVER");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the client, with `input` on its stdin.
pub(crate) fn prowl(args: &[&str], input: &[u8]) -> Output {
    let mut child = client(args).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writing = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
