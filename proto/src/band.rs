//! What a band is called.

use crate::v1::Band;

impl Band {
    /// Its name, as texts for people have it; nothing where there was nothing to judge.
    pub fn words(self) -> Option<&'static str> {
        match self {
            Self::Unspecified => None,
            Self::Routine => Some("routine"),
            Self::Unusual => Some("unusual"),
            Self::VeryUnusual => Some("very unusual"),
        }
    }
}
