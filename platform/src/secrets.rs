//! The secrets of one stage, as they are at this moment.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use secrecy::SecretString;

use crate::{
    Error,
    vault::{Settings, Vault},
};

/// How long a secret that changed in Vault may stay unknown here, give or take a fifth.
const POLL: Duration = Duration::from_secs(30);

/// Secrets by name. Cheap to clone; every clone sees a secret that was renewed.
///
/// They are asked for again at each use and never kept by who uses them, so that one that changes is used anew without a
/// restart.
#[derive(Clone)]
pub struct Secrets {
    source: Source,
}

#[derive(Clone)]
enum Source {
    Fixed(Arc<BTreeMap<String, SecretString>>),
    Vault(Arc<Vault>),
}

impl Secrets {
    /// The environment variables that may hold a secret of any stage. Those cannot be taken out of the environment of a
    /// program that runs, so whoever starts another program removes them from its environment.
    pub const VARIABLES: &[&str] = &[
        "API_TOKENS",
        "GITHUB_APP_ID",
        "GITHUB_APP_KEY",
        "GITHUB_TOKEN",
        "LOGIN_HASH_KEY",
        "MLFLOW_TOKEN",
        "MLFLOW_URI",
        "MONGO_URI",
        "PROWL_TOKEN",
        "SPACES_ENDPOINT",
        "SPACES_KEY",
        "SPACES_REGION",
        "SPACES_SECRET",
        "TLS_CERT",
        "TLS_KEY",
        "VAULT_ROLE_ID",
        "VAULT_SECRET_ID",
        "VAULT_TOKEN",
        "WEBHOOK_SECRET",
    ];

    /// The secrets `names`, such as `spaces_key`, from Vault if `VAULT_ADDR` is set, else from the environment variables of
    /// the same names in upper case. One that is not set, or empty, is not there.
    ///
    /// Those of Vault follow what is written there until the last clone is dropped.
    ///
    /// # Errors
    /// [`Error::Vault`] where Vault does not give them.
    pub async fn open(names: &[&str]) -> Result<Self, Error> {
        Self::open_in(|variable| std::env::var(variable).ok(), names, POLL).await
    }

    /// The same in an environment that is given, looking after changes in Vault about every `poll`.
    ///
    /// # Errors
    /// The same.
    pub async fn open_in(
        environment: impl Fn(&str) -> Option<String>,
        names: &[&str],
        poll: Duration,
    ) -> Result<Self, Error> {
        let variables: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
        debug_assert!(
            variables.iter().all(|variable| Self::VARIABLES.contains(&variable.as_str())),
            "one of {names:?} is no secret that is kept from other programs: add it to Secrets::VARIABLES"
        );
        if let Some(settings) = Settings::of(&environment).map_err(Arc::new)? {
            let vault = Vault::open(settings, names, poll).await.map_err(Arc::new)?;
            return Ok(Self { source: Source::Vault(Arc::new(vault)) });
        }
        let of = |variable: &String| environment(variable).filter(|value| !value.is_empty());
        let values = names.iter().zip(&variables);
        let values = values.filter_map(|(name, variable)| Some(((*name).to_owned(), of(variable)?.into())));
        Ok(Self::fixed(values.collect()))
    }

    /// Secrets that do not change.
    pub fn fixed(values: BTreeMap<String, SecretString>) -> Self {
        Self { source: Source::Fixed(Arc::new(values)) }
    }

    /// The present value of `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<SecretString> {
        match &self.source {
            Source::Fixed(values) => values.get(name).cloned(),
            Source::Vault(vault) => vault.present().values.get(name).cloned(),
        }
    }

    /// The present value of `name`, which cannot be done without.
    ///
    /// # Errors
    /// [`Error::SecretMissing`], which says where to put it.
    pub fn need(&self, name: &str) -> Result<SecretString, Error> {
        self.need_all([name]).map(|[value]| value)
    }

    /// The present values of all `names`, which belong together: all are of one version.
    ///
    /// # Errors
    /// [`Error::SecretMissing`], which names all that are not there and says where to put them.
    pub(crate) fn need_all<const N: usize>(&self, names: [&str; N]) -> Result<[SecretString; N], Error> {
        let all = |values: &BTreeMap<String, SecretString>| {
            let missing: Vec<_> = names.iter().filter(|name| !values.contains_key(**name)).copied().collect();
            if missing.is_empty() { Ok(names.map(|name| values[name].clone())) } else { Err(missing.join(", ")) }
        };
        let (found, version) = match &self.source {
            Source::Fixed(values) => (all(values), None),
            Source::Vault(vault) => {
                let present = vault.present();
                (all(&present.values), Some((vault.path(), present.version)))
            }
        };
        found.map_err(|name| {
            let hint = match version {
                None => format!("set {}, or VAULT_ADDR to read Vault", name.to_uppercase()),
                Some((path, version)) => {
                    format!("version {version} of {path} in Vault has no such key; add it with `vault kv patch`")
                }
            };
            Error::SecretMissing { name, hint }
        })
    }

    /// The version of the secret in Vault that the present values are from; nothing where they are not from Vault.
    pub fn version(&self) -> Option<u64> {
        match &self.source {
            Source::Fixed(_) => None,
            Source::Vault(vault) => Some(vault.present().version),
        }
    }

    /// Looks for new values now.
    ///
    /// # Errors
    /// [`Error::Vault`] where Vault does not give them. Then the values stay as they were.
    pub async fn refresh(&self) -> Result<(), Error> {
        match &self.source {
            Source::Fixed(_) => Ok(()),
            Source::Vault(vault) => Ok(vault.refresh().await?),
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Fixed(values) => f.debug_set().entries(values.keys()).finish(),
            Source::Vault(vault) => f.debug_set().entries(vault.present().values.keys()).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[tokio::test]
    async fn a_secret_is_found_by_name_and_never_printed() {
        let environment = |variable: &str| match variable {
            "SPACES_KEY" => Some("planted".to_owned()),
            "SPACES_SECRET" => Some(String::new()),
            _ => None,
        };
        let secrets = Secrets::open_in(environment, &["spaces_key", "spaces_secret", "mongo_uri"], POLL).await.unwrap();
        assert_eq!(secrets.need("spaces_key").unwrap().expose_secret(), "planted");
        assert_eq!(format!("{secrets:?} {:?}", secrets.get("spaces_key")).find("planted"), None);
        assert_eq!(secrets.version(), None);
        secrets.refresh().await.unwrap();

        assert!(secrets.get("spaces_secret").is_none());
        assert_eq!(
            secrets.need("mongo_uri").unwrap_err().to_string(),
            "there is no secret mongo_uri: set MONGO_URI, or VAULT_ADDR to read Vault"
        );
    }
}
