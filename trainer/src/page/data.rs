//! The section on the pull requests that were learnt from.

use prowl_page::{Cell, Table, escaped, paragraph};

use crate::findings::Findings;
use crate::findings::data::Slice;

use super::{count, day};

fn slices() -> [(&'static str, &'static str); 3] {
    [
        ("training", "What the first fit learns from, and the category head."),
        ("validation", "When to stop, which scores are usual; the final fit knows it, too."),
        ("test", "Only measured; no part of the model knows it."),
    ]
}

pub(super) fn section(findings: &Findings<'_>) -> String {
    let data = &findings.data;
    let columns =
        ["slice", "#pull requests", "opened from", "to", "#repositories", "#kind declared", "#taken back", "#stood"];
    let mut table = Table::new("The slices, in the order of time", &columns);
    for ((name, about), slice) in slices().into_iter().zip(&data.slices) {
        table.row(&format!("{name}<small>{about}</small>"), cells(slice));
    }
    let mut repositories = Table::new(
        &if data.largest.len() < data.repositories {
            format!("The largest of {} repositories", count(data.repositories))
        } else {
            "Repositories".to_owned()
        },
        &["repository", "#pull requests", "percentiles"],
    );
    let own = &findings.model.metadata().repositories;
    for (name, rows) in &data.largest {
        let percentiles = if own.contains(name) { "its own" } else { "of all" };
        repositories.row(&escaped(name), [Cell::Number(count(*rows)), Cell::Text(percentiles.to_owned())]);
    }
    let mut kinds = Table::new("Declared kinds", &["kind", "#pull requests", "head"]);
    for (name, rows) in &data.kinds {
        let known = findings.model.metadata().categories.contains(name);
        let head = if known { "knows it" } else { "too few" };
        kinds.row(&escaped(name), [Cell::Number(count(*rows)), Cell::Text(head.to_owned())]);
    }
    let kinds = if data.kinds.is_empty() { paragraph("No pull request declares a kind.") } else { kinds.html() };
    let trimmed = findings.model.metadata().training.trimmed_rows;
    let content = [
        table.html(),
        paragraph(&format!(
            "Taken back and stood are what was known when the newest pull request was opened. The final fit learns from as \
             many as the training slice has, up to the end of the validation slice, without the most unusual {}.",
            count(trimmed as usize)
        )),
        format!("<div class=\"columns\">\n<div>{}</div>\n<div>{kinds}</div>\n</div>\n", repositories.html()),
    ];
    prowl_page::section("The pull requests", "data", &content.concat())
}

fn cells(slice: &Slice) -> Vec<Cell> {
    let (from, to) = slice.span.map_or_else(Default::default, |(from, to)| (day(from), day(to)));
    let number = |value| Cell::Number(count(value));
    vec![
        number(slice.rows),
        Cell::Text(from),
        Cell::Text(to),
        number(slice.repositories),
        number(slice.declared),
        number(slice.reverted),
        number(slice.stood),
    ]
}
