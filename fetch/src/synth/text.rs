//! Titles, descriptions, labels and branch names that fit a change.

use std::fmt::Write;

use super::{
    change::{Change, Kind},
    dice::Dice,
    people::Author,
    repository::{Repository, Template},
    words::{RELEASES, phrases},
};
use crate::document::{BOT, Label};

/// What the reader of a pull request sees.
pub(crate) struct Text {
    pub title: String,
    pub body: Option<String>,
    pub labels: Vec<Label>,
    pub branch: String,
}

pub(crate) fn write(change: &Change, author: &Author, repository: &Repository, dice: &mut Dice) -> Text {
    let words = repository.subsystems[change.subsystem].words;
    let templates = if change.release { &RELEASES } else { phrases(change.kind).titles };
    let plain =
        if author.bot { bot_title(change, repository) } else { fill(dice.pick(templates), change, repository, dice) };
    let plain =
        if !author.bot && !change.release && dice.chance(0.16) { with_reason(&plain, change, dice) } else { plain };
    let branch = if author.bot && change.kind == Kind::Dependency {
        let (name, _, version) = &change.dependency;
        format!("{}/{}/{name}-{version}", author.login.trim_end_matches(BOT), repository.language.ecosystem())
    } else {
        slug(&plain, author, dice)
    };
    let conventional = dice.chance(if author.bot { repository.conventional.max(0.3) } else { repository.conventional });
    let title = if conventional {
        conventional_title(change.kind, &plain, words.name, dice)
    } else if let (Some(tracker), false) = (&repository.tracker, author.bot) {
        format!("[{tracker}-{}] {plain}", 100 + repository.number / 2 + dice.below(60) as u64)
    } else {
        careless(plain, dice)
    };
    let body = if author.bot && change.kind == Kind::Dependency {
        Some(bump_body(change, &author.login))
    } else {
        body(change, author, repository, dice)
    };
    Text { title, body, labels: labels(change, author, repository, dice), branch }
}

/// Some titles say why or where.
fn with_reason(title: &str, change: &Change, dice: &mut Dice) -> String {
    match dice.below(4) {
        0 if !title.contains(change.condition) => format!("{title} {}", change.condition),
        1 => format!("{title} so that {} can use it", change.related),
        2 => format!("{title} to avoid a {}", change.bug),
        _ => format!("{title} (part {})", dice.between(1, 4)),
    }
}

fn bot_title(change: &Change, repository: &Repository) -> String {
    let (name, from, to) = &change.dependency;
    match change.kind {
        Kind::Dependency => format!("Bump {name} from {from} to {to}"),
        Kind::Ci => "Bump actions/checkout from 4 to 5".to_owned(),
        Kind::Docs => "Update contributors list".to_owned(),
        _ => format!("Release {} {to}", repository.project),
    }
}

fn conventional_title(kind: Kind, plain: &str, scope: &str, dice: &mut Dice) -> String {
    let name = match kind {
        Kind::Feature => "feat",
        Kind::Fix => "fix",
        Kind::Docs => "docs",
        Kind::Test => "test",
        Kind::Refactor => {
            if dice.chance(0.25) {
                "ref"
            } else {
                "refactor"
            }
        }
        Kind::Performance => "perf",
        Kind::Build => "build",
        Kind::Ci => "ci",
        Kind::Dependency => {
            return format!("{}(deps): {}", if dice.chance(0.5) { "build" } else { "chore" }, lower(plain));
        }
        Kind::Chore => "chore",
        Kind::Revert => "revert",
    };
    // Some people declare whatever comes to mind.
    let name = if dice.chance(0.03) { dice.pick(&["chore", "fix", "feat"]) } else { name };
    let scope =
        if matches!(kind, Kind::Ci | Kind::Build) || dice.chance(0.45) { String::new() } else { format!("({scope})") };
    let breaking = if kind == Kind::Feature && dice.chance(0.02) { "!" } else { "" };
    format!("{name}{scope}{breaking}: {}", if dice.chance(0.8) { lower(plain) } else { plain.to_owned() })
}

/// Lower-case first letter, unless the first word is an abbreviation.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}

fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Not everybody keeps to the style guide.
fn careless(title: String, dice: &mut Dice) -> String {
    match dice.below(100) {
        0..=11 => lower(&title),
        12..=15 => format!("{title}."),
        16..=17 => format!("WIP: {title}"),
        18..=21 => {
            let past = [("Add ", "Added "), ("Fix ", "Fixes "), ("Remove ", "Removed "), ("Update ", "Updated ")];
            past.iter()
                .find_map(|(now, then)| title.strip_prefix(now).map(|rest| format!("{then}{rest}")))
                .unwrap_or(title)
        }
        _ => title,
    }
}

fn slug(title: &str, author: &Author, dice: &mut Dice) -> String {
    let words: Vec<String> =
        title.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).take(4).map(str::to_lowercase).collect();
    let name = words.join("-");
    match dice.below(5) {
        0 | 1 => name,
        2 => format!("{}/{name}", author.login.trim_end_matches(BOT)),
        3 => format!("patch-{}", dice.between(1, 9)),
        _ => format!("{name}-{}", dice.between(2, 4)),
    }
}

fn body(change: &Change, author: &Author, repository: &Repository, dice: &mut Dice) -> Option<String> {
    let told = author.words * (0.6 + 0.12 * ((change.additions() + change.deletions()) as f64).ln_1p());
    if dice.chance((0.26 / told).min(0.7)) && repository.template == Template::None {
        return if dice.chance(0.6) { None } else { Some(String::new()) };
    }
    let story = tell(change, told, repository, dice);
    let mut body = match repository.template {
        Template::None => story,
        Template::Headings => {
            let tested = if change.tests > 0 {
                "New and existing tests pass."
            } else {
                dice.pick(&["Manually.", "Not applicable.", "On staging."])
            };
            format!("## What\n\n{story}\n\n## How was this tested?\n\n{tested}")
        }
        Template::Checklist => {
            let tick = |done: bool| if done { "x" } else { " " };
            format!(
                "{story}\n\n### Checklist\n\n- [{}] I have added tests\n- [{}] I have updated the documentation\n- [{}] I have read CONTRIBUTING.md",
                tick(change.tests > 0 || dice.chance(0.1)),
                tick(change.kind == Kind::Docs || dice.chance(0.15)),
                tick(dice.chance(0.85)),
            )
        }
    };
    let linked = match change.kind {
        Kind::Fix => 0.45,
        Kind::Feature => 0.3,
        _ => 0.08,
    };
    if dice.chance(linked) && repository.number > 20 {
        let issue = repository.number - 1 - dice.early((repository.number as usize - 2).min(400)) as u64;
        let word = dice.pick(&["Fixes", "Closes", "Resolves", "Refs", "See"]);
        write!(body, "\n\n{word} #{issue}").expect("memory takes every write");
    }
    Some(body)
}

fn tell(change: &Change, told: f64, repository: &Repository, dice: &mut Dice) -> String {
    let all = phrases(change.kind).sentences;
    let wanted = (dice.around(2.0 * told, 0.5).round() as usize).clamp(1, all.len());
    let mut left = wanted;
    let mut story = String::new();
    for (place, sentence) in all.iter().enumerate() {
        // Takes `wanted` of them, in their order.
        if !dice.chance(left as f64 / (all.len() - place) as f64) {
            continue;
        }
        left -= 1;
        if !story.is_empty() {
            story.push_str(if dice.chance(0.3) { "\n\n" } else { " " });
        }
        story.push_str(&fill(sentence, change, repository, dice));
    }
    if matches!(change.kind, Kind::Fix | Kind::Performance | Kind::Refactor | Kind::Feature) && dice.chance(0.07) {
        story.push_str(&log(change, dice));
    }
    story
}

/// What people paste: lines of a log, now and then a lot of them.
fn log(change: &Change, dice: &mut Dice) -> String {
    let mut text = "\n\n```\n".to_owned();
    for line in 0..dice.around(9.0, 0.8) as usize + 2 {
        let (level, took) = (dice.pick(&["DEBUG", "INFO", "WARN", "ERROR"]), dice.between(1, 900));
        writeln!(text, "{level} {}:{line} {} took {took} ms", change.main_file(), change.noun)
            .expect("memory takes it");
    }
    text + "```"
}

fn bump_body(change: &Change, login: &str) -> String {
    let bot = login.trim_end_matches(BOT);
    let (name, from, to) = &change.dependency;
    format!(
        "Bumps [{name}](https://example.org/{name}) from {from} to {to}.\n<details>\n<summary>Release notes</summary>\n\n\
         ## {to}\n\n* Fix handling of empty values\n* Update internal dependencies\n* Documentation improvements\n\n\
         </details>\n<br />\n\nYou can trigger a rebase of this PR by commenting `@{bot} rebase`.\n\n---\n\n\
         {bot} will resolve any conflicts with this PR as long as you don't alter it yourself."
    )
}

fn labels(change: &Change, author: &Author, repository: &Repository, dice: &mut Dice) -> Vec<Label> {
    let mut labels = Vec::new();
    let mut put = |name: &str| labels.push(Label { name: name.to_owned() });
    if author.bot && change.kind == Kind::Dependency {
        put("dependencies");
        return labels;
    }
    if !dice.chance(repository.labelled) {
        return labels;
    }
    match change.kind {
        Kind::Feature => put("enhancement"),
        Kind::Fix => put("bug"),
        Kind::Docs => put("documentation"),
        Kind::Test => put("tests"),
        Kind::Refactor => put("refactor"),
        Kind::Performance => put("performance"),
        Kind::Build => put("build"),
        Kind::Ci => put("ci"),
        Kind::Dependency => put("dependencies"),
        Kind::Chore => put("chore"),
        Kind::Revert => put("revert"),
    }
    if repository.area_labels {
        put(&format!("area/{}", repository.subsystems[change.subsystem].words.name));
    }
    if change.sensitive && dice.chance(0.1) {
        put("security");
    }
    labels
}

/// Puts the words of a change into a template; the slots are listed in [`super::words`].
pub(crate) fn fill(template: &str, change: &Change, repository: &Repository, dice: &mut Dice) -> String {
    let mut text = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (slot, after) = after.split_once('}').expect("every slot of a template is closed");
        rest = after;
        let (name, from, to) = &change.dependency;
        match slot {
            "n" => text.push_str(change.noun),
            "N" => text.push_str(&upper(change.noun)),
            "m" => text.push_str(change.related),
            "s" => text.push_str(repository.subsystems[change.subsystem].words.name),
            "t" => text.push_str(repository.subsystems[dice.below(repository.subsystems.len())].words.name),
            "f" => text.push_str(change.main_file()),
            "c" => text.push_str(change.condition),
            "b" => text.push_str(change.bug),
            "i" => text.push_str(change.input),
            "x" => text.push_str(change.thing),
            "y" => text.push_str(change.capability),
            "d" => text.push_str(name),
            "u" => text.push_str(from),
            "v" => text.push_str(to),
            "k" => write!(text, "{}", dice.between(2, 9)).expect("memory takes every write"),
            "p" => write!(text, "{}", dice.between(11, 64)).expect("memory takes every write"),
            other => unreachable!("the templates have no slot {other:?}"),
        }
    }
    text.push_str(rest);
    text
}
