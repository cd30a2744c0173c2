//! Authors with careers: they join, open more as they settle in, and leave. And bots, and people who come once.

use super::{
    dice::Dice,
    repository::Repository,
    words::{FAMILY, GIVEN, TAILS},
};

#[derive(Clone)]
pub(crate) struct Author {
    pub login: String,
    pub bot: bool,
    /// Subsystem where most of the work goes.
    pub home: usize,
    /// Days of the calendar.
    pub joined: u32,
    pub left: u32,
    /// How much this author opens when settled in, compared with others.
    activity: f64,
    /// Usual hour of the day in UTC, and how far it spreads.
    pub hour: f64,
    pub spread: f64,
    /// How often a weekend day sees work, compared with a weekday.
    pub weekend: f64,
    /// 0 is usual; lowers the odds of a revert.
    pub skill: f64,
    /// How often a change comes with tests.
    pub tests: f64,
    /// How many words a description has, 1 is usual.
    pub words: f64,
    pub member: bool,
    pub opened: u32,
    pub merged: u32,
    pub reverted: u32,
}

/// The people of one repository.
pub(crate) struct Team {
    pub authors: Vec<Author>,
    pub bots: Vec<Author>,
    /// Running sum of the present weights, and whose they are.
    present: Vec<(f64, usize)>,
}

impl Author {
    fn person(home: usize, joined: u32, left: u32, dice: &mut Dice) -> Self {
        let zone = dice.weighted(&[(-8.0, 0.2), (-5.0, 0.2), (0.0, 0.15), (1.0, 0.25), (5.5, 0.12), (9.0, 0.08)]);
        Self {
            login: login(dice),
            bot: false,
            home,
            joined,
            left,
            activity: dice.around(1.0, 1.1),
            hour: 14.0 + 1.5 * dice.normal() - zone,
            spread: dice.around(2.8, 0.3),
            weekend: dice.weighted(&[(0.05, 0.6), (0.4, 0.25), (1.0, 0.15)]),
            skill: dice.normal(),
            tests: (0.62 + 0.25 * dice.normal()).clamp(0.05, 0.97),
            words: dice.around(1.0, 0.5),
            member: false,
            opened: 0,
            merged: 0,
            reverted: 0,
        }
    }

    fn robot(login: &str, dice: &mut Dice) -> Self {
        let mut bot = Self::person(0, 0, u32::MAX, dice);
        login.clone_into(&mut bot.login);
        Self { bot: true, hour: 4.5, spread: 0.4, weekend: 0.3, skill: 0.0, ..bot }
    }

    /// Somebody whose only pull request this is.
    pub(crate) fn passer_by(subsystems: usize, day: u32, dice: &mut Dice) -> Self {
        let home = dice.below(subsystems);
        Self { skill: -0.3 + 0.8 * dice.normal(), tests: 0.3, ..Self::person(home, day, day, dice) }
    }

    /// Present share of the settled activity: grows over the first year, 0 outside of the career.
    fn weight(&self, day: u32) -> f64 {
        if day < self.joined || day > self.left {
            return 0.0;
        }
        let years = f64::from(day - self.joined) / 365.0;
        self.activity * (0.25 + 0.75 * years.min(1.0))
    }

    /// What GitHub calls the author's relation to the repository.
    pub(crate) fn association(&self) -> &'static str {
        match (self.member, self.merged) {
            (true, _) => "MEMBER",
            (_, 40..) if !self.bot => "COLLABORATOR",
            (_, 1..) => "CONTRIBUTOR",
            (_, 0) if self.opened == 0 && !self.bot => "FIRST_TIME_CONTRIBUTOR",
            (_, 0) => "NONE",
        }
    }
}

impl Team {
    /// `size` authors, of whom about a third are there from the first day.
    pub(crate) fn new(repository: &Repository, size: usize, days: u32, dice: &mut Dice) -> Self {
        let mut authors = Vec::with_capacity(size);
        for place in 0..size {
            let home = dice.early(repository.subsystems.len());
            let founder = place == 0 || dice.chance(0.3);
            let joined = if founder { 0 } else { dice.below(days as usize) as u32 };
            // Somebody stays all the time, so that no repository is ever without people.
            let stay = if place == 0 { days } else { dice.around(420.0, 1.0).min(1e6) as u32 };
            let mut author = Author::person(home, joined, joined + stay, dice);
            author.member = founder && (place == 0 || dice.chance(0.5));
            if author.member {
                author.merged = dice.between(5, 200) as u32;
                author.opened = author.merged + author.merged / 8;
            }
            authors.push(author);
        }
        let names: &[&str] = if dice.chance(0.7) { &["dependabot[bot]"] } else { &["renovate[bot]"] };
        let mut bots: Vec<Author> = names.iter().map(|name| Author::robot(name, dice)).collect();
        if dice.chance(0.3) {
            bots.push(Author::robot(&format!("{}-release[bot]", repository.owner), dice));
        }
        let mut team = Self { authors, bots, present: Vec::new() };
        team.refresh(0);
        team
    }

    /// Weighs everybody anew; once a month is often enough.
    pub(crate) fn refresh(&mut self, day: u32) {
        self.present.clear();
        let mut sum = 0.0;
        for (place, author) in self.authors.iter().enumerate() {
            let weight = author.weight(day);
            if weight > 0.0 {
                sum += weight;
                self.present.push((sum, place));
            }
        }
    }

    /// Somebody who works on that day.
    pub(crate) fn pick(&self, weekend: bool, dice: &mut Dice) -> usize {
        let total = self.present.last().map_or(0.0, |(sum, _)| *sum);
        let mut chosen = 0;
        for _ in 0..4 {
            let at = dice.unit() * total;
            let place = self.present.partition_point(|(sum, _)| *sum <= at);
            chosen = self.present.get(place).map_or(0, |(_, author)| *author);
            if !weekend || dice.chance(self.authors[chosen].weekend) {
                break;
            }
        }
        chosen
    }
}

fn login(dice: &mut Dice) -> String {
    let (given, family) = (dice.pick(&GIVEN), dice.pick(&FAMILY));
    match dice.below(6) {
        0 => format!("{given}{family}"),
        1 => format!("{given}-{family}"),
        2 => format!("{}{family}{}", &given[..1], dice.pick(&TAILS)),
        3 => format!("{given}{}{}", &family[..2], dice.below(1_000)),
        4 => format!("{given}-{}", dice.pick(&TAILS)),
        _ => format!("{}{}{}", &given[..2], family, dice.below(100)),
    }
}
