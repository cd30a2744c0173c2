//! The section on what kind of change a pull request is.

use prowl_model::Metadata;
use prowl_page::{Cell, Table, escaped, number, paragraph, percent};

use crate::findings::Findings;
use crate::findings::category::Kinds;

use super::{count, importances};

pub(super) fn section(findings: &Findings<'_>) -> String {
    let metadata = findings.model.metadata();
    let content = match (&findings.category, metadata.missing_heads.get("category")) {
        (_, Some(reason)) => paragraph(&format!("There is no answer: {reason}.")),
        (None, None) => paragraph("No pull request of the test slice declares a kind."),
        (Some(kinds), None) => {
            let metric = |name: &str| metadata.metrics.get(name).copied().unwrap_or(f64::NAN);
            paragraph(&format!(
                "Of the {} later pull requests that declare their kind {} are told rightly; always the most frequent kind of \
                 the training slice would be right for {}. The probability of the kind that is told is {} off.",
                count(kinds.rows()),
                percent(metric("category_accuracy")),
                percent(metric("category_majority_accuracy")),
                percent(metric("category_calibration_error"))
            )) + &matrix(&metadata.categories, kinds)
                + "<div class=\"columns\">\n<div>"
                + &by_class(kinds)
                + "</div>\n<div>"
                + &importances(
                    findings.model,
                    "Drop of the accuracy when an input is shuffled in the test slice",
                    "drop",
                    &kinds.importances,
                    percent,
                )
                + "</div>\n</div>\n"
        }
    };
    prowl_page::section("What kind", "kind", &(content + &clusters(metadata)))
}

/// The groups of those that declare none.
fn clusters(metadata: &Metadata) -> String {
    let title = "<h3>What declares no kind</h3>\n";
    if metadata.clusters.is_empty() {
        let reason = metadata.missing_heads.get("clusters").map_or("this model has none", String::as_str);
        return format!("{title}{}", paragraph(&format!("There are no groups: {reason}.")));
    }
    let silhouette = metadata.metrics.get("cluster_silhouette").copied().unwrap_or(f64::NAN);
    let mut table = Table::new(
        "Groups of pull requests that declare no kind, by what is typical of them",
        &["name", "#pull requests", "words of titles", "features", "most typical"],
    );
    for cluster in &metadata.clusters {
        let cells = [
            Cell::Number(count(cluster.rows as usize)),
            Cell::Text(cluster.words.join(", ")),
            Cell::Text(cluster.features.join("; ")),
            Cell::Text(cluster.examples.join(", ")),
        ];
        table.row(&escaped(&cluster.name), cells);
    }
    let about = format!(
        "They lie near each other in what the network makes of them. Their mean silhouette is {}: 1 is far apart, 0 not apart.",
        number(silhouette)
    );
    format!("{title}{}{}", paragraph(&about), table.html())
}

fn matrix(classes: &[String], kinds: &Kinds) -> String {
    let mut columns = vec!["declared".to_owned()];
    columns.extend(classes.iter().map(|class| format!("#{class}")));
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new("Confusion: declared kinds in rows, what was told in columns", &columns);
    for (class, counts) in kinds.declared.iter().zip(&kinds.counts) {
        let sum = counts.iter().sum::<usize>().max(1);
        let cell =
            |&rows: &usize| Cell::Shade(rows as f64 / sum as f64, if rows == 0 { "·".to_owned() } else { count(rows) });
        table.row(&escaped(class), counts.iter().map(cell));
    }
    table.html()
}

fn by_class(kinds: &Kinds) -> String {
    let mut table = Table::new("By declared kind", &["kind", "#declared", "#precision", "#recall"]);
    let share = |share: Option<f64>| Cell::Number(share.map_or("–".to_owned(), percent));
    for (class, name) in kinds.declared.iter().enumerate() {
        let cells =
            [Cell::Number(count(kinds.declaring(class))), share(kinds.precision(class)), share(kinds.recall(class))];
        table.row(&escaped(name), cells);
    }
    table.html()
}
