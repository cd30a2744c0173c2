//! What cannot be used of an input: counted, the first of it told with its place, and too much of it an error.

/// So many are told one by one.
const TOLD: usize = 10;

/// How much of a reason is told, in characters: it may quote the input.
const REPEATED: usize = 200;

/// What was rejected.
#[derive(Debug, Default)]
pub(crate) struct Rejects {
    count: u64,
    told: Vec<String>,
}

impl Rejects {
    /// Counts one more. Of the first ten, gives the sentence to tell.
    pub(crate) fn add(&mut self, file: &str, line: u64, reason: &str) -> Option<&str> {
        self.count += 1;
        if self.told.len() == TOLD {
            return None;
        }
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        let reason: String = reason.chars().map(visible).take(REPEATED).collect();
        self.told.push(format!("{file}, line {line}: {reason}"));
        self.told.last().map(String::as_str)
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The sentences of the first: file, line and reason.
    pub(crate) fn told(&self) -> &[String] {
        &self.told
    }

    /// The first, if there are more than this share of all that was read.
    pub(crate) fn too_many(&self, share: f64, read: u64) -> Option<&str> {
        self.told.first().filter(|_| self.count as f64 > share * read as f64).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ten_are_told() {
        let mut rejects = Rejects::default();
        let told = (1..=12).filter_map(|line| rejects.add("a.json", line, "no\u{1b} JSON").map(str::to_owned));
        let told: Vec<_> = told.collect();
        assert_eq!((told.len(), &*told[0], &*told[9]), (10, "a.json, line 1: no  JSON", "a.json, line 10: no  JSON"));
        assert_eq!((rejects.count(), rejects.told()), (12, &told[..]));
        assert!(Rejects::default().add("f", 1, &"x".repeat(1_000)).unwrap().len() < 250);
    }

    #[test]
    fn more_than_a_share_are_too_many() {
        let mut rejects = Rejects::default();
        assert_eq!(rejects.too_many(0.0, 0), None);
        rejects.add("a.json", 1, "cut off");
        assert_eq!(rejects.too_many(0.01, 100), None);
        assert_eq!(rejects.too_many(0.01, 99), Some("a.json, line 1: cut off"));
    }
}
