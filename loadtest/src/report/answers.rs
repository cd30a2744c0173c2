//! The section of the page on how the answers of the two sides differ.

use prowl_page::{Cell, Table, count, escaped, number, paragraph, percent, pull_request};

use super::escape::cut;
use super::number::percentile;
use super::{plots, words};
use crate::verdict::{Answers, Judged};

/// Characters of a title, and of a reason.
const LONGEST: usize = 300;

/// Reasons of one side.
const REASONS: usize = 5;

/// What is in the section.
pub(super) fn content(answers: Option<&Answers>) -> String {
    let Some(answers) = answers else { return paragraph("They were not compared.") };
    let mut content = paragraph(&words::answers(answers));
    content += &paragraph(
        "A PSI below 0.1 is usual between two samples of the same; above 0.25 the percentiles are spread otherwise. The \
         statistic of Kolmogorov and Smirnov is the largest distance of the two distributions; p tells how often one as \
         large comes by chance. A rank correlation of 1 means that both order the pull requests alike. A model that was \
         trained again may move answers, within reason.",
    );
    content.push_str("<div class=\"plots\">\n");
    content.extend([plots::histogram(answers), plots::moved(answers), "</div>\n".to_owned()]);
    content + &histogram(answers) + &moved(answers)
}

fn histogram(answers: &Answers) -> String {
    let mut table = Table::new("Answers by percentile", &["percentile from", "#active", "#preview"]);
    for (from, active, preview) in &answers.histogram {
        table.row(&number(*from), [Cell::Number(count(*active)), Cell::Number(count(*preview))]);
    }
    table.folded()
}

fn moved(answers: &Answers) -> String {
    if answers.moved.is_empty() {
        return paragraph("No pull request has moved.");
    }
    let columns = ["pull request", "active", "preview"];
    let mut table = Table::new("The pull requests that moved farthest, with the reasons of both", &columns);
    for (place, moved) in answers.moved.iter().enumerate() {
        let name = format!(
            "{}. {}<small>{}</small>",
            place + 1,
            pull_request(&cut(&moved.repository, LONGEST), moved.number),
            escaped(&cut(&moved.title, LONGEST))
        );
        let cells = [judged("active", &moved.active), judged("preview", &moved.preview)];
        table.row(&name, cells.map(Cell::Html));
    }
    table.html()
}

/// What one side says. Its name is shown where there is no room for columns.
fn judged(side: &str, judged: &Judged) -> String {
    let Judged { percentile: rank, band, risk, reasons } = judged;
    let band = match &*cut(&band.replace('_', " "), LONGEST) {
        "" => String::new(),
        band => format!(" {}", escaped(band)),
    };
    let risk = risk.map_or_else(String::new, |risk| format!(", risk {}", percent(f64::from(risk))));
    let reasons = reasons.iter().take(REASONS).map(|reason| format!("<li>{}</li>", escaped(&cut(reason, LONGEST))));
    let reasons: String = reasons.collect();
    let rank = percentile(*rank);
    format!("<span class=\"side\">{side}: </span><strong>{rank}</strong>{band}{risk}<ul class=\"why\">{reasons}</ul>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    #[test]
    fn each_that_moved_has_a_row_with_the_reasons_of_both() {
        let answers = Verdict::example().answers.unwrap();
        let content = content(Some(&answers));
        assert_eq!(content.matches("<ul class=\"why\">").count(), 40, "{content}");
        let link = "1. <a href=\"https://github.com/bitcoin-core/secp256k1/pull/1400\" rel=\"noreferrer\">";
        assert!(content.contains(link), "{content}");
        let row = "<strong>98.7</strong> unusual, risk 9.9%<ul class=\"why\"><li>adds 4,200 lines";
        assert!(content.contains(row), "{content}");
    }

    #[test]
    fn what_was_not_judged_has_no_number() {
        let told =
            judged("preview", &Judged { percentile: None, band: String::new(), risk: None, reasons: Vec::new() });
        assert!(told.contains("<strong>not judged</strong><ul"), "{told}");
        let mut answers = Verdict::example().answers.unwrap();
        answers.moved.clear();
        assert!(content(Some(&answers)).contains("No pull request has moved."));
        assert_eq!(content(None), "<p>They were not compared.</p>\n");
    }
}
