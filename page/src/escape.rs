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
    fn a_terminal_is_not_commanded() {
        assert_eq!(plain("a\u{1b}[2Jb\r\n\u{202e}c"), "a [2Jb  c");
    }
}
