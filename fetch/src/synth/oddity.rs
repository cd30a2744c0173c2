//! Pull requests that nobody should wave through, planted among the usual ones and listed in `planted.json`.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{dice::Dice, people::Author, repository::Repository};
use crate::document::{File, Status};

/// One line of `planted.json`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Planted {
    pub repository: String,
    pub number: u64,
    pub kind: &'static str,
    pub why: String,
}

/// An odd pull request, ready to be opened.
pub(crate) struct Oddity {
    pub kind: &'static str,
    pub why: String,
    pub author: Author,
    pub title: String,
    pub body: Option<String>,
    pub files: Vec<File>,
    /// Hour of the day in UTC.
    pub hour: f64,
    /// From opening to merge.
    pub minutes: f64,
    pub commits: u64,
}

type Maker = fn(&mut Repository, &Stranger<'_>, &mut Dice) -> Oddity;

const MAKERS: [Maker; 10] = [
    docs_rewrite_crypto,
    typo_dump,
    sprawling_bump,
    directory_removal,
    bot_in_sensitive_places,
    tests_gutted,
    workflows_taken_over,
    formatting_drops_tables,
    binaries_in_source,
    one_line_everywhere,
];

/// Who opens an odd pull request.
pub(crate) struct Stranger<'a> {
    pub newcomer: Author,
    pub regular: &'a Author,
    pub bot: Author,
}

/// The oddity of that place in the row; the kinds take turns.
pub(crate) fn make(place: usize, repository: &mut Repository, who: &Stranger<'_>, dice: &mut Dice) -> Oddity {
    MAKERS[place % MAKERS.len()](repository, who, dice)
}

fn file(filename: String, status: Status, additions: usize, deletions: usize) -> File {
    File { filename, status, additions: additions as u64, deletions: deletions as u64 }
}

fn clock(hour: f64) -> String {
    format!("{:02}:{:02} UTC", hour as u32, (hour.fract() * 60.0) as u32)
}

/// Source paths in `subsystem`, whether or not the repository has such a part.
fn sources<'a>(repository: &'a Repository, subsystem: &'a str, count: usize) -> impl Iterator<Item = String> + 'a {
    const STEMS: [&str; 12] = [
        "session",
        "token",
        "keys",
        "signature",
        "permissions",
        "password",
        "policy",
        "nonce",
        "random",
        "verify",
        "login",
        "secrets",
    ];
    STEMS.iter().cycle().take(count).enumerate().map(move |(turn, stem)| {
        let directory = if turn < STEMS.len() { "" } else { "internal" };
        repository.language.source(&repository.project, subsystem, directory, stem)
    })
}

fn docs_rewrite_crypto(repository: &mut Repository, who: &Stranger<'_>, dice: &mut Dice) -> Oddity {
    let hour = 3.0 + 0.9 * dice.unit();
    let mut files = Vec::new();
    for part in ["crypto", "auth"] {
        for path in sources(repository, part, 8) {
            files.push(file(path, Status::Modified, dice.between(60, 420), dice.between(60, 420)));
        }
    }
    Oddity {
        kind: "docs-title-rewrites-crypto",
        why: format!(
            "the title says documentation, the change rewrites {} files of crypto and auth; first-time author, {}",
            files.len(),
            clock(hour)
        ),
        author: who.newcomer.clone(),
        title: "docs: clarify wording in README".to_owned(),
        body: Some("Small wording fixes.".to_owned()),
        files,
        hour,
        minutes: dice.between(4, 25) as f64,
        commits: 1,
    }
}

fn typo_dump(repository: &mut Repository, who: &Stranger<'_>, dice: &mut Dice) -> Oddity {
    let count = dice.between(90, 240);
    let files: Vec<File> = (0..count)
        .map(|i| {
            let path = format!("third_party/{}/gen/bundle_{i:04}.min.js", repository.project);
            file(path, Status::Added, dice.between(400, 2_600), 0)
        })
        .collect();
    let lines: u64 = files.iter().map(|file| file.additions).sum();
    Oddity {
        kind: "typo-title-huge-dump",
        why: format!("titled as a typo, adds {lines} generated-looking lines in {count} new files"),
        author: who.regular.clone(),
        title: "Fix typo".to_owned(),
        body: None,
        files,
        hour: 9.0 + 8.0 * dice.unit(),
        minutes: dice.between(5, 50) as f64,
        commits: 1,
    }
}

fn sprawling_bump(repository: &mut Repository, who: &Stranger<'_>, dice: &mut Dice) -> Oddity {
    let (name, from, to) = repository.bump(dice);
    let mut files = vec![];
    for path in repository.language.manifests() {
        files.push(file((*path).to_owned(), Status::Modified, dice.between(20, 90), dice.between(20, 90)));
    }
    for i in 0..40 {
        let part = super::words::VOCABULARIES[i % 24].name;
        let part = if i < 24 { part.to_owned() } else { format!("{part}_next") };
        // Each in a top folder of its own, whatever the language's layout is.
        let path = format!("{part}/client.{}", repository.language.extension());
        files.push(file(path, Status::Modified, dice.between(10, 160), dice.between(5, 120)));
    }
    Oddity {
        kind: "bump-touches-everything",
        why: format!("a bump of {name} that changes {} files in 40 subsystems", files.len()),
        author: who.bot.clone(),
        title: format!("Bump {name} from {from} to {to}"),
        body: Some(format!("Bumps {name} from {from} to {to}.")),
        files,
        hour: 4.5,
        minutes: 12.0,
        commits: 1,
    }
}

fn directory_removal(repository: &mut Repository, who: &Stranger<'_>, dice: &mut Dice) -> Oddity {
    let subsystem = dice.below(repository.subsystems.len());
    let sources = &repository.subsystems[subsystem].sources;
    let tests = sources.iter().filter_map(|source| repository.files[*source].test);
    let doomed: BTreeSet<usize> = sources.iter().copied().chain(tests).collect();
    let files: Vec<File> = doomed
        .iter()
        .map(|place| file(repository.files[*place].path.clone(), Status::Removed, 0, dice.between(80, 900)))
        .collect();
    Oddity {
        kind: "cleanup-deletes-subsystem",
        why: format!(
            "a one-word title, no description, and all {} files of {} are deleted",
            files.len(),
            repository.subsystems[subsystem].words.name
        ),
        author: who.regular.clone(),
        title: "cleanup".to_owned(),
        body: None,
        files,
        hour: 21.0 + 2.0 * dice.unit(),
        minutes: dice.between(2, 9) as f64,
        commits: 1,
    }
}

fn bot_in_sensitive_places(repository: &mut Repository, who: &Stranger<'_>, dice: &mut Dice) -> Oddity {
    let mut files = Vec::new();
    for part in ["auth", "crypto", "billing", "users"] {
        for path in sources(repository, part, 6) {
            files.push(file(path, Status::Modified, dice.between(20, 240), dice.between(5, 120)));
        }
    }
    files.push(file(".github/workflows/release.yml".to_owned(), Status::Modified, 41, 12));
    files.push(file("migrations/9000_permissions.sql".to_owned(), Status::Added, 64, 0));
    Oddity {
        kind: "bot-writes-sensitive-source",
        why: format!(
            "a dependency bot that writes source in auth, crypto and billing ({} files) and a migration",
            files.len()
        ),
        author: who.bot.clone(),
        title: "Update internal dependencies".to_owned(),
        body: Some("This PR contains the following updates.".to_owned()),
        files,
        hour: 4.6,
        minutes: 3.0,
        commits: dice.between(9, 30) as u64,
    }
}

fn tests_gutted(repository: &mut Repository, who: &Stranger<'_>, dice: &mut Dice) -> Oddity {
    let tests: BTreeSet<usize> = repository.files.iter().filter_map(|file| file.test).take(60).collect();
    let files: Vec<File> = tests
        .iter()
        .map(|place| file(repository.files[*place].path.clone(), Status::Removed, 0, dice.between(120, 700)))
        .collect();
    let lines: u64 = files.iter().map(|file| file.deletions).sum();
    Oddity {
        kind: "flaky-fix-deletes-tests",
        why: format!("titled as the fix of one flaky test, deletes {lines} lines of {} test files", files.len()),
        author: who.newcomer.clone(),
        title: "Fix flaky test".to_owned(),
        body: Some("CI is red.".to_owned()),
        files,
        hour: 23.0 + dice.unit(),
        minutes: dice.between(2, 6) as f64,
        commits: 1,
    }
}

fn workflows_taken_over(repository: &mut Repository, who: &Stranger<'_>, dice: &mut Dice) -> Oddity {
    let hour = 2.0 + 2.0 * dice.unit();
    let mut files: Vec<File> = repository
        .workflows
        .iter()
        .map(|place| {
            file(repository.files[*place].path.clone(), Status::Modified, dice.between(40, 180), dice.between(20, 90))
        })
        .collect();
    files.push(file(".github/workflows/publish-secrets.yml".to_owned(), Status::Added, dice.between(60, 140), 0));
    files.push(file("scripts/upload.sh".to_owned(), Status::Added, dice.between(80, 300), 0));
    files.push(file(".github/CODEOWNERS".to_owned(), Status::Removed, 0, 31));
    files.push(file("README.md".to_owned(), Status::Modified, 1, 1));
    Oddity {
        kind: "badge-takes-over-workflows",
        why: format!(
            "says README badge, changes every workflow, removes CODEOWNERS and adds a script; first-time author, {}",
            clock(hour)
        ),
        author: who.newcomer.clone(),
        title: "Update README badge".to_owned(),
        body: Some(String::new()),
        files,
        hour,
        minutes: dice.between(2, 8) as f64,
        commits: dice.between(12, 24) as u64,
    }
}

fn formatting_drops_tables(repository: &mut Repository, who: &Stranger<'_>, dice: &mut Dice) -> Oddity {
    const TABLES: [&str; 7] =
        ["invoices", "payments", "refunds", "accounts", "sessions", "audit_log", "ledger_entries"];
    let hour = 4.0 + dice.unit();
    let mut files: Vec<File> = (0..dice.between(9, 16))
        .map(|i| {
            let path = format!("migrations/{:04}_drop_{}.sql", 8_000 + i, TABLES[i % TABLES.len()]);
            file(path, Status::Added, dice.between(30, 200), 0)
        })
        .collect();
    for path in sources(repository, "billing", 10) {
        files.push(file(path, Status::Modified, dice.between(5, 60), dice.between(90, 500)));
    }
    Oddity {
        kind: "formatting-drops-tables",
        why: format!("says formatting, adds migrations that drop tables and cuts billing code; {}", clock(hour)),
        author: who.regular.clone(),
        title: "chore: formatting".to_owned(),
        body: None,
        files,
        hour,
        minutes: 2.0,
        commits: 1,
    }
}

fn binaries_in_source(repository: &mut Repository, who: &Stranger<'_>, dice: &mut Dice) -> Oddity {
    let mut files = Vec::new();
    for i in 0..dice.between(50, 130) {
        let part = repository.subsystems[i % repository.subsystems.len()].words.name;
        files.push(file(format!("{part}/native/lib{part}_{i:03}.so"), Status::Added, 0, 0));
    }
    Oddity {
        kind: "screenshots-are-binaries",
        why: format!(
            "says screenshots, adds {} binary libraries beside the source, not one readable line",
            files.len()
        ),
        author: who.newcomer.clone(),
        title: "docs: update screenshots".to_owned(),
        body: Some("New screenshots for the guide.".to_owned()),
        files,
        hour: 1.0 + 3.0 * dice.unit(),
        minutes: dice.between(3, 15) as f64,
        commits: 1,
    }
}

fn one_line_everywhere(repository: &mut Repository, who: &Stranger<'_>, dice: &mut Dice) -> Oddity {
    let mut files: Vec<File> =
        repository.files.iter().take(280).map(|tracked| file(tracked.path.clone(), Status::Modified, 1, 1)).collect();
    files.extend((0..40).map(|i| file(format!("module_{i:02}/settings.yaml"), Status::Modified, 1, 1)));
    Oddity {
        kind: "config-touches-every-file",
        why: format!("titled as one setting, changes one line in each of {} files of every subsystem", files.len()),
        author: who.regular.clone(),
        title: "Update config.yaml".to_owned(),
        body: None,
        files,
        hour: 10.0 + 6.0 * dice.unit(),
        minutes: dice.between(1, 5) as f64,
        commits: dice.between(40, 90) as u64,
    }
}
