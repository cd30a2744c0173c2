//! A real Prometheus that scrapes one service, with rules that it evaluates; and `promtool`, which comes with it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{Process, free_port};
use crate::get;

/// A server that looks every half second, and is gone when it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    address: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    /// Starts one that scrapes `target` as the bearer of `token`, and waits until it answers.
    pub fn start(target: &str, token: &str, rules: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let config = json!({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
            "rule_files": [rules.canonicalize().unwrap()],
            "scrape_configs": [{
                "job_name": "prowl",
                "authorization": {"credentials": token},
                "static_configs": [{"targets": [target]}],
            }],
        });
        // JSON is YAML.
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config.to_string()).unwrap();
        let mut command = installed("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let mut process = Process::start(&mut command);
        process.wait_for("readiness", |_| get(&address, "/-/ready").filter(|(status, _)| *status == 200));
        Self { process, address, _folder: folder }
    }

    /// What a query gives at this moment.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        ask(&self.address, query)
    }

    /// Waits until a query gives something.
    pub fn wait_for(&mut self, query: &str) {
        let address = &self.address;
        self.process.wait_for(query, |_| ask(address, query).is_ok_and(|found| !found.is_empty()).then_some(()));
    }

    /// The rules, once all of them were evaluated.
    pub fn rules(&mut self) -> Vec<Value> {
        let address = &self.address;
        self.process.wait_for("its rules", |_| {
            let (_, answer) = get(address, "/api/v1/rules")?;
            let answer: Value = serde_json::from_str(&answer).ok()?;
            let groups = answer["data"]["groups"].as_array()?;
            let rules: Vec<Value> =
                groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect();
            rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
        })
    }
}

fn ask(address: &str, query: &str) -> Result<Vec<Value>, String> {
    let encoded = query.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
    let (status, answer) = get(address, &format!("/api/v1/query?query={encoded}")).ok_or("no answer")?;
    let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
    match answer["data"]["result"].as_array() {
        Some(found) if status == 200 => Ok(found.clone()),
        _ => Err(answer["error"].to_string()),
    }
}

/// Runs `promtool` in a folder, which has to be content; tells what it said.
pub fn promtool(folder: &Path, arguments: &[&str], input: &str) -> String {
    let mut command = installed("promtool");
    command.args(arguments).current_dir(folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdin, text) = (child.stdin.take().unwrap(), input.to_owned());
    // It may end before it has read all of it.
    let writing = std::thread::spawn(move || drop(stdin.write_all(text.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {told}");
    told
}

/// A program of the system's package `prometheus`, which no registry of this project's tools has.
fn installed(name: &str) -> Command {
    let found = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(
        found.is_ok_and(|status| status.success()),
        "{name} is missing: install Prometheus (Debian: apt-get install --no-install-recommends prometheus; else \
         https://prometheus.io/download)"
    );
    Command::new(name)
}
