//! What the gate has said of new versions, as it lies in the store: below `verdicts/`, a file of JSON each, never changed.

use bytes::Bytes;
use futures::TryStreamExt;
use jiff::Timestamp;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::{Error, Store};

/// The folder below the store.
const FOLDER: &str = "verdicts";

impl Store {
    /// Adds a verdict in a file of its own, and tells its name. Once this returns, it is kept.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::S3`].
    pub async fn add_verdict(&self, json: Bytes) -> Result<String, Error> {
        let time = Timestamp::now().strftime("%Y%m%dT%H%M%S%6fZ");
        let file = format!("{FOLDER}/{time}-{:016x}.json", rand::random::<u64>());
        match self.create(&self.path(&file), &json).await {
            Ok(_) => Ok(file),
            Err(error) => Err(Error::write(format_args!("{}/{file}", self.url()), &error)),
        }
    }

    /// The newest verdicts, at most so many, with their names, the newest first.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::S3`].
    pub async fn verdicts(&self, most: usize) -> Result<Vec<(String, Bytes)>, Error> {
        let folder = self.path(FOLDER);
        let objects = self.object_store();
        let failed = |error: &object_store::Error| Error::read(format_args!("{}/{FOLDER}", self.url()), error);
        let mut files: Vec<_> =
            objects.list(Some(&folder)).map_ok(|file| file.location).try_collect().await.map_err(|e| failed(&e))?;
        files.retain(|file| file.extension() == Some("json"));
        // Names begin with their time.
        files.sort_unstable_by(|a, b| b.cmp(a));
        let mut found = Vec::new();
        for file in files.into_iter().take(most) {
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
