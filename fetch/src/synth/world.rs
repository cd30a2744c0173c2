//! The world day by day: who opens what, what becomes of it, and when a collector sees it.

use std::collections::BTreeSet;

use super::{
    Config,
    calendar::{DAY, DAYS, END, HOUR, is_weekend, midnight},
    change::{Change, Kind, next_kind},
    dice::Dice,
    fate::Fate,
    oddity::{self, Oddity, Planted, Stranger},
    people::{Author, Team},
    queue::Queue,
    record::{self, Record},
    repository::Repository,
    text::{self, Text},
};
use crate::{
    Error,
    document::{Document, Label, Status, User},
    outlet::Outlet,
};

/// Share of pull requests that a collector saw once before their last update.
const SEEN_EARLIER: f64 = 0.02;

pub(crate) struct World {
    dice: Dice,
    places: Vec<Place>,
    /// Running sum of the repositories' weights.
    weights: Vec<f64>,
    /// Which of the pull requests, counted from 0, are odd.
    odd: BTreeSet<u64>,
    opened: u64,
    /// Reverts to come.
    reverts: Queue<Due>,
    /// Documents whose last update is still to come.
    waiting: Queue<Document>,
    tally: Tally,
}

/// What is counted on the way.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub planted: Vec<Planted>,
    pub older_versions: u64,
    pub reverted: u64,
}

/// A repository and its people.
pub(crate) struct Place {
    pub repository: Repository,
    pub team: Team,
    /// Day of its first pull request.
    born: u32,
}

/// A revert to come, with what it takes back.
struct Due {
    place: usize,
    author: Who,
    number: u64,
    title: String,
    sha: String,
    change: Change,
    pushed: bool,
}

#[derive(Debug, Clone, Copy)]
enum Who {
    Regular(usize),
    Bot(usize),
    PasserBy,
}

/// One pull request of a day, before it is opened.
enum Plan {
    Usual(Usual),
    Revert(Box<Due>),
    Odd(Box<Odd>),
}

struct Odd {
    place: usize,
    /// Its place in the list of what was planted.
    planted: usize,
    oddity: Oddity,
}

struct Usual {
    place: usize,
    who: Who,
    author: Box<Author>,
}

impl World {
    pub(crate) fn new(config: &Config) -> Self {
        let mut dice = Dice::new(config.seed);
        // Zipf: the second repository has about half of the first one's pull requests, and so on.
        let share = |place: usize| 1.0 / (place as f64 + 1.2);
        let total: f64 = (0..config.repositories).map(share).sum();
        let mut places = Vec::new();
        let mut weights = Vec::new();
        let mut sum = 0.0;
        for place in 0..config.repositories {
            let repository = Repository::new(place, &mut dice);
            let size = ((config.authors as f64 * share(place) / total).round() as usize).max(1);
            let team = Team::new(&repository, size, DAYS, &mut dice);
            let born = if place == 0 || dice.chance(0.7) { 0 } else { dice.below(DAYS as usize / 2) as u32 };
            sum += share(place);
            weights.push(sum);
            places.push(Place { repository, team, born });
        }
        let from = config.oddities_from();
        let mut odd = BTreeSet::new();
        while (odd.len() as u64) < config.oddities {
            odd.insert(from + dice.below((config.count - from) as usize) as u64);
        }
        Self {
            dice,
            places,
            weights,
            odd,
            opened: 0,
            reverts: Queue::new(),
            waiting: Queue::new(),
            tally: Tally::default(),
        }
    }

    /// Opens the pull requests of a day, and hands out the documents whose last update lies before it.
    pub(crate) fn day(&mut self, day: u32, arrivals: u64, outlet: &mut Outlet) -> Result<(), Error> {
        self.hand_out(midnight(day), outlet)?;
        if day.is_multiple_of(30) {
            for place in &mut self.places {
                place.team.refresh(day);
            }
        }
        let mut plans: Vec<(i64, Plan)> = (0..arrivals).map(|_| self.plan(day)).collect();
        plans.sort_by_key(|(at, _)| *at);
        for (at, plan) in plans {
            match plan {
                Plan::Usual(usual) => self.open(at, usual),
                Plan::Revert(due) => self.open_revert(at, *due),
                Plan::Odd(odd) => self.open_oddity(at, *odd),
            }
        }
        Ok(())
    }

    /// Hands out what is left.
    pub(crate) fn close(mut self, outlet: &mut Outlet) -> Result<Tally, Error> {
        self.hand_out(END, outlet)?;
        // A pushed revert needs no arrival to happen.
        while let Some((_, due)) = self.reverts.pop_before(END) {
            self.tally.reverted += u64::from(due.pushed);
        }
        Ok(self.tally)
    }

    fn hand_out(&mut self, before: i64, outlet: &mut Outlet) -> Result<(), Error> {
        while let Some((_, document)) = self.waiting.pop_before(before) {
            outlet.put(*document)?;
        }
        Ok(())
    }

    /// Decides what the next pull request of the day is, and at which moment it is opened.
    fn plan(&mut self, day: u32) -> (i64, Plan) {
        let ordinal = self.opened;
        self.opened += 1;
        if self.odd.contains(&ordinal) {
            return self.plan_oddity(day);
        }
        while let Some((at, due)) = self.reverts.pop_before(midnight(day + 1)) {
            self.take_back(&due);
            if !due.pushed {
                // On a day without any arrival it has to wait for the next one.
                let at = at.max(midnight(day) + self.dice.below(DAY as usize) as i64 / 2);
                return (at, Plan::Revert(due));
            }
        }
        let place = self.pick_place(day);
        let Place { repository, team, .. } = &self.places[place];
        let dice = &mut self.dice;
        let who = if dice.chance(repository.bots) {
            Who::Bot(dice.early(team.bots.len()))
        } else if dice.chance(0.05) {
            Who::PasserBy
        } else {
            Who::Regular(team.pick(is_weekend(day), dice))
        };
        let author = match who {
            Who::Regular(place) => team.authors[place].clone(),
            Who::Bot(place) => team.bots[place].clone(),
            Who::PasserBy => Author::passer_by(repository.subsystems.len(), day, dice),
        };
        let late = if dice.chance(0.04) { 9.0 } else { 0.0 };
        let hour = (author.hour + late + author.spread * dice.normal()).rem_euclid(24.0);
        (moment(day, hour), Plan::Usual(Usual { place, who, author: Box::new(author) }))
    }

    fn plan_oddity(&mut self, day: u32) -> (i64, Plan) {
        let place = self.pick_place(day);
        let Place { repository, team, .. } = &mut self.places[place];
        let dice = &mut self.dice;
        let mut newcomer = Author::passer_by(repository.subsystems.len(), day, dice);
        // A name that nobody else has: the newcomer must be one.
        newcomer.login = format!("{}-{}", newcomer.login, dice.hex(5));
        let regular = &team.authors[team.pick(false, dice)];
        let who = Stranger { newcomer, regular, bot: team.bots[0].clone() };
        let planted = self.tally.planted.len();
        let oddity = oddity::make(planted, repository, &who, dice);
        // The number comes when it is opened, in its turn of the day.
        self.tally.planted.push(Planted {
            repository: repository.name.clone(),
            number: 0,
            kind: oddity.kind,
            why: oddity.why.clone(),
        });
        (moment(day, oddity.hour), Plan::Odd(Box::new(Odd { place, planted, oddity })))
    }

    fn pick_place(&mut self, day: u32) -> usize {
        let total = self.weights.last().copied().unwrap_or_default();
        for _ in 0..8 {
            let at = self.dice.unit() * total;
            let place = self.weights.partition_point(|sum| *sum <= at).min(self.places.len() - 1);
            if self.places[place].born <= day {
                return place;
            }
        }
        0
    }

    fn open(&mut self, at: i64, usual: Usual) {
        let Usual { place, who, author } = usual;
        let Place { repository, team, .. } = &mut self.places[place];
        let dice = &mut self.dice;
        let number = repository.next_number(dice);
        let kind = next_kind(&author, dice);
        let change = Change::new(kind, &author, repository, dice);
        let text = text::write(&change, &author, repository, dice);
        let fate = Fate::new(&change, &author, repository, at, dice);

        if fate.merged {
            for file in &change.touched {
                let file = &mut repository.files[*file];
                file.changes += 1;
                file.fixes += u32::from(kind == Kind::Fix);
            }
        }
        if let Some(author) = career(team, who) {
            author.opened += 1;
            author.merged += u32::from(fate.merged);
        }
        let sha = dice.hex(40);
        if let Some(revert) = fate.revert {
            let (title, change) = (text.title.clone(), change.clone());
            let due = Due { place, author: who, number, title, sha: sha.clone(), change, pushed: revert.pushed };
            self.reverts.push(revert.at, due);
        }
        let record = Record { author: &author, number, at, text, files: change.files, fate: &fate, sha };
        let document = record.document(&self.places[place], self.opened, &mut self.dice);
        self.put(document, &fate);
    }

    /// The world learns that a change went wrong.
    fn take_back(&mut self, due: &Due) {
        let Place { repository, team, .. } = &mut self.places[due.place];
        for file in &due.change.touched {
            repository.files[*file].reverts += 1;
        }
        if let Some(author) = career(team, due.author) {
            author.reverted += 1;
        }
        self.tally.reverted += 1;
    }

    /// The pull request that takes another one back, by its author or by somebody who was around.
    fn open_revert(&mut self, at: i64, due: Due) {
        let Place { repository, team, .. } = &mut self.places[due.place];
        let dice = &mut self.dice;
        let number = repository.next_number(dice);
        let reverter = match due.author {
            Who::Regular(author) if dice.chance(0.5) => author,
            _ => team.pick(false, dice),
        };
        let author = team.authors[reverter].clone();

        let mut change = due.change;
        change.kind = Kind::Revert;
        for file in &mut change.files {
            std::mem::swap(&mut file.additions, &mut file.deletions);
            file.status = match file.status {
                Status::Added => Status::Removed,
                Status::Removed => Status::Added,
                same => same,
            };
        }
        let reason = text::fill(dice.pick(super::words::phrases(Kind::Revert).sentences), &change, repository, dice);
        let told = dice.chance(0.6);
        let (title, mut body) = if dice.chance(repository.conventional * 0.3) {
            (format!("revert: {}", due.title), format!("This reverts commit {}.", due.sha))
        } else {
            let body = if dice.chance(0.7) {
                format!("Reverts {}#{}", repository.name, due.number)
            } else {
                format!("This reverts commit {}.", due.sha)
            };
            (format!("Revert \"{}\"", due.title), body)
        };
        if told {
            body = format!("{body}\n\n{reason}");
        }
        let labels =
            if dice.chance(repository.labelled * 0.5) { vec![Label { name: "revert".to_owned() }] } else { vec![] };
        let branch = format!("revert-{}-{}", due.number, dice.hex(6));
        let text = Text { title, body: Some(body), labels, branch };
        let mut fate = Fate::new(&change, &author, repository, at, dice);
        // Titles grow with every turn of this wheel; one turn back is enough of it.
        if due.title.starts_with("Revert \"") {
            fate.revert = None;
        }
        team.authors[reverter].opened += 1;
        team.authors[reverter].merged += u32::from(fate.merged);
        let sha = dice.hex(40);
        if let Some(revert) = fate.revert {
            let (title, change) = (text.title.clone(), change.clone());
            let next = Due {
                place: due.place,
                author: Who::Regular(reverter),
                number,
                title,
                sha: sha.clone(),
                change,
                pushed: revert.pushed,
            };
            self.reverts.push(revert.at, next);
        }
        let record = Record { author: &author, number, at, text, files: change.files, fate: &fate, sha };
        let document = record.document(&self.places[due.place], self.opened, &mut self.dice);
        self.put(document, &fate);
    }

    fn open_oddity(&mut self, at: i64, odd: Odd) {
        let Odd { place, planted, oddity } = odd;
        let repository = &mut self.places[place].repository;
        let number = repository.next_number(&mut self.dice);
        self.tally.planted[planted].number = number;
        let closed_at = at + (oddity.minutes * 60.0) as i64;
        let fate = Fate {
            merged: closed_at < END,
            closed_at: (closed_at < END).then_some(closed_at),
            updated_at: closed_at.min(END - 1),
            commits: oddity.commits,
            comments: 0,
            review_comments: 0,
            revert: None,
        };
        let text = Text {
            title: oddity.title,
            body: oddity.body,
            labels: vec![],
            branch: format!("patch-{}", self.dice.between(1, 9)),
        };
        let sha = self.dice.hex(40);
        let files = oddity.files.clone();
        let record = Record { author: &oddity.author, number, at, text, files, fate: &fate, sha };
        let mut document = record.document(&self.places[place], self.opened, &mut self.dice);
        // The gaps that other documents have must not hide what is odd here.
        document.files = Some(oddity.files);
        document.user = Some(User::new(oddity.author.login.clone()));
        document.author_association = Some(oddity.author.association().into());
        self.enqueue(document);
    }

    /// Queues a document, and now and then an older version of it.
    fn put(&mut self, document: Document, fate: &Fate) {
        let life = fate.updated_at - document.created_at.0;
        if life > 60 && self.dice.chance(SEEN_EARLIER) {
            let seen_at = document.created_at.0 + (life as f64 * (0.1 + 0.8 * self.dice.unit())) as i64;
            let older = record::earlier(&document, seen_at, &mut self.dice);
            self.tally.older_versions += 1;
            self.enqueue(older);
        }
        self.enqueue(document);
    }

    fn enqueue(&mut self, document: Document) {
        self.waiting.push(document.updated_at.unwrap_or(document.created_at).0, document);
    }
}

fn moment(day: u32, hour: f64) -> i64 {
    midnight(day) + ((hour * HOUR) as i64).min(DAY - 1)
}

/// The author whose record goes on after this pull request; passers-by have none.
fn career(team: &mut Team, who: Who) -> Option<&mut Author> {
    match who {
        Who::Regular(place) => Some(&mut team.authors[place]),
        Who::Bot(place) => Some(&mut team.bots[place]),
        Who::PasserBy => None,
    }
}
