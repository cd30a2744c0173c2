//! Names from outside as code in Markdown, and text that is cut. Names cannot be trusted.

use prowl_page::plain;

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
