//! What tells a reviewer one thing: its shares, or effects, are added up, and one of it speaks for all.

use prowl_features::FEATURES;
use prowl_model::Input;

/// Features that tell a reviewer one thing, the plainest first. A feature that is not listed is a subject of its own.
const SUBJECTS: &[&[&str]] = &[
    &["churn", "additions", "churn_to_median", "churn_per_file", "churn_in_spreads"],
    &["changed_files", "files_added", "files_to_median", "files_in_spreads"],
    &["directories", "subsystems", "files_per_directory"],
    &["largest_file_share", "entropy"],
    &["deletions", "share_added"],
    &["source_without_tests", "share_test", "share_source"],
    &["author_is_new", "author_opened", "author_days_since_last"],
    &["author_knows_files", "author_file_experience", "author_knows_directories"],
    &["file_merges_max", "file_authors_max", "file_merges_mean", "file_authors_mean", "directory_merges_max"],
    &["file_days_min", "file_days_mean"],
    &["file_fixes_max", "file_fixes_mean"],
    &["file_reverts_max", "file_reverts_mean", "directory_reverts_max", "path_revert_ratio"],
    &["author_reverted_share", "author_revert_ratio"],
    &["hour_sin", "hour_cos"],
    &["weekend", "weekday_sin", "weekday_cos"],
    &["title_length", "title_words"],
    &["body_is_missing", "body_length"],
];

/// The subjects of the features of one model, and that of the wording.
#[derive(Debug)]
pub(super) struct Subjects {
    /// Of each feature, by its index in the model: its subject, and its place within that, the plainest first.
    places: Vec<(usize, usize)>,
    /// How many there are; the last one is the wording.
    count: usize,
}

impl Subjects {
    /// For a model that reads so many features of this program.
    pub(super) fn of(features: usize) -> Self {
        let listed = SUBJECTS.len();
        let places = FEATURES.iter().take(features).enumerate().map(|(index, feature)| {
            let places = SUBJECTS.iter().map(|names| names.iter().position(|name| *name == feature.name));
            let listed_at = places.enumerate().find_map(|(subject, rank)| Some((subject, rank?)));
            listed_at.unwrap_or((listed + index, 0))
        });
        Self { places: places.collect(), count: listed + features + 1 }
    }

    /// The sum of each subject that reaches `least`, either way, with the part that speaks for it: the plainest of its
    /// strong ones that tell anything. The largest sum comes first. `parts` come strongest first; `part` gives the input
    /// and the weight of one, `tells` whether it may speak for a subject of that sum.
    pub(super) fn speakers<'a, T>(
        &self,
        parts: &'a [T],
        least: f32,
        part: impl Fn(&T) -> (Input, f32),
        tells: impl Fn(&T, f32) -> bool,
    ) -> impl Iterator<Item = (f32, &'a T)> {
        let mut sums = vec![0.0f32; self.count];
        // Of each subject its strongest part, and of each part the next one of its subject.
        let (mut first, mut next) = (vec![parts.len(); self.count], vec![parts.len(); parts.len()]);
        for (input, weight) in parts.iter().map(&part) {
            sums[self.place(input).0] += weight;
        }
        for (place, one) in parts.iter().enumerate().rev() {
            next[place] = std::mem::replace(&mut first[self.place(part(one).0).0], place);
        }
        let mut subjects: Vec<usize> = (0..self.count).filter(|&subject| sums[subject].abs() >= least).collect();
        // Stable, so that equal sums stay in the order of the subjects.
        subjects.sort_by(|a, b| sums[*b].abs().total_cmp(&sums[*a].abs()));
        let speaker = move |subject: usize| {
            let sum = sums[subject];
            let of_it = |place: usize| Some(place).filter(|&place| place < parts.len());
            let of_it = std::iter::successors(of_it(first[subject]), |&place| of_it(next[place]));
            let mut telling = of_it.map(|place| &parts[place]).filter(|one| tells(one, sum)).peekable();
            let strongest = telling.peek().map(|one| part(one).1.abs())?;
            let strong = telling.take_while(|one| 2.0 * part(one).1.abs() >= strongest);
            Some((sum, strong.min_by_key(|one| self.place(part(one).0).1)?))
        };
        subjects.into_iter().filter_map(speaker)
    }

    /// The subject of an input, and its place within that.
    fn place(&self, input: Input) -> (usize, usize) {
        match input {
            Input::Feature(index) => self.places[index],
            Input::Text => (self.count - 1, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_is_made_of_features_each_of_one_subject() {
        let mut all: Vec<_> = SUBJECTS.iter().copied().flatten().collect();
        assert!(all.iter().all(|name| FEATURES.iter().any(|feature| feature.name == **name)), "{all:?}");
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
