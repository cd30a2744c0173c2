//! `verdict.md`: a comment on a pull request. What is decided comes first, and what few will read is folded.

use std::fmt::Write;

use prowl_page::{count, counted, markdown as text, number, percent, pull_request_address};

use super::escape::{code, cut};
use super::number::{milliseconds, percentile, ratio, with_minus};
use super::words;
use crate::verdict::{Answers, Judged, Race, Side, Verdict};

/// GitHub takes comments of 65,536 characters.
const MOST: usize = 60_000;

/// Characters of a title, of a reason, and of why a check does not hold.
const TITLE: usize = 80;
const REASON: usize = 120;
const WHY: usize = 400;

/// Reasons of one side.
const REASONS: usize = 3;

/// The comment, with as many of the pull requests that moved as have room.
pub(super) fn markdown(verdict: &Verdict) -> String {
    let mut fewer = [20, 10, 5].into_iter().map(|moved| comment(verdict, moved));
    fewer.find(|comment| comment.chars().count() <= MOST).unwrap_or_else(|| comment(verdict, 0))
}

fn comment(verdict: &Verdict, moved: usize) -> String {
    let mut parts = vec![decision(verdict), sides(verdict), checks(verdict)];
    parts.extend(verdict.race.as_ref().map(latency));
    let beside = [
        verdict.knee.as_deref().map(words::capacity),
        verdict.memory.as_ref().map(words::memory),
        verdict.answers.as_ref().map(words::answers),
    ];
    let beside: Vec<_> = beside.into_iter().flatten().map(|line| format!("- {line}")).collect();
    if !beside.is_empty() {
        parts.push(format!("#### Beside that\n\n{}", beside.join("\n")));
    }
    parts.extend(verdict.answers.as_ref().and_then(|answers| farthest(answers, moved)));
    parts.push(settings(verdict));
    parts.join("\n\n") + "\n"
}

fn decision(verdict: &Verdict) -> String {
    let (name, because) = (words::decision(verdict.decision), words::because(verdict, text));
    let sentence = format!("**{name}** for {}: {because}.", code(&verdict.expected));
    match words::alone(verdict) {
        "" => sentence,
        alone => format!("{sentence} {alone}"),
    }
}

fn sides(verdict: &Verdict) -> String {
    let side = |name: &str, side: &Side| {
        let url = code(&cut(&side.url, 200));
        if side.version.is_empty() {
            return format!("{name} is at {url}");
        }
        let digest = format!("{:.12}", side.digest);
        format!("{name} is {} ({}) at {url}", code(&side.version), code(&digest))
    };
    let active = verdict.active.as_ref().map_or(String::new(), |active| format!(", {}", side("active", active)));
    format!(
        "{}{active}. Begun at {}, it took {} s.",
        side("Preview", &verdict.preview),
        text(&verdict.began_at),
        number(verdict.seconds.round())
    )
}

fn checks(verdict: &Verdict) -> String {
    let mut table = String::from("#### Checks\n\n| | check | observed | limit |\n|---|---|---|---|");
    let mut reasons = String::new();
    for check in words::checks(verdict) {
        let state = words::state(check);
        let state = if check.holds == Some(true) { state.to_owned() } else { format!("**{state}**") };
        let name = text(&cut(&check.name, 200));
        let [observed, limit] = [&check.observed, &check.limit].map(|told| text(&cut(&with_minus(told), 200)));
        let _ = write!(table, "\n| {state} | {name} | {observed} | {limit} |");
        if !check.why.is_empty() {
            let _ = write!(reasons, "\n- **{name}**: {}", text(&cut(&check.why, WHY)));
        }
    }
    if reasons.is_empty() { table } else { format!("{table}\n{reasons}") }
}

fn latency(race: &Race) -> String {
    let mut table = format!(
        "#### Latency at {} calls a second\n\n| | p50 | p90 | p99 | p99.9 | slowest | calls | failed |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|",
        number(race.rate)
    );
    let sides = || [("preview", Some(&race.preview)), ("active", race.active.as_ref())].into_iter();
    let sides = || sides().filter_map(|(name, latency)| Some((name, latency?)));
    for (name, latency) in sides() {
        let quantiles = words::quantiles(latency).join(" | ");
        let calls = count(latency.calls);
        let _ = write!(table, "\n| {name} | {quantiles} | {calls} | {} |", words::failed(latency));
    }
    if race.active.is_some() {
        let [median, tail] = [&race.p50_ratio, &race.p99_ratio].map(|of| ratio(of.as_ref()));
        let _ = write!(table, "\n| ratio (95% interval) | {median} | | {tail} | | | | |");
    }
    let ratios = if race.active.is_some() { ", which the ratios leave out" } else { "" };
    let lag = sides().map(|(_, latency)| latency.lag_p99).fold(f64::NAN, f64::max);
    let _ = write!(
        table,
        "\n\nEach call is timed from the moment at which it was due, so that those that had to wait count, too; the load \
         generator sent 99% of them within {} of it{ratios}.",
        milliseconds(lag)
    );
    for failures in sides().filter_map(|(name, latency)| words::failures(name, latency, text)) {
        let _ = write!(table, " {failures}");
    }
    table
}

/// Those that moved farthest. Their names are code, and links go through GitHub's redirector: it would tell every one of
/// these pull requests of this comment.
fn farthest(answers: &Answers, most: usize) -> Option<String> {
    let moved = &answers.moved[..answers.moved.len().min(most)];
    if moved.is_empty() {
        return None;
    }
    let those = match moved.len() {
        1 => "The pull request that moved farthest".to_owned(),
        many => format!("The {many} pull requests that moved farthest"),
    };
    let mut table = format!(
        "<details>\n<summary>{those}, with the reasons of both</summary>\n\n| pull request | active | preview |\n|---|---|---|\n"
    );
    for row in moved {
        let repository = cut(&row.repository, TITLE);
        let mut name = code(&format!("{repository}#{}", row.number));
        if let Some(address) = pull_request_address(&repository, row.number) {
            name = format!("[{name}]({})", address.replace("//github.com/", "//redirect.github.com/"));
        }
        let (title, active, preview) = (text(&cut(&row.title, TITLE)), judged(&row.active), judged(&row.preview));
        let _ = writeln!(table, "| {name}<br>{title} | {active} | {preview} |");
    }
    table.push_str("\n</details>");
    Some(table)
}

fn judged(judged: &Judged) -> String {
    let mut told = format!("**{}**", percentile(judged.percentile));
    if !judged.band.is_empty() {
        let _ = write!(told, " {}", text(&cut(&judged.band.replace('_', " "), TITLE)));
    }
    if let Some(risk) = judged.risk {
        let _ = write!(told, ", risk {}", percent(f64::from(risk)));
    }
    for reason in judged.reasons.iter().take(REASONS) {
        let _ = write!(told, "<br>• {}", text(&cut(reason, REASON)));
    }
    told
}

fn settings(verdict: &Verdict) -> String {
    let list = words::settings(&verdict.settings);
    let mut folded =
        format!("<details>\n<summary>Settings and machine</summary>\n\n{}\n", words::machine(&verdict.machine));
    if !list.is_empty() {
        let _ = writeln!(folded, "\n| {} | value |\n|---|---|", counted(list.len() as u64, "setting", "settings"));
    }
    for (name, value) in list {
        let _ = writeln!(folded, "| {} | {} |", code(&name), code(&value));
    }
    let _ = write!(folded, "\n</details>\n\nMade by prowl-loadtest {}.", env!("CARGO_PKG_VERSION"));
    folded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Check;

    #[test]
    fn the_decision_comes_first_in_one_sentence() {
        let go = markdown(&Verdict::example());
        assert!(
            go.starts_with("**Go** for `20261130T001500Z`: all 11 checks hold.\n\nPreview is `20261130T001500Z`"),
            "{go}"
        );
        let no_go = markdown(&Verdict::example_no_go());
        let first = no_go.lines().next().unwrap();
        assert_eq!(
            first,
            "**No go** for `20261130T001500Z`: 2 of 11 checks fail: answered (250 of 30000 failed; limit: at most 0.05%), \
             preview failed 250 of 30 000 calls, active none; p99 against active (1.92 (1.80 to 2.05); limit: at most 1.2), \
             the p99 is 1.92 times that of the active version."
        );
        let alone = markdown(&Verdict::example_alone());
        assert!(alone.lines().next().unwrap().ends_with("preview was judged alone."), "{alone}");
        assert!(
            !alone.contains("| active |") && !alone.contains("ratio (95%") && !alone.contains("the ratios"),
            "{alone}"
        );
    }

    #[test]
    fn what_speaks_against_it_heads_the_checks_and_all_parts_are_there() {
        let comment = markdown(&Verdict::example_no_go());
        let place = |what: &str| comment.find(what).unwrap_or_else(|| panic!("no {what} in {comment}"));
        let order = [
            "| **fails** | answered | 250 of 30000 failed | at most 0.05% |",
            "| **unknown** | rank correlation |",
            "| holds | panel |",
            "\n\n- **answered**: Preview failed 250 of",
            "\n- **p99 against active**: The p99 is 1.92 times",
            "\n- **rank correlation**: Too few pull requests were judged by both.\n",
            "#### Latency at 500 calls a second",
            "| preview | ",
            "| active | ",
            "| ratio (95% interval) | ",
            "Failed on preview: 219 × UNAVAILABLE, 31 × silent.",
            "- Preview answered at least 95% of the calls up to 4000 calls a second.",
            "- Memory of preview: 214.0 MB at first",
            "- Both have judged 2000 pull requests, one version alone 3: PSI 0.031,",
            "<summary>The 20 pull requests that moved farthest",
            "| [`bitcoin-core/secp256k1#1400`](https://redirect.github.com/bitcoin-core/secp256k1/pull/1400)<br>Replace the",
            "<summary>Settings and machine</summary>",
            "The load came from 8 cores",
            "| `limits.psi` | `0.25` |",
        ];
        assert!(order.map(place).is_sorted(), "{comment}");
    }

    #[test]
    fn every_row_of_a_table_has_its_columns() {
        let mut verdict = Verdict::example_no_go();
        let evil = "a|b\n| c `|` \\";
        verdict.checks[0].name = evil.into();
        verdict.settings = serde_json::json!({ evil: evil });
        let moved = &mut verdict.answers.as_mut().unwrap().moved[0];
        (moved.title, moved.repository, moved.preview.reasons[0]) = (evil.into(), evil.into(), evil.into());
        let mut columns = 0;
        for line in markdown(&verdict).lines() {
            let bars = line.replace("\\\\", "").replace("\\|", "").matches('|').count();
            let row = line.starts_with('|');
            assert!(columns == 0 || !row || bars == columns, "{line}");
            assert!(row || bars == 0, "{line}");
            columns = if row { bars } else { 0 };
        }
    }

    #[test]
    fn words_from_outside_command_nothing() {
        let evil = "<img src=x>\n# [a](https://evil.example) @team o/r#7 **b** <!-- ";
        let mut verdict = Verdict::example_no_go();
        verdict.checks[3].why = evil.into();
        verdict.race.as_mut().unwrap().preview.failures.insert(evil.into(), 1);
        (verdict.expected, verdict.preview.url, verdict.began_at) = (evil.into(), evil.into(), evil.into());
        let moved = &mut verdict.answers.as_mut().unwrap().moved[0];
        (moved.title, moved.preview.band, moved.active.reasons[0]) = (evil.into(), evil.into(), evil.into());
        let comment = markdown(&verdict);
        // Within code nothing has a meaning.
        let outside: String = comment.split('`').step_by(2).collect();
        let outside = outside.replace("](https://redirect.github.com/bitcoin-core/", "](");
        for command in ["<img", "<!--", "[a](", "@team", "r#7", "**b**", "https://", "\n# "] {
            assert!(!outside.contains(command), "{command}: {outside}");
        }
        assert!(comment.contains("\\[a\\](https:\u{200b}//evil.example)"), "{comment}");
    }

    #[test]
    fn it_is_no_longer_than_github_takes() {
        let mut verdict = Verdict::example();
        for moved in &mut verdict.answers.as_mut().unwrap().moved {
            moved.title = "<".repeat(10_000);
            moved.preview.reasons = vec!["<".repeat(10_000); 50];
            moved.active.reasons = vec!["#".repeat(10_000); 50];
        }
        let comment = markdown(&verdict);
        assert!(comment.chars().count() <= MOST && comment.contains("that moved farthest"), "{}", comment.len());
        let long = || "it is not as it was ".repeat(99);
        let check = Check { name: long(), holds: Some(false), observed: long(), limit: long(), why: long() };
        verdict.checks = vec![check; 40];
        let comment = markdown(&verdict);
        assert!(comment.chars().count() <= MOST && comment.matches("\n- **it is").count() == 40, "{}", comment.len());
    }

    #[test]
    fn what_is_no_number_is_a_dash_and_nothing_at_all_is_told_so() {
        let mut verdict = Verdict::example();
        let race = verdict.race.as_mut().unwrap();
        (race.preview.p99, race.preview.calls, race.p99_ratio) = (f64::NAN, 0, None);
        verdict.machine.noise = f64::NAN;
        let comment = markdown(&verdict);
        assert!(comment.contains("| – |") && !comment.contains("NaN"), "{comment}");
        (verdict.race, verdict.knee, verdict.answers, verdict.memory) = (None, None, None, None);
        verdict.checks.clear();
        verdict.decision = Verdict::decide(&verdict.checks);
        verdict.settings = serde_json::Value::Null;
        let comment = markdown(&verdict);
        assert!(comment.starts_with("**Could not tell** for") && !comment.contains("Latency"), "{comment}");
    }
}
