//! Where Vault is, which secret is read there and how this program logs in, as the environment says it.

use std::path::PathBuf;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use secrecy::SecretString;
use url::Url;

use super::VaultError;

/// Where Kubernetes puts the token of a pod's service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

pub(crate) struct Settings {
    pub(super) address: Url,
    /// A file of certificates that Vault's own may be signed by, beside those that the system trusts.
    pub(super) ca_file: Option<String>,
    /// Mount of the KV engine, and the secret's path in it.
    pub(super) mount: String,
    pub(super) path: String,
    pub(super) login: Login,
}

/// How a token is got.
pub(super) enum Login {
    Token(SecretString),
    AppRole {
        mount: String,
        role_id: SecretString,
        secret_id: SecretString,
    },
    /// By a token of another issuer in a file, which Kubernetes and JWT logins take in the same way.
    Jwt {
        mount: String,
        role: String,
        file: PathBuf,
    },
}

impl Settings {
    /// The settings of the environment, or nothing where it names no Vault.
    pub(crate) fn of(environment: &impl Fn(&str) -> Option<String>) -> Result<Option<Self>, VaultError> {
        let variable = |name: &'static str| {
            environment(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let Some(address) = variable("VAULT_ADDR") else { return Ok(None) };
        let address = server(&address).map_err(|reason| VaultError::Address { reason })?;
        let secret = "VAULT_SECRET_PATH";
        let secret = variable(secret).ok_or(VaultError::NotSet { set: "VAULT_ADDR", missing: secret })?;
        let parts = secret.split_once('/').filter(|_| is_path(&secret));
        let (mount, path) = parts.ok_or_else(|| VaultError::SecretPath { path: secret.clone() })?;
        let ca_file = variable("VAULT_CACERT");
        if let Some(path) = &ca_file {
            check_certificates(path)?;
        }
        let (mount, path) = (mount.to_owned(), path.to_owned());
        Ok(Some(Self { address, ca_file, mount, path, login: Login::of(&variable)? }))
    }
}

impl Login {
    fn of(variable: &impl Fn(&'static str) -> Option<String>) -> Result<Self, VaultError> {
        let [token, role_id, secret_id, role] = ["VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID", "VAULT_ROLE"];
        let both = |one, other| VaultError::SeveralLogins { one, other };
        let mount = |usual: &str| variable("VAULT_AUTH_MOUNT").unwrap_or_else(|| usual.to_owned());
        match (variable(token), variable(role_id), variable(secret_id), variable(role)) {
            (None, None, None, None) => Err(VaultError::NoLogin),
            (Some(_), Some(_), ..) => Err(both(token, role_id)),
            (Some(_), _, Some(_), _) => Err(both(token, secret_id)),
            (Some(_), .., Some(_)) => Err(both(token, role)),
            (_, Some(_), _, Some(_)) => Err(both(role_id, role)),
            (_, _, Some(_), Some(_)) => Err(both(secret_id, role)),
            (_, Some(_), None, _) => Err(VaultError::NotSet { set: role_id, missing: secret_id }),
            (_, None, Some(_), _) => Err(VaultError::NotSet { set: secret_id, missing: role_id }),
            (Some(text), ..) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Self::Token(text.into())),
            (Some(_), ..) => Err(VaultError::Token { of: token }),
            (_, Some(role_id), Some(secret_id), _) => {
                Ok(Self::AppRole { mount: mount("approle"), role_id: role_id.into(), secret_id: secret_id.into() })
            }
            (.., Some(role)) => {
                let file = variable("VAULT_JWT_FILE").unwrap_or_else(|| SERVICE_ACCOUNT.to_owned());
                Ok(Self::Jwt { mount: mount("kubernetes"), role, file: file.into() })
            }
        }
    }
}

/// The URL of a server and nothing more: what is asked for goes behind it, and a password in it would be told in errors.
fn server(address: &str) -> Result<Url, String> {
    let url = Url::parse(address).map_err(|error| error.to_string())?;
    let more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    let wrong = match url.scheme() {
        "http" | "https" if !url.username().is_empty() || url.password().is_some() => "it holds a user name",
        "http" | "https" if more => "it goes on after the port",
        "http" | "https" => return Ok(url),
        _ => "it begins with neither http:// nor https://",
    };
    Err(wrong.to_owned())
}

/// Whether `path` has at least two parts, and each of them is one for a URL, too.
fn is_path(path: &str) -> bool {
    let part = |part: &str| !["", ".", ".."].contains(&part) && !part.contains(char::is_control);
    path.contains('/') && path.split('/').all(part)
}

/// An unusable file would only show as a certificate that is not trusted.
fn check_certificates(path: &str) -> Result<(), VaultError> {
    let unusable = |source: String| VaultError::CaFile { path: path.to_owned(), source: source.into() };
    let text = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    let mut certificates = 0;
    for certificate in CertificateDer::pem_slice_iter(&text) {
        certificate.map_err(|error| unusable(error.to_string()))?;
        certificates += 1;
    }
    if certificates == 0 { Err(unusable("it holds no certificate".to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 3] =
        [("VAULT_ADDR", "https://vault:8200"), ("VAULT_SECRET_PATH", "secret/prowl/cluster"), ("VAULT_TOKEN", "t")];

    /// What the environment of [`GOOD`] says after `changes`; an empty value is as good as none.
    fn of(changes: &[(&str, &str)]) -> Result<Option<Settings>, VaultError> {
        Settings::of(&|name: &str| {
            let mut set = changes.iter().chain(&GOOD);
            set.find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn error(changes: &[(&str, &str)]) -> String {
        of(changes).err().unwrap_or_else(|| panic!("{changes:?} is accepted")).to_string()
    }

    #[test]
    fn the_environment_says_where_what_and_how() {
        assert!(of(&[("VAULT_ADDR", "")]).unwrap().is_none());

        let settings = of(&[]).unwrap().unwrap();
        assert_eq!((settings.mount.as_str(), settings.path.as_str()), ("secret", "prowl/cluster"));
        assert!(matches!(settings.login, Login::Token(_)));

        let settings = of(&[("VAULT_TOKEN", ""), ("VAULT_ROLE", "cluster")]).unwrap().unwrap();
        let Login::Jwt { mount, role, file } = settings.login else { panic!("another login") };
        assert_eq!((mount.as_str(), role.as_str(), file.to_str().unwrap()), ("kubernetes", "cluster", SERVICE_ACCOUNT));

        let ids =
            [("VAULT_TOKEN", ""), ("VAULT_ROLE_ID", "i"), ("VAULT_SECRET_ID", "s"), ("VAULT_AUTH_MOUNT", "machines")];
        let Login::AppRole { mount, .. } = of(&ids).unwrap().unwrap().login else { panic!("another login") };
        assert_eq!(mount, "machines");
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused_and_not_repeated() {
        for address in
            ["vault:8200", "ftp://vault", "//", "https://u:planted@vault:8200", "https://vault/planted", "http://v?a"]
        {
            let error = error(&[("VAULT_ADDR", address)]);
            assert!(error.starts_with("VAULT_ADDR is no address of a Vault server: "), "{error}");
            assert!(!error.contains("planted"), "{error}");
        }
    }

    #[test]
    fn what_is_no_path_of_a_secret_is_refused() {
        for path in ["secret", "/secret/x", "secret/", "secret//x", "secret/../x", "secret/a\nb"] {
            let error = error(&[("VAULT_SECRET_PATH", path)]);
            assert!(error.contains("is no path of a secret"), "{error}");
        }
        let error = error(&[("VAULT_SECRET_PATH", "")]);
        assert_eq!(error, "VAULT_ADDR is set but VAULT_SECRET_PATH is not: set both");
    }

    #[test]
    fn there_is_one_way_to_log_in() {
        assert!(error(&[("VAULT_TOKEN", "")]).contains("nothing to log in with"));
        assert!(error(&[("VAULT_ROLE", "r")]).starts_with("VAULT_TOKEN and VAULT_ROLE are both set"));
        let half = error(&[("VAULT_TOKEN", ""), ("VAULT_ROLE_ID", "r")]);
        assert_eq!(half, "VAULT_ROLE_ID is set but VAULT_SECRET_ID is not: set both");
        let token = error(&[("VAULT_TOKEN", "plan\nted")]);
        assert!(token.starts_with("VAULT_TOKEN is no token") && !token.contains("ted:"), "{token}");
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        for text in ["", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            std::fs::write(path, text).unwrap();
            let error = error(&[("VAULT_CACERT", path)]);
            assert!(error.starts_with(&format!("cannot use VAULT_CACERT={path}: ")), "{error}");
        }
        assert!(error(&[("VAULT_CACERT", "/nowhere")]).contains("VAULT_CACERT=/nowhere"));
    }
}
