//! Worlds made from a seed, with everything in them that a collector may stumble over; and from documents.

use serde_json::Value;

use super::pull_request::{Account, File, Head, Kind, PullRequest, State, seconds};
use super::world::World;

/// Pull requests are opened from here on, 2020, for so many days.
const BEGIN: i64 = 1_577_836_800;
const DAYS: i64 = 1_400;
const DAY: i64 = 86_400;

/// The size of a world.
#[derive(Clone, Debug)]
pub struct Size {
    /// Who owns the repositories.
    pub owner: &'static str,
    /// Repositories, `repo-00` and so on.
    pub repositories: usize,
    /// Pull requests in all of them together.
    pub pull_requests: usize,
    /// Most files of a usual pull request.
    pub files: usize,
    /// Whether some have more labels, reviewers and files than a page holds, up to 3,000 files.
    pub large: bool,
}

impl Default for Size {
    fn default() -> Self {
        Self { owner: "acme", repositories: 3, pull_requests: 300, files: 6, large: true }
    }
}

/// Throws that a seed decides (xorshift64*).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as this seed says.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end.max(1)
    }

    /// True in that share of the throws.
    pub fn chance(&mut self, share: f64) -> bool {
        (self.below(1_000_000) as f64) < share * 1e6
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

const WORDS: [&str; 12] = [
    "parser",
    "größe",
    "cache",
    "\"quoted\"",
    "🦀 borrow",
    "login",
    "naïve",
    "\\path\\",
    "日本語",
    "queue",
    "a\tb",
    "index",
];
const ASSOCIATIONS: [&str; 5] = ["MEMBER", "CONTRIBUTOR", "NONE", "OWNER", "FIRST_TIME_CONTRIBUTOR"];
const CHANGES: [&str; 6] = ["MODIFIED", "MODIFIED", "ADDED", "DELETED", "RENAMED", "COPIED"];
const FOLDERS: [&str; 4] = ["src", "docs/ünï", "tests/data", ".github/workflows"];

impl World {
    /// One of this size. The same seed gives the same world.
    pub fn seeded(seed: u64, size: &Size) -> Self {
        let mut world = Self::empty();
        let mut dice = Dice::new(seed);
        let names: Vec<String> =
            (0..size.repositories).map(|index| format!("{}/repo-{index:02}", size.owner)).collect();
        for name in &names {
            world.add_repository(name);
        }
        for index in 0..size.pull_requests {
            let id = world.id();
            let repository = world.repository_mut(&names[index % names.len()]);
            let number = repository.pull_requests.len() as u64 + 1;
            let mut pull_request = usual(&mut dice, id, number, size, &repository.full_name);
            odd(&mut dice, &mut pull_request);
            if size.large {
                enlarge(&mut pull_request, index);
            }
            repository.put(pull_request);
        }
        world
    }

    /// One that holds these documents, each in its newest version, under ids of its own.
    pub fn of_documents(documents: &[Value]) -> Self {
        let mut world = Self::empty();
        world.add_documents(documents);
        world
    }

    /// Adds what documents tell: pull requests that are new, and newer versions of those that are there, under their ids.
    pub fn add_documents(&mut self, documents: &[Value]) {
        let mut sorted: Vec<&Value> = documents.iter().collect();
        sorted.sort_by_key(|document| date(document, "updated_at"));
        for document in sorted {
            let name = text(&document["base"]["repo"]["full_name"]);
            if self.find(&name, false).is_none() {
                self.add_repository(&name);
            }
            let known = &self.repository(&name).pull_requests;
            let known = document["number"].as_u64().and_then(|number| known.get(&number)).map(|known| known.id);
            let id = known.unwrap_or_else(|| self.id());
            self.repository_mut(&name).put(of_document(document, id));
        }
    }
}

fn usual(dice: &mut Dice, id: u64, number: u64, size: &Size, repository: &str) -> PullRequest {
    let step = DAYS * DAY / (1 + size.pull_requests / size.repositories) as i64;
    let created_at = BEGIN + number as i64 * step + dice.below(step as usize) as i64;
    let mut updated_at = created_at + dice.below(20 * DAY as usize) as i64;
    if dice.chance(0.2) {
        // Several have the same time, as after a change of all of them.
        updated_at += 60 * DAY - updated_at.rem_euclid(60 * DAY);
    }
    let state = dice.pick(&[State::Merged, State::Merged, State::Closed, State::Open]);
    let closed_at = (state != State::Open).then(|| created_at + (updated_at - created_at) / 2);
    let files: Vec<File> = (0..=dice.below(size.files)).map(|index| file(dice, index)).collect();
    let sha = |what: u64| format!("{:040x}", u128::from(id) * 7 + u128::from(what));
    let author = format!("user-{:02}", dice.below(40));
    let cross = dice.chance(0.5);
    let (_, name) = repository.split_once('/').unwrap();
    PullRequest {
        id,
        number,
        title: format!("Change {} of {number}", dice.pick(&WORDS)),
        body: (0..dice.below(30)).map(|_| dice.pick(&WORDS)).collect::<Vec<_>>().join("\r\n"),
        state,
        draft: state == State::Open && dice.chance(0.3),
        created_at,
        updated_at,
        closed_at,
        merged_at: closed_at.filter(|_| state == State::Merged),
        association: dice.pick(&ASSOCIATIONS).to_owned(),
        labels: (0..dice.below(4)).map(|index| format!("label {index}: {}", dice.pick(&WORDS))).collect(),
        assignees: (0..dice.below(3)).map(|index| format!("user-{index:02}")).collect(),
        reviewers: (0..dice.below(3)).map(|index| Account::user(&format!("user-{:02}", 10 + index))).collect(),
        milestone: dice.chance(0.2).then(|| format!("v{}", dice.below(5))),
        additions: files.iter().map(|file| file.additions).sum(),
        deletions: files.iter().map(|file| file.deletions).sum(),
        changed_files: files.len() as u64,
        commits: 1 + dice.below(9) as u64,
        comments: dice.below(20) as u64,
        base_ref: "main".to_owned(),
        base_sha: sha(1),
        head_ref: format!("topic/{number}"),
        head_sha: sha(2),
        head: Some(if cross {
            Head { full_name: format!("{author}/{name}"), fork: true }
        } else {
            Head { full_name: repository.to_owned(), fork: false }
        }),
        merge_commit: (state == State::Merged).then(|| sha(3)),
        author: Some(Account::user(&author)),
        files,
    }
}

fn file(dice: &mut Dice, index: usize) -> File {
    let change = dice.pick(&CHANGES);
    let lines = |dice: &mut Dice| dice.below(200) as u64;
    File {
        path: format!("{}/file {index} {}.rs", dice.pick(&FOLDERS), dice.below(50)),
        change,
        additions: if change == "DELETED" { 0 } else { lines(dice) },
        deletions: if change == "ADDED" { 0 } else { lines(dice) },
    }
}

/// Bots, ghosts, deleted forks and teams, now and then.
fn odd(dice: &mut Dice, pull_request: &mut PullRequest) {
    match dice.below(20) {
        0 | 1 => pull_request.author = Some(Account::bot("dependabot")),
        2 => pull_request.author = None,
        3 => pull_request.head = None,
        4 => (pull_request.author, pull_request.head) = (None, None),
        5 => pull_request.reviewers.push(Account { login: "core-team".to_owned(), kind: Kind::Team }),
        6 => pull_request.body.clear(),
        _ => {}
    }
}

/// More files than a page holds, up to more than GitHub lists, and as many labels, assignees and reviewers as there may be.
fn enlarge(pull_request: &mut PullRequest, index: usize) {
    let files = match index {
        5 => 100,
        6 => 101,
        7 => 250,
        8 => 3_000,
        9 => 3_123,
        _ => 0,
    };
    let paths = (pull_request.files.len()..files).map(|index| format!("generated/{index:05}.json"));
    let added = paths.map(|path| File { path, change: "ADDED", additions: 3, deletions: 0 });
    pull_request.files.extend(added.collect::<Vec<_>>());
    pull_request.changed_files = pull_request.files.len() as u64;
    if index == 10 {
        pull_request.labels = (0..100).map(|index| format!("label {index:03}")).collect();
        pull_request.assignees = (0..10).map(|index| format!("user-{index:02}")).collect();
        pull_request.reviewers = (0..15).map(|index| Account::user(&format!("user-{index:02}"))).collect();
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn date(document: &Value, field: &str) -> Option<i64> {
    document[field]["$date"].as_str().map(seconds)
}

/// What GitHub would hold of a document; what the document does not know is nothing.
fn of_document(document: &Value, id: u64) -> PullRequest {
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let list = |field: &str, name: &str| -> Vec<String> {
        document[field].as_array().into_iter().flatten().map(|value| text(&value[name])).collect()
    };
    let account = |login: String| match login.strip_suffix("[bot]") {
        Some(login) => Account::bot(login),
        None => Account::user(&login),
    };
    let files = document["files"].as_array().into_iter().flatten().map(|file| File {
        path: text(&file["filename"]),
        change: match file["status"].as_str() {
            Some("added") => "ADDED",
            Some("removed") => "DELETED",
            Some("renamed") => "RENAMED",
            Some("copied") => "COPIED",
            _ => "MODIFIED",
        },
        additions: number(&file["additions"]),
        deletions: number(&file["deletions"]),
    });
    let state = match (document["merged"].as_bool(), document["state"].as_str()) {
        (Some(true), _) => State::Merged,
        (_, Some("closed")) => State::Closed,
        _ => State::Open,
    };
    let head = &document["head"]["repo"];
    PullRequest {
        id,
        number: number(&document["number"]),
        title: text(&document["title"]),
        body: text(&document["body"]),
        state,
        draft: document["draft"].as_bool().unwrap_or_default(),
        created_at: date(document, "created_at").unwrap(),
        updated_at: date(document, "updated_at").unwrap(),
        closed_at: date(document, "closed_at"),
        merged_at: date(document, "merged_at"),
        author: document["user"]["login"].as_str().map(|login| account(login.to_owned())),
        association: document["author_association"].as_str().unwrap_or("NONE").to_owned(),
        labels: list("labels", "name"),
        assignees: list("assignees", "login"),
        reviewers: list("requested_reviewers", "login").into_iter().map(account).collect(),
        milestone: document["milestone"]["title"].as_str().map(str::to_owned),
        additions: number(&document["additions"]),
        deletions: number(&document["deletions"]),
        changed_files: number(&document["changed_files"]),
        commits: number(&document["commits"]),
        comments: number(&document["comments"]),
        base_ref: text(&document["base"]["ref"]),
        base_sha: text(&document["base"]["sha"]),
        head_ref: text(&document["head"]["ref"]),
        head_sha: text(&document["head"]["sha"]),
        head: head["full_name"].as_str().map(|full_name| Head {
            full_name: full_name.to_owned(),
            fork: head["fork"].as_bool().unwrap_or_default(),
        }),
        merge_commit: document["merge_commit_sha"].as_str().map(str::to_owned),
        files: files.collect(),
    }
}
