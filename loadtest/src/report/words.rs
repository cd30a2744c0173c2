//! What every form of a report says of a verdict: the decision with its reasons, and the figures as sentences. Sentences
//! are without markup; what in them comes from outside goes through the given escape.

use prowl_page::{count, counted, number, percent};
use serde_json::Value;

use super::escape::cut;
use super::number::{milliseconds, statistic, with_minus};
use crate::verdict::{Answers, Check, Decision, KEPT, Latency, Machine, Memory, Side, Step, Verdict};

/// Makes text of what comes from outside.
pub(super) type Escape = fn(&str) -> String;

/// Reasons that are told in a sentence.
const REASONS: usize = 3;

/// Characters of a reason.
const LONGEST: usize = 300;

/// Settings that are listed, and characters of each.
const SETTINGS: (usize, usize) = (60, 120);

/// A decision as a sentence begins.
pub(super) fn decision(decision: Decision) -> String {
    let words = decision.words();
    format!("{}{}", words[..1].to_uppercase(), &words[1..])
}

/// What a check came to, in a word.
pub(super) fn state(check: &Check) -> &'static str {
    match check.holds {
        Some(true) => "holds",
        Some(false) => "fails",
        None => "unknown",
    }
}

/// The checks, those that stand against a go first.
pub(super) fn checks(verdict: &Verdict) -> Vec<&Check> {
    let mut checks: Vec<_> = verdict.checks.iter().collect();
    checks.sort_by_key(|check| match check.holds {
        Some(false) => 0,
        None => 1,
        Some(true) => 2,
    });
    checks
}

/// Why it was decided so, as it goes on behind a colon, without a full stop.
pub(super) fn because(verdict: &Verdict, escape: Escape) -> String {
    let all = verdict.checks.len() as u64;
    let told =
        |holds: Option<bool>| -> Vec<&Check> { verdict.checks.iter().filter(|check| check.holds == holds).collect() };
    let of = |few: usize, one: &str, many: &str| {
        format!("{few} of {} {}", counted(all, "check", "checks"), if few == 1 { one } else { many })
    };
    match verdict.decision {
        _ if verdict.checks.is_empty() => "nothing was checked, which is never a go".to_owned(),
        Decision::Go if all == 1 => "the only check holds".to_owned(),
        Decision::Go => format!("all {all} checks hold"),
        Decision::NoGo => {
            let failing = told(Some(false));
            format!("{}: {}", of(failing.len(), "fails", "fail"), reasons(&failing, escape))
        }
        Decision::Unknown => {
            let unknown = told(None);
            let many = of(unknown.len(), "could not be told", "could not be told");
            format!("{many}, which is never a go: {}", reasons(&unknown, escape))
        }
    }
}

/// That there is nothing to compare with, where it is so.
pub(super) fn alone(verdict: &Verdict) -> &'static str {
    if verdict.active.is_some() { "" } else { "No active version was named: preview was judged alone." }
}

fn reasons(checks: &[&Check], escape: Escape) -> String {
    let mut told: Vec<_> = checks.iter().take(REASONS).map(|check| escape(&reason(check))).collect();
    if checks.len() > REASONS {
        told.push(format!("and {} more", checks.len() - REASONS));
    }
    told.join("; ")
}

/// `p99 (312 ms; limit: at most 250 ms), one call in a hundred takes longer`.
fn reason(check: &Check) -> String {
    let Check { name, holds, observed, limit, why } = check;
    let mut told = name.clone();
    // What could not be found out has nothing that was.
    if holds.is_some() && !observed.is_empty() {
        let limit = if limit.is_empty() { String::new() } else { format!("; limit: {limit}") };
        told = format!("{told} ({})", with_minus(&format!("{observed}{limit}")));
    }
    let why = why.trim().trim_end_matches('.');
    let mut begin = why.chars();
    let why = match (begin.next(), begin.next()) {
        (None, _) => return cut(&told, LONGEST),
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(why.chars().skip(1)).collect()
        }
        _ => why.to_owned(),
    };
    cut(&format!("{told}, {why}"), LONGEST)
}

/// What a side is called: its version, or where that is not known its address.
pub(super) fn name(side: &Side) -> &str {
    if side.version.is_empty() { &side.url } else { &side.version }
}

/// p50, p90, p99, p99.9 and the slowest.
pub(super) fn quantiles(latency: &Latency) -> [String; 5] {
    [latency.p50, latency.p90, latency.p99, latency.p999, latency.max].map(milliseconds)
}

/// How many calls failed, with their share.
pub(super) fn failed(latency: &Latency) -> String {
    match latency.calls.saturating_sub(latency.answered) {
        0 => "0".to_owned(),
        failed => format!("{} ({})", count(failed), percent(failed as f64 / latency.calls as f64)),
    }
}

/// What came of those that failed; nothing where none did.
pub(super) fn failures(side: &str, latency: &Latency, escape: Escape) -> Option<String> {
    let each = latency.failures.iter().filter(|(_, times)| **times > 0);
    let each: Vec<_> = each.map(|(name, times)| format!("{} × {}", count(*times), escape(&cut(name, 60)))).collect();
    (!each.is_empty()).then(|| format!("Failed on {side}: {}.", each.join(", ")))
}

/// The highest rate up to which preview answered nearly all; nothing where it did so under none.
pub(super) fn kept_up(steps: &[Step]) -> Option<f64> {
    let mut steps: Vec<_> = steps.iter().collect();
    steps.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    steps.iter().take_while(|step| step.keeps_up()).map(|step| step.rate).last()
}

/// Why preview may bear more than was tried; nothing where it did not keep up.
pub(super) fn may_bear_more(steps: &[Step]) -> Option<&'static str> {
    if steps.iter().any(|step| step.generator_limited) {
        Some("the generator was the limit")
    } else if !steps.is_empty() && steps.iter().all(Step::keeps_up) {
        Some("as high as it was asked to go")
    } else {
        None
    }
}

/// What preview bears.
pub(super) fn capacity(steps: &[Step]) -> String {
    if steps.is_empty() {
        return "It came to nothing: nothing was measured.".to_owned();
    }
    let told = match kept_up(steps) {
        Some(rate) => format!("up to {} calls a second", number(rate)),
        None => "under none of the rates".to_owned(),
    };
    let end = if let Some(step) = steps.iter().find(|step| step.generator_limited) {
        let rate = number(step.rate);
        format!(" At {rate} the load generator, not preview, did not keep up: no higher rate was tried.")
    } else if let Some(why) = may_bear_more(steps) {
        format!(" That is {why}.")
    } else {
        String::new()
    };
    format!("Preview answered at least {} of the calls {told}.{end}", percent(KEPT))
}

/// How the answers differ.
pub(super) fn answers(answers: &Answers) -> String {
    let alone = match answers.judged_by_one {
        0 => String::new(),
        alone => format!(", one version alone {}", count(alone)),
    };
    format!(
        "Both have judged {}{alone}: PSI {}, Kolmogorov–Smirnov {} (p {}), rank correlation {}; the band is another for {}.",
        counted(answers.compared, "pull request", "pull requests"),
        statistic(answers.psi),
        statistic(answers.ks),
        statistic(answers.ks_p),
        statistic(answers.rank_correlation),
        percent(answers.bands_changed)
    )
}

/// How memory grew.
pub(super) fn memory(memory: &Memory) -> String {
    let told = |size: f64| if size.is_finite() { format!("{size:.1} MB") } else { "–".to_owned() };
    let (first, last) = (told(memory.first_mb), told(memory.last_mb));
    format!(
        "Memory of preview: {first} at first, {last} at last; {} kB for 1,000 calls.",
        signed(memory.per_thousand_calls_kb)
    )
}

/// A number with its sign.
pub(super) fn signed(value: f64) -> String {
    format!("{}{}", if value > 0.0 { "+" } else { "" }, number(value))
}

/// Where the load came from, and how far its figures can be trusted.
pub(super) fn machine(machine: &Machine) -> String {
    let limited = if machine.generator_limited {
        " The load generator was the limit, not the server: of the server these figures say only that it bears so much."
    } else {
        ""
    };
    let noise = if machine.noise.is_finite() {
        format!(" Medians of the same side differed by {}.", percent(machine.noise))
    } else {
        String::new()
    };
    let busy = if machine.load > machine.cores as f64 { " It was busy before the gate began." } else { "" };
    format!(
        "The load came from {} at a load average of {}.{busy}{noise}{limited}",
        counted(machine.cores as u64, "core", "cores"),
        number(machine.load)
    )
}

/// Settings as names and values, in the order of the names.
pub(super) fn settings(value: &Value) -> Vec<(String, String)> {
    let mut list = Vec::new();
    flatten("", value, &mut list);
    list.sort();
    list.truncate(SETTINGS.0);
    list
}

fn flatten(name: &str, value: &Value, list: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                flatten(&name, value, list);
            }
        }
        Value::String(text) => list.push((cut(name, SETTINGS.1), cut(text, SETTINGS.1))),
        other => list.push((cut(name, SETTINGS.1), cut(&other.to_string(), SETTINGS.1))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SAME: Escape = str::to_owned;

    #[test]
    fn a_decision_has_its_reasons() {
        assert_eq!(because(&Verdict::example(), SAME), "all 11 checks hold");
        assert_eq!(
            because(&Verdict::example_no_go(), SAME),
            "2 of 11 checks fail: answered (250 of 30000 failed; limit: at most 0.05%), preview failed 250 of 30 000 calls, \
             active none; p99 against active (1.92 (1.80 to 2.05); limit: at most 1.2), the p99 is 1.92 times that of the \
             active version"
        );
        let mut verdict = Verdict::example_no_go();
        verdict.checks.retain(|check| check.holds.is_none());
        verdict.decision = Verdict::decide(&verdict.checks);
        let told = "1 of 1 check could not be told, which is never a go: rank correlation, too few pull requests were judged by \
                    both";
        assert_eq!(because(&verdict, SAME), told);
        verdict.checks[0].holds = Some(true);
        verdict.decision = Decision::Go;
        assert_eq!(because(&verdict, SAME), "the only check holds");
        verdict.checks.clear();
        assert_eq!(because(&verdict, SAME), "nothing was checked, which is never a go");
    }

    #[test]
    fn many_reasons_are_counted_and_one_without_words_tells_its_limit() {
        let mut verdict = Verdict::example();
        for check in &mut verdict.checks {
            check.holds = Some(false);
        }
        verdict.decision = Decision::NoGo;
        let because = because(&verdict, SAME);
        assert!(because.ends_with("; and 8 more"), "{because}");
        assert!(because.contains("panel (64 of 64 equal; limit: all 64, to the bit);"), "{because}");
        assert_eq!(
            checks(&Verdict::example_no_go()).iter().filter_map(|check| check.holds).position(|holds| holds),
            Some(2)
        );
    }

    #[test]
    fn preview_keeps_up_until_it_first_does_not() {
        let step =
            |rate: f64, answered: f64| Step { rate, answered, p99: 1.0, error_rate: 0.0, generator_limited: false };
        let mut steps = [step(3_000.0, 3_000.0), step(1_000.0, 990.0), step(2_000.0, 1_500.0)];
        assert_eq!(kept_up(&steps), Some(1_000.0));
        assert_eq!(capacity(&steps), "Preview answered at least 95% of the calls up to 1000 calls a second.");
        steps[2].generator_limited = true;
        let limited = " At 2000 the load generator, not preview, did not keep up: no higher rate was tried.";
        assert!(capacity(&steps).ends_with(limited), "{}", capacity(&steps));
        assert_eq!(may_bear_more(&steps), Some("the generator was the limit"));
        let highest = " up to 1000 calls a second. That is as high as it was asked to go.";
        assert!(capacity(&steps[1..2]).ends_with(highest), "{}", capacity(&steps[1..2]));
        assert_eq!((may_bear_more(&[step(5.0, 1.0)]), may_bear_more(&[])), (None, None));
        assert!(capacity(&[step(5.0, f64::NAN)]).contains("of the calls under none of the rates"));
        assert!(capacity(&[]).contains("nothing was measured"));
    }

    #[test]
    fn what_failed_is_named() {
        let race = Verdict::example_no_go().race.unwrap();
        let told = failures("preview", &race.preview, SAME);
        assert_eq!(told.as_deref(), Some("Failed on preview: 219 × UNAVAILABLE, 31 × silent."));
        assert_eq!(failed(&race.preview), "250 (0.8%)");
        let active = race.active.unwrap();
        assert_eq!((failures("active", &active, SAME), failed(&active)), (None, "0".to_owned()));
    }

    #[test]
    fn settings_are_a_flat_list() {
        let listed = settings(&json!({ "b": { "d": 1.5, "c": [1, 2] }, "a": "x", "none": null }));
        let listed: Vec<_> = listed.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(listed, ["a=x", "b.c=[1,2]", "b.d=1.5"]);
    }
}
