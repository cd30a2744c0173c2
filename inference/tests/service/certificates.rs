//! Certificates for tests of TLS.

use std::{fs, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::programs::Server;

/// Certificates of an authority of our own, in files.
pub(crate) struct Certificates {
    directory: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Tideworks");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let made = Self { directory: tempfile::tempdir().unwrap(), issuer };
        fs::write(made.path("ca.pem"), made.issuer.pem()).unwrap();
        made.write("server", "localhost");
        made
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Writes a new certificate for a host, and its key.
    pub(crate) fn write(&self, name: &str, host: &str) {
        let (certificate, key) = self.make(host);
        fs::write(self.path(&format!("{name}.key")), key).unwrap();
        fs::write(self.path(&format!("{name}.pem")), certificate).unwrap();
    }

    /// A certificate for a host, and its key, in PEM.
    pub(crate) fn make(&self, host: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A channel to the gRPC port, whose certificate has to be of `host`.
    pub(crate) async fn connect(
        &self,
        server: &Server,
        host: &str,
        identity: Option<Identity>,
    ) -> Result<Channel, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.issuer.pem())).domain_name(host);
        if let Some(identity) = identity {
            tls = tls.identity(identity);
        }
        let endpoint = Endpoint::from_shared(format!("https://{}", server.grpc)).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await
    }

    /// What speaks TLS to either port, and `protocol` within it.
    pub(crate) fn connector(&self, protocol: &str) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}
