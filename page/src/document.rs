//! The frame of a page, and the parts of its text.

use crate::escape::escaped;

/// How all pages look.
const STYLE: &str = include_str!("style.css");

/// A whole page.
#[derive(Clone, Copy, Debug)]
pub struct Document<'a> {
    /// Text that names it.
    pub title: &'a str,
    /// CSS of this page alone.
    pub style: &'a str,
    /// HTML above the sections.
    pub header: &'a str,
    /// HTML of the sections.
    pub main: &'a str,
    /// Name and version of the program that makes it, as text.
    pub program: &'a str,
}

impl Document<'_> {
    /// The page. Its policy has a browser load nothing at all, whatever may stand in it.
    pub fn html(&self) -> String {
        let Self { style, header, main, .. } = self;
        let title = escaped(self.title);
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{title}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n<body>\n\
             <header>\n{header}</header>\n<main>\n{main}</main>\n\
             <footer>\n<p>Made by {}.</p>\n</footer>\n</body>\n</html>\n",
            escaped(self.program)
        )
    }
}

/// A section of a title and HTML. Its `id` is given once in a page.
pub fn section(title: &str, id: &str, content: &str) -> String {
    format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{}</h2>\n{content}</section>\n", escaped(title))
}

/// A paragraph of text.
pub fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escaped(text))
}

/// A figure that a reader wants first, with what is said beside it, for a `<dl class="key">`.
pub fn tile(name: &str, value: &str, beside: &str) -> String {
    let [name, value, beside] = [name, value, beside].map(escaped);
    format!("<div><dt>{name}</dt><dd>{value}<small>{beside}</small></dd></div>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "<script>alert('&')</script>";

    #[test]
    fn a_page_loads_nothing_and_its_own_style_comes_last() {
        let (header, main) = ("<h1>Above</h1>\n", "<p>Below</p>\n");
        let page = Document { title: EVIL, style: "b { margin: 0; }\n", header, main, program: EVIL }.html();
        for tag in ["<script", "<link", "@import", "url(", "src=", "href="] {
            assert!(!page.contains(tag), "{tag}");
        }
        assert!(page.contains("default-src 'none'") && page.contains("prefers-color-scheme: dark"), "{page}");
        let order = ["@media print", "b { margin: 0; }\n</style>", header, main, "Made by &lt;script"];
        assert!(order.map(|part| page.find(part).unwrap()).is_sorted(), "{page}");
    }

    #[test]
    fn text_stays_text() {
        let parts = [section(EVIL, "id", ""), paragraph(EVIL), tile(EVIL, EVIL, EVIL)].concat();
        assert!(!parts.contains("<script") && parts.matches("&lt;script").count() == 5, "{parts}");
    }
}
