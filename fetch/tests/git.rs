//! Real histories, made here by real `git`, through the program's own door.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use common::{date, documents, export, fail, program, publish, stderr, text, url};
use prowl_platform::Secrets;
use serde_json::{Value, json};
use tempfile::TempDir;

const ALICE: (&str, &str) = ("Alice A", "123+alice@users.noreply.github.com");
const BOB: (&str, &str) = ("Bob B", "bob@example.org");
const CAROL: (&str, &str) = ("Carol C", "carol@example.org");
const BOT: (&str, &str) = ("dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com");

/// A clone in the making. Its clock goes one day forward with each commit.
struct Clone {
    directory: TempDir,
    day: u32,
}

impl Clone {
    fn new() -> Self {
        let clone = Self { directory: TempDir::new().unwrap(), day: 0 };
        clone.git(&["init", "--quiet", "--initial-branch=trunk"]);
        clone
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn git(&self, arguments: &[&str]) -> String {
        self.git_as(CAROL, "2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z", arguments)
    }

    fn git_as(&self, author: (&str, &str), authored: &str, committed: &str, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.path())
            .args(["-c", "commit.gpgsign=false", "-c", "core.autocrlf=false"])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_AUTHOR_NAME", author.0)
            .env("GIT_AUTHOR_EMAIL", author.1)
            .env("GIT_AUTHOR_DATE", authored)
            .env("GIT_COMMITTER_NAME", "GitHub")
            .env("GIT_COMMITTER_EMAIL", "noreply@github.com")
            .env("GIT_COMMITTER_DATE", committed)
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Commits everything, at 10:00 of the next day, committed at 12:00. Returns the commit's name.
    fn commit(&mut self, author: (&str, &str), message: &str) -> String {
        self.day += 1;
        let (authored, committed) = (self.at(10), self.at(12));
        self.git(&["add", "--all"]);
        self.git_as(author, &authored, &committed, &["commit", "--quiet", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Merges `branch` into the present one, at 10:00 of the next day.
    fn merge(&mut self, branch: &str, message: &str) -> String {
        self.day += 1;
        let (authored, committed) = (self.at(10), self.at(12));
        self.git_as(CAROL, &authored, &committed, &["merge", "--quiet", "--no-ff", "-m", message, branch]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn at(&self, hour: u32) -> String {
        format!("2024-03-{:02}T{hour:02}:00:00Z", self.day)
    }
}

fn read(clone: &Clone, arguments: &[&str]) -> BTreeMap<u64, Value> {
    let store = TempDir::new().unwrap();
    let path = clone.path().to_str().unwrap();
    publish(store.path(), &[&["git", "--path", path, "--repo", "owner/repo"], arguments].concat());
    documents(store.path()).into_iter().map(|document| (document["number"].as_u64().unwrap(), document)).collect()
}

/// Who was taken back, and when.
fn reverted(found: &BTreeMap<u64, Value>) -> Vec<(u64, &str)> {
    let taken_back = found.iter().filter(|(_, document)| document.get("reverted_at").is_some());
    taken_back.map(|(number, document)| (*number, date(document, "reverted_at"))).collect()
}

fn files(document: &Value) -> Vec<(&str, &str, u64, u64)> {
    let files = document["files"].as_array().unwrap().iter();
    files
        .map(|file| {
            let lines = |key: &str| file[key].as_u64().unwrap();
            (text(file, "/filename"), text(file, "/status"), lines("additions"), lines("deletions"))
        })
        .collect()
}

#[test]
fn squash_commits_become_documents() {
    let mut clone = Clone::new();
    clone.write("src/parser.rs", "a\nb\nc\n");
    let first = clone.commit(CAROL, "Initial commit");
    clone.write("src/parser.rs", "a\nB\nc\nd\n");
    clone.write("docs/größe übersicht.md", "x\n");
    clone.write("tab\tand\nline.txt", "1\n2\n");
    // Everything that could be taken for a record of its own.
    let body = "It \"parses\".\n\n:100644 100644 abc def M\n12\t3\tfake.rs\n\u{1}abc\n\n\u{1f600} (#99)";
    let squash = clone.commit(ALICE, &format!("Add parser (#1)\n\n{body}"));
    clone.git(&["mv", "src/parser.rs", "src/grammar.rs"]);
    clone.write("logo.png", [0_u8, 159, 146, 150, 0]);
    fs::remove_file(clone.path().join("tab\tand\nline.txt")).unwrap();
    clone.commit(BOB, "Move parser (#2)");
    clone.commit(BOT, "Trigger nothing (#3)");
    clone.write("src/grammar.rs", "A\nB\nc\nd\n");
    clone.commit(CAROL, "No pull request");

    let found = read(&clone, &[]);
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    let one = &found[&1];
    let expected = json!({
        "_id": "owner/repo#1", "number": 1, "id": null, "node_id": null, "title": "Add parser", "body": body,
        "state": "closed", "draft": null, "merged": true,
        "merged_at": {"$date": "2024-03-02T12:00:00Z"}, "created_at": {"$date": "2024-03-02T10:00:00Z"},
        "updated_at": {"$date": "2024-03-02T12:00:00Z"}, "closed_at": {"$date": "2024-03-02T12:00:00Z"},
        "user": {"login": "alice", "type": "User"}, "author_association": null, "labels": null, "assignees": null,
        "requested_reviewers": null, "milestone": null, "additions": 5, "deletions": 1, "changed_files": 3,
        "commits": null, "comments": null, "review_comments": null,
        "base": {"ref": "trunk", "sha": first, "repo": {"full_name": "owner/repo"}},
        // Without `repo`, of which `null` would say that the fork is gone.
        "head": {"ref": null, "sha": null}, "merge_commit_sha": squash,
        "files": [
            {"filename": "docs/größe übersicht.md", "status": "added", "additions": 1, "deletions": 0},
            {"filename": "src/parser.rs", "status": "modified", "additions": 2, "deletions": 1},
            {"filename": "tab\tand\nline.txt", "status": "added", "additions": 2, "deletions": 0},
        ],
        "fetched_at": null,
    });
    assert_eq!(*one, expected);

    assert_eq!(text(&found[&2], "/user/login"), "Bob B");
    assert_eq!(
        files(&found[&2]),
        [("logo.png", "added", 0, 0), ("src/grammar.rs", "renamed", 0, 0), ("tab\tand\nline.txt", "removed", 0, 2)]
    );
    assert_eq!(found[&3]["user"], json!({"login": "dependabot[bot]", "type": "Bot"}));
    assert_eq!((files(&found[&3]).len(), &found[&3]["changed_files"]), (0, &json!(0)));
    assert_eq!(found[&3]["body"], Value::Null);
}

#[test]
fn merge_commits_become_documents_of_their_branch() {
    let mut clone = Clone::new();
    clone.write("a", "1\n");
    clone.commit(CAROL, "Initial commit (#1)");
    clone.git(&["checkout", "--quiet", "-b", "fix-leak"]);
    clone.write("b", "1\n2\n");
    clone.commit(BOB, "first step");
    clone.write("b", "1\n2\n3\n");
    let tip = clone.commit(BOB, "second step");
    clone.git(&["checkout", "--quiet", "trunk"]);
    clone.write("c", "meanwhile\n");
    let before = clone.commit(ALICE, "Meanwhile (#2)");
    let merge = clone.merge("fix-leak", "Merge pull request #3 from bob/fix-leak\n\nFix the leak\n\nIt leaked.");
    clone.git(&["checkout", "--quiet", "-b", "own"]);
    clone.git(&["checkout", "--quiet", "-b", "picked"]);
    let (picked, meanwhile) = ("2024-02-01T00:00:00Z", clone.at(12));
    clone.git_as(BOB, picked, &meanwhile, &["commit", "--quiet", "--allow-empty", "-m", "an older step"]);
    clone.git(&["checkout", "--quiet", "own"]);
    clone.write("d", "1\n");
    clone.commit(ALICE, "one step");
    clone.merge("picked", "Merge branch 'picked' into own");
    clone.git(&["checkout", "--quiet", "trunk"]);
    let script = "Merge Owner/Repo#4: Speed it up\n\nabc one step (Alice A)\n\nPull request description:\n\n  Much faster.\n\nACKs for top commit:\n  x";
    clone.merge("own", script);
    clone.git(&["checkout", "--quiet", "-b", "foreign"]);
    clone.write("e", "1\n");
    clone.commit(ALICE, "one step");
    clone.git(&["checkout", "--quiet", "trunk"]);
    clone.merge("foreign", "Merge owner/gui#5: Not ours");
    // By the subject, as git has it, and by the title.
    let day = clone.day;
    clone.commit(BOB, "Revert \"Merge pull request #3 from bob/fix-leak\"");
    clone.commit(BOB, "Revert \"Speed it up\"");

    let store = TempDir::new().unwrap();
    let path = clone.path().to_str().unwrap();
    publish(store.path(), &["git", "--path", path, "--repo", "owner/repo"]);
    let counts = export(store.path()).manifest().counts.clone();
    assert_eq!((counts["pull_requests"], counts["reverted"], counts["foreign_merges"]), (4, 2, 1));
    let found = read(&clone, &[]);
    let after = |days: u32| format!("2024-03-{:02}T12:00:00Z", day + days);
    assert_eq!(reverted(&found), [(3, after(1).as_str()), (4, after(2).as_str())]);
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4]);
    let three = &found[&3];
    assert_eq!((text(three, "/title"), text(three, "/body")), ("Fix the leak", "It leaked."));
    assert_eq!(date(three, "created_at"), "2024-03-02T10:00:00Z", "author date of the first commit on the branch");
    assert_eq!(date(three, "merged_at"), "2024-03-05T12:00:00Z");
    assert_eq!(text(three, "/user/login"), "Bob B", "who wrote it, not who merged it");
    assert_eq!(three["commits"], 2);
    assert_eq!((text(three, "/base/sha"), text(three, "/head/sha")), (before.as_str(), tip.as_str()));
    assert_eq!(text(three, "/merge_commit_sha"), merge);
    assert_eq!(three["head"]["ref"], "fix-leak");
    assert_eq!(three["head"]["repo"], json!({"full_name": null, "fork": true}));
    assert_eq!(files(three), [("b", "added", 3, 0)], "against the main line, without what happened there meanwhile");
    let four = &found[&4];
    assert_eq!((text(four, "/title"), text(four, "/body")), ("Speed it up", "Much faster."));
    assert_eq!(four["commits"], 3);
    assert_eq!(date(four, "created_at"), picked, "the earliest of all that it brought");
}

#[test]
fn reverts_are_dated_with_and_without_a_pull_request() {
    let mut clone = Clone::new();
    for (number, title) in
        [(1, "Add a"), (2, "Add b"), (3, "Add c"), (4, "Same title"), (5, "Same title"), (6, "Add d")]
    {
        clone.write(&format!("{number}"), "1\n");
        clone.commit(ALICE, &format!("{title} (#{number})"));
    }
    let sha = |number: u32| clone.git(&["log", "-1", "--format=%H", &format!("--grep=(#{number})")]);
    let (one, two) = (sha(1), sha(2));
    // Day 7: with a pull request, by the commit's name.
    clone.commit(BOB, &format!("Revert \"Add a\" (#7)\n\nThis reverts commit {one}."));
    // Day 8: a push, by git's own hand, with a short name.
    clone.commit(BOB, &format!("Revert \"Add b (#2)\"\n\nThis reverts commit {}.", &two[..9]));
    // Day 9: by number only. Day 10: by title only, of which the later one is meant.
    clone.commit(BOB, "Back out c (#9)\n\nReverts Owner/repo#3, which broke d");
    clone.commit(BOB, "revert: \"Same title\"");
    // Day 11: the revert itself is taken back. Day 12: again, which changes no first date.
    clone.commit(BOB, "Revert \"Revert \"Add a\"\" (#11)");
    clone.commit(BOB, &format!("Again (#12)\n\nThis reverts commit {one}."));
    // Too late to be meant on day 10.
    clone.commit(ALICE, "Same title (#14)");
    // Nothing of ours.
    clone.commit(
        BOB,
        "Undo (#13)\n\nReverts other/repo#6\n\nThis reverts commit 0123456789abcdef0123456789abcdef01234567.",
    );

    let found = read(&clone, &[]);
    assert_eq!(
        reverted(&found),
        [
            (1, "2024-03-07T12:00:00Z"),
            (2, "2024-03-08T12:00:00Z"),
            (3, "2024-03-09T12:00:00Z"),
            (5, "2024-03-10T12:00:00Z"),
            (7, "2024-03-11T12:00:00Z"),
        ]
    );
    assert_eq!(text(&found[&7], "/title"), "Revert \"Add a\"");
    assert!(text(&found[&7], "/body").starts_with("This reverts commit"));

    // A pull request before --since is left out, a revert of one after it still counts.
    let late = read(&clone, &["--since", "2024-03-05T12:00:00Z"]);
    assert_eq!(late.keys().copied().collect::<Vec<_>>(), [5, 6, 7, 9, 11, 12, 13, 14]);
    assert_eq!(late[&5], found[&5]);
}

#[test]
fn reverts_of_commits_that_the_history_does_not_have_are_counted() {
    let mut clone = Clone::new();
    let pushed = clone.commit(ALICE, "Add a");
    clone.commit(ALICE, "Add b (#1)");
    clone.git(&["checkout", "--quiet", "-b", "own"]);
    let step = clone.commit(ALICE, "one step");
    clone.git(&["checkout", "--quiet", "trunk"]);
    clone.merge("own", "Merge pull request #2 from alice/own");
    let read = |clone: &Clone| {
        let store = TempDir::new().unwrap();
        let path = clone.path().to_str().unwrap();
        let output = publish(store.path(), &["git", "--path", path, "--repo", "owner/repo"]);
        (export(store.path()).manifest().counts["lost_reverts"], stderr(&output))
    };
    let (lost, said) = read(&clone);
    assert!(lost == 0 && !said.contains("does not have"), "{said}");

    // These are there, and no pull request.
    clone.commit(BOB, &format!("Undo a (#3)\n\nThis reverts commit {pushed}."));
    clone.commit(BOB, &format!("Undo a step (#4)\n\nThis reverts commit {}.", &step[..8]));
    // This one is not, and the title tells.
    let gone = "0123456789abcdef0123456789abcdef01234567";
    clone.commit(BOB, &format!("Revert \"Add b\" (#5)\n\nThis reverts commit {gone}."));
    // Nothing tells; a revert counts once.
    clone.commit(BOB, &format!("Undo c (#6)\n\nThis reverts commit {gone}.\nThis reverts commit {}.", &gone[4..]));
    clone.commit(BOB, &format!("Undo d\n\nThis reverts commit {}.", &gone[..7]));
    let (lost, said) = read(&clone);
    assert_eq!(lost, 2);
    assert!(said.contains("reverts of a commit that this history does not have: 2;"), "{said}");
}

#[test]
fn only_an_older_pull_request_is_taken_back_and_never_before_its_merge() {
    let mut clone = Clone::new();
    clone.commit(BOB, "Back out a draft (#1)\n\nReverts #2, which was opened by mistake");
    let early = clone.commit(ALICE, "Add a (#2)");
    clone.commit(BOB, "Back out a (#3)\n\nReverts #2");
    clone.commit(BOB, "Undo (#4)\n\nReverts #4");
    // Day 5: a clock a month behind.
    let behind = "2024-02-01T00:00:00Z";
    let message = format!("Revert \"Back out a\"\n\nThis reverts commit {}.", clone.git(&["rev-parse", "HEAD~1"]));
    clone.git_as(BOB, behind, behind, &["commit", "--quiet", "--allow-empty", "-m", &message]);
    clone.git(&["checkout", "--quiet", "-b", "foreign"]);
    clone.commit(ALICE, "one step");
    clone.git(&["checkout", "--quiet", "trunk"]);
    clone.merge("foreign", "Merge other/gui#9: Undo\n\nReverts #1");

    let found = read(&clone, &[]);
    assert_eq!(text(&found[&2], "/merge_commit_sha"), early);
    assert_eq!(reverted(&found), [(2, "2024-03-03T12:00:00Z"), (3, date(&found[&3], "merged_at"))]);
}

#[test]
fn a_login_goes_with_the_name_and_who_has_none_is_counted() {
    let mut clone = Clone::new();
    clone.commit(("Alice A", "alice@example.org"), "By mail (#2)");
    clone.commit(BOB, "By nobody that GitHub named (#1)");
    clone.commit(ALICE, "No pull request, but a login");
    let store = TempDir::new().unwrap();
    let path = clone.path().to_str().unwrap();
    let output = publish(store.path(), &["git", "--path", path, "--repo", "owner/repo"]);
    let found = documents(store.path());
    let logins: Vec<_> = found.iter().map(|found| text(found, "/user/login")).collect();
    assert_eq!(logins, ["alice", "Bob B"], "by the time of the merge");
    assert_eq!(export(store.path()).manifest().counts["authors_by_name"], 1);
    assert!(stderr(&output).contains("known by name only, not by login: 1"), "{}", stderr(&output));
}

#[test]
fn a_number_that_comes_twice_is_the_first_one() {
    let mut clone = Clone::new();
    clone.write("a", "1\n");
    let original = clone.commit(ALICE, "Add a (#1)");
    clone.git(&["rm", "--quiet", "a"]);
    clone.commit(ALICE, "Revert \"Add a (#1)\"");
    clone.write("a", "1\n");
    clone.commit(ALICE, "Add a (#1)");
    let found = read(&clone, &[]);
    assert_eq!(text(&found[&1], "/merge_commit_sha"), original);
    assert_eq!(date(&found[&1], "reverted_at"), "2024-03-02T12:00:00Z");
}

#[test]
fn a_wrong_clock_opens_nothing_after_its_merge() {
    let clone = Clone::new();
    let (authored, committed) = ("2024-03-09T00:00:00Z", "2024-03-01T00:00:00Z");
    clone.git_as(ALICE, authored, committed, &["commit", "--quiet", "--allow-empty", "-m", "From the future (#1)"]);
    let found = read(&clone, &[]);
    assert_eq!(date(&found[&1], "created_at"), committed);
    assert_eq!(date(&found[&1], "merged_at"), committed);
}

#[test]
fn the_same_history_gives_the_same_bytes_whatever_the_users_configuration_is() {
    let mut clone = Clone::new();
    let lines = |letters: &str| letters.chars().flat_map(|letter| [letter, '\n']).collect::<String>();
    clone.write("poem", lines("acdcbd"));
    clone.write("größe", lines("abcd"));
    fs::create_dir(clone.path().join("sub")).unwrap();
    let submodule = |clone: &Clone, digit: &str| {
        let entry = format!("160000,{},sub", digit.repeat(40));
        clone.git(&["update-index", "--add", "--cacheinfo", &entry]);
    };
    submodule(&clone, "1");
    clone.commit(ALICE, "Add a (#1)");
    clone.git(&["mv", "größe", "b"]);
    // Its lines are counted otherwise by another algorithm.
    clone.write("poem", lines("ddbbca"));
    clone.write("z", lines("z"));
    clone.commit(ALICE, "Move a (#2)");
    clone.git(&["checkout", "--quiet", "-b", "side"]);
    clone.write("d", lines("z"));
    clone.commit(ALICE, "one step");
    clone.git(&["checkout", "--quiet", "trunk"]);
    clone.merge("side", "Merge pull request #3 from alice/side\n\nAdd d");
    submodule(&clone, "2");
    // A signature, and a program that says much of every one that it is shown.
    let signer = "#!/bin/sh\ncat > /dev/null\nprintf '\\n[GNUPG:] SIG_CREATED \\n' >&2\nprintf -- \
                  '-----BEGIN PGP SIGNATURE-----\\n\\nx\\n-----END PGP SIGNATURE-----\\n'\n";
    clone.write(".git/signer", signer);
    fs::set_permissions(clone.path().join(".git/signer"), fs::Permissions::from_mode(0o755)).unwrap();
    let file = |name: &str| clone.path().join(".git").join(name).to_str().unwrap().to_owned();
    clone.git(&["config", "gpg.program", &file("signer")]);
    clone.git(&["commit", "--quiet", "-S", "-m", "Übernimm sub (#4)"]);
    clone.write(".git/order", "z*\n");
    clone.write(".git/attributes", "* -diff\n");
    clone.write(".git/mailmap", "Mallory <m@example.org> <123+alice@users.noreply.github.com>\n");

    let arguments = ["git", "--path", clone.path().to_str().unwrap(), "--repo", "owner/repo"];
    let store = TempDir::new().unwrap();
    publish(store.path(), &arguments);
    let expected = export(store.path());
    assert_eq!(expected.manifest().inputs[0].digest.as_deref(), Some(clone.git(&["rev-parse", "HEAD"]).as_str()));
    // Each by itself: one may hide what another does.
    for (key, value) in [
        ("color.ui", "always"),
        ("core.attributesFile", &file("attributes")),
        ("core.bigFileThreshold", "1"),
        ("core.quotePath", "true"),
        ("diff.algorithm", "patience"),
        ("diff.external", "false"),
        ("diff.ignoreSubmodules", "all"),
        ("diff.noprefix", "true"),
        ("diff.orderFile", &file("order")),
        ("diff.renameLimit", "1"),
        ("diff.renames", "copies"),
        ("diff.renames", "false"),
        ("format.pretty", "oneline"),
        ("i18n.logOutputEncoding", "latin1"),
        ("log.decorate", "full"),
        ("log.diffMerges", "cc"),
        ("log.diffMerges", "combined"),
        ("log.diffMerges", "dense-combined"),
        ("log.diffMerges", "off"),
        ("log.diffMerges", "remerge"),
        ("log.follow", "true"),
        ("log.mailmap", "true"),
        ("log.showRoot", "false"),
        ("log.showSignature", "true"),
        ("mailmap.file", &file("mailmap")),
    ] {
        clone.git(&["config", key, value]);
        let other = TempDir::new().unwrap();
        publish(other.path(), &arguments);
        assert_eq!(export(other.path()).manifest().files, expected.manifest().files, "{key} = {value}");
        clone.git(&["config", "--unset", key]);
    }
    // As inside of a hook of another repository.
    let other = TempDir::new().unwrap();
    let mut hooked = program();
    hooked.args(arguments).args(["--store", &url(other.path())]).env("GIT_DIR", "/nowhere").env("GIT_WORK_TREE", "/");
    let output = hooked.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(export(other.path()).manifest().files, expected.manifest().files);
}

#[test]
fn the_default_branch_of_the_remote_is_read_unless_another_is_named() {
    let mut origin = Clone::new();
    origin.write("a", "1\n");
    origin.commit(ALICE, "On trunk (#1)");
    origin.git(&["checkout", "--quiet", "-b", "side"]);
    origin.write("b", "1\n");
    origin.commit(ALICE, "On side (#2)");
    origin.git(&["checkout", "--quiet", "trunk"]);
    let local = Clone { directory: TempDir::new().unwrap(), day: 0 };
    local.git(&["clone", "--quiet", origin.path().to_str().unwrap(), "."]);
    local.git(&["checkout", "--quiet", "side"]);

    let default = read(&local, &[]);
    assert_eq!(default.keys().copied().collect::<Vec<_>>(), [1]);
    assert_eq!(text(&default[&1], "/base/ref"), "trunk");
    let side = read(&local, &["--branch", "side"]);
    assert_eq!(side.keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(text(&side[&2], "/base/ref"), "side");
    local.git(&["remote", "rename", "origin", "upstream"]);
    local.git(&["branch", "--quiet", "--delete", "trunk"]);
    assert_eq!(read(&local, &["--branch", "upstream/trunk"]), default, "a branch is called what it is at its remote");
    local.git(&["checkout", "--quiet", "--detach"]);
    assert_eq!(read(&local, &[])[&2]["base"]["ref"], Value::Null, "no branch tells where pull requests go");
}

#[test]
fn a_shallow_clone_tells_only_what_it_knows_and_that_something_is_missing() {
    let mut origin = Clone::new();
    for number in 1..=3 {
        origin.write(&number.to_string(), "1\n");
        origin.commit(ALICE, &format!("Add a file (#{number})"));
    }
    let shallow = Clone { directory: TempDir::new().unwrap(), day: 0 };
    shallow.git(&["clone", "--quiet", "--depth", "2", &url(origin.path()), "."]);
    let store = TempDir::new().unwrap();
    let output = publish(store.path(), &["git", "--path", shallow.path().to_str().unwrap(), "--repo", "o/r"]);
    assert!(stderr(&output).contains("the clone is shallow"), "{}", stderr(&output));
    let found = documents(store.path());
    assert_eq!(found.len(), 1, "of the second one, git does not know what it changed");
    assert_eq!(files(&found[0]), [("3", "added", 1, 0)]);
}

/// A clone with so many pull requests that several `git` read them, one change of one file each.
fn many(count: usize) -> Clone {
    let clone = Clone::new();
    let mut stream = String::new();
    for number in 1..=count {
        let message = format!("Change {number} (#{number})");
        let content = format!("{number}\n").repeat(number % 50 + 1);
        let at = 1_700_000_000 + 60 * number;
        write!(
            stream,
            "commit refs/heads/trunk\ncommitter Ann <ann@example.org> {at} +0000\ndata {}\n{message}\nM 100644 inline \
             file{}\ndata {}\n{content}\n",
            message.len(),
            number % 7,
            content.len()
        )
        .unwrap();
    }
    let mut import = Command::new("git")
        .arg("-C")
        .arg(clone.path())
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    import.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
    clone
}

#[test]
fn what_several_read_at_once_comes_in_its_order() {
    let clone = many(300);
    let store = TempDir::new().unwrap();
    publish(store.path(), &["git", "--path", clone.path().to_str().unwrap(), "--repo", "o/r"]);
    let found = documents(store.path());
    assert_eq!(found.len(), 300);
    for (number, document) in (1..).zip(&found) {
        assert_eq!(document["number"], number);
        assert_eq!(text(document, "/title"), format!("Change {number}"));
        let (file, lines) = (format!("file{}", number % 7), number % 50 + 1);
        let before = if number > 7 { (number - 7) % 50 + 1 } else { 0 };
        let status = if number > 7 { "modified" } else { "added" };
        assert_eq!(files(document), [(file.as_str(), status, lines, before)]);
    }
}

#[test]
fn a_git_that_fails_half_way_or_says_less_than_it_was_asked_publishes_nothing() {
    let clone = many(300);
    let wanted = clone.git(&["rev-parse", "trunk~100"]);
    let bin = TempDir::new().unwrap();
    let path = std::env::var("PATH").unwrap();
    let fails = format!("case $asked in *{wanted}*) echo 'fatal: bad object' >&2; exit 128;; esac; pass() {{ cat; }}");
    let forgets = format!("pass() {{ grep -v {wanted}; }}");
    for (disturbed, expected) in [
        (fails, "`git log` failed in".to_owned()),
        (forgets, "`git log` printed \"".to_owned()),
        // The last of the last slice.
        ("pass() { sed '$d'; }".to_owned(), "where the next commit that was asked for should be".to_owned()),
    ] {
        let script = format!(
            "#!/bin/sh\nPATH='{path}'\ncase \"$*\" in *--no-walk*) asked=$(cat); {disturbed}\nprintf '%s\\n' \"$asked\" | \
             pass | git \"$@\";;\n*) exec git \"$@\";;\nesac\n"
        );
        fs::write(bin.path().join("git"), script).unwrap();
        fs::set_permissions(bin.path().join("git"), fs::Permissions::from_mode(0o755)).unwrap();
        let store = TempDir::new().unwrap();
        let output = program()
            .args(["git", "--path", clone.path().to_str().unwrap(), "--repo", "o/r", "--store", &url(store.path())])
            .env("PATH", format!("{}:{path}", bin.path().display()))
            .output()
            .unwrap();
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{disturbed}: {message}");
        assert!(message.contains(&expected), "{disturbed}: {message}");
        assert!(fs::read_dir(store.path().join("exports")).unwrap().next().is_none());
    }
}

#[test]
fn git_gets_no_secret_from_the_environment() {
    let mut clone = Clone::new();
    clone.write("a", "1\n");
    clone.commit(ALICE, "one");
    // A `git` that tells what it was given, and then is the real one.
    let bin = TempDir::new().unwrap();
    let (git, told) = (bin.path().join("git"), bin.path().join("told"));
    let path = std::env::var("PATH").unwrap();
    fs::write(&git, format!("#!/bin/sh\nenv >> '{}'\nPATH='{path}' exec git \"$@\"\n", told.display())).unwrap();
    fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();

    let store = TempDir::new().unwrap();
    let output = program()
        .args(["git", "--path", clone.path().to_str().unwrap(), "--repo", "o/r", "--store", &url(store.path())])
        .env("PATH", format!("{}:{path}", bin.path().display()))
        .envs(Secrets::VARIABLES.iter().map(|variable| (variable, format!("planted-{variable}"))))
        .env("HARMLESS", "passed on")
        .output()
        .unwrap();
    let told = fs::read_to_string(told).unwrap();
    assert!(told.contains("HARMLESS=passed on"), "{}", stderr(&output));
    assert!(!told.contains("planted-"), "{told}");
    assert!(!stderr(&output).contains("planted-"));
}

#[test]
fn figures_tell_of_a_run_that_went_well_and_of_one_that_failed() {
    let mut clone = Clone::new();
    clone.commit(ALICE, "One (#1)");
    let folder = TempDir::new().unwrap();
    let figures = folder.path().join("fetch.prom");
    let told = ["--metrics-file", figures.to_str().unwrap()];
    let value = |name: &str| {
        let text = fs::read_to_string(&figures).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("prowl_fetch_{name}{{command=\"git\"")));
        line.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
    };
    let store = folder.path().join("store");
    publish(&store, &[&["git", "--path", clone.path().to_str().unwrap(), "--repo", "o/r"], &told[..]].concat());
    assert_eq!((value("success"), value("documents")), (Some(1.0), Some(1.0)));
    let last = value("last_success_timestamp_seconds");
    assert!(last.is_some());

    let nowhere = folder.path().join("nothing");
    fail(&nowhere, 1, &[&["git", "--path", "/nowhere/at/all", "--repo", "o/r"], &told[..]].concat());
    assert_eq!((value("success"), value("documents")), (Some(0.0), None));
    assert_eq!(value("last_success_timestamp_seconds"), last);
}

#[test]
fn what_cannot_be_read_is_said_in_one_line() {
    let store = TempDir::new().unwrap();
    let store = store.path();
    let empty = TempDir::new().unwrap();
    let path = empty.path().to_str().unwrap();
    let message = fail(store, 1, &["git", "--path", path, "--repo", "o/r"]);
    assert!(message.contains("is no git repository: give the folder of a clone with --path"), "{message}");
    // One that `git` refuses is one all the same.
    Command::new("git").args(["init", "--quiet", path]).status().unwrap();
    let output = program()
        .args(["git", "--path", path, "--repo", "o/r", "--store", &url(store)])
        .envs([("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null")])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(
        message.starts_with(&format!("error: `git rev-parse` failed in {path}: fatal: detected dubious ownership")),
        "{message}"
    );
    assert!(message.contains("git config --global --add safe.directory"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
    fs::write(empty.path().join(".git/config"), "no setting").unwrap();
    let message = fail(store, 1, &["git", "--path", path, "--repo", "o/r"]);
    assert!(message.contains("bad config line 1") && !message.contains("no git repository"), "{message}");
    let message = fail(store, 1, &["git", "--path", "/nowhere/at/all", "--repo", "o/r"]);
    assert!(
        message.contains("/nowhere/at/all is no git repository") && message.contains("no such folder"),
        "{message}"
    );
    for repository in ["repo", "https://github.com/o/r", "o/r/x", ""] {
        let message = fail(store, 2, &["git", "--path", path, "--repo", repository]);
        assert!(message.contains("write it as owner/name"), "{message}");
    }
    let message = fail(store, 2, &["git", "--path", path, "--repo", "o/r", "--since", "last week"]);
    assert!(message.contains("2024-05-01"), "{message}");

    let mut clone = Clone::new();
    let path = clone.path().to_str().unwrap().to_owned();
    let message = fail(store, 1, &["git", "--path", &path, "--repo", "o/r"]);
    assert!(message.contains("has no commit on trunk"), "{message}");
    clone.write("sub/a", "1\n");
    clone.commit(ALICE, "Initial commit");
    clone.commit(ALICE, "Fixes #12");
    let message = fail(store, 1, &["git", "--path", &path, "--repo", "o/r"]);
    for part in ["no pull request found among 2 commits of trunk", "(#123)", "Merge pull request #123", "clone of o/r"]
    {
        assert!(message.contains(part), "{part}: {message}");
    }
    let message = fail(store, 1, &["git", "--path", &path, "--repo", "o/r", "--branch", "nope"]);
    assert!(message.contains("has no commit on nope") && message.contains("--branch"), "{message}");
    let message = fail(store, 1, &["git", "--path", &format!("{path}/sub"), "--repo", "o/r"]);
    assert!(message.contains("it is the folder sub/ inside of one"), "{message}");
    clone.write("sub/a", "2\n");
    clone.commit(ALICE, "A (#1)");
    let message = fail(store, 1, &["git", "--path", &path, "--repo", "o/r", "--since", "2025-01-01"]);
    assert!(message.contains("merged since 2025-01-01"), "{message}");

    let output = program().args(["git", "--path", &path, "--repo", "o/r"]).env("PROWL_STORE", "").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "an empty variable is none");
    assert!(stderr(&output).contains("say where to"), "{}", stderr(&output));

    let output = program()
        .args(["git", "--path", &path, "--repo", "o/r", "--store", &url(store)])
        .env("PATH", empty.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("cannot run `git`: install it, or put it in PATH"), "{}", stderr(&output));
}
