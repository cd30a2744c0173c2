//! A bucket of any S3 as an object store, with credentials that are asked for at each use.

mod line;
mod pieces;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use object_store::{
    BackoffConfig, ClientOptions, CredentialProvider, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AwsCredential},
};
use secrecy::ExposeSecret;
use url::{Host, Url};

use crate::{Error, Secrets, arguments::variable};
pub(crate) use line::NoAnswer;

/// The secrets that lead to a bucket. All but the region have to be there.
pub(crate) const NAMES: [&str; 4] = [ENDPOINT, REGION, KEY, SECRET];
const ENDPOINT: &str = "spaces_endpoint";
const REGION: &str = "spaces_region";
const KEY: &str = "spaces_key";
const SECRET: &str = "spaces_secret";

/// What most servers take that know no regions.
const ANY_REGION: &str = "us-east-1";

/// `path` puts the bucket into the path of a request, `host` into the name of the host.
const STYLE: &str = "PROWL_S3_STYLE";

/// How long a request is tried again while S3 does not answer, or says that it cannot just now.
const PATIENCE: Duration = Duration::from_mins(1);
/// Tries are this far apart at most.
const BACKOFF: Duration = Duration::from_secs(3);
/// How long one try may take. None moves more than a piece of a file.
const TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens a bucket. Nothing is sent yet.
pub(crate) fn open(bucket: &str, secrets: &Secrets) -> Result<Arc<dyn ObjectStore>, Error> {
    let [endpoint, ..] = secrets.need_all([ENDPOINT, KEY, SECRET])?;
    let style = variable(STYLE);
    let Endpoint { url, host_style } = Endpoint::of(endpoint.expose_secret(), bucket, style.as_deref())?;
    let region = secrets.get(REGION);
    let retry = RetryConfig {
        backoff: BackoffConfig { max_backoff: BACKOFF, ..BackoffConfig::default() },
        // The time ends it, not the number.
        max_retries: 10_000,
        retry_timeout: PATIENCE,
    };
    let client = ClientOptions::new()
        .with_allow_http(url.scheme() == "http")
        .with_timeout(TIMEOUT)
        .with_connect_timeout(CONNECT_TIMEOUT);
    let built = AmazonS3Builder::new()
        .with_endpoint(url.as_str().trim_end_matches('/'))
        .with_virtual_hosted_style_request(host_style)
        .with_bucket_name(bucket)
        .with_region(region.as_ref().map_or(ANY_REGION, |region| region.expose_secret()))
        .with_credentials(Arc::new(Credentials(secrets.clone())))
        .with_retry(retry)
        .with_client_options(client)
        .with_http_connector(line::Connector)
        .build();
    let built = built.map_err(|error| Error::Secret { name: ENDPOINT, reason: crate::reason(&error) })?;
    Ok(Arc::new(pieces::InPieces::new(built)))
}

/// The key, as the secrets have it at the moment of a request.
#[derive(Debug)]
struct Credentials(Secrets);

#[async_trait]
impl CredentialProvider for Credentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        // Together, since a new key has a new secret.
        let [key, secret] = self
            .0
            .need_all([KEY, SECRET])
            .map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })?;
        Ok(Arc::new(AwsCredential {
            key_id: key.expose_secret().to_owned(),
            secret_key: secret.expose_secret().to_owned(),
            token: None,
        }))
    }
}

/// Where requests for a bucket go.
#[derive(Debug, PartialEq)]
struct Endpoint {
    /// With the bucket in its host, if it belongs there.
    url: Url,
    host_style: bool,
}

impl Endpoint {
    fn of(endpoint: &str, bucket: &str, style: Option<&str>) -> Result<Self, Error> {
        let wrong = |reason: &str| Error::Secret { name: ENDPOINT, reason: reason.to_owned() };
        let example = "write it as https://fra1.digitaloceanspaces.com or http://127.0.0.1:9000";
        let with_scheme =
            if endpoint.contains("://") { endpoint.to_owned() } else { format!("https://{}", endpoint.trim()) };
        let mut url = Url::parse(&with_scheme).map_err(|_| wrong(example))?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong(example));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("leave the user out of it; the key goes into spaces_key and spaces_secret"));
        }
        let Some(host) = url.host().map(|host| host.to_owned()) else { return Err(wrong(example)) };
        let by_name = matches!(&host, Host::Domain(name) if name != "localhost");
        let host_style = match style {
            None => by_name,
            Some("path") => false,
            Some("host") if matches!(host, Host::Domain(_)) => true,
            Some("host") => return Err(wrong("PROWL_S3_STYLE=host needs a name in it, not an IP address")),
            Some(other) => {
                let hint = "write path or host".to_owned();
                return Err(Error::Variable { variable: STYLE, value: other.to_owned(), hint });
            }
        };
        // Some consoles show the address of the bucket as that of the endpoint.
        let plain = host.to_string();
        let plain = plain.strip_prefix(&format!("{bucket}.")).unwrap_or(&plain);
        let host = if host_style { format!("{bucket}.{plain}") } else { plain.to_owned() };
        url.set_host(Some(&host)).map_err(|_| wrong(example))?;
        Ok(Self { url, host_style })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn secrets(values: &[(&str, &str)]) -> Secrets {
        Secrets::fixed(values.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))).collect())
    }

    #[test]
    fn the_bucket_goes_into_the_host_of_a_name_and_into_the_path_of_an_address() {
        for (endpoint, style, expected) in [
            ("https://fra1.digitaloceanspaces.com", None, "https://b.fra1.digitaloceanspaces.com/"),
            ("fra1.digitaloceanspaces.com", None, "https://b.fra1.digitaloceanspaces.com/"),
            ("https://b.fra1.digitaloceanspaces.com", None, "https://b.fra1.digitaloceanspaces.com/"),
            ("https://fra1.digitaloceanspaces.com", Some("path"), "https://fra1.digitaloceanspaces.com/"),
            ("http://127.0.0.1:8333", None, "http://127.0.0.1:8333/"),
            ("http://[::1]:8333", None, "http://[::1]:8333/"),
            ("http://localhost:8333/", None, "http://localhost:8333/"),
            ("http://localhost:8333", Some("host"), "http://b.localhost:8333/"),
        ] {
            let found = Endpoint::of(endpoint, "b", style).unwrap();
            assert_eq!(found.url.as_str(), expected, "{endpoint} {style:?}");
            assert_eq!(found.host_style, expected.contains("//b."), "{endpoint} {style:?}");
        }
    }

    #[test]
    fn an_endpoint_that_is_none_is_refused_without_being_told() {
        for (endpoint, style) in [
            ("https://planted:planted@host", None),
            ("ftp://planted", None),
            ("https://", None),
            ("https://planted/?x", None),
            ("http://127.0.0.1", Some("host")),
        ] {
            let error = Endpoint::of(endpoint, "b", style).unwrap_err().to_string();
            assert!(error.contains("spaces_endpoint") && !error.contains("planted"), "{error}");
        }
        let error = Endpoint::of("https://host", "b", Some("both")).unwrap_err().to_string();
        assert!(error.contains("PROWL_S3_STYLE=\"both\"") && error.contains("path or host"), "{error}");
    }

    #[tokio::test]
    async fn the_key_is_asked_for_at_each_use_and_never_printed() {
        let all =
            [("spaces_endpoint", "http://127.0.0.1:1"), ("spaces_key", "planted-key"), ("spaces_secret", "planted")];
        let store = open("b", &secrets(&all)).unwrap();
        assert!(!format!("{store:?} {store}").contains("planted"), "{store:?}");
        let given = Credentials(secrets(&all)).get_credential().await.unwrap();
        assert_eq!((given.key_id.as_str(), given.secret_key.as_str()), ("planted-key", "planted"));
        let error = Credentials(secrets(&all[..2])).get_credential().await.unwrap_err();
        assert!(crate::reason(&error).contains("SPACES_SECRET"), "{error}");

        let error = open("b", &secrets(&all[1..2])).unwrap_err().to_string();
        assert!(error.contains("spaces_endpoint") && error.contains("spaces_secret"), "{error}");
        assert!(!error.contains("spaces_key"), "{error}");
    }
}
