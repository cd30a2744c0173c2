//! The token by which an App shows who it is: a JSON Web Token (RFC 7519), signed by RS256.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use secrecy::SecretString;
use serde_json::json;

/// How long it is valid; GitHub takes ten minutes at most. Clocks may differ by one.
const VALID: u64 = 480;
const SKEW: u64 = 60;

/// One of the App with this number and key in PEM, `now` in seconds since 1970.
///
/// # Errors
/// What is wrong with the key, of which nothing is shown.
pub(super) fn sign(app: &str, key: &str, now: u64) -> Result<SecretString, String> {
    // The words of the parser may hold what it could not read.
    let unreadable = "the secret github_app_key is no RSA private key in PEM, as GitHub gives it";
    let pair = match PrivateKeyDer::from_pem_slice(key.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs1(key)) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        Ok(PrivateKeyDer::Pkcs8(key)) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        _ => return Err(unreadable.to_owned()),
    };
    let pair = pair.map_err(|_| unreadable.to_owned())?;
    let claims = json!({"iat": now.saturating_sub(SKEW), "exp": now + VALID, "iss": app});
    let parts = [json!({"alg": "RS256", "typ": "JWT"}), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = parts.join(".");
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "the secret github_app_key cannot sign".to_owned())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_told_without_being_shown() {
        let rsa = |text: &str| format!("-----BEGIN RSA PRIVATE KEY-----\n{text}\n-----END RSA PRIVATE KEY-----\n");
        for key in ["", "hidden", &rsa(""), &rsa("aGlkZGVu"), &rsa("hidden!")] {
            let told = sign("7", key, 0).unwrap_err();
            assert!(told.contains("github_app_key") && !told.contains("hidden"), "{told}");
        }
    }
}
