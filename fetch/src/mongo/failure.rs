//! Why the database did not do what was asked, in words for the person who has to do something about it, and whether to
//! ask again.
//!
//! The driver's own words are taken apart: they would tell whole answers of the server, and of a wrong URI parts of the
//! password.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use bson::{Bson, Document};
use mongodb::error::{ErrorKind, InsertManyError, WriteFailure};
use prowl_platform::Backoff;
use tokio::time::Instant;

use crate::Error;

/// The longest wait for one answer.
const ANSWER: Duration = Duration::from_mins(1);
/// How far apart tries are, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), LONGEST_PAUSE);

/// Codes of a server that is about to stop, starts, or hands over to another, and of an operation that met another one.
const PASSING: [i32; 16] = [6, 7, 24, 89, 91, 112, 134, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436];
const DUPLICATE: [i32; 3] = [11000, 11001, 12582];
const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;
const VALIDATION_FAILED: i32 = 121;

const NO_ACCESS: &str = "MongoDB refuses user or password; correct the secret mongo_uri, such as its authSource";
const NO_RIGHT: &str = "MongoDB does not allow it; name a user in the secret mongo_uri that has the role readWrite on \
                        the database, or to export the role read";

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    reason: String,
    /// Whether it may go well in a moment.
    passing: bool,
    code: Option<i32>,
}

impl Failure {
    pub(super) fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), passing: true, code: None }
    }

    pub(super) fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), passing: false, code: None }
    }

    pub(super) fn no_answer(within: Duration) -> Self {
        Self::passing(format!("no answer within {} s; see that it runs and can be reached", within.as_secs()))
    }

    fn of_code(code: i32, name: &str, message: &str) -> Self {
        let reason = match code {
            AUTHENTICATION_FAILED => NO_ACCESS.to_owned(),
            // Its message holds the whole command.
            UNAUTHORIZED => NO_RIGHT.to_owned(),
            VALIDATION_FAILED => "the collection's validator refuses a document; correct what fills it, or remove the \
                                  validator by the command collMod"
                .to_owned(),
            _ if name.is_empty() => format!("{message} ({code})"),
            _ => format!("{message} ({name} {code})"),
        };
        Self { reason, passing: PASSING.contains(&code), code: Some(code) }
    }

    /// What an answer to a write, given to a command as it is, tells of failures.
    pub(super) fn in_answer(answer: &Document) -> Option<Self> {
        let errors = answer.get_array("writeErrors").ok().and_then(|errors| errors.first()?.as_document());
        let error = errors.or_else(|| answer.get_document("writeConcernError").ok())?;
        let code = match error.get("code") {
            Some(Bson::Int32(code)) => *code,
            Some(Bson::Int64(code)) => i32::try_from(*code).unwrap_or_default(),
            _ => 0,
        };
        let text = |key| error.get_str(key).unwrap_or_default();
        Some(Self::of_code(code, text("codeName"), text("errmsg")))
    }

    /// Whether the code is of something that is there already.
    pub(super) fn is_duplicate(code: i32) -> bool {
        DUPLICATE.contains(&code)
    }

    /// Whether it is of something that is there already.
    pub(super) fn duplicate(&self) -> bool {
        self.code.is_some_and(Self::is_duplicate)
    }

    pub(super) fn into_error(self, what: &'static str, place: String) -> Error {
        Error::Mongo { what, place, reason: self.reason }
    }
}

impl From<mongodb::error::Error> for Failure {
    fn from(error: mongodb::error::Error) -> Self {
        let labelled = ["RetryableWriteError", "RetryableError"].iter().any(|label| error.contains_label(label));
        let mut failure = of_kind(&error.kind);
        failure.passing |= labelled;
        failure
    }
}

impl From<bson::error::Error> for Failure {
    fn from(error: bson::error::Error) -> Self {
        Self::lasting(format!("a document is no BSON: {error}"))
    }
}

fn of_kind(kind: &ErrorKind) -> Failure {
    match kind {
        ErrorKind::Authentication { .. } => Failure::lasting(NO_ACCESS),
        ErrorKind::Command(error) => Failure::of_code(error.code, &error.code_name, &error.message),
        ErrorKind::InsertMany(InsertManyError { write_errors: Some(errors), .. }) if !errors.is_empty() => {
            // One that is there already is no surprise to who asks; what else there is, is.
            let error = errors.iter().find(|error| !Failure::is_duplicate(error.code)).unwrap_or(&errors[0]);
            Failure::of_code(error.code, error.code_name.as_deref().unwrap_or_default(), &error.message)
        }
        ErrorKind::InsertMany(InsertManyError { write_concern_error: Some(error), .. })
        | ErrorKind::Write(WriteFailure::WriteConcernError(error)) => {
            Failure::of_code(error.code, &error.code_name, &error.message)
        }
        ErrorKind::Write(WriteFailure::WriteError(error)) => {
            Failure::of_code(error.code, error.code_name.as_deref().unwrap_or_default(), &error.message)
        }
        ErrorKind::ServerSelection { message, .. } => match cause(message) {
            Some(cause) => of_connection(cause),
            None if message.contains("None of the available servers suitable") => {
                Failure::passing("no server of it takes writes now; see that it has a primary")
            }
            None => Failure::passing("no server answers; see that it runs, and correct the secret mongo_uri otherwise"),
        },
        ErrorKind::ConnectionPoolCleared { message, .. } => of_connection(cause(message).unwrap_or("connection lost")),
        ErrorKind::Io(error) => of_connection(&error.to_string()),
        ErrorKind::DnsResolve { .. } => Failure::lasting(
            "no such host, or the name server does not answer; correct the host in the secret mongo_uri",
        ),
        // Such as the certificates that the URI names; the message says which.
        ErrorKind::InvalidTlsConfig { message, .. }
        | ErrorKind::InvalidArgument { message, .. }
        | ErrorKind::IncompatibleServer { message, .. } => Failure::lasting(message.clone()),
        other => Failure::lasting(other.to_string()),
    }
}

/// The innermost words of what the driver says of its servers, which are those of the first that has any.
fn cause(message: &str) -> Option<&str> {
    let (_, error) = message.split_once("Kind: ")?;
    error.split_once(", labels: ").map(|(words, _)| words.strip_prefix("I/O error: ").unwrap_or(words))
}

/// Why there is no connection.
fn of_connection(words: &str) -> Failure {
    if let Some(certificate) = words.strip_prefix("invalid peer certificate: ") {
        return Failure::lasting(format!(
            "its certificate is not trusted ({certificate}); name the authority by tlsCAFile=… in the secret \
             mongo_uri, and the host as the certificate does"
        ));
    }
    let way_out = if words.contains("InvalidContentType") || words.contains("handshake") {
        "it does not speak TLS; remove tls=true from the secret mongo_uri, if nobody can listen on the way"
    } else if ["unexpected end of file", "early eof", "reset by peer"].iter().any(|end| words.contains(end)) {
        "it closes the connection; see that it runs, and if it wants TLS, add tls=true to the secret mongo_uri"
    } else {
        "see that it runs and can be reached, and that the secret mongo_uri is right"
    };
    Failure::passing(format!("{}; {way_out}", words.split(" (os error").next().unwrap_or(words)))
}

/// Asks until there is an answer, or none that could come within `patience` since the first failure. What is asked must
/// change nothing when it is done twice, since a lost answer is no lost question. `away` is whether the last answer to
/// anybody was none, so that each absence is told once.
pub(super) async fn retry<T, F: Future<Output = Result<T, Failure>>>(
    patience: Duration,
    away: &AtomicBool,
    ask: impl Fn() -> F,
) -> Result<T, Failure> {
    let mut backoff = BACKOFF;
    let mut until = None;
    loop {
        let answer = tokio::time::timeout(ANSWER, ask()).await;
        let failure = match answer.unwrap_or_else(|_| Err(Failure::no_answer(ANSWER))) {
            Ok(answer) => {
                if away.swap(false, Relaxed) {
                    tracing::info!("MongoDB is back");
                }
                return Ok(answer);
            }
            Err(failure) => failure,
        };
        let until = *until.get_or_insert_with(|| Instant::now() + patience);
        let pause = backoff.pause();
        if !failure.passing || patience.is_zero() {
            return Err(failure);
        }
        if Instant::now() + pause > until {
            let reason = format!("{}; tried again for {} s", failure.reason, patience.as_secs());
            return Err(Failure { reason, ..failure });
        }
        if !away.swap(true, Relaxed) {
            tracing::warn!(reason = failure.reason, "MongoDB is away; trying again");
        }
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use bson::doc;

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    fn selection(message: &str) -> Failure {
        of_connection(cause(message).unwrap())
    }

    #[test]
    fn what_keeps_the_driver_from_a_server_is_told_with_its_way_out() {
        let of = |words: &str| {
            format!(
                "Server selection timeout: No available servers. Topology: {{ Type: Unknown, Servers: [ {{ Address: \
                 127.0.0.1:1, Type: Unknown, Error: Kind: I/O error: {words}, labels: {{\"planted\"}}, source: None, \
                 server response: None }} ] }}"
            )
        };
        for (words, expected, passing) in [
            ("Connection refused (os error 111)", "Connection refused; see that it runs", true),
            ("invalid peer certificate: UnknownIssuer", "not trusted (UnknownIssuer); name the authority", false),
            ("received corrupt message of type InvalidContentType", "does not speak TLS", true),
            ("unexpected end of file", "if it wants TLS, add tls=true", true),
        ] {
            let failure = selection(&of(words));
            assert!(failure.reason.contains(expected) && failure.passing == passing, "{failure:?}");
            assert!(!failure.reason.contains("planted"), "{failure:?}");
        }
        let nameless = of_kind(&ErrorKind::Io(std::sync::Arc::new(std::io::ErrorKind::TimedOut.into())));
        assert!(nameless.passing && nameless.reason.starts_with("timed out; "), "{nameless:?}");
    }

    #[test]
    fn an_answer_tells_of_its_failures() {
        assert_eq!(Failure::in_answer(&doc! { "ok": 1, "n": 1 }), None);
        let refused =
            doc! { "n": 0, "writeErrors": [{ "index": 0, "code": 121, "errmsg": "Document failed: planted" }] };
        let refused = Failure::in_answer(&refused).unwrap();
        assert!(!refused.passing && refused.reason.contains("validator") && !refused.reason.contains("planted"));
        let away = doc! { "writeConcernError": { "code": 91_i64, "codeName": "ShutdownInProgress", "errmsg": "bye" } };
        let away = Failure::in_answer(&away).unwrap();
        assert_eq!((away.passing, away.reason.as_str()), (true, "bye (ShutdownInProgress 91)"));
        let forbidden = Failure::of_code(13, "Unauthorized", "not authorized to execute { insert: planted }");
        assert!(!forbidden.passing && !forbidden.reason.contains("planted"), "{forbidden:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_waited_for_and_no_longer_than_patience() {
        let (tries, away) = (Cell::new(0), AtomicBool::new(false));
        let third = || async {
            tries.set(tries.get() + 1);
            if tries.get() < 3 { Err(Failure::passing("away")) } else { Ok(tries.get()) }
        };
        assert_eq!(retry(PATIENCE, &away, third).await, Ok(3));

        tries.set(0);
        let never = || async {
            tries.set(tries.get() + 1);
            Err::<(), _>(Failure::passing("away"))
        };
        let begin = Instant::now();
        assert_eq!(retry(PATIENCE, &away, never).await.unwrap_err().reason, "away; tried again for 60 s");
        assert!(away.load(Relaxed));
        assert!(begin.elapsed() <= PATIENCE && tries.get() > 10 && tries.get() < 40, "{:?} {tries:?}", begin.elapsed());

        let silent = || std::future::pending::<Result<(), Failure>>();
        let begin = Instant::now();
        let failure = retry(PATIENCE, &away, silent).await.unwrap_err();
        assert!(failure.reason.starts_with("no answer within 60 s"), "{failure:?}");
        assert!(begin.elapsed() < ANSWER + PATIENCE + ANSWER + LONGEST_PAUSE);

        let refused = || async { Err::<(), _>(Failure::lasting("no")) };
        let begin = Instant::now();
        assert_eq!(retry(PATIENCE, &away, refused).await.unwrap_err().reason, "no");
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}
