//! One server: where it is, how it is spoken to, and what it says of itself.
//!
//! Nothing here tries again: whoever measures wants to know of each call that failed. Only [`Target::ready`] waits.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use prowl_platform::innermost;
use prowl_proto::{
    Bearer,
    inference::grpc_inference_service_client::GrpcInferenceServiceClient,
    v1::{GetModelRequest, GetModelResponse, ScoreRequest, scoring_client::ScoringClient},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::{
    Code, GrpcMethod, Request, Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    service::interceptor::InterceptedService,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_prost::ProstCodec;
use url::Url;

use crate::{Error, skimmed::Skimmed};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How often a server that is not ready is asked whether it is.
const LOOK: Duration = Duration::from_millis(100);
/// A wait that is longer is told of.
const TELL: Duration = Duration::from_secs(2);
/// The longest answer that is taken: a batch of a thousand has some megabytes.
const LONGEST_ANSWER: usize = 64 << 20;
/// So many calls, one after the other, go over the same connection: those that are made at once then share a write.
const NEIGHBOURS: usize = 16;

/// Of a server that lets a question hang.
const SILENT: &str = "it does not answer";

/// Of one that answers, and is something else.
const ELSEWHERE: &str = "; this is not the gRPC port of prowl-inference";

/// What to do about a token.
const TOKEN_HINT: &str = "; give its token in PROWL_TOKEN";

/// What to do about certificates that cannot be used.
const NO_CERTIFICATES: &str = "name a file of certificates in PEM by --ca-file";

/// What TLS says of an answer that is none of its own.
const NO_TLS: [&str; 2] = ["InvalidContentType", "corrupt message"];

/// Where a server is.
#[derive(Debug, Clone)]
pub struct Address {
    /// What it is called in messages and reports, such as `preview`.
    pub name: &'static str,
    /// The gRPC port.
    pub url: Url,
    /// The HTTP port, where it is spoken to.
    pub http: Option<Url>,
    /// Certificates in PEM that its own is checked by, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// What it asks for.
    pub token: Option<SecretString>,
}

/// A server that is spoken to over a number of connections. Nothing is connected before the first call.
pub(crate) struct Target {
    name: &'static str,
    url: Url,
    channels: Vec<Channel>,
    next: AtomicUsize,
    bearer: Bearer,
    http: Option<(Url, reqwest::Client)>,
}

/// A channel whose calls bring a token.
pub(crate) type Authorized = InterceptedService<Channel, Bearer>;

impl Target {
    /// Prepares to speak to a server over so many connections.
    ///
    /// # Errors
    /// The certificates or the token cannot be used.
    pub(crate) fn new(address: &Address, connections: usize) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Target { name: address.name, url: address.url.to_string(), reason };
        let mut endpoint = Endpoint::from_shared(address.url.as_str().to_owned())
            .map_err(|error| wrong(format!("{error}; write http://HOST:PORT or https://HOST:PORT")))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true);
        if address.url.scheme() == "https" {
            let tls = match &address.ca_file {
                Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificates(path)?)),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            endpoint = endpoint.tls_config(tls).map_err(|error| wrong(format!("{error}; {NO_CERTIFICATES}")))?;
        }
        let bearer = match &address.token {
            Some(token) => Bearer::of(token.expose_secret())
                .ok_or_else(|| wrong(format!("the token holds other than visible characters{TOKEN_HINT}")))?,
            None => Bearer::default(),
        };
        Ok(Self {
            name: address.name,
            url: address.url.clone(),
            channels: (0..connections.max(1)).map(|_| endpoint.connect_lazy()).collect(),
            next: AtomicUsize::new(0),
            bearer,
            http: address.http.clone().map(|url| Ok::<_, Error>((url, client(address)?))).transpose()?,
        })
    }

    /// Where its gRPC port is.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// The service, over one of the connections, which take turns.
    pub(crate) fn scoring(&self) -> ScoringClient<Authorized> {
        ScoringClient::with_interceptor(self.channel(), self.bearer.clone()).max_decoding_message_size(LONGEST_ANSWER)
    }

    /// Scores one pull request as [`ScoringClient::score`] does, and reads of the answer only what is judged.
    pub(crate) async fn score_judged(&self, request: ScoreRequest) -> Result<Skimmed, Status> {
        let service = InterceptedService::new(self.channel(), self.bearer.clone());
        let mut client = Grpc::new(service).max_decoding_message_size(LONGEST_ANSWER);
        client.ready().await.map_err(|error| Status::unknown(format!("Service was not ready: {error}")))?;
        let mut request = Request::new(request);
        request.extensions_mut().insert(GrpcMethod::new("prowl.v1.Scoring", "Score"));
        let path = PathAndQuery::from_static("/prowl.v1.Scoring/Score");
        Ok(client.unary(request, path, ProstCodec::<ScoreRequest, Skimmed>::new()).await?.into_inner())
    }

    /// The service of the Open Inference Protocol.
    pub(crate) fn inference(&self) -> GrpcInferenceServiceClient<Authorized> {
        GrpcInferenceServiceClient::with_interceptor(self.channel(), self.bearer.clone())
            .max_decoding_message_size(LONGEST_ANSWER)
    }

    /// A request to a path of the HTTP port.
    ///
    /// # Errors
    /// No HTTP port was named.
    pub(crate) fn http(&self, method: reqwest::Method, path: &str) -> Result<reqwest::RequestBuilder, Error> {
        let (url, client) = self.http.as_ref().ok_or(Error::NoHttp { name: self.name })?;
        let url = url.join(path).map_err(|error| Error::Target {
            name: self.name,
            url: url.to_string(),
            reason: format!("{error}; write http://HOST:PORT for its HTTP port"),
        })?;
        let request = client.request(method, url);
        Ok(match self.bearer.header() {
            Some(token) => request.header(reqwest::header::AUTHORIZATION, token),
            None => request,
        })
    }

    /// The same server over each of the connections by itself.
    pub(crate) fn by_connection(&self) -> Vec<Self> {
        let alone = |channel: &Channel| Self {
            name: self.name,
            url: self.url.clone(),
            channels: vec![channel.clone()],
            next: AtomicUsize::new(0),
            bearer: self.bearer.clone(),
            http: self.http.clone(),
        };
        self.channels.iter().map(alone).collect()
    }

    /// Connects, as far as it can: who cannot is told with the next call.
    pub(crate) async fn connect(&self) {
        let _ = timeout(CONNECT, self.serving()).await;
    }

    /// Waits until it is SERVING, and gives the model that it serves and how long that took.
    ///
    /// # Errors
    /// It is not ready after `patience`, or says something that no waiting mends.
    pub(crate) async fn ready(&self, patience: Duration) -> Result<(GetModelResponse, Duration), Error> {
        let (begun, until) = (Instant::now(), Instant::now() + patience);
        let (mut last, mut is_told) = (SILENT.to_owned(), false);
        loop {
            // One that hangs, as on the way to a server that is going, is not to take all of the time.
            let by = until.min(Instant::now() + CONNECT);
            // That a question was cut short by the end of all patience says nothing against what was said before.
            let is_cut = by == until;
            match timeout_at(by, self.serving()).await {
                Ok(Ok(true)) => match timeout_at(by, self.scoring().get_model(GetModelRequest {})).await {
                    Ok(Ok(model)) => return Ok((model.into_inner(), begun.elapsed())),
                    Ok(Err(status)) if is_lasting(&status) => return Err(self.refused(&status)),
                    Ok(Err(status)) => last = said(&status),
                    Err(_) if is_cut => {}
                    Err(_) => SILENT.clone_into(&mut last),
                },
                Ok(Ok(false)) => "it says that it is not serving".clone_into(&mut last),
                Ok(Err(status)) if is_lasting(&status) => return Err(self.refused(&status)),
                Ok(Err(status)) => last = said(&status),
                Err(_) if is_cut => {}
                Err(_) => SILENT.clone_into(&mut last),
            }
            if !is_told && begun.elapsed() >= TELL {
                is_told = true;
                tracing::info!(url = %self.url, last, ?patience, "the {} is not ready yet", self.name);
            }
            if Instant::now() + LOOK >= until {
                return Err(Error::NotReady { name: self.name, url: self.url.to_string(), patience, last });
            }
            sleep(LOOK).await;
        }
    }

    async fn serving(&self) -> Result<bool, Status> {
        let mut health = HealthClient::new(self.channel());
        let question = HealthCheckRequest { service: String::new() };
        let answer = health.check(question).await?.into_inner();
        Ok(answer.status() == ServingStatus::Serving)
    }

    fn refused(&self, status: &Status) -> Error {
        Error::Target { name: self.name, url: self.url.to_string(), reason: said(status) }
    }

    fn channel(&self) -> Channel {
        self.channels[self.next.fetch_add(1, Relaxed) / NEIGHBOURS % self.channels.len()].clone()
    }
}

/// Where it is; no token.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.name, self.url)
    }
}

fn certificates(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Certificates { path: path.to_owned(), source })
}

fn client(address: &Address) -> Result<reqwest::Client, Error> {
    // The server is to be measured, and no proxy before it, which gRPC here does not use either.
    let mut client = reqwest::Client::builder().connect_timeout(CONNECT).tcp_nodelay(true).no_proxy();
    if let Some(path) = &address.ca_file {
        let wrong = |error: reqwest::Error| Error::Target {
            name: address.name,
            url: address.url.to_string(),
            reason: format!("{error}; {NO_CERTIFICATES}"),
        };
        client = client.tls_built_in_root_certs(false);
        for certificate in reqwest::Certificate::from_pem_bundle(&certificates(path)?).map_err(wrong)? {
            client = client.add_root_certificate(certificate);
        }
    }
    client.build().map_err(|error| Error::Target {
        name: address.name,
        url: address.url.to_string(),
        reason: format!("{error}; where the certificates of this system cannot be used, {NO_CERTIFICATES}"),
    })
}

/// Whether waiting does not help.
fn is_lasting(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented | Code::InvalidArgument
    ) || certificate(status).is_some()
        || is_elsewhere(status)
}

/// Whether it speaks HTTP, and nothing of ours: what it says is no message of gRPC.
fn is_elsewhere(status: &Status) -> bool {
    status.message().contains("404 Not Found")
}

/// What a server, or the way to it, says, and what to do about it.
pub(crate) fn said(status: &Status) -> String {
    if let Some(words) = certificate(status) {
        let hint = if words.contains("CaUsedAsEndEntity") {
            "its certificate is one of an authority, which signs others: make one for it with basicConstraints=CA:FALSE"
        } else if NO_TLS.iter().any(|mark| words.contains(mark)) {
            "the server speaks no TLS: write http:// for its address"
        } else {
            "name the authority of its certificate by --ca-file, and the host as the certificate does"
        };
        return format!("{words}; {hint}");
    }
    let words = first_words(status);
    let is_broken = std::error::Error::source(status).is_some() || words.contains("connection error");
    let hint = match status.code() {
        Code::Unauthenticated => TOKEN_HINT,
        Code::Unimplemented => ELSEWHERE,
        _ if is_elsewhere(status) => ELSEWHERE,
        // The client itself says so, and of a server that speaks TLS nothing clearer.
        Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled if is_broken => {
            "; is the address right, and is it http or https?"
        }
        _ => "",
    };
    format!("{words} ({:?}){hint}", status.code())
}

/// Why TLS did not come about.
fn certificate(status: &Status) -> Option<String> {
    let words = first_words(status);
    let mut marks = ["certificate", "HandshakeFailure", "CaUsedAsEndEntity"].into_iter().chain(NO_TLS);
    marks.any(|mark| words.contains(mark)).then_some(words)
}

/// The words of the first cause: the outer ones say only that the transport failed.
fn first_words(status: &Status) -> String {
    let cause = innermost(status);
    match cause.downcast_ref::<Status>() {
        Some(status) => status.message().to_owned(),
        None => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_question_that_the_end_of_all_patience_cuts_short_hides_nothing_that_was_said_before() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        // It ends the first connection, and lets all others hang.
        tokio::spawn(async move {
            drop(listener.accept().await);
            let mut kept = Vec::new();
            while let Ok(connection) = listener.accept().await {
                kept.push(connection);
            }
        });
        let address = Address { name: "preview", url, http: None, ca_file: None, token: None };
        let error = Target::new(&address, 1).unwrap().ready(Duration::from_secs(1)).await.unwrap_err();
        let told = error.to_string();
        assert!(told.contains("is it http or https?") && !told.contains(SILENT), "{told}");
    }
}
