//! What has to be the same at every run that fills a collection.

use bson::{Document, doc};

use super::{Mongo, failure::Failure};
use crate::{
    Error,
    privacy::{MARK, Privacy},
};

/// The document of the state that holds them.
const ID: &str = "settings";

/// What is written down at the first run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What is left out and hidden: a person who has a name in one half of the collection and a token in the other
    /// would be two.
    pub privacy: String,
}

/// Nothing is hidden: what is stored, or comes, without a word of it.
impl Default for Settings {
    fn default() -> Self {
        Self::from(&Privacy::default())
    }
}

impl From<&Privacy> for Settings {
    fn from(privacy: &Privacy) -> Self {
        Self { privacy: privacy.mode() }
    }
}

impl Mongo {
    /// Writes the settings down if this is the first run that fills the collection, and sees that they are the same
    /// else. What is stored without settings has nothing hidden, unless it shows that it has.
    ///
    /// # Errors
    /// [`Error::OtherSettings`]; [`Error::Mongo`].
    pub async fn settings(&self, wanted: &Settings) -> Result<(), Error> {
        let stored = self.retry(|| self.first_settings(wanted)).await;
        let stored = stored.map_err(|failure| self.state_failed("read the settings in", failure))?;
        if stored == wanted.privacy {
            return Ok(());
        }
        Err(Error::OtherSettings {
            collection: self.place(self.primary.name()),
            stored,
            wanted: wanted.privacy.clone(),
        })
    }

    /// What the collection was filled with, where a run wrote it down.
    pub(crate) async fn stored_settings(&self) -> Result<Option<Settings>, Error> {
        let stored = self.retry(|| self.find_settings()).await;
        stored.map_err(|failure| self.state_failed("read the settings in", failure))
    }

    async fn find_settings(&self) -> Result<Option<Settings>, Failure> {
        let Some(stored) = self.state::<Document>().find_one(doc! { "_id": ID }).await? else { return Ok(None) };
        let privacy = stored.get_str("privacy").map(str::to_owned);
        let foreign = |_| Failure::lasting(format!("its document {ID} is none of ours; name another collection"));
        Ok(Some(Settings { privacy: privacy.map_err(foreign)? }))
    }

    async fn first_settings(&self, wanted: &Settings) -> Result<String, Failure> {
        if let Some(Settings { privacy }) = self.find_settings().await? {
            return Ok(privacy);
        }
        let none_hidden = Settings::default();
        let is_there = async |filter: Document| self.primary.find_one(filter).projection(doc! { "_id": 1 }).await;
        if *wanted != none_hidden && is_there(doc! {}).await?.is_some() {
            return Ok(none_hidden.privacy);
        }
        // Whoever lost the state must not show by a run what all runs before have hidden.
        if *wanted == none_hidden && is_there(doc! { "user.login": { "$regex": format!("^{MARK}") } }).await?.is_some()
        {
            return Err(Failure::lasting(format!(
                "the collection holds logins that are hidden ({MARK}…), and what its runs have hidden is not written down any more; \
                 restore the state, or write it down again as docs/operations.md tells"
            )));
        }
        let inserted = self.state::<Document>().insert_one(doc! { "_id": ID, "privacy": &wanted.privacy }).await;
        match inserted.map_err(Failure::from) {
            Ok(_) => Ok(wanted.privacy.clone()),
            Err(failure) if failure.duplicate() => {
                // Another one was the first.
                let first = self.find_settings().await?;
                first.map(|Settings { privacy }| privacy).ok_or_else(|| Failure::passing("its settings come and go"))
            }
            Err(failure) => Err(failure),
        }
    }
}
