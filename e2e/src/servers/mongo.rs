//! A server that speaks MongoDB's protocol, `SecantusDB`: with or without authentication and TLS, in a folder of its
//! own.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bson::{Document, doc};
use mongodb::{Client, Database};

use super::{Process, free_port, program, python, succeed};
use crate::programs::Variable;
use crate::signals::send;

/// The database that Prowl uses when nobody names another.
pub const DATABASE: &str = "prowl";
/// Its collection of pull requests.
pub const PULL_REQUESTS: &str = "pull_requests";

const USER: &str = "collector";
/// Planted: nobody may ever say it.
const PASSWORD: &str = "planted-password-of-the-database";

/// A running server. It is killed, and all that it holds is gone, when it is dropped.
#[derive(Debug)]
pub struct Mongo {
    process: Option<Process>,
    port: u16,
    /// Where it has its user from.
    secured: Option<Arc<tempfile::TempDir>>,
    tls: bool,
    folder: tempfile::TempDir,
}

impl Mongo {
    /// Starts one that lets everybody in, and waits until it answers.
    pub fn start() -> Self {
        let mut server = Self::stopped();
        server.restart();
        server
    }

    /// Starts one that lets in only who knows the password, by SCRAM-SHA-256.
    pub fn start_secured() -> Self {
        let mut server = Self::stopped();
        server.secure();
        server.restart();
        server
    }

    /// Starts one that wants the password and speaks TLS, with a certificate of an authority of its own.
    pub fn start_with_tls() -> Self {
        let mut server = Self::stopped();
        server.secure();
        let folder = server.folder.path().display().to_string();
        let made = ["-m", "trustme", "--quiet", "--identities", "127.0.0.1", "--dir", &folder];
        succeed(Command::new(python(&[("trustme", "1.2.1")])).args(made));
        server.tls = true;
        server.restart();
        server
    }

    fn stopped() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { process: None, port: free_port(), secured: None, tls: false, folder }
    }

    fn secure(&mut self) {
        let with_user = Self::with_user();
        succeed(Command::new("cp").arg("-r").arg(with_user.path().join("data")).arg(self.folder.path()));
        self.secured = Some(with_user);
    }

    /// The folder of one that has the user, which can be made only while everybody is let in. That takes two starts:
    /// servers that run at the same time share it.
    fn with_user() -> Arc<tempfile::TempDir> {
        static MADE: Mutex<Weak<tempfile::TempDir>> = Mutex::new(Weak::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = made.upgrade() {
            return folder;
        }
        let mut server = Self::start();
        let user = doc! { "createUser": USER, "pwd": PASSWORD, "roles": ["root"], "mechanisms": ["SCRAM-SHA-256"] };
        server.ask(async |database| database.client().database("admin").run_command(user).await);
        // Killed, it would forget the user.
        server.stop();
        let folder = Arc::new(server.folder);
        *made = Arc::downgrade(&folder);
        folder
    }

    /// Starts it where it was stopped or killed, with all that it holds, and waits until it answers.
    pub fn restart(&mut self) {
        self.stop();
        let mut command = Command::new(program("secantusdb", "0.7.0b3", "secantusd-py"));
        command.args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--log-level", "WARNING"]);
        command.arg("--storage-path").arg(self.folder.path().join("data"));
        if self.secured.is_some() {
            command.arg("--auth");
        }
        if self.tls {
            command.arg("--tls-cert-file").arg(self.folder.path().join("server.pem"));
            command.arg("--tls-key-file").arg(self.folder.path().join("server.key"));
        }
        command.current_dir(self.folder.path());
        let mut process = Process::start(&mut command);
        let port = self.port;
        process.wait_for("a connection", |_| TcpStream::connect(("127.0.0.1", port)).ok());
        self.process = Some(process);
        self.ask(async |database| database.run_command(doc! { "ping": 1 }).await);
    }

    /// Stops it by SIGTERM. It keeps what it holds.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            signal(&process, "TERM");
            process.wait_for_end();
        }
    }

    /// Ends it at once. What it has confirmed is kept.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Lets it answer nothing, with its connections open, until [`Mongo::resume`].
    pub fn freeze(&self) {
        signal(self.process(), "STOP");
    }

    /// Ends [`Mongo::freeze`].
    pub fn resume(&self) {
        signal(self.process(), "CONT");
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }

    /// What the secret `mongo_uri` holds: with the password, where there is one.
    pub fn uri(&self) -> String {
        self.uri_of(self.secured.as_ref().map(|_| PASSWORD))
    }

    /// The same with another password, or without.
    pub fn uri_of(&self, password: Option<&str>) -> String {
        let user = password.map(|password| format!("{USER}:{password}@")).unwrap_or_default();
        let mut options = Vec::new();
        if password.is_some() {
            options.push("authSource=admin".to_owned());
        }
        if self.tls {
            options.push(format!("tls=true&tlsCAFile={}", self.authority().display()));
        }
        let options = if options.is_empty() { String::new() } else { format!("?{}", options.join("&")) };
        format!("mongodb://{user}127.0.0.1:{}/{options}", self.port)
    }

    /// Host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Certificate of the authority, of one that speaks TLS.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("client.pem")
    }

    /// A folder for files that go with this server.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Variables for a program that may use it.
    pub fn environment(&self) -> Vec<Variable> {
        vec![("MONGO_URI", self.uri())]
    }

    /// Variables for a program that is not to wait long for a server that does not answer.
    pub fn environment_in_haste(&self) -> Vec<Variable> {
        let uri = self.uri();
        let more = if uri.contains('?') { '&' } else { '?' };
        vec![("MONGO_URI", format!("{uri}{more}serverSelectionTimeoutMS=1000&connectTimeoutMS=1000"))]
    }

    /// Whether a text gives the password away.
    pub fn is_given_away_by(text: &str) -> bool {
        text.contains(PASSWORD)
    }

    /// How many documents a collection holds.
    pub fn count(&self, collection: &str) -> u64 {
        self.ask(async |database| database.collection::<Document>(collection).count_documents(doc! {}).await)
    }

    /// A document that the filter finds.
    pub fn find_one(&self, collection: &str, filter: Document) -> Option<Document> {
        self.ask(async |database| database.collection::<Document>(collection).find_one(filter).await)
    }

    /// All documents that the filter finds, by `_id`.
    pub fn find(&self, collection: &str, filter: Document) -> Vec<Document> {
        self.ask(async |database| {
            let mut found = database.collection(collection).find(filter).sort(doc! { "_id": 1 }).await?;
            let mut documents = Vec::new();
            while found.advance().await? {
                documents.push(found.deserialize_current()?);
            }
            Ok(documents)
        })
    }

    /// Puts documents into a collection as they are.
    pub fn insert(&self, collection: &str, documents: &[Document]) {
        self.ask(async |database| database.collection::<Document>(collection).insert_many(documents).await);
    }

    /// The answer to a command for the database.
    pub fn command(&self, command: Document) -> Document {
        self.ask(async |database| database.run_command(command).await)
    }

    /// What the driver answers. Tests call this from within a runtime, too, hence a thread of its own.
    fn ask<T: Send>(&self, question: impl AsyncFnOnce(&Database) -> mongodb::error::Result<T> + Send) -> T {
        let uri = self.uri();
        let answer = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = Client::with_uri_str(uri).await.unwrap();
                let answer = question(&client.database(DATABASE)).await;
                client.shutdown().await;
                answer.unwrap()
            })
        };
        std::thread::scope(|scope| scope.spawn(answer).join().unwrap())
    }
}

fn signal(process: &Process, name: &str) {
    assert!(send(name, process.id()).unwrap().success(), "SIG{name} cannot be sent");
}
