//! Where the words of a text begin and end.

/// The words of a text: runs of letters and digits.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut characters = Characters { text, block: 0, of_words: of_words(text, 0) };
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = characters.next(at, true);
        at = characters.next(begin, false);
        (begin < at).then(|| &text[begin..at])
    })
}

/// Finds where words begin and end, for a block of bytes at once: a look at one character after the other is a guess at each
/// end, which a processor pays for.
struct Characters<'a> {
    text: &'a str,
    /// Where the block begins that was looked at.
    block: usize,
    /// Its bytes, the first as the lowest bit: whether they are part of a word.
    of_words: u64,
}

impl Characters<'_> {
    /// The first place from `at` on that is, or is not, part of a word; else the end of the text.
    #[inline]
    fn next(&mut self, mut at: usize, of_word: bool) -> usize {
        while at < self.text.len() {
            if at >= self.block + BLOCK {
                self.block = at - at % BLOCK;
                self.of_words = of_words(self.text, self.block);
            }
            let wanted = if of_word { self.of_words } else { !self.of_words } >> (at - self.block);
            if wanted != 0 {
                return self.text.len().min(at + wanted.trailing_zeros() as usize);
            }
            at = self.block + BLOCK;
        }
        self.text.len()
    }
}

/// Bytes of a block.
const BLOCK: usize = 64;

/// Which bytes of the block at `begin` are part of a word. None behind the end of the text is.
fn of_words(text: &str, begin: usize) -> u64 {
    let rest = &text.as_bytes()[begin..];
    let mut block = [0; BLOCK];
    let length = rest.len().min(BLOCK);
    block[..length].copy_from_slice(&rest[..length]);
    if block.is_ascii() {
        let eights = block.as_chunks().0.iter().enumerate();
        return eights.fold(0, |found, (at, eight)| found | (plain_of_words(u64::from_le_bytes(*eight)) << (8 * at)));
    }
    let first = text.floor_char_boundary(begin);
    let characters = text[first..].char_indices().map(|(at, character)| (first + at, character));
    characters
        .take_while(|(at, _)| *at < begin + BLOCK)
        .filter(|(_, character)| character.is_alphanumeric())
        .flat_map(|(at, character)| at.max(begin)..(at + character.len_utf8()).min(begin + BLOCK))
        .fold(0, |found, at| found | (1 << (at - begin)))
}

/// Which of eight plain characters, the first in the lowest byte, are letters or digits: one bit each.
fn plain_of_words(eight: u64) -> u64 {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    // A sum's highest bit tells that a byte is at least `first`, or above `last`; none is carried into the next byte.
    let between = |eight: u64, first: u8, last: u8| (eight + each(0x80 - first)) & !(eight + each(0x7f - last));
    let small_letters = eight | each(b'a' ^ b'A');
    let found = between(small_letters, b'a', b'z') | between(eight, b'0', b'9');
    // The product brings the highest bits of all bytes together in the highest byte.
    ((found & each(0x80)) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits_wherever_blocks_end() {
        let pieces =
            ["a", "Z9", " ", "@[`{/:", "\u{e9}", "\u{4e16}\u{754c}", "\u{2014}", "\u{1f600}", "\0\x7f", "long0word"];
        let mut state = 7u64;
        for length in 0..400 {
            let mut text = String::new();
            for _ in 0..length {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.push_str(pieces[(state >> 33) as usize % pieces.len()]);
            }
            let expected: Vec<_> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
            assert_eq!(words(&text).collect::<Vec<_>>(), expected, "{text}");
        }
        for byte in 0..0x80u8 {
            let expected = u64::from(byte.is_ascii_alphanumeric());
            assert_eq!(plain_of_words(u64::from(byte) << 16), expected << 2, "{byte}");
        }
    }
}
