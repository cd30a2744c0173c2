//! Tables of HTML, and pull requests in them.

use std::fmt::Write;

use crate::document::paragraph;
use crate::escape::escaped;

/// Where a pull request is; nothing where its repository cannot be one on GitHub.
pub fn pull_request_address(repository: &str, number: impl Into<i128>) -> Option<String> {
    let number: i128 = number.into();
    let part = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let (owner, name) = repository.split_once('/')?;
    (part(owner) && part(name)).then(|| format!("https://github.com/{owner}/{name}/pull/{number}"))
}

/// A pull request: a link where its repository can be one on GitHub, and text where not.
pub fn pull_request(repository: &str, number: impl Into<i128>) -> String {
    let number: i128 = number.into();
    let text = format!("{}#{number}", escaped(repository));
    match pull_request_address(repository, number) {
        Some(address) => format!("<a href=\"{address}\" rel=\"noreferrer\">{text}</a>"),
        None => text,
    }
}

/// A table that scrolls within its own box where it is too wide.
#[derive(Debug)]
pub struct Table {
    caption: String,
    head: Vec<(String, bool)>,
    body: String,
}

/// What is in a cell.
#[derive(Clone, Debug)]
pub enum Cell {
    /// Text, which will be escaped.
    Text(String),
    /// A number or another short thing that is aligned to the right.
    Number(String),
    /// HTML.
    Html(String),
    /// A bar of this part of the whole width, 0 to 1, and the number.
    Bar(f64, String),
    /// A number on a ground that is the darker the larger the part is, 0 to 1.
    Shade(f64, String),
}

impl Table {
    /// Columns whose name begins with `#` hold numbers and the like.
    pub fn new(caption: &str, columns: &[&str]) -> Self {
        let column = |name: &&str| match name.strip_prefix('#') {
            Some(name) => (name.to_owned(), true),
            None => ((*name).to_owned(), false),
        };
        Self { caption: caption.to_owned(), head: columns.iter().map(column).collect(), body: String::new() }
    }

    /// Adds a row; `name` is HTML and heads it.
    pub fn row(&mut self, name: &str, cells: impl IntoIterator<Item = Cell>) {
        let _ = write!(self.body, "<tr><th scope=\"row\">{name}</th>");
        for cell in cells {
            let _ = match cell {
                Cell::Text(text) => write!(self.body, "<td>{}</td>", escaped(&text)),
                Cell::Number(text) => write!(self.body, "<td class=\"n\">{}</td>", escaped(&text)),
                Cell::Html(html) => write!(self.body, "<td>{html}</td>"),
                Cell::Bar(part, text) => write!(
                    self.body,
                    "<td class=\"bar\"><span style=\"width:{:.1}%\"></span>{}</td>",
                    60.0 * part.clamp(0.0, 1.0),
                    escaped(&text)
                ),
                Cell::Shade(part, text) => write!(
                    self.body,
                    "<td class=\"n shade\" style=\"--part:{:.0}%\">{}</td>",
                    100.0 * part.clamp(0.0, 1.0),
                    escaped(&text)
                ),
            };
        }
        self.body.push_str("</tr>\n");
    }

    /// Adds text below the last row, as wide as the table.
    pub fn below(&mut self, text: &str) {
        let (columns, text) = (self.head.len(), paragraph(text));
        let _ = writeln!(self.body, "<tr class=\"below\"><td colspan=\"{columns}\">{text}</td></tr>");
    }

    /// The table. Its box can be reached by keyboard, so that it can be scrolled.
    pub fn html(&self) -> String {
        let caption = escaped(&self.caption);
        let mut head = String::new();
        for (name, number) in &self.head {
            let class = if *number { " class=\"n\"" } else { "" };
            let _ = write!(head, "<th scope=\"col\"{class}>{}</th>", escaped(name));
        }
        format!(
            "<div class=\"box\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"><table><caption>{caption}</caption>\n\
             <thead><tr>{head}</tr></thead>\n<tbody>\n{}</tbody></table></div>\n",
            self.body
        )
    }

    /// The table, behind a line that opens it.
    pub fn folded(&self) -> String {
        format!("<details><summary>{} as a table</summary>\n{}</details>\n", escaped(&self.caption), self.html())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let evil = "<script>alert('1')</script>\" & \u{0}";
        let mut table = Table::new(evil, &[evil]);
        let text = || evil.to_owned();
        table.row("", [Cell::Text(text()), Cell::Number(text()), Cell::Bar(0.5, text()), Cell::Shade(0.5, text())]);
        table.below(evil);
        let html = table.folded();
        assert!(!html.contains("<script") && html.matches("&lt;script").count() == 9, "{html}");
        assert!(html.contains("<tr class=\"below\"><td colspan=\"1\"><p>&lt;script"), "{html}");
    }

    #[test]
    fn only_what_can_be_a_repository_is_linked() {
        let link = "<a href=\"https://github.com/o/n.a-m_e/pull/7\" rel=\"noreferrer\">o/n.a-m_e#7</a>";
        assert_eq!(pull_request("o/n.a-m_e", 7_u64), link);
        for name in ["local", "a/b/c", "../x", "o/\"><script>", "", "o/", "ö/ä", "o/?x"] {
            let text = pull_request(name, 7_i64);
            assert!(!text.contains("<a") && !text.contains("<s"), "{text}");
            assert_eq!(pull_request_address(name, 7_u64), None);
        }
    }
}
