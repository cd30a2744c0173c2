//! What reviewers said, as labels: it comes before what the features run found out by itself.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prowl_model::digest;
use prowl_platform::{Error, Input, Store, feedback::Verdict};

use crate::dataset::Outcome;

/// The last verdict on each pull request, and how many rows were judged by one.
#[derive(Debug, Default)]
pub(crate) struct Feedback {
    verdicts: BTreeMap<(String, u64), Verdict>,
    /// Rows that one of them was on.
    pub(crate) rows: u64,
}

impl Feedback {
    /// What was received up to now.
    ///
    /// # Errors
    /// The store cannot be read, or a line of it is none.
    pub(crate) async fn of(store: &Store) -> Result<Self, Error> {
        Ok(Self { verdicts: store.feedback(Timestamp::now()).await?, rows: 0 })
    }

    /// What a model was made from, where anything was said.
    pub(crate) fn input(&self) -> Option<Input> {
        let digest = || {
            let verdicts: Vec<&Verdict> = self.verdicts.values().collect();
            digest(&serde_json::to_vec(&verdicts).expect("texts, numbers and times have a form in JSON"))
        };
        let name = format!("{} verdicts", self.verdicts.len());
        (!self.verdicts.is_empty()).then(|| Input { kind: "feedback".to_owned(), name, digest: Some(digest()) })
    }

    /// The labels of a row: those that were found out, or what a reviewer says. That a change was taken back is known from
    /// when it was said, unless it was known before.
    pub(crate) fn labels<'a>(
        &'a mut self,
        repository: &str,
        number: i64,
        found: (Option<&'a str>, Outcome),
    ) -> (Option<&'a str>, Outcome) {
        if self.verdicts.is_empty() {
            return found;
        }
        let key = (repository.to_ascii_lowercase(), number.max(0) as u64);
        let Some(verdict) = self.verdicts.get(&key) else { return found };
        self.rows += 1;
        let (category, mut outcome) = found;
        let said_at = verdict.received_at.as_millisecond();
        match verdict.reverted {
            Some(true) => {
                outcome.reverted_at = Some(outcome.reverted_at.map_or(said_at, |at| at.min(said_at)));
                // Before, nobody could say that it would stand.
                outcome.mature_at = outcome.mature_at.or(Some(said_at + 1));
            }
            Some(false) => outcome.reverted_at = None,
            None => {}
        }
        (verdict.category.as_deref().or(category), outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(reverted: Option<bool>, category: Option<&str>) -> Feedback {
        let verdict = Verdict {
            repository: "O/N".into(),
            number: 7,
            received_at: Timestamp::from_millisecond(500).unwrap(),
            reverted,
            category: category.map(str::to_owned),
            unusual: None,
            comment: None,
            model_digest: None,
        };
        Feedback { verdicts: [(("o/n".to_owned(), 7), verdict)].into(), rows: 0 }
    }

    #[test]
    fn what_a_reviewer_says_comes_first() {
        let found = Outcome { reverted_at: None, mature_at: Some(900) };
        let mut said = of(Some(true), Some("docs"));
        let labels = said.labels("o/N", 7, (Some("fix"), found));
        assert_eq!(labels, (Some("docs"), Outcome { reverted_at: Some(500), mature_at: Some(900) }));
        assert_eq!((said.rows, said.input().unwrap().name.as_str()), (1, "1 verdicts"));
        let mut denied = of(Some(false), None);
        let undone = denied.labels("O/N", 7, (Some("fix"), Outcome { reverted_at: Some(300), ..found }));
        assert_eq!(undone, (Some("fix"), found));
    }

    #[test]
    fn a_revert_is_known_from_when_it_was_first_known() {
        let known =
            |reverted_at| of(Some(true), None).labels("o/n", 7, (None, Outcome { reverted_at, mature_at: None })).1;
        assert_eq!(known(Some(300)), Outcome { reverted_at: Some(300), mature_at: Some(501) });
        assert_eq!(known(Some(700)).reverted_at, Some(500));
        assert_eq!(known(None).known_before(500), None, "not before it was said");
        assert_eq!(known(None).known_before(501), Some(true));
    }

    #[test]
    fn others_stay_as_they_are() {
        let mut said = of(Some(true), Some("docs"));
        let found = (Some("fix"), Outcome::default());
        assert_eq!(said.labels("o/n", 8, found), found);
        assert_eq!(said.labels("o/m", 7, found), found);
        assert_eq!((said.rows, said.input().unwrap().name.as_str()), (0, "1 verdicts"), "it was read");
        assert_eq!(Feedback::default().input(), None);
    }
}
