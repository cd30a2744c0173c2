//! From a pull request of the world to the document that a collector makes of it, with the gaps that real answers have.

use super::{dice::Dice, fate::Fate, people::Author, text::Text, world::Place};
use crate::document::{
    Base, BaseRepository, Date, Document, File, Head, HeadRepository, Login, Milestone, State, User,
};

/// One pull request and what became of it.
pub(crate) struct Record<'a> {
    pub author: &'a Author,
    pub number: u64,
    /// When it was opened.
    pub at: i64,
    pub text: Text,
    pub files: Vec<File>,
    pub fate: &'a Fate,
    /// The commit that it is merged as.
    pub sha: String,
}

impl Record<'_> {
    /// The last version of the document. `turn` counts pull requests, for the id.
    pub(crate) fn document(self, place: &Place, turn: u64, dice: &mut Dice) -> Document {
        let Place { repository, team, .. } = place;
        let Self { author, number, at, text, files, fate, sha } = self;
        let open = fate.closed_at.is_none();
        let fork = !author.bot && !author.member && dice.chance(if author.merged < 5 { 0.9 } else { 0.4 });
        let head_name = if fork { format!("{}/{}", author.login, repository.project) } else { repository.name.clone() };
        let (major, minor, _) = repository.version;
        let milestone = dice.chance(0.03).then(|| Milestone { title: format!("{major}.{}", minor + 1) });
        let asked = if dice.chance(if open { 0.5 } else { 0.08 }) { 1 + dice.early(3) } else { 0 };
        let reviewers = (0..asked).map(|_| Login { login: team.authors[dice.early(team.authors.len())].login.clone() });
        let requested_reviewers = reviewers.collect();
        let assignees = if dice.chance(0.1) { vec![Login { login: author.login.clone() }] } else { vec![] };
        // What a collector sees of a deleted account, a deleted fork, or an answer that was cut short.
        let ghost = dice.chance(0.004);
        let lost_fork = fork && dice.chance(0.04);
        let unknown_association = dice.chance(0.008);
        let unknown_labels = dice.chance(0.004);
        let unknown_talk = dice.chance(0.006);
        let unfetched_files = dice.chance(0.012);
        Document {
            key: format!("{}#{number}", repository.name),
            number,
            id: Some(900_000_000 + 2_711 * turn + dice.below(2_711) as u64),
            node_id: Some(format!("PR_kwDO{}", dice.hex(16))),
            title: Some(text.title),
            body: text.body,
            state: if open { State::Open } else { State::Closed },
            draft: Some(open && dice.chance(0.2)),
            merged: Some(fate.merged),
            merged_at: fate.closed_at.filter(|_| fate.merged).map(Date),
            created_at: Date(at),
            updated_at: Some(Date(fate.updated_at)),
            closed_at: fate.closed_at.map(Date),
            user: (!ghost).then(|| User::new(author.login.clone())),
            author_association: (!unknown_association).then(|| author.association().into()),
            labels: (!unknown_labels).then_some(text.labels),
            assignees: Some(assignees),
            requested_reviewers: Some(requested_reviewers),
            milestone,
            additions: Some(files.iter().map(|file| file.additions).sum()),
            deletions: Some(files.iter().map(|file| file.deletions).sum()),
            changed_files: Some(files.len() as u64),
            commits: Some(fate.commits),
            comments: (!unknown_talk).then_some(fate.comments),
            review_comments: (!unknown_talk).then_some(fate.review_comments),
            base: Base {
                branch: Some(repository.branch.to_owned()),
                sha: Some(dice.hex(40)),
                repo: BaseRepository { full_name: repository.name.clone() },
            },
            head: Head {
                branch: Some(text.branch),
                sha: Some(dice.hex(40)),
                repo: if lost_fork {
                    HeadRepository::Deleted
                } else {
                    HeadRepository::Known { full_name: Some(head_name), fork }
                },
            },
            merge_commit_sha: fate.merged.then_some(sha),
            files: (!unfetched_files).then_some(files),
            fetched_at: Some(Date(fate.updated_at + dice.between(20, 3_600) as i64)),
            // Of a revert by pull request the other document tells.
            reverted_at: fate.revert.filter(|revert| revert.pushed).map(|revert| Date(revert.at)),
        }
    }
}

/// The document as a collector saw it while the work went on.
pub(crate) fn earlier(last: &Document, seen_at: i64, dice: &mut Dice) -> Document {
    let mut older = last.clone();
    let seen = Date(seen_at);
    // One collection cannot hold one `_id` twice; an export put together from two collections has two.
    older.key = format!("{}@{}", last.key, seen.text().unwrap_or_default());
    older.state = State::Open;
    older.draft = Some(dice.chance(0.3));
    older.merged = Some(false);
    older.merged_at = None;
    older.closed_at = None;
    older.merge_commit_sha = None;
    older.reverted_at = None;
    older.updated_at = Some(seen);
    older.fetched_at = Some(Date(seen_at + dice.between(20, 3_600) as i64));
    older.head.sha = Some(dice.hex(40));
    older.title =
        last.title.as_ref().map(|title| if dice.chance(0.4) { format!("WIP: {title}") } else { title.clone() });
    older.commits = last.commits.map(|commits| 1 + dice.below(commits as usize) as u64);
    older.comments = last.comments.map(|comments| dice.below(comments as usize + 1) as u64);
    older.review_comments = last.review_comments.map(|comments| dice.below(comments as usize + 1) as u64);
    if let Some(files) = &mut older.files {
        files.truncate(files.len().div_ceil(2));
        older.additions = Some(files.iter().map(|file| file.additions).sum());
        older.deletions = Some(files.iter().map(|file| file.deletions).sum());
        older.changed_files = Some(files.len() as u64);
    }
    older
}
