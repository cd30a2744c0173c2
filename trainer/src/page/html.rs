//! Pieces of HTML. Text from outside goes through [`escaped`] once, in here or where a page is put together.

use std::fmt::Write;

/// Text as text, in elements and in quoted attributes. Control characters, which HTML does not allow, become spaces.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other if other.is_control() => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A pull request: a link where its repository can be one on GitHub, and text where not.
pub(crate) fn pull_request(repository: &str, number: i64) -> String {
    let part = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let text = format!("{}#{number}", escaped(repository));
    match repository.split_once('/') {
        Some((owner, name)) if part(owner) && part(name) => {
            format!("<a href=\"https://github.com/{owner}/{name}/pull/{number}\" rel=\"noreferrer\">{text}</a>")
        }
        _ => text,
    }
}

/// A table that scrolls within its own box where it is too wide.
#[derive(Debug)]
pub(crate) struct Table {
    caption: String,
    head: Vec<(String, bool)>,
    body: String,
}

/// What is in a cell.
#[derive(Clone, Debug)]
pub(crate) enum Cell {
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
    pub(crate) fn new(caption: &str, columns: &[&str]) -> Self {
        let column = |name: &&str| match name.strip_prefix('#') {
            Some(name) => (name.to_owned(), true),
            None => ((*name).to_owned(), false),
        };
        Self { caption: caption.to_owned(), head: columns.iter().map(column).collect(), body: String::new() }
    }

    /// Adds a row; `name` is HTML and heads it.
    pub(crate) fn row(&mut self, name: &str, cells: impl IntoIterator<Item = Cell>) {
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

    /// The table. Its box can be reached by keyboard, so that it can be scrolled.
    pub(crate) fn html(&self) -> String {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let evil = "<script>alert('1')</script>\" & \u{0}";
        let safe = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; &amp;  ";
        assert_eq!(escaped(evil), safe);
        let mut table = Table::new(evil, &[evil]);
        table.row("", [Cell::Text(evil.into()), Cell::Number(evil.into()), Cell::Bar(0.5, evil.into())]);
        let html = table.html();
        assert!(!html.contains("<script") && html.matches("&lt;script").count() == 6, "{html}");
    }

    #[test]
    fn only_what_can_be_a_repository_is_linked() {
        let link = "<a href=\"https://github.com/o/n.a-m_e/pull/7\" rel=\"noreferrer\">o/n.a-m_e#7</a>";
        assert_eq!(pull_request("o/n.a-m_e", 7), link);
        for name in ["local", "a/b/c", "../x", "o/\"><script>", "", "o/", "ö/ä", "o/?x"] {
            let text = pull_request(name, 7);
            assert!(!text.contains("<a") && !text.contains("<s"), "{text}");
        }
    }
}
