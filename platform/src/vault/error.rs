//! Why Vault gives no secrets, in words for the person who started the program.

use crate::Cause;

/// What is wrong with Vault, or with what the environment says of it. No secret is part of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// `VAULT_ADDR` is not the address of a server. It is not repeated here, since it may hold a password.
    #[error("VAULT_ADDR is no address of a Vault server: {reason}; write it as https://vault.example.com:8200")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
    /// A variable is needed beside another one.
    #[error("{set} is set but {missing} is not: set both")]
    NotSet {
        /// The variable that is set.
        set: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// `VAULT_SECRET_PATH` is not the path of a secret.
    #[error(
        "VAULT_SECRET_PATH={path:?} is no path of a secret: write the mount and the path in it, such as \
         secret/prowl/production/cluster"
    )]
    SecretPath {
        /// What was given.
        path: String,
    },
    /// Nothing says how to log in.
    #[error(
        "VAULT_ADDR is set but nothing to log in with: set VAULT_ROLE in a cluster; elsewhere VAULT_TOKEN, or VAULT_ROLE_ID \
         and VAULT_SECRET_ID"
    )]
    NoLogin,
    /// More than one way to log in is given.
    #[error("{one} and {other} are both set: keep the one that this program is to log in with")]
    SeveralLogins {
        /// A variable of one way.
        one: &'static str,
        /// A variable of another.
        other: &'static str,
    },
    /// A token holds what no token can hold.
    #[error("{of} is no token: it is empty, or holds a space or another character that no token has")]
    Token {
        /// Where it is from.
        of: &'static str,
    },
    /// The file of `VAULT_CACERT` is of no use.
    #[error("cannot use VAULT_CACERT={path}: give a file of certificates in PEM")]
    CaFile {
        /// Path of the file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// The file with the token to log in with is of no use.
    #[error(
        "cannot read the token to log in with from {path}: run in a pod that has a service account, or name the file \
         with VAULT_JWT_FILE"
    )]
    JwtFile {
        /// Path of the file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: Cause,
    },
    /// Nobody answers.
    #[error("cannot reach Vault at {address}: is it running, and is VAULT_ADDR right?")]
    Unreachable {
        /// Its address.
        address: String,
        /// What was tried and failed.
        #[source]
        source: Cause,
    },
    /// Who answers is not trusted.
    #[error("the certificate of Vault at {address} is not trusted: name the file of its authority with VAULT_CACERT")]
    Untrusted {
        /// Its address.
        address: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// Who answers is not Vault.
    #[error("what answers at {address} is no Vault: correct VAULT_ADDR, its http or https included")]
    NoVault {
        /// The address.
        address: String,
        /// What it answers.
        #[source]
        source: Cause,
    },
    /// Vault is sealed.
    #[error("Vault at {address} is sealed: unseal it")]
    Sealed {
        /// Its address.
        address: String,
    },
    /// Vault answers with an error of its own.
    #[error("Vault at {address} answers with an error (status {status}): try again later, or look into its log")]
    Failing {
        /// Its address.
        address: String,
        /// The status.
        status: u16,
        /// What it says.
        #[source]
        source: Cause,
    },
    /// The login is refused.
    #[error("Vault at {address} refuses the login at auth/{mount}: check {variables}, and the role in Vault")]
    Login {
        /// Its address.
        address: String,
        /// Mount of the way to log in.
        mount: String,
        /// The variables that say who logs in.
        variables: &'static str,
        /// What Vault says.
        #[source]
        source: Cause,
    },
    /// The token of `VAULT_TOKEN` is not, or no longer, valid.
    #[error(
        "Vault at {address} refuses VAULT_TOKEN: it has expired, was revoked or is of another Vault; make a new one"
    )]
    TokenRefused {
        /// Its address.
        address: String,
    },
    /// The login is good, and the secret is for others.
    #[error(
        "Vault at {address} does not let this program read {path}: give its policy read on that path, or correct \
         VAULT_SECRET_PATH if this is the path of another stage"
    )]
    Denied {
        /// Its address.
        address: String,
        /// Path of the secret, as a policy names it.
        path: String,
    },
    /// There is no such secret.
    #[error(
        "no secret {path} in Vault at {address}: write it with `vault kv put`, or correct VAULT_SECRET_PATH; the mount has to \
         be a KV engine of version 2"
    )]
    Missing {
        /// Its address.
        address: String,
        /// Path of the secret.
        path: String,
    },
    /// The newest version of the secret was deleted.
    #[error(
        "version {version} of the secret {path} in Vault was deleted: bring it back with `vault kv undelete`, or write a new one"
    )]
    Deleted {
        /// Path of the secret.
        path: String,
        /// The version that was deleted.
        version: u64,
    },
    /// A key of the secret holds something else than text.
    #[error("{key} of the secret {path} in Vault is no text: write it as a string")]
    NotText {
        /// Path of the secret.
        path: String,
        /// The key.
        key: String,
    },
}
