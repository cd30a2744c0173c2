//! Text from outside as text. Titles, reasons and addresses cannot be trusted.

/// Text in elements and in quoted attributes of HTML. Control characters, which it does not allow, become spaces.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in plain(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Text within a line or a cell of Markdown: neither markup, nor HTML, nor a line of its own, and nothing that GitHub
/// makes a link of, which would leave a trace at whom or what it names.
pub fn markdown(text: &str) -> String {
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

/// One line without control characters, which command a terminal, and without what turns the direction of others.
pub fn plain(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let seen = text.chars().filter(|c| !turns(*c));
    seen.map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_stays_text() {
        let evil = "<script>alert('1')</script>\" & \u{0}\u{202e}";
        assert_eq!(escaped(evil), "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot; &amp;  ");
    }

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
    fn a_terminal_is_not_commanded() {
        assert_eq!(plain("a\u{1b}[2Jb\r\n\u{202e}c"), "a [2Jb  c");
    }
}
