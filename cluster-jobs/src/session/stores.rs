//! The stores that tasks read and write: found by URL, reached with the secrets of this very process.
//!
//! A plan names files by URL and nothing else. What a session brings along is not taken: its options travel with every task
//! and are shown by the scheduler.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use prowl_platform::{Secrets, Store, StoreUrl};
use url::{Position, Url};

use crate::failure::failure;

/// Stores by the beginning of their URL: `file://`, or `s3://bucket`.
#[derive(Debug)]
pub(crate) struct Stores {
    secrets: Secrets,
    open: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl Stores {
    /// Stores that are reached with these secrets.
    pub(crate) fn new(secrets: Secrets) -> Arc<Self> {
        Arc::new(Self { secrets, open: Mutex::default() })
    }
}

impl ObjectStoreRegistry for Stores {
    fn register_store(&self, url: &Url, _: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        tracing::debug!(%url, "a store that a session brings along is not taken");
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let root = &url[..Position::BeforePath];
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = open.get(root) {
            return Ok(Arc::clone(store));
        }
        let store = StoreUrl::parse(&format!("{root}/")).and_then(|url| Store::open(&url, &self.secrets));
        let store = store.map_err(|error| unusable(&error))?.object_store();
        open.insert(root.to_owned(), Arc::clone(&store));
        Ok(store)
    }
}

fn unusable(error: &prowl_platform::Error) -> DataFusionError {
    match error {
        prowl_platform::Error::SecretMissing { .. } => {
            failure(&format_args!("{error} (each executor of the cluster needs them itself)"))
        }
        error => failure(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_opened_once_and_only_with_the_secrets_of_this_process() {
        let url = |url: &str| Url::parse(url).unwrap();
        let stores = Stores::new(Secrets::fixed([].into()));
        let file = stores.get_store(&url("file:///a/b")).unwrap();
        assert!(Arc::ptr_eq(&file, &stores.get_store(&url("file:///c")).unwrap()));

        // Somebody else's store is of no use.
        assert!(stores.register_store(&url("s3://bucket"), file).is_none());
        let error = stores.get_store(&url("s3://bucket/a")).unwrap_err().to_string();
        assert!(error.contains("spaces_key") && error.contains("each executor of the cluster"), "{error}");
        assert!(stores.get_store(&url("gs://bucket/a")).is_err());

        let secrets = ["spaces_endpoint", "spaces_key", "spaces_secret"].map(|name| (name.to_owned(), "x".into()));
        let stores = Stores::new(Secrets::fixed(secrets.into()));
        let bucket = stores.get_store(&url("s3://bucket/a")).unwrap();
        assert!(Arc::ptr_eq(&bucket, &stores.get_store(&url("s3://bucket/b/c")).unwrap()));
        assert!(!Arc::ptr_eq(&bucket, &stores.get_store(&url("s3://other/a")).unwrap()));
    }
}
