//! `report.html`: a verdict on one page that needs no network and no script, in light and in dark.

use prowl_page::{Cell, Document, Table, count, counted, escaped, number, paragraph, percent, section, tile};

use super::escape::cut;
use super::number::{milliseconds, ratio, with_minus};
use super::{answers, plots, words};
use crate::verdict::{Check, Decision, Latency, Race, Side, Step, Verdict};

/// The page.
pub(super) fn html(verdict: &Verdict) -> String {
    let name = words::decision(verdict.decision);
    let expected = escaped(&verdict.expected);
    let class = match verdict.decision {
        Decision::Go => "go",
        Decision::NoGo => "no",
        Decision::Unknown => "unknown",
    };
    let sections = [
        checks(verdict),
        latency(verdict),
        capacity(verdict),
        section("Answers", "answers", &answers::content(verdict.answers.as_ref())),
        measured(verdict),
    ];
    let header = format!(
        "<h1>{name} for {expected}</h1>\n<p class=\"decision {class}\">{name}: {}.</p>\n<p class=\"faint\">{}</p>\n{}",
        words::because(verdict, escaped),
        begun(verdict),
        key_figures(verdict)
    );
    let document = Document {
        title: &format!("{name}: {}", verdict.expected),
        style: include_str!("style.css"),
        header: &header,
        main: &sections.concat(),
        program: concat!("prowl-loadtest ", env!("CARGO_PKG_VERSION")),
    };
    document.html()
}

fn begun(verdict: &Verdict) -> String {
    let against = match &verdict.active {
        Some(active) => format!("Compared with the active version {}.", escaped(words::name(active))),
        None => words::alone(verdict).to_owned(),
    };
    let (began, took) = (escaped(&verdict.began_at), number(verdict.seconds.round()));
    format!("{against} Begun at <time>{began}</time>, it took {took} s.")
}

/// The few figures that a reader wants first.
fn key_figures(verdict: &Verdict) -> String {
    let mut tiles = String::new();
    if let Some(race) = &verdict.race {
        let preview = &race.preview;
        let beside = |figure: fn(&Latency) -> f64, of: String| {
            race.active
                .as_ref()
                .map_or_else(String::new, |active| format!("active {}; {of} times it", milliseconds(figure(active))))
        };
        let median = beside(|latency| latency.p50, ratio(race.p50_ratio.as_ref()));
        let tail = beside(|latency| latency.p99, ratio(race.p99_ratio.as_ref()));
        tiles += &tile("p50 of preview", &milliseconds(preview.p50), &median);
        tiles += &tile("p99 of preview", &milliseconds(preview.p99), &tail);
        let calls = format!("of {} at {} a second", counted(preview.calls, "call", "calls"), number(race.rate));
        tiles += &tile("Failed", &words::failed(preview), &calls);
    }
    if let Some(steps) = &verdict.knee {
        let (least, why) = words::may_bear_more(steps).map_or(("", ""), |why| ("at least ", why));
        let kept = words::kept_up(steps).map_or("–".to_owned(), |rate| format!("{least}{}", number(rate)));
        tiles += &tile("Calls a second it bears", &kept, why);
    }
    if let Some(answers) = &verdict.answers {
        let of = format!("of {}", counted(answers.compared, "pull request", "pull requests"));
        tiles += &tile("Another band", &percent(answers.bands_changed), &of);
    }
    format!("<dl class=\"key\">\n{tiles}</dl>\n")
}

fn checks(verdict: &Verdict) -> String {
    // The name of a column is shown where there is no room for columns.
    let told = |column: &str, text: &str| match &*cut(&with_minus(text), 200) {
        "" => Cell::Text(String::new()),
        text => Cell::Html(format!("<span class=\"side\">{column}: </span>{}", escaped(text))),
    };
    let mut table = Table::new("What has to hold", &["check", "", "observed", "limit"]);
    for check in words::checks(verdict) {
        let Check { name, observed, limit, why, .. } = check;
        let state = words::state(check);
        let cells = [
            Cell::Html(format!("<span class=\"state {state}\">{state}</span>")),
            told("observed", observed),
            told("limit", limit),
        ];
        table.row(&escaped(&cut(name, 200)), cells);
        if !why.is_empty() {
            table.below(&cut(why, 400));
        }
    }
    section("Checks", "checks", &table.html())
}

fn latency(verdict: &Verdict) -> String {
    let Some(race) = &verdict.race else {
        return section("Latency", "latency", &paragraph("It was not measured."));
    };
    let rate = number(race.rate);
    let (asked, ratios) = if race.active.is_some() {
        (
            format!("Both sides got the same calls, {rate} a second each, at moments of their own."),
            "; ratios are of the times from when they were sent, since what the load itself adds is of both",
        )
    } else {
        (format!("Preview got {rate} calls a second."), "")
    };
    let mut content = paragraph(&format!(
        "{asked} Each is timed from the moment at which it was due, so that those that had to wait count, too{ratios}."
    ));
    content.push_str("<div class=\"plots\">\n");
    content.extend([plots::within(race), plots::beyond(race), plots::timeline(race), "</div>\n".to_owned()]);
    content += &quantiles(race);
    content += &seconds(race);
    section("Latency", "latency", &content)
}

fn quantiles(race: &Race) -> String {
    let columns = ["side", "#p50", "#p90", "#p99", "#p99.9", "#slowest", "#calls", "#failed", "#sent late by (p99)"];
    let mut table = Table::new("Latency of what was answered", &columns);
    let mut failures = String::new();
    for (name, latency) in [("preview", Some(&race.preview)), ("active", race.active.as_ref())] {
        let Some(latency) = latency else { continue };
        let beside = [count(latency.calls), words::failed(latency), milliseconds(latency.lag_p99)];
        table.row(name, words::quantiles(latency).into_iter().chain(beside).map(Cell::Number));
        if let Some(told) = words::failures(name, latency, str::to_owned) {
            failures += &paragraph(&told);
        }
    }
    if race.active.is_some() {
        let mut cells = vec![String::new(); 8];
        cells[0] = ratio(race.p50_ratio.as_ref());
        cells[2] = ratio(race.p99_ratio.as_ref());
        table.row("preview by active<small>with the interval of 95%</small>", cells.into_iter().map(Cell::Number));
    }
    table.html() + &failures
}

fn seconds(race: &Race) -> String {
    let columns = ["second", "#failures", "#preview p50", "#preview p99", "#active p50", "#active p99"];
    let shown = if race.active.is_some() { 6 } else { 4 };
    let mut table = Table::new("Latency by second", &columns[..shown]);
    for moment in &race.timeline {
        let figures = [moment.preview_p50, moment.preview_p99, moment.active_p50, moment.active_p99];
        let figures = figures.map(|figure| figure.map_or("–".to_owned(), milliseconds));
        let cells = [count(moment.failures)].into_iter().chain(figures).take(shown - 1);
        table.row(&number(moment.second), cells.map(Cell::Number));
    }
    table.folded()
}

fn capacity(verdict: &Verdict) -> String {
    let Some(steps) = &verdict.knee else {
        return section("Capacity", "capacity", &paragraph("It was not measured."));
    };
    let columns = ["calls a second due", "#answered", "#p99", "#failed"];
    let mut table = Table::new("Rates that were tried with preview", &columns);
    for Step { rate, answered, p99, error_rate, generator_limited } in steps {
        let limited = if *generator_limited { "<small>the load generator was the limit</small>" } else { "" };
        let cells = [number(*answered), milliseconds(*p99), percent(*error_rate)];
        table.row(&format!("{}{limited}", number(*rate)), cells.map(Cell::Number));
    }
    let plots = format!("<div class=\"plots\">\n{}</div>\n", plots::knee(steps));
    section("Capacity", "capacity", &(paragraph(&words::capacity(steps)) + &plots + &table.html()))
}

/// What was compared, where the load came from, and what the gate was told to do.
fn measured(verdict: &Verdict) -> String {
    let mut content = paragraph(&words::machine(&verdict.machine));
    if let Some(memory) = &verdict.memory {
        content += &paragraph(&words::memory(memory));
    }
    let caption = if verdict.active.is_some() { "The two sides" } else { "What was judged" };
    let mut sides = Table::new(caption, &["side", "version", "SHA-256 of the model", "address", "#ready after"]);
    for (name, side) in [("preview", Some(&verdict.preview)), ("active", verdict.active.as_ref())] {
        let Some(Side { url, version, digest, ready_seconds }) = side else { continue };
        let [version, digest, url] =
            [version, digest, url].map(|text| format!("<code>{}</code>", escaped(&cut(text, 200))));
        let ready = format!("{} s", number(*ready_seconds));
        sides.row(name, [Cell::Html(version), Cell::Html(digest), Cell::Html(url), Cell::Number(ready)]);
    }
    content += &sides.html();
    let list = words::settings(&verdict.settings);
    if !list.is_empty() {
        let mut settings = Table::new("Settings", &["name", "value"]);
        for (name, value) in list {
            settings.row(&format!("<code>{}</code>", escaped(&name)), [Cell::Text(value)]);
        }
        content += &settings.html();
    }
    section("How it was measured", "measured", &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "<script>alert('&')</script>\"";

    #[test]
    fn a_page_is_whole_and_asks_nothing_of_the_network() {
        let page = html(&Verdict::example_no_go());
        let told = "<p class=\"decision no\">No go: 2 of 11 checks fail: answered (250 of 30000 failed; ";
        assert!(page.contains(told), "{page}");
        for heading in ["Checks", "Latency", "Capacity", "Answers", "How it was measured"] {
            assert!(page.contains(&format!(">{heading}</h2>")), "{heading}");
        }
        let titles =
            ["Latency", "The slowest", "Over the time", "Capacity", "Its price", "Percentiles", "Moved farthest"];
        for title in titles {
            assert!(page.contains(&format!("<strong>{title}</strong>")), "{title}");
        }
        let svg = |what: &str| page.matches(what).count();
        assert_eq!((svg("<svg "), svg("</svg>"), svg("role=\"img\""), svg("<desc id=")), (7, 7, 7, 7));
        for tag in ["<script", "<link", "<img", "<iframe", "<object", "@import", "url(", "src=", "onload"] {
            assert!(!page.contains(tag), "{tag}");
        }
        assert!(!page.contains("xlink") && page.contains("default-src 'none'"));
        assert_eq!(page.matches("href=").count(), page.matches("href=\"https://github.com/").count());
        assert!(!page.contains("NaN") && !page.contains("inf\""));
        assert!(page.contains("prefers-color-scheme: dark") && page.contains("width=device-width"));
    }

    #[test]
    fn names_within_a_page_are_given_once_and_tags_are_closed() {
        for verdict in [Verdict::example(), Verdict::example_no_go(), Verdict::example_alone()] {
            let page = html(&verdict);
            let mut names: Vec<_> = page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{names:?}");
            for tag in
                ["table", "tr", "td", "details", "section", "figure", "div", "p", "ul", "li", "svg", "dl", "small"]
            {
                let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
                assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
            }
        }
    }

    #[test]
    fn a_check_that_does_not_hold_has_its_reason_below() {
        let mut verdict = Verdict::example_no_go();
        verdict.checks[7].observed = "-3 kB for 1,000 calls".into();
        let page = html(&verdict);
        let told = "<span class=\"side\">limit: </span>at most 1.2</td></tr>\n\
                    <tr class=\"below\"><td colspan=\"4\"><p>The p99 is 1.92 times that of the active version.</p>";
        assert!(page.contains(told), "{page}");
        assert_eq!(page.matches("<tr class=\"below\">").count(), 3, "{page}");
        assert!(page.contains("</span>−3 kB for 1,000 calls</td>"), "{page}");
    }

    #[test]
    fn what_it_bears_is_no_less_where_it_kept_up_to_the_end() {
        let mut verdict = Verdict::example();
        assert!(html(&verdict).contains("<dt>Calls a second it bears</dt><dd>4000<small></small>"));
        let steps = verdict.knee.as_mut().unwrap();
        steps.pop();
        let told = "<dd>at least 4000<small>as high as it was asked to go</small>";
        assert!(html(&verdict).contains(told), "{}", html(&verdict));
        verdict.knee.as_mut().unwrap()[4].generator_limited = true;
        let told = "<dd>at least 4000<small>the generator was the limit</small>";
        assert!(html(&verdict).contains(told), "{}", html(&verdict));
    }

    #[test]
    fn what_was_not_measured_is_said() {
        let mut verdict = Verdict::example_alone();
        let page = html(&verdict);
        assert!(page.contains("No active version was named: preview was judged alone."), "{page}");
        assert!(!page.contains(">active</th>") && !page.contains("preview by active"), "{page}");
        for of_two in ["Both sides", "two sides", "is of both", "active p50", "for the active version"] {
            assert!(!page.contains(of_two), "{of_two}: {page}");
        }
        (verdict.race, verdict.knee, verdict.answers, verdict.memory) = (None, None, None, None);
        verdict.checks.clear();
        verdict.decision = Verdict::decide(&verdict.checks);
        let page = html(&verdict);
        assert!(page.contains("Could not tell: nothing was checked, which is never a go."), "{page}");
        assert_eq!(page.matches("not measured").count() + page.matches("not compared").count(), 3, "{page}");
    }

    #[test]
    fn text_from_outside_stays_text() {
        let mut verdict = Verdict::example_no_go();
        let evil = || EVIL.to_owned();
        (verdict.expected, verdict.began_at) = (evil(), evil());
        for side in [Some(&mut verdict.preview), verdict.active.as_mut()].into_iter().flatten() {
            *side = Side { url: evil(), version: evil(), digest: evil(), ready_seconds: f64::NAN };
        }
        for check in &mut verdict.checks {
            *check = Check { name: evil(), holds: Some(false), observed: evil(), limit: evil(), why: evil() };
        }
        verdict.race.as_mut().unwrap().preview.failures.insert(evil(), 3);
        for moved in &mut verdict.answers.as_mut().unwrap().moved {
            (moved.repository, moved.title) = (evil(), evil());
            for judged in [&mut moved.active, &mut moved.preview] {
                (judged.band, judged.reasons) = (evil(), vec![evil()]);
            }
        }
        verdict.settings = serde_json::json!({ EVIL: EVIL });
        let page = html(&verdict);
        assert!(!page.contains("<script") && !page.contains("alert('") && !page.contains("&amp;lt;"), "{page}");
        assert!(page.matches("&lt;script&gt;alert(&#39;&amp;&#39;)").count() > 100, "{page}");
        assert!(!page.contains("NaN"), "{page}");
    }
}
