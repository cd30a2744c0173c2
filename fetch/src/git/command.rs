//! Running the `git` program: fixed options, so that the user's own configuration changes nothing, and output as a
//! stream of NUL-terminated tokens.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread::JoinHandle,
};

use prowl_platform::Secrets;

use super::id::Id;
use crate::Error;

/// How much of what `git` complains about is kept.
const COMPLAINT: u64 = 4_096;

/// What would change the output and has no option that every `git log` of ours takes.
const CONFIGURATION: [&str; 6] = [
    // Which comparison `-m` means.
    "log.diffMerges=separate",
    "log.showSignature=false",
    // Both bound the work of a single commit.
    "diff.renames=true",
    "diff.renameLimit=1000",
    // From which size a file counts as binary, and the user's own list of files that do.
    "core.bigFileThreshold=512m",
    "core.attributesFile=/dev/null",
];

/// `git` on one repository.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    path: PathBuf,
}

impl Git {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.path).arg("--no-pager");
        command.args(CONFIGURATION.iter().flat_map(|setting| ["-c", setting]));
        command.args(arguments);
        // Set inside of hooks, and then stronger than -C.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"] {
            command.env_remove(variable);
        }
        for variable in Secrets::VARIABLES {
            command.env_remove(variable);
        }
        // Ctrl-C is for this program alone, which then ends git itself.
        command.process_group(0);
        command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0").env("LC_ALL", "C");
        command.env("GIT_ATTR_NOSYSTEM", "1");
        command
    }

    /// The trimmed answer of a short command; `None` where it says no, which git does with exit code 1.
    pub(crate) fn ask(&self, command: &'static str, arguments: &[&str]) -> Result<Option<String>, Error> {
        let output = self.command(&[&[command], arguments].concat()).stdin(Stdio::null()).output();
        let output = output.map_err(Error::NoGit)?;
        match output.status.code() {
            Some(0) => Ok(Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())),
            Some(1) => Ok(None),
            _ => Err(self.failed(command, output.status, in_one_line(&output.stderr))),
        }
    }

    fn failed(&self, command: &'static str, status: ExitStatus, complaint: String) -> Error {
        let reason = if complaint.is_empty() { status.to_string() } else { complaint };
        Error::Git { command, path: self.path.clone(), reason }
    }

    /// Starts a long command. `lines` are written to its standard input.
    pub(crate) fn stream(
        &self,
        command: &'static str,
        arguments: &[&str],
        lines: Option<Vec<String>>,
    ) -> Result<Tokens, Error> {
        let mut process = self.command(&[&[command], arguments].concat());
        process.stdin(if lines.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = process.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(Error::NoGit)?;
        let output = child.stdout.take().expect("standard output is piped");
        let complaints = child.stderr.take().expect("standard error is piped");
        // Threads of their own: a full pipe in one direction must not stop the other.
        let complaints = std::thread::spawn(move || first_words(complaints));
        if let (Some(mut input), Some(lines)) = (child.stdin.take(), lines) {
            std::thread::spawn(move || {
                for line in lines {
                    // When git is gone, its exit code tells the story.
                    if writeln!(input, "{line}").is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Tokens {
            command,
            git: self.clone(),
            child,
            output: BufReader::with_capacity(1 << 16, output),
            complaints: Some(complaints),
            token: Vec::new(),
        })
    }
}

/// Keeps the beginning and reads on to the end, so that the writer never waits.
fn first_words(mut from: impl Read) -> String {
    let mut text = Vec::new();
    // A broken pipe here only shortens a message.
    let _ = from.by_ref().take(COMPLAINT).read_to_end(&mut text);
    let _ = io::copy(&mut from, &mut io::sink());
    in_one_line(&text)
}

/// What `git` says in several lines, as an error is told in one.
fn in_one_line(complaint: &[u8]) -> String {
    String::from_utf8_lossy(complaint).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a running `git` prints, cut at NUL bytes. Ends the process when dropped.
pub(crate) struct Tokens {
    command: &'static str,
    git: Git,
    child: Child,
    output: BufReader<ChildStdout>,
    complaints: Option<JoinHandle<String>>,
    token: Vec<u8>,
}

impl Tokens {
    /// The next token without its NUL; `None` at the end, once `git` has ended well.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        self.token.clear();
        let read = self.output.read_until(0, &mut self.token).map_err(|source| self.pipe(source))?;
        if read == 0 {
            self.end()?;
            return Ok(None);
        }
        if self.token.last() == Some(&0) {
            self.token.pop();
        }
        Ok(Some(&self.token))
    }

    /// The next token as the name of a commit; `None` at the end.
    pub(crate) fn id(&mut self) -> Result<Option<Id>, Error> {
        let Some(token) = self.next()? else { return Ok(None) };
        match Id::parse(token) {
            Some(id) => Ok(Some(id)),
            None => {
                let token = token.to_vec();
                Err(self.unreadable(&token, "the name of a commit"))
            }
        }
    }

    /// The next token as names of commits between blanks, where one has to come.
    pub(crate) fn ids(&mut self, expected: &'static str) -> Result<Vec<Id>, Error> {
        let text = self.text(expected)?;
        let ids: Option<_> = text.split_whitespace().map(|name| Id::parse(name.as_bytes())).collect();
        ids.ok_or_else(|| self.unreadable(text.as_bytes(), expected))
    }

    /// The next token as text, where one has to come.
    pub(crate) fn text(&mut self, expected: &'static str) -> Result<String, Error> {
        match self.next()? {
            Some(token) => Ok(String::from_utf8_lossy(token).into_owned()),
            None => Err(self.unreadable(b"", expected)),
        }
    }

    /// The next token as a number, where one has to come.
    pub(crate) fn number(&mut self, expected: &'static str) -> Result<i64, Error> {
        let text = self.text(expected)?;
        text.parse().map_err(|_| self.unreadable(text.as_bytes(), expected))
    }

    pub(crate) fn unreadable(&self, found: &[u8], expected: &'static str) -> Error {
        let found = String::from_utf8_lossy(&found[..found.len().min(80)]).into_owned();
        Error::Unreadable { command: self.command, found, expected }
    }

    fn pipe(&self, source: io::Error) -> Error {
        Error::Pipe { command: self.command, source }
    }

    fn end(&mut self) -> Result<(), Error> {
        let status = self.child.wait().map_err(|source| self.pipe(source))?;
        let complaints = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if status.success() { Ok(()) } else { Err(self.git.failed(self.command, status, complaints)) }
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        // Already ended when everything was read; then both are without effect.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
