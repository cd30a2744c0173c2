//! What has to be the same at every run that fills a collection.

use bson::{Document, doc};

use super::{
    Mongo,
    failure::{Failure, retry},
};
use crate::{Error, privacy::Privacy};

/// The document of the state that holds them.
const ID: &str = "settings";

/// What is written down at the first run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// [`Privacy::mode`]: a person who has a name in one half of the collection and a token in the other would be two.
    pub privacy: String,
}

impl From<&Privacy> for Settings {
    fn from(privacy: &Privacy) -> Self {
        Self { privacy: privacy.mode() }
    }
}

impl Mongo {
    /// Writes the settings down if this is the first run that fills the collection, and sees that they are the same
    /// else.
    ///
    /// # Errors
    /// [`Error::OtherSettings`]; [`Error::Mongo`].
    pub async fn settings(&self, wanted: &Settings) -> Result<(), Error> {
        let stored = retry(|| self.first_settings(wanted)).await;
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

    async fn first_settings(&self, wanted: &Settings) -> Result<String, Failure> {
        let settings = self.state::<Document>();
        let find = || async { Ok::<_, Failure>(settings.find_one(doc! { "_id": ID }).await?) };
        let stored = match find().await? {
            Some(stored) => Some(stored),
            None => {
                let inserted = settings.insert_one(doc! { "_id": ID, "privacy": &wanted.privacy }).await;
                match inserted.map_err(Failure::from) {
                    Ok(_) => return Ok(wanted.privacy.clone()),
                    // Another one was the first.
                    Err(failure) if failure.duplicate() => find().await?,
                    Err(failure) => return Err(failure),
                }
            }
        };
        let privacy = stored.as_ref().and_then(|stored| stored.get_str("privacy").ok());
        privacy.map(str::to_owned).ok_or_else(|| Failure::lasting(format!("its document {ID} is none of ours")))
    }
}
