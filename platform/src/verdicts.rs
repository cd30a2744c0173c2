//! What the gate has said of new versions, as it lies in the store: below `verdicts/`, a file of JSON each, never changed.

use bytes::Bytes;
use object_store::ObjectStoreExt;

use crate::{Error, Store};

/// The folder below the store.
const FOLDER: &str = "verdicts";

impl Store {
    /// Adds a verdict in a file of its own, and tells its name. Once this returns, it is kept.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::S3`].
    pub async fn add_verdict(&self, json: Bytes) -> Result<String, Error> {
        self.add(FOLDER, "json", &json).await
    }

    /// The newest verdicts, at most so many, with their names, the newest first.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::S3`].
    pub async fn verdicts(&self, most: usize) -> Result<Vec<(String, Bytes)>, Error> {
        let objects = self.object_store();
        let failed = |error: &object_store::Error| Error::read(format_args!("{}/{FOLDER}", self.url()), error);
        let mut found = Vec::new();
        for file in self.added(FOLDER, "json").await?.into_iter().rev().take(most) {
            let read = async { objects.get(&file).await?.bytes().await };
            let text = read.await.map_err(|error| failed(&error))?;
            found.push((file.filename().unwrap_or_default().to_owned(), text));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreUrl;

    #[tokio::test]
    async fn the_newest_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::parse(&format!("file://{}", folder.path().display())).unwrap();
        let store = Store::connect(&url).await.unwrap();
        assert!(store.verdicts(10).await.unwrap().is_empty());
        for number in 0..3 {
            store.add_verdict(Bytes::from(format!("{number}"))).await.unwrap();
        }
        let newest: Vec<_> = store.verdicts(2).await.unwrap().into_iter().map(|(_, text)| text).collect();
        assert_eq!(newest, [Bytes::from_static(b"2"), Bytes::from_static(b"1")]);
    }
}
