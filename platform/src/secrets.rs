//! The secrets of one stage, as they are at this moment.

use std::{collections::BTreeMap, fmt, sync::Arc};

use secrecy::SecretString;
use tokio::sync::watch;

use crate::Error;

/// Secrets by name. Cheap to clone; every clone sees a secret that was renewed.
///
/// They are asked for again at each use and never kept by who uses them, so that one that changes is used anew without a
/// restart.
#[derive(Clone)]
pub struct Secrets {
    values: watch::Receiver<Arc<BTreeMap<String, SecretString>>>,
}

impl Secrets {
    /// The secrets `names`, such as `spaces_key`, from the environment variables of the same names in upper case. One that
    /// is not set, or empty, is not there.
    ///
    /// # Errors
    /// None yet.
    #[expect(clippy::unused_async, reason = "a vault is asked over the network")]
    pub async fn open(names: &[&str]) -> Result<Self, Error> {
        let of = |name: &str| std::env::var(name.to_uppercase()).ok().filter(|value| !value.is_empty());
        let values = names.iter().filter_map(|name| Some(((*name).to_owned(), SecretString::from(of(name)?))));
        Ok(Self::fixed(values.collect()))
    }

    /// Secrets that do not change.
    pub fn fixed(values: BTreeMap<String, SecretString>) -> Self {
        Self { values: watch::channel(Arc::new(values)).1 }
    }

    /// The present value of `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<SecretString> {
        self.values.borrow().get(name).cloned()
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.borrow().keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_found_by_name_and_never_printed() {
        let secrets = Secrets::fixed([("spaces_key".to_owned(), SecretString::from("planted"))].into());
        assert_eq!(secrets.get("spaces_key").unwrap().expose_secret(), "planted");
        assert!(secrets.get("spaces_secret").is_none());
        assert_eq!(format!("{secrets:?} {:?}", secrets.get("spaces_key")).find("planted"), None);
    }
}
