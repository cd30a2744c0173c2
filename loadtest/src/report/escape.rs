//! Text from outside as text in Markdown, and text that is cut. Titles, reasons and addresses cannot be trusted.

use prowl_page::plain;

/// Text within a line or a cell of Markdown: neither markup, nor HTML, nor a line of its own, and nothing that GitHub
/// makes a link of, which would leave a trace at whom or what it names.
pub(super) fn markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let text = plain(text);
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // A blank of no width parts what would be a mention, a reference or an address; GitHub looks for these
            // where Markdown is done, so that a backslash does not help.
            '@' => escaped.push_str("@\u{200b}"),
            '#' => escaped.push_str("\\#\u{200b}"),
            ':' if rest.peek() == Some(&'/') => escaped.push_str(":\u{200b}"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '~' | '|' | '!' | '$' => escaped.extend(['\\', character]),
            other => escaped.push(other),
        }
    }
    escaped.replace("www.", "www\u{200b}.").replace("GH-", "GH\u{200b}-")
}

/// A name as code of Markdown, within which nothing has a meaning but what ends it or a cell.
pub(super) fn code(text: &str) -> String {
    let text = plain(text).replace(['`', '|'], " ");
    // At the end a backslash may take the cell with it.
    match text.trim().trim_end_matches('\\') {
        "" => "–".to_owned(),
        text => format!("`{text}`"),
    }
}

/// The begin of a text that is too long, up to the end of a word where one is not far.
pub(super) fn cut(text: &str, most: usize) -> String {
    let text = text.trim();
    let Some((end, next)) = text.char_indices().nth(most) else { return text.to_owned() };
    let word = text[..end].rfind(char::is_whitespace).filter(|word| !next.is_whitespace() && *word >= end / 2);
    format!("{}…", text[..word.unwrap_or(end)].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_stays_text_on_one_line_and_names_nobody() {
        assert_eq!(
            markdown("a|b *c* _d_ `e` ~f~ [g](h) !i $j$ \\"),
            r"a\|b \*c\* \_d\_ \`e\` \~f\~ \[g\](h) \!i \$j\$ \\"
        );
        assert_eq!(markdown("x\n# <b> &lt;"), "x \\#\u{200b} &lt;b&gt; &amp;lt;");
        for named in ["@team", "#12", "https://evil.example", "www.evil.example", "GH-12"] {
            assert!(!markdown(named).contains(named), "{named}");
        }
        assert_eq!(markdown("10:30, adds 4,200 lines (usual: 6)"), "10:30, adds 4,200 lines (usual: 6)");
    }

    #[test]
    fn code_ends_where_it_should() {
        assert_eq!(code("a`b|c\n"), "`a b c`");
        assert_eq!([" ", "\\", "``"].map(code), ["–"; 3]);
        assert_eq!(code("x\\"), "`x`");
    }

    #[test]
    fn long_text_is_cut_at_the_end_of_a_word_and_a_long_word_between_characters() {
        assert_eq!((cut("äöü", 3), cut("äö ü", 3)), ("äöü".to_owned(), "äö…".to_owned()));
        assert_eq!([12, 13, 14].map(|most| cut("adds a field inverse", most)), ["adds a field…"; 3]);
        assert_eq!((cut("a bcdefghij", 8), cut("äöü", 2)), ("a bcdefg…".to_owned(), "äö…".to_owned()));
    }
}
