//! What reviewers said of pull requests, as it lies in the store: below `feedback/`, in files of JSON lines that stand each by
//! itself and are never changed.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use crate::{Error, Store};

/// The folder below the store.
const FOLDER: &str = "feedback";

/// Files that are read at one time.
const AT_ONCE: usize = 8;

/// What one reviewer said of one pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// `owner/name`.
    pub repository: String,
    /// Number of the pull request.
    pub number: u64,
    /// When it was received: before, nobody knew it.
    pub received_at: Timestamp,
    /// Whether the change had to be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverted: Option<bool>,
    /// What kind of change it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Whether it is unusual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusual: Option<bool>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Hexadecimal SHA-256 of the model whose answer is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_digest: Option<String>,
}

impl Store {
    /// Adds verdicts in a file of their own, and tells its name. Once this returns, they are kept.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::S3`].
    pub async fn add_feedback(&self, verdicts: &[Verdict]) -> Result<String, Error> {
        let mut lines = Vec::new();
        for verdict in verdicts {
            serde_json::to_writer(&mut lines, verdict).expect("texts, numbers and times have a form in JSON");
            lines.push(b'\n');
        }
        self.add(FOLDER, "ndjson", &lines.into()).await
    }

    /// The last verdict on each pull request of those that were received before `moment`, by its repository in lower case and
    /// its number.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::S3`], and [`Error::Feedback`] for a line that is none.
    pub async fn feedback(&self, moment: Timestamp) -> Result<BTreeMap<(String, u64), Verdict>, Error> {
        let files = self.added(FOLDER, "ndjson").await?;
        let objects = &self.object_store();
        let read = |file: object_store::path::Path| async move {
            let content = objects.get(&file).await?.bytes().await?;
            Ok((file, content))
        };
        let failed = |error: &object_store::Error| Error::read(format_args!("{}/{FOLDER}", self.url()), error);
        let mut contents = stream::iter(files.into_iter().map(read)).buffered(AT_ONCE);
        let mut verdicts = BTreeMap::<(String, u64), Verdict>::new();
        while let Some(content) = contents.next().await {
            let (file, content) = content.map_err(|error: object_store::Error| failed(&error))?;
            for (line, text) in content.split(|byte| *byte == b'\n').enumerate().filter(|(_, text)| !text.is_empty()) {
                let wrong = |error: serde_json::Error| Error::Feedback {
                    file: format!("{FOLDER}/{}", file.filename().unwrap_or_default()),
                    line: line + 1,
                    reason: error.to_string(),
                };
                let verdict: Verdict = serde_json::from_slice(text).map_err(wrong)?;
                if verdict.received_at >= moment {
                    continue;
                }
                let key = (verdict.repository.to_ascii_lowercase(), verdict.number);
                match verdicts.get(&key) {
                    Some(known) if known.received_at > verdict.received_at => {}
                    _ => drop(verdicts.insert(key, verdict)),
                }
            }
        }
        Ok(verdicts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Secrets, StoreUrl};

    fn verdict(number: u64, received_at: &str, reverted: bool) -> Verdict {
        Verdict {
            repository: "Owner/Name".into(),
            number,
            received_at: received_at.parse().unwrap(),
            reverted: Some(reverted),
            category: None,
            unusual: None,
            comment: Some("said \"so\"\nand more".into()),
            model_digest: None,
        }
    }

    #[tokio::test]
    async fn the_last_verdict_that_was_known_counts() {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::parse(&format!("file://{}", folder.path().display())).unwrap();
        let store = Store::open(&url, &Secrets::fixed(BTreeMap::new())).unwrap();
        let later: Timestamp = "2026-01-04T00:00:00Z".parse().unwrap();
        assert!(store.feedback(later).await.unwrap().is_empty(), "there is no folder yet");
        let [first, second] = [verdict(1, "2026-01-01T00:00:00Z", true), verdict(1, "2026-01-03T00:00:00Z", false)];
        // What is written last need not be what was said last.
        let file = store.add_feedback(&[second.clone(), verdict(2, "2026-01-02T00:00:00Z", true)]).await.unwrap();
        assert_ne!(store.add_feedback(std::slice::from_ref(&first)).await.unwrap(), file);
        let known = store.feedback(later).await.unwrap();
        assert_eq!((known.len(), &known[&("owner/name".to_owned(), 1)]), (2, &second));
        let earlier = store.feedback("2026-01-02T00:00:00Z".parse().unwrap()).await.unwrap();
        assert_eq!(earlier.into_values().collect::<Vec<_>>(), [first]);

        std::fs::write(folder.path().join("feedback/x.ndjson"), "\n{}\n").unwrap();
        let error = store.feedback(later).await.unwrap_err().to_string();
        assert!(error.contains("feedback/x.ndjson") && error.contains("line 2"), "{error}");
    }
}
