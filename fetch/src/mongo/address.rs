//! The URI of the database: what is taken of it, and from where.

use std::{ffi::OsStr, time::Duration};

use clap::builder::TypedValueParser;
use mongodb::{
    error::ErrorKind,
    options::{ClientOptions, ConnectionString, HostInfo},
};
use prowl_platform::arguments::wrong_use;
use secrecy::{ExposeSecret, SecretString};

use super::failure::Failure;
use crate::Error;

const SHAPE: &str = "write mongodb://user:password@host:27017/database?authSource=admin or mongodb+srv://…, with \
                     special characters of user and password percent-encoded";
/// What the driver says of a wrong URI without a word that stands in it.
const HARMLESS: [&str; 7] = [
    "connection string contains no scheme",
    "username must be URL encoded",
    "username cannot contain unescaped %",
    "password must be URL encoded",
    "password cannot contain unescaped %",
    "repeated options are not allowed in the connection string",
    "the Rust driver does not support socketTimeoutMS",
];

/// For `#[arg(value_parser = …)]`: a URI that holds no password, since everybody on a machine can read what programs are
/// called with. Of one that is refused nothing is repeated, other than by clap's own parsers.
#[derive(Debug, Clone)]
pub(crate) struct Uri;

impl TypedValueParser for Uri {
    type Value = String;

    fn parse_ref(&self, _: &clap::Command, _: Option<&clap::Arg>, value: &OsStr) -> Result<String, clap::Error> {
        let uri = value.to_str().ok_or_else(|| SHAPE.to_owned()).and_then(without_password);
        uri.map_err(|reason| wrong_use(format!("--mongo: {reason}")))
    }
}

fn without_password(text: &str) -> Result<String, String> {
    let parsed = parse(text)?;
    if parsed.credential.is_some_and(|credential| credential.password.is_some()) {
        return Err("a password does not belong on the command line: put the URI into the environment variable \
                    MONGO_URI, or Vault's mongo_uri, and write --mongo alone"
            .to_owned());
    }
    Ok(text.to_owned())
}

fn parse(text: &str) -> Result<ConnectionString, String> {
    // The driver would cut a character in two that comes behind a percent sign.
    if !text.is_ascii() {
        return Err(format!("it holds a special character; {SHAPE}"));
    }
    ConnectionString::parse(text).map_err(|error| told(&error.kind))
}

fn told(error: &ErrorKind) -> String {
    let told = error.to_string();
    match HARMLESS.iter().find(|words| told.ends_with(**words)) {
        Some(words) => format!("{words}; {SHAPE}"),
        None => SHAPE.to_owned(),
    }
}

/// What the driver needs, with the longest wait for a server.
pub(super) async fn options(uri: &SecretString, longest: Duration) -> Result<ClientOptions, Error> {
    let parsed = parse(uri.expose_secret().trim()).map_err(|reason| Error::MongoUri { reason })?;
    let host = if let HostInfo::DnsRecord(name) = &parsed.host_info { name.clone() } else { String::new() };
    let unresolved = |failure: Failure| failure.into_error("resolve the hosts of", format!("MongoDB at {host}"));
    let resolved = tokio::time::timeout(longest, ClientOptions::parse(parsed)).await;
    let resolved = resolved.map_err(|_| unresolved(Failure::no_answer(longest)))?;
    let mut options = resolved.map_err(|error| match *error.kind {
        ErrorKind::InvalidArgument { .. } => Error::MongoUri { reason: told(&error.kind) },
        _ => unresolved(error.into()),
    })?;
    options.app_name.get_or_insert_with(|| "prowl-fetch".to_owned());
    let bounded = |wait: Option<Duration>| Some(wait.unwrap_or(longest).min(longest));
    options.server_selection_timeout = bounded(options.server_selection_timeout);
    options.connect_timeout = bounded(options.connect_timeout);
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_taken_from_the_command_line() {
        let told = |text: &str| {
            let parsed = Uri.parse_ref(&clap::Command::new("test"), None, OsStr::new(text));
            parsed.map_err(|error| error.to_string())
        };
        for good in [
            "mongodb://localhost",
            "mongodb://a,b:27018/prowl?replicaSet=r",
            "mongodb+srv://cluster.example.com",
            "mongodb://user@host/?authMechanism=MONGODB-X509",
        ] {
            assert_eq!(told(good).unwrap(), good);
        }
        let refused = told("mongodb://user:planted@host").unwrap_err();
        assert!(refused.contains("MONGO_URI") && !refused.contains("planted"), "{refused}");
    }

    #[tokio::test]
    async fn of_a_wrong_uri_nothing_is_repeated() {
        for wrong in [
            "",
            "planted",
            "http://user:planted@host",
            "planted://host",
            "mongodb://",
            "mongodb://user:planted/word@host",
            "mongodb://user:planted@word@host",
            "mongodb://user:planted?word@host",
            "mongodb://user:planted%@host",
            "mongodb://user:planted%aé@host",
            "mongodb://user:plantedé@host",
            "mongodb://user:planted@host:port",
            "mongodb://user:planted@host:1/a b",
            "mongodb://user:planted@host/?planted",
            "mongodb://user:planted@host/?tls=planted",
            "mongodb://user:planted@host/?readPreference=planted",
            "mongodb://user:planted@host/?socketTimeoutMS=5",
        ] {
            let told = options(&wrong.into(), Duration::from_secs(1)).await.unwrap_err().to_string();
            assert!(
                told.starts_with("the MongoDB URI is wrong: ") && told.contains("percent-encoded"),
                "{wrong}: {told}"
            );
            assert!(!told.contains("planted"), "{told}");
        }
    }

    #[tokio::test]
    async fn waits_are_bounded() {
        let longest = Duration::from_secs(10);
        let of = async |query: &str| options(&format!("mongodb://host/other?{query}").into(), longest).await.unwrap();
        let plain = of("").await;
        assert_eq!((plain.server_selection_timeout, plain.connect_timeout), (Some(longest), Some(longest)));
        assert_eq!(
            (plain.app_name.as_deref(), plain.default_database.as_deref()),
            (Some("prowl-fetch"), Some("other"))
        );
        let own = of("serverSelectionTimeoutMS=2000&connectTimeoutMS=60000&appName=nightly").await;
        assert_eq!(own.server_selection_timeout, Some(Duration::from_secs(2)));
        assert_eq!((own.connect_timeout, own.app_name.as_deref()), (Some(longest), Some("nightly")));
    }
}
