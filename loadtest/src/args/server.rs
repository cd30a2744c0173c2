//! How a server is spoken to.

use std::{path::PathBuf, time::Duration};

use clap::Args as Group;
use prowl_platform::arguments::{positive_duration, within};
use url::Url;

use crate::target::Address;

/// Connections to a server.
pub(super) const CONNECTIONS: u64 = 4;

/// How a server is spoken to.
#[derive(Debug, Clone, Group)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// Certificates in PEM that those of an https server are checked by, in place of the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Connections to each server, used in turns: a few for each of its replicas
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS, value_parser = within(1, 1_000))]
    pub connections: u64,
    /// When an answer is given up
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = positive_duration)]
    pub deadline: Duration,
    /// How long a server may take to be ready
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = positive_duration)]
    pub patience: Duration,
}

impl ServerArgs {
    /// The address with what goes with it, but for the token.
    pub(crate) fn address(&self, name: &'static str, url: Url, http: Option<Url>) -> Address {
        Address { name, url, http, ca_file: self.ca_file.clone(), token: None }
    }
}

/// A server's address: goose's `grpc://` stands for http, as people write it there.
pub(crate) fn url(text: &str) -> Result<Url, String> {
    let text = match text.split_once("://") {
        Some(("grpc", rest)) => format!("http://{rest}"),
        Some(("grpcs", rest)) => format!("https://{rest}"),
        _ => text.to_owned(),
    };
    match text.parse::<Url>() {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Err("leave the password out: addresses are shown in reports".to_owned())
        }
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("write http://HOST:PORT or https://HOST:PORT".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_http_or_grpc() {
        assert_eq!(url("grpc://localhost:50051").unwrap().as_str(), "http://localhost:50051/");
        assert_eq!(url("https://h").unwrap().as_str(), "https://h/");
        for wrong in ["localhost:50051", "ftp://h", "http://", ""] {
            assert!(url(wrong).unwrap_err().contains("HOST:PORT"), "{wrong}");
        }
        assert!(url("http://me:planted@h:1").unwrap_err().contains("password"));
    }
}
