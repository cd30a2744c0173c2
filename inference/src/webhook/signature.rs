//! Whether a delivery comes from GitHub: it signs the body with a secret that both know.

use axum::http::HeaderMap;
use prowl_platform::Secrets;
use ring::hmac;
use secrecy::ExposeSecret;

use crate::error::Error;

/// The secret that GitHub signs with; several of them on lines of their own, while one takes the place of another.
pub(crate) const SECRET: &str = "webhook_secret";

/// Shortest secret: whoever sees one delivery can try shorter ones.
const SHORTEST: usize = 16;

const HEADER: &str = "x-hub-signature-256";

/// The secrets as they are at this moment.
pub(super) struct Keys(Vec<hmac::Key>);

/// A signature by HMAC with SHA-256.
#[derive(Debug)]
pub(super) struct Signature([u8; 32]);

impl Keys {
    /// `None` where there are none.
    ///
    /// # Errors
    /// One of them is too short.
    pub(super) fn of(secrets: &Secrets) -> Result<Option<Self>, String> {
        let secret = secrets.get(SECRET).unwrap_or_default();
        let lines = secret.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty());
        let key = |(place, line): (usize, &str)| match line.len() {
            SHORTEST.. => Ok(hmac::Key::new(hmac::HMAC_SHA256, line.as_bytes())),
            _ => Err(format!("number {} of them is shorter than {SHORTEST} characters", place + 1)),
        };
        let keys = lines.enumerate().map(key).collect::<Result<Vec<_>, String>>()?;
        Ok((!keys.is_empty()).then_some(Self(keys)))
    }

    /// Makes sure that the signature is one of the body by one of the secrets. The comparison takes as long for any other.
    ///
    /// # Errors
    /// [`Error::Unsigned`].
    pub(super) fn verify(&self, signature: &Signature, body: &[u8]) -> Result<(), Error> {
        let made = |key| hmac::verify(key, body, &signature.0).is_ok();
        // All are looked at, also after one was found.
        if self.0.iter().fold(false, |found, key| found | made(key)) {
            return Ok(());
        }
        Err(Error::Unsigned(
            "the signature is not that of this body by a secret that is known here: give the webhook on GitHub a secret of \
             webhook_secret",
        ))
    }
}

impl Signature {
    /// The signature that a delivery comes with.
    ///
    /// # Errors
    /// [`Error::Unsigned`].
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Error> {
        let Some(value) = headers.get(HEADER) else {
            return Err(Error::Unsigned(
                "a delivery needs the header X-Hub-Signature-256: give the webhook on GitHub a secret of webhook_secret",
            ));
        };
        let mut signature = [0; 32];
        let digits = value.as_bytes().strip_prefix(b"sha256=");
        match digits.map(|digits| hex::decode_to_slice(digits, &mut signature)) {
            Some(Ok(())) => Ok(Self(signature)),
            _ => Err(Error::Unsigned("X-Hub-Signature-256 is `sha256=` and 64 hexadecimal digits, and this is not")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn keys(secret: &str) -> Result<Option<Keys>, String> {
        Keys::of(&Secrets::fixed([(SECRET.to_owned(), secret.into())].into()))
    }

    fn signature(value: &str) -> Result<Signature, Error> {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        Signature::of(&HeaderMap::from_iter([(HeaderName::from_static(HEADER), value)]))
    }

    /// The example of GitHub's documentation.
    #[test]
    fn a_signature_is_that_of_github() {
        let signature = signature("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17").unwrap();
        let secret = "It's a Secret to Everybody";
        for known in [secret.to_owned(), format!("one that comes next\r\n  {secret}\n")] {
            let keys = keys(&known).unwrap().unwrap();
            keys.verify(&signature, b"Hello, World!").unwrap();
            assert!(matches!(keys.verify(&signature, b"Hello, World"), Err(Error::Unsigned(_))));
        }
        let others = keys("It's a secret to everybody").unwrap().unwrap();
        assert!(matches!(others.verify(&signature, b"Hello, World!"), Err(Error::Unsigned(_))));
    }

    #[test]
    fn what_is_no_signature_is_told() {
        let digits = "7".repeat(64);
        signature(&format!("sha256={digits}")).unwrap();
        for wrong in ["", "sha256=", &digits, &format!("sha1={digits}"), &format!("sha256={digits}7"), "sha256=é"] {
            assert!(matches!(signature(wrong), Err(Error::Unsigned(_))), "{wrong}");
        }
        assert!(matches!(Signature::of(&HeaderMap::new()), Err(Error::Unsigned(_))));
    }

    #[test]
    fn a_secret_that_can_be_guessed_is_refused_without_being_shown() {
        assert!(keys("").unwrap().is_none() && keys(" \n").unwrap().is_none());
        let told = keys("one that is long enough\nshort").err().unwrap();
        assert!(told.contains("number 2") && !told.contains("short\n"), "{told}");
    }
}
