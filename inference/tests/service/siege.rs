//! A server under attack: it asks for a token, and all the while somebody who has one asks it.

use std::{
    fs,
    pin::Pin,
    time::{Duration, Instant},
};

use bytes::Bytes;
use prowl_proto::v1::scoring_client::ScoringClient;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tonic::{
    Code, Request, Status,
    metadata::MetadataValue,
    transport::{self, Channel, Endpoint},
};

use crate::{
    certificates::Certificates,
    fixture::{TempStore, document, request},
    programs::{Server, head_and_body},
};

/// The token of whoever may ask.
pub(crate) const TOKEN: &str = "a-token-of-the-besieged";

/// How much more than before an attack the server may hold after it, in bytes.
const GROWTH: u64 = 12 << 20;

/// How long the allocator may keep what was freed.
const SETTLED: Duration = Duration::from_secs(40);

/// How long an answer may take meanwhile: this is a debug build, and the attackers run beside it.
const PATIENCE: Duration = Duration::from_secs(15);

/// A message as gRPC sends it.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    [&[0], u32::try_from(message.len()).unwrap().to_be_bytes().as_slice(), message].concat().into()
}

/// A connection as an attacker has it, over TLS or not.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

pub(crate) struct Siege {
    pub(crate) server: Server,
    pub(crate) certificates: Option<Certificates>,
    _store: TempStore,
}

impl Siege {
    /// Starts a server, with TLS or without.
    pub(crate) fn lay(tls: bool, args: &[&str]) -> Self {
        let store = TempStore::with_model();
        let certificates = tls.then(Certificates::new);
        let files = certificates.as_ref().map(|made| [made.path("server.pem"), made.path("server.key")]);
        let tls = files.as_ref().map(|[certificate, key]| ["--tls-cert", certificate, "--tls-key", key]);
        let args = [args, tls.as_ref().map_or(&[][..], |tls| tls)].concat();
        let server = Server::guarded(&store.url(), &args, &format!("owner:{TOKEN}"));
        Self { server, certificates, _store: store }
    }

    /// Both ports, and what is spoken there.
    pub(crate) fn ports(&self) -> [(&str, &'static str); 2] {
        [(&self.server.grpc, "h2"), (&self.server.http, "http/1.1")]
    }

    /// A connection to one of them; nothing where the server does not want it.
    pub(crate) async fn connect(&self, (address, protocol): (&str, &str)) -> Option<Pin<Box<dyn Wire>>> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        match &self.certificates {
            None => Some(Box::pin(stream)),
            Some(made) => {
                let connecting = made.connector(protocol).connect("localhost".try_into().unwrap(), stream);
                Some(Box::pin(connecting.await.ok()?))
            }
        }
    }

    async fn channel(&self) -> Result<Channel, transport::Error> {
        match &self.certificates {
            None => Endpoint::from_shared(format!("http://{}", self.server.grpc)).unwrap().connect().await,
            Some(made) => made.connect(&self.server, "localhost", None).await,
        }
    }

    /// One call of whoever may ask. A house that is full is asked again.
    async fn ask(&self, channel: &Channel) {
        self.try_to_ask(channel).await.unwrap_or_else(|status| panic!("{status:?}"));
    }

    /// One call on a new connection. In a crowd one that has not asked yet may lose its place: then on another.
    async fn ask_anew(&self) {
        let asked = async {
            loop {
                let Ok(channel) = self.channel().await else { continue };
                match self.try_to_ask(&channel).await {
                    Ok(()) => return,
                    Err(status) => {
                        assert!(matches!(status.code(), Code::Unknown | Code::Unavailable), "{status:?}");
                    }
                }
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("no new connection is answered");
    }

    async fn try_to_ask(&self, channel: &Channel) -> Result<(), Status> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut request = Request::new(request(&document(3)));
            request.metadata_mut().insert("authorization", MetadataValue::try_from(format!("Bearer {TOKEN}")).unwrap());
            let mut client = ScoringClient::new(channel.clone());
            match tokio::time::timeout_at(until.into(), client.score(request)).await.expect("an answer takes too long")
            {
                Err(status) if status.code() == Code::ResourceExhausted => {}
                answer => return answer.map(drop),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks on a connection that was open before, and on new ones, until the attack is over.
    async fn asking_beside<T>(&self, open: &Channel, attack: impl Future<Output = T>) -> T {
        let asking = async {
            loop {
                self.ask(open).await;
                self.ask_anew().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            done = attack => done,
            () = asking => unreachable!("it does not end"),
        }
    }

    /// Bears an attack: whoever may ask is answered meanwhile and after it, nothing panics, and no token shows.
    pub(crate) async fn bears<T>(&self, attack: impl Future<Output = T>) -> T {
        let open = self.channel().await.unwrap();
        // From now on it is known there, and keeps its place.
        self.ask(&open).await;
        let done = self.asking_beside(&open, attack).await;
        self.ask(&open).await;
        self.ask_anew().await;
        assert_eq!(self.server.count("panicked"), 0, "it panicked");
        assert_eq!(self.server.count(TOKEN), 0, "the token shows in the log");
        done
    }

    /// Bears an attack twice: by the first the server makes the room that it needs in any case, and after the second it holds
    /// hardly more than before that. Gives what the second comes to.
    pub(crate) async fn survives<T>(&self, attack: impl AsyncFn() -> T) -> T {
        self.bears(attack()).await;
        let before = self.settled(0).await;
        let done = self.bears(attack()).await;
        let after = self.settled(before + GROWTH).await;
        assert!(after <= before + GROWTH, "it held {before} bytes before an attack, and {after} after it");
        done
    }

    /// What it holds once that is `enough`, or the least that it came to in a while.
    async fn settled(&self, enough: u64) -> u64 {
        let until = Instant::now() + if enough == 0 { SETTLED / 16 } else { SETTLED };
        let mut least = self.server.resident();
        while least > enough && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(100)).await;
            // The allocator gives back what was freed long ago when it is asked for some.
            self.ask_anew().await;
            least = least.min(self.server.resident());
        }
        least
    }

    /// The requests that are in the house, as it tells itself.
    pub(crate) fn in_flight(&self) -> u64 {
        assert!(self.certificates.is_none(), "the figures are asked for without TLS");
        let head = self.server.http_head("GET", "/metrics", 0, &format!("authorization: Bearer {TOKEN}\r\n"));
        let (_, figures) = head_and_body(head);
        figures.lines().find_map(|line| line.strip_prefix("prowl_in_flight ")).unwrap().parse().unwrap()
    }
}

impl Server {
    /// Bytes of memory that it holds.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}
