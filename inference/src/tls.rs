//! TLS of both ports: version 1.3, with a certificate that may change while the server runs.

use std::{fs, mem, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use prowl_platform::Secrets;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;

/// The secrets that hold certificate and key in PEM, where no files are named.
pub(crate) const SECRETS: [&str; 2] = ["tls_cert", "tls_key"];

/// How often it is looked whether the certificate has changed.
const PAUSE: Duration = Duration::from_secs(5);

/// Where certificates are.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// Certificate chain and key in PEM; the secrets `tls_cert` and `tls_key` take their place where they are left out.
    pub own: Option<(PathBuf, PathBuf)>,
    /// Certificates in PEM of those who sign those of clients; with them, clients need one.
    pub clients: Option<PathBuf>,
}

/// Makes TLS of connections. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tls {
    configs: Arc<ArcSwap<Configs>>,
}

/// What is made once of a certificate, for the connections of each port.
struct Configs {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
}

/// What a port speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    Grpc,
    Http,
}

impl Tls {
    /// TLS with what is there; `None` where there is no certificate, and so no TLS.
    ///
    /// # Errors
    /// A file cannot be read, or holds no certificate or no key, or they do not belong together.
    pub(crate) fn open(files: &TlsFiles, secrets: &Secrets) -> Result<Option<Self>, String> {
        let Some(material) = Material::read(files, secrets)? else {
            return match &files.clients {
                Some(_) => {
                    Err("--tls-client-ca needs a certificate of the server: give --tls-cert and --tls-key".to_owned())
                }
                None => Ok(None),
            };
        };
        let configs = Arc::new(ArcSwap::from_pointee(material.configs()?));
        let (files, secrets, followed) = (files.clone(), secrets.clone(), Arc::downgrade(&configs));
        tokio::spawn(async move {
            let (mut last, mut unread) = (material.digest(), false);
            loop {
                tokio::time::sleep(PAUSE).await;
                let Some(configs) = followed.upgrade() else { return };
                let gone = || format!("the secrets {} and {} are gone", SECRETS[0], SECRETS[1]);
                let material = match Material::read(&files, &secrets).and_then(|found| found.ok_or_else(gone)) {
                    Ok(material) => material,
                    Err(error) => {
                        if !mem::replace(&mut unread, true) {
                            tracing::warn!(error, "the certificate cannot be read any more: the one before stays");
                        }
                        continue;
                    }
                };
                unread = false;
                if material.digest() == last {
                    continue;
                }
                last = material.digest();
                match material.configs() {
                    Ok(changed) => {
                        tracing::info!("the certificate has changed");
                        configs.store(Arc::new(changed));
                    }
                    Err(error) => {
                        tracing::warn!(error, "the certificate has changed and cannot be used: the one before stays");
                    }
                }
            }
        });
        Ok(Some(Self { configs }))
    }

    /// What makes the next connection of a port.
    pub(crate) fn acceptor(&self, spoken: Spoken) -> TlsAcceptor {
        let configs = self.configs.load();
        TlsAcceptor::from(Arc::clone(match spoken {
            Spoken::Grpc => &configs.grpc,
            Spoken::Http => &configs.http,
        }))
    }
}

/// Certificates and a key, in PEM.
struct Material {
    certificate: Vec<u8>,
    key: Vec<u8>,
    clients: Option<Vec<u8>>,
    /// What to call them in an error.
    name: String,
}

impl Material {
    fn read(files: &TlsFiles, secrets: &Secrets) -> Result<Option<Self>, String> {
        let file = |path: &PathBuf| fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
        let clients = files.clients.as_ref().map(file).transpose()?;
        let [certificate, key] = match &files.own {
            Some((certificate, key)) => {
                let name = certificate.display().to_string();
                let (certificate, key) = (file(certificate)?, file(key)?);
                return Ok(Some(Self { certificate, key, clients, name }));
            }
            None => SECRETS.map(|name| secrets.get(name)),
        };
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(Self {
                certificate: certificate.expose_secret().as_bytes().to_vec(),
                key: key.expose_secret().as_bytes().to_vec(),
                clients,
                name: format!("the secret {}", SECRETS[0]),
            })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(format!("the secret {} is there without {}", SECRETS[0], SECRETS[1])),
            (None, Some(_)) => Err(format!("the secret {} is there without {}", SECRETS[1], SECRETS[0])),
        }
    }

    fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for part in [&self.certificate, &self.key, self.clients.as_ref().unwrap_or(&Vec::new())] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }

    fn configs(&self) -> Result<Configs, String> {
        let config = self.config()?;
        // In the words of ALPN, by which both sides agree on what they speak.
        let speaking = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Configs { grpc: speaking(&[b"h2"]), http: speaking(&[b"h2", b"http/1.1"]) })
    }

    fn config(&self) -> Result<ServerConfig, String> {
        let Self { certificate, key, clients, name } = self;
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(certificate, name)?;
        // The words of the parser may hold what it could not read.
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| format!("what belongs to {name} is no private key in PEM"))?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(|error| error.to_string())?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(pem, "--tls-client-ca")? {
                    roots
                        .add(root)
                        .map_err(|error| format!("--tls-client-ca holds an unusable certificate: {error}"))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = verifier.build().map_err(|error| format!("--tls-client-ca cannot be used: {error}"))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        builder.with_single_cert(chain, key).map_err(|error| format!("{name} and its key cannot be used: {error}"))
    }
}

fn certificates(pem: &[u8], name: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        _ => Err(format!("{name} holds no certificate in PEM")),
    }
}
