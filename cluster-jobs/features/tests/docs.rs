//! `docs/features.md` lists what the catalog lists.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use prowl_features::{FEATURE_COUNT, FEATURES, digest};
use serde::Serialize;

/// Everything above this line of the page is written by hand, everything below it by this test.
const MARKER: &str =
    "<!-- From here on made from the catalog: PROWL_WRITE_DOCS=1 cargo test -p prowl-features --test docs -->";

/// The name that a variant has in Parquet and in the model.
fn word(variant: impl Serialize) -> String {
    serde_json::to_value(variant).unwrap().as_str().unwrap().replace("yes_no", "yes or no").replace('_', " ")
}

fn tables() -> String {
    let mut page = format!("\n{FEATURE_COUNT} features, digest `{}`.\n", digest());
    let mut group = None;
    for feature in FEATURES {
        if group != Some(feature.group) {
            group = Some(feature.group);
            let title = word(feature.group);
            let (first, rest) = title.split_at(1);
            write!(page, "\n### {}{rest}\n\n", first.to_uppercase()).unwrap();
            page.push_str("| name | unit | read from | if missing | what it says |\n|---|---|---|---|---|\n");
        }
        let (unit, missing) = (word(feature.unit), word(feature.missing));
        writeln!(page, "| `{}` | {unit} | {} | {missing} | {} |", feature.name, feature.source, feature.about).unwrap();
    }
    page
}

#[test]
fn the_page_lists_the_catalog() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/features.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, below) =
        page.split_once(MARKER).expect("docs/features.md has lost the line that its tables begin after");
    let expected = format!("\n{}", tables());
    if std::env::var_os("PROWL_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{head}{MARKER}{expected}")).unwrap();
        return;
    }
    assert!(
        below == expected,
        "docs/features.md is older than the catalog: write it anew by PROWL_WRITE_DOCS=1 cargo test -p prowl-features --test docs"
    );
}

#[test]
fn groups_are_not_torn_apart() {
    let mut seen = Vec::new();
    for feature in FEATURES {
        if seen.last() != Some(&feature.group) {
            assert!(!seen.contains(&feature.group), "{} stands apart from its group", feature.name);
            seen.push(feature.group);
        }
    }
}
