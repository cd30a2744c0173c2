//! Where MLflow is and how a program is let in, from the secrets `mlflow_uri` and `mlflow_token`.

use percent_encoding::percent_decode_str;
use prowl_platform::Secrets;
use reqwest::{RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};

use super::MlflowError;

pub(super) const URI: &str = "mlflow_uri";
pub(super) const TOKEN: &str = "mlflow_token";

/// A server, without what is secret of it in its URL.
pub(super) struct Address {
    /// Ends with a slash.
    base: Url,
    access: Access,
}

enum Access {
    /// The token, where there is one; asked for at each request, since it may change.
    Token(Secrets),
    /// User and password of the URI.
    Basic(String, SecretString),
}

impl Address {
    /// Reads the secret `mlflow_uri`; none where there is none.
    pub(super) fn of(secrets: &Secrets) -> Option<Result<Self, MlflowError>> {
        let uri = secrets.get(URI)?;
        Some(Self::parse(uri.expose_secret(), secrets))
    }

    fn parse(uri: &str, secrets: &Secrets) -> Result<Self, MlflowError> {
        let wrong = |reason| MlflowError::Secret { name: URI, reason };
        let example = "write it as https://mlflow.example.com or http://127.0.0.1:5000";
        let mut base = Url::parse(uri.trim()).map_err(|_| wrong(example))?;
        if !matches!(base.scheme(), "http" | "https") || base.query().is_some() || base.fragment().is_some() {
            return Err(wrong(example));
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let access = match (base.username(), base.password()) {
            ("", None) => Access::Token(secrets.clone()),
            _ if secrets.get(TOKEN).is_some() => {
                return Err(wrong("it holds a user, and there is mlflow_token as well; leave one of them out"));
            }
            (user, password) => Access::Basic(decoded(user), decoded(password.unwrap_or_default()).into()),
        };
        let cleared = base.set_username("").and_then(|()| base.set_password(None));
        cleared.map_err(|()| wrong(example))?;
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        let address = Self { base, access };
        address.token()?;
        Ok(address)
    }

    /// How people call it: host, and port where it is no usual one.
    pub(super) fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The URL below it of which these are the parts.
    pub(super) fn below<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("a URL with a host has path segments").pop_if_empty().extend(parts);
        url
    }

    /// Where a person looks at a run, among trainings instead of what else newer servers show first.
    pub(super) fn page(&self, experiment: &str, run: &str) -> String {
        format!("{}#/experiments/{experiment}/runs/{run}?workflowType=machine_learning", self.base)
    }

    /// Adds what lets the program in.
    pub(super) fn authorize(&self, request: RequestBuilder) -> Result<RequestBuilder, MlflowError> {
        Ok(match &self.access {
            Access::Basic(user, password) => request.basic_auth(user, Some(password.expose_secret())),
            Access::Token(_) => match self.token()? {
                Some(token) => request.bearer_auth(token.expose_secret()),
                None => request,
            },
        })
    }

    /// Takes secrets out of what somebody else says.
    pub(super) fn without_secrets(&self, text: &str) -> String {
        let secret = match &self.access {
            Access::Basic(_, password) => Some(password.clone()),
            Access::Token(secrets) => secrets.get(TOKEN),
        };
        match secret {
            Some(secret) if !secret.expose_secret().is_empty() => text.replace(secret.expose_secret(), "…"),
            _ => text.to_owned(),
        }
    }

    fn token(&self) -> Result<Option<SecretString>, MlflowError> {
        let Access::Token(secrets) = &self.access else { return Ok(None) };
        let token = secrets.get(TOKEN);
        if token.as_ref().is_some_and(|token| !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())) {
            let reason = "a token is one word of ASCII; is there a space or a line break in it?";
            return Err(MlflowError::Secret { name: TOKEN, reason });
        }
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[(&str, &str)]) -> Secrets {
        Secrets::fixed(values.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value))).collect())
    }

    fn header(address: &Address) -> Option<String> {
        let request = address.authorize(reqwest::Client::new().get(address.below([]))).unwrap().build().unwrap();
        request.headers().get("authorization").map(|value| {
            assert!(value.is_sensitive() && !format!("{request:?}").contains("planted"), "{request:?}");
            value.to_str().unwrap().to_owned()
        })
    }

    #[test]
    fn a_server_may_lie_below_a_path_and_ask_for_a_token_or_a_password() {
        assert!(Address::of(&secrets(&[(TOKEN, "planted")])).is_none());
        for (uri, token, host, below, sent) in [
            ("http://127.0.0.1:5000", None, "127.0.0.1:5000", "http://127.0.0.1:5000/api/a%2Fb", None),
            (
                " https://host/mlflow\n",
                Some("planted"),
                "host",
                "https://host/mlflow/api/a%2Fb",
                Some("Bearer planted"),
            ),
            ("https://me:plant%65d@host/", None, "host", "https://host/api/a%2Fb", Some("Basic bWU6cGxhbnRlZA==")),
        ] {
            let values: Vec<_> = [(URI, Some(uri)), (TOKEN, token)]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect();
            let address = Address::of(&secrets(&values)).unwrap().unwrap();
            assert_eq!(address.host(), host);
            assert_eq!(address.below(["api", "a/b"]).as_str(), below);
            assert_eq!(header(&address).as_deref(), sent);
            assert!(!address.page("1", "2").contains("plant"));
            assert_eq!(address.without_secrets("so planted").contains("planted"), sent.is_none());
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_without_being_told() {
        for (uri, token, named) in [
            ("planted", None, URI),
            ("file:///planted", None, URI),
            ("https://host/?planted", None, URI),
            ("https://me:planted@host", Some("planted"), URI),
            ("https://host", Some("planted\nline"), TOKEN),
        ] {
            let secrets = secrets(&[(URI, uri), (TOKEN, token.unwrap_or("planted"))]);
            let secrets = if token.is_none() { self::secrets(&[(URI, uri)]) } else { secrets };
            let Err(error) = Address::of(&secrets).unwrap() else { panic!("{uri} was taken") };
            assert!(error.to_string().contains(named), "{error}");
            assert!(!format!("{error} {error:?}").contains("planted"), "{error:?}");
        }
    }
}
