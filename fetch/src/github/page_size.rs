//! How many pull requests a page asks for: fewer where GitHub fails to give them in time, more again where it does.

/// GitHub gives no more at once.
const LARGEST: u32 = 100;

/// Pages that have to come before a larger one is tried.
const SUCCESSES: u32 = 2;

/// The size of the next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageSize {
    size: u32,
    successes: u32,
}

impl Default for PageSize {
    fn default() -> Self {
        Self { size: LARGEST, successes: 0 }
    }
}

impl PageSize {
    pub(super) fn get(self) -> u32 {
        self.size
    }

    /// After a page that was too much.
    pub(super) fn halve(&mut self) {
        *self = Self { size: (self.size / 2).max(1), successes: 0 };
    }

    /// After a page of which only so many pull requests came whole, one after the other from its beginning.
    pub(super) fn cut(&mut self, whole: usize) {
        let whole = u32::try_from(whole).unwrap_or(LARGEST);
        *self = Self { size: if whole == 0 { 1 } else { whole.min(self.size) }, successes: 0 };
    }

    /// After a page that came.
    pub(super) fn succeeded(&mut self) {
        self.successes += 1;
        if self.successes >= SUCCESSES {
            *self = Self { size: (self.size * 2).min(LARGEST), successes: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shrinks_fast_and_grows_slowly() {
        let mut size = PageSize::default();
        let shrunk: Vec<u32> = std::iter::repeat_with(|| {
            size.halve();
            size.get()
        })
        .take(8)
        .collect();
        assert_eq!(shrunk, [50, 25, 12, 6, 3, 1, 1, 1]);
        let grown: Vec<u32> = std::iter::repeat_with(|| {
            size.succeeded();
            size.get()
        })
        .take(15)
        .collect();
        assert_eq!(grown, [1, 2, 2, 4, 4, 8, 8, 16, 16, 32, 32, 64, 64, 100, 100]);
    }

    #[test]
    fn a_failure_between_successes_starts_the_count_anew() {
        let mut size = PageSize::default();
        size.halve();
        size.succeeded();
        size.halve();
        size.succeeded();
        assert_eq!(size.get(), 25);
        size.succeeded();
        assert_eq!(size.get(), 50);
    }

    #[test]
    fn a_page_is_cut_before_what_does_not_come() {
        let mut size = PageSize::default();
        size.cut(60);
        assert_eq!(size.get(), 60);
        size.cut(80);
        assert_eq!(size.get(), 60);
        size.cut(0);
        assert_eq!(size.get(), 1);
    }
}
