//! What kind of change a pull request says it is.

use serde::{Deserialize, Serialize};

use crate::PullRequest;

/// A kind of change, after the types of Conventional Commits and the labels that mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// New behaviour.
    Feature,
    /// Mends a fault.
    Fix,
    /// Documentation only.
    Docs,
    /// Tests only.
    Test,
    /// Same behaviour, other code.
    Refactor,
    /// Same behaviour, faster or smaller.
    Performance,
    /// Build system.
    Build,
    /// Continuous integration.
    Ci,
    /// A dependency moved.
    Dependency,
    /// Upkeep that is none of the others.
    Chore,
    /// Takes an earlier change back.
    Revert,
}

impl Category {
    /// Every category, in the order of the design.
    pub const ALL: [Self; 11] = [
        Self::Feature,
        Self::Fix,
        Self::Docs,
        Self::Test,
        Self::Refactor,
        Self::Performance,
        Self::Build,
        Self::Ci,
        Self::Dependency,
        Self::Chore,
        Self::Revert,
    ];

    /// The name used in Parquet, in the model and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Feature => "feature",
            Self::Fix => "fix",
            Self::Docs => "docs",
            Self::Test => "test",
            Self::Refactor => "refactor",
            Self::Performance => "performance",
            Self::Build => "build",
            Self::Ci => "ci",
            Self::Dependency => "dependency",
            Self::Chore => "chore",
            Self::Revert => "revert",
        }
    }

    /// The category of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == name)
    }

    /// The category that a conventional-commit type or a label names.
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "feat" | "feature" | "features" | "enhancement" => Self::Feature,
            "fix" | "fixes" | "bug" | "bugfix" | "hotfix" => Self::Fix,
            "doc" | "docs" | "documentation" | "user-documentation" => Self::Docs,
            "test" | "tests" | "testing" => Self::Test,
            "ref" | "refactor" | "refactoring" | "cleanup" | "clean-up" | "tweak/refactor" => Self::Refactor,
            "perf" | "performance" => Self::Performance,
            "build" => Self::Build,
            "ci" => Self::Ci,
            "dep" | "deps" | "dependency" | "dependencies" => Self::Dependency,
            "chore" | "style" | "maintenance" => Self::Chore,
            "revert" => Self::Revert,
            _ => return None,
        })
    }

    /// The category that a label names, with the prefixes that repositories put before it (`type: bug`, `kind/bug`).
    pub(crate) fn from_label(label: &str) -> Option<Self> {
        let label = label.trim().to_lowercase();
        Self::from_word(&label).or_else(|| {
            let bare = ["type:", "type/", "kind:", "kind/", "category:", "c-", "t-"]
                .iter()
                .find_map(|prefix| label.strip_prefix(prefix))?;
            Self::from_word(bare.trim())
        })
    }
}

/// A title without what declares its category, and the category declared.
pub(crate) struct Title<'a> {
    pub(crate) rest: &'a str,
    pub(crate) declares: Option<Category>,
}

/// Splits `fix(parser)!: accept tabs` into its type and the rest. A word before a colon that is no type of change,
/// such as `parser: accept tabs`, stays.
pub(crate) fn split_title(title: &str) -> Title<'_> {
    let title = title.trim();
    let whole = Title { rest: title, declares: None };
    // GitHub's own button and git itself both write `Revert "…"`.
    if let Some(rest) = title.strip_prefix("Revert \"").or_else(|| title.strip_prefix("revert \"")) {
        return Title { rest: rest.strip_suffix('"').unwrap_or(rest), declares: Some(Category::Revert) };
    }
    let Some((head, rest)) = title.split_once(':') else { return whole };
    let head = head.strip_suffix('!').unwrap_or(head);
    let (word, scope) = match head.split_once('(') {
        Some((word, scope)) => match scope.strip_suffix(')') {
            Some(scope) => (word, scope),
            None => return whole,
        },
        None => (head, ""),
    };
    if word.len() > 16 || scope.len() > 64 {
        return whole;
    }
    let Some(category) = Category::from_word(&word.trim().to_ascii_lowercase()) else { return whole };
    let dependency =
        category != Category::Fix && Category::from_word(&scope.to_ascii_lowercase()) == Some(Category::Dependency);
    Title { rest: rest.trim_start(), declares: Some(if dependency { Category::Dependency } else { category }) }
}

/// The category that the title's type declares, else the one that its labels agree on.
pub(crate) fn declared_category(pull_request: &PullRequest<'_>) -> Option<Category> {
    let by_title = pull_request.title.as_deref().and_then(|title| split_title(title).declares);
    by_title.or_else(|| {
        let labels = pull_request.labels.as_deref().unwrap_or_default();
        let mut named = labels.iter().filter_map(|label| Category::from_label(label));
        let first = named.next()?;
        named.all(|other| other == first).then_some(first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(title: &str) -> (&str, Option<Category>) {
        let title = split_title(title);
        (title.rest, title.declares)
    }

    #[test]
    fn a_type_of_change_is_split_off() {
        assert_eq!(split("fix(parser)!: accept tabs"), ("accept tabs", Some(Category::Fix)));
        assert_eq!(split("feat: x"), ("x", Some(Category::Feature)));
        assert_eq!(split("ref(writer): use HTTP"), ("use HTTP", Some(Category::Refactor)));
        assert_eq!(split("build(deps): bump a"), ("bump a", Some(Category::Dependency)));
        assert_eq!(split("fix(deps): mend a"), ("mend a", Some(Category::Fix)));
        assert_eq!(split("Revert \"feat: x\""), ("feat: x", Some(Category::Revert)));
    }

    #[test]
    fn each_category_is_declared_by_its_name_as_a_type_and_as_a_label() {
        for category in Category::ALL {
            assert_eq!(split(&format!("{}: x", category.as_str())), ("x", Some(category)));
            assert_eq!(Category::from_label(&format!("kind/{}", category.as_str())), Some(category));
            assert_eq!(Category::parse(category.as_str()), Some(category));
        }
        assert_eq!(Category::parse("perf"), None, "a type, and not the name");
        assert_eq!(split("perf: x"), ("x", Some(Category::Performance)));
        assert_eq!(split("style: x"), ("x", Some(Category::Chore)));
    }

    #[test]
    fn other_words_before_a_colon_stay() {
        for title in ["cmake: set rpath", "a(b: c", "no colon", "", ":", "(fix): x", "würde: x"] {
            assert_eq!(split(title), (title, None));
        }
    }

    #[test]
    fn labels_count_only_where_they_agree() {
        let mut pull_request =
            PullRequest { labels: Some(vec!["Type: Bug".into(), "later".into()]), ..PullRequest::default() };
        assert_eq!(declared_category(&pull_request), Some(Category::Fix));
        pull_request.labels = Some(vec!["bug".into(), "documentation".into()]);
        assert_eq!(declared_category(&pull_request), None);
        pull_request.title = Some("test: cover it".into());
        assert_eq!(declared_category(&pull_request), Some(Category::Test));
    }

    #[test]
    fn what_is_too_long_is_no_scope() {
        let scoped = |length: usize| format!("feat({}): x", "s".repeat(length));
        assert_eq!(split(&scoped(64)), ("x", Some(Category::Feature)));
        assert_eq!(split(&scoped(65)), (scoped(65).as_str(), None));
    }
}
