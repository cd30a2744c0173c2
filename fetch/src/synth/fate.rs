//! What becomes of a pull request: merged or not, when, how much is said about it, and whether it is taken back.

use super::{
    calendar::{DAY, END, HOUR},
    change::{Change, Kind},
    dice::Dice,
    people::Author,
    repository::Repository,
};

/// Brings the share of merged pull requests that are reverted to about 4%; 3.6% in a real repository.
const REVERT_ODDS: f64 = -4.55;
/// Share of reverts that somebody pushes without a pull request.
const PUSHED: f64 = 0.1;

#[derive(Debug, Clone)]
pub(crate) struct Fate {
    pub merged: bool,
    /// When it was merged, or closed without.
    pub closed_at: Option<i64>,
    pub updated_at: i64,
    pub commits: u64,
    pub comments: u64,
    pub review_comments: u64,
    pub revert: Option<Revert>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Revert {
    pub at: i64,
    /// By a commit on the main branch, without a pull request.
    pub pushed: bool,
}

impl Fate {
    pub(crate) fn new(
        change: &Change,
        author: &Author,
        repository: &Repository,
        created_at: i64,
        dice: &mut Dice,
    ) -> Self {
        let churn = ((change.additions() + change.deletions()) as f64).ln_1p();
        let newcomer = !author.bot && author.merged == 0;
        let talk = repository.talk * if author.bot { 0.15 } else { 1.0 };

        let pace = match change.kind {
            Kind::Revert => 0.06,
            Kind::Docs | Kind::Ci => 0.5,
            Kind::Feature => 1.5,
            Kind::Refactor => 1.2,
            _ => 0.9,
        };
        let hours = dice.around(repository.pace * pace * (0.4 + 0.15 * churn), 1.6).clamp(0.03, 24.0 * 400.0);
        let closed_at = created_at + (hours * HOUR) as i64;
        let dropped = match (author.bot, change.kind) {
            (true, _) => 0.16,
            (false, Kind::Revert) => 0.03,
            (false, _) => 0.04 + 0.014 * churn + if newcomer { 0.14 } else { 0.0 },
        };
        let merged = !dice.chance(dropped);
        let stays_open = closed_at >= END || (!merged && dice.chance(0.1));
        let merged = merged && !stays_open;
        let closed_at = (!stays_open).then_some(closed_at);

        let last = closed_at.unwrap_or_else(|| created_at + dice.around(2.0 * DAY as f64, 1.2) as i64);
        let later = if dice.chance(0.2) { dice.around(0.7 * DAY as f64, 1.6) as i64 } else { dice.below(40) as i64 };
        Self {
            merged,
            closed_at,
            updated_at: (last + later).min(END - 1),
            commits: 1 + dice.around(0.3 + 0.14 * churn, 1.05) as u64,
            comments: (dice.around(talk * (0.4 + 0.25 * churn), 1.1) - 0.4).max(0.0) as u64,
            review_comments: (dice.around(talk * 0.16 * churn, 1.7) - 0.3).max(0.0) as u64,
            revert: closed_at
                .filter(|_| merged)
                .and_then(|merged_at| Self::revert(change, author, repository, merged_at, dice)),
        }
    }

    fn revert(
        change: &Change,
        author: &Author,
        repository: &Repository,
        merged_at: i64,
        dice: &mut Dice,
    ) -> Option<Revert> {
        let experience = if author.merged == 0 { 1.1 } else { -0.18 * f64::from(author.merged).ln_1p() };
        let odds = REVERT_ODDS + change.risk(repository) + experience - 0.4 * author.skill;
        if !dice.chance((1.0 / (1.0 + (-odds).exp())).min(0.6)) {
            return None;
        }
        // Of 462 reverts in three real repositories, half came within 2 days and nine in ten within 37.
        let delay = dice.around(2.0 * DAY as f64, 2.28).clamp(600.0, 150.0 * DAY as f64);
        let at = merged_at + delay as i64;
        (at < END - DAY).then(|| Revert { at, pushed: dice.chance(PUSHED) })
    }
}
