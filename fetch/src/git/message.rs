//! What a commit message says of the pull request that the commit merges.

/// The pull request that a commit on the main line stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merged {
    pub number: u64,
    /// `owner/name`, where the message names the repository.
    pub repository: Option<String>,
    /// Owner and name of the merged branch, where the message names them.
    pub branch: Option<(String, String)>,
    pub title: String,
    pub body: String,
}

/// First line and the rest.
pub(crate) fn split(message: &str) -> (&str, &str) {
    let (subject, body) = message.trim().split_once('\n').unwrap_or((message.trim(), ""));
    (subject.trim_end(), body.trim())
}

/// Finds `title (#123)`, `Merge pull request #123 from owner/branch`, `Merge owner/name#123: title` and
/// `Merge #123: title`.
pub(crate) fn merged(message: &str) -> Option<Merged> {
    let (subject, body) = split(message);
    if let Some(rest) = subject.strip_prefix("Merge pull request #") {
        return merge_button(rest, subject, body);
    }
    if let Some(rest) = subject.strip_prefix("Merge ")
        && let Some(found) = merge_script(rest, body)
    {
        return Some(found);
    }
    let (title, number) = subject.strip_suffix(')')?.rsplit_once(" (#")?;
    Some(Merged {
        number: number_of(number)?,
        repository: None,
        branch: None,
        title: title.trim_end().to_owned(),
        body: body.to_owned(),
    })
}

/// GitHub's merge button: number and branch in the subject, the title as first line of the body.
fn merge_button(rest: &str, subject: &str, body: &str) -> Option<Merged> {
    let (number, branch) = rest.split_once(" from ").unwrap_or((rest, ""));
    let (title, body) = split(body);
    Some(Merged {
        number: number_of(number)?,
        repository: None,
        branch: branch.split_once('/').map(|(owner, name)| (owner.to_owned(), name.to_owned())),
        title: if title.is_empty() { subject } else { title }.to_owned(),
        body: body.to_owned(),
    })
}

/// The merge script of Bitcoin Core and its relatives: `owner/name#123: title` or `#123: title`.
fn merge_script(rest: &str, body: &str) -> Option<Merged> {
    let (repository, rest) = rest.split_once('#')?;
    let (number, title) = rest.split_once(": ")?;
    if !repository.is_empty() && (repository.contains(' ') || !repository.contains('/')) {
        return None;
    }
    Some(Merged {
        number: number_of(number)?,
        repository: (!repository.is_empty()).then(|| repository.to_owned()),
        branch: None,
        title: title.trim().to_owned(),
        body: description(body),
    })
}

/// The script puts the pull request's own text, indented by two, between a list of commits and one of reviews.
fn description(body: &str) -> String {
    const BEGIN: &str = "Pull request description:";
    let Some((_, after)) = body.split_once(BEGIN) else { return body.to_owned() };
    let lines = after.lines().skip(1).take_while(|line| line.is_empty() || line.starts_with("  "));
    let lines: Vec<&str> = lines.map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
    lines.join("\n").trim().to_owned()
}

fn number_of(text: &str) -> Option<u64> {
    // No more than a database and JSON can hold.
    let number = text.parse::<i64>().ok().filter(|number| *number > 0 && text.bytes().all(|b| b.is_ascii_digit()))?;
    u64::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title_of(message: &str) -> Option<(u64, String)> {
        merged(message).map(|found| (found.number, found.title))
    }

    #[test]
    fn squash_commits_are_found_by_the_number_at_the_end() {
        assert_eq!(title_of("Add x (#12)\n\nbody"), Some((12, "Add x".into())));
        assert_eq!(title_of("Add x (#12) (#13)"), Some((13, "Add x (#12)".into())), "a backport has its own number");
        assert_eq!(title_of("Revert \"Add x (#12)\" (#14)"), Some((14, "Revert \"Add x (#12)\"".into())));
        for none in [
            "Add x",
            "Add x (#12) again",
            "Add x (#)",
            "Add x (#0)",
            "Add x (#1a)",
            "Add x (#+1)",
            "(#12)",
            "Add x (#9223372036854775808)",
            "",
        ] {
            assert_eq!(title_of(none), None, "{none}");
        }
    }

    #[test]
    fn merge_commits_carry_title_and_branch() {
        let found = merged("Merge pull request #7 from someone/fix/leak\n\nFix the leak\n\nIt leaked.\n").unwrap();
        assert_eq!(found.number, 7);
        assert_eq!(found.branch, Some(("someone".into(), "fix/leak".into())));
        assert_eq!((found.title.as_str(), found.body.as_str()), ("Fix the leak", "It leaked."));
        assert_eq!(title_of("Merge pull request #7 from a/b").unwrap().1, "Merge pull request #7 from a/b");
    }

    #[test]
    fn merge_script_commits_carry_the_description() {
        let message = "Merge bitcoin-core/secp256k1#99: Speed up x\n\nabc Do it\n\nPull request description:\n\n  First \
                       line.\n\n    code\n\nACKs for top commit:\n  someone:\n    ACK abc\n";
        let found = merged(message).unwrap();
        assert_eq!(found.repository.as_deref(), Some("bitcoin-core/secp256k1"));
        assert_eq!((found.number, found.title.as_str()), (99, "Speed up x"));
        assert_eq!(found.body, "First line.\n\n  code");
        assert_eq!(title_of("Merge #5: Fix y"), Some((5, "Fix y".into())));
        assert_eq!(title_of("Merge branch 'main' into x: y"), None);
        assert_eq!(title_of("Merge branch x (#8)"), Some((8, "Merge branch x".into())));
    }
}
