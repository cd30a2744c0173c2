//! Reading a stretch of the list so that it is whole, however GitHub fails: in smaller pages where large ones fail, one
//! by one where a single pull request does, and past one that cannot be had, which is told then and never just left out.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    api::Unanswered,
    convert::Converted,
    doors::{Identity, Page, Place, Pull, Source},
    page_size::PageSize,
    patience::Patience,
};
use crate::document::Document;

/// How often a single pull request is asked for before it is read around, and how often in all.
const TRIES: u32 = 3;
const MOST_TRIES: u32 = 100;

/// GitHub lists at most 3,000 files of a pull request; a list that goes on for longer has no end.
const FILE_PAGES: usize = 100;

/// Files of one page that are held at once. Beyond, the page is asked for in halves.
const MOST_FILES: usize = 50_000;

/// Reads the pull requests of one repository.
pub(super) struct Reader<'a, S> {
    source: &'a S,
    repository: &'a str,
    size: PageSize,
    patience: Patience,
}

/// A stretch of the list without gaps, but for what is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) repository: Identity,
    pub(super) total: u64,
    pub(super) documents: Vec<Document>,
    /// A pull request that GitHub could not give, or not all of it.
    pub(super) gap: Option<Gap>,
    /// Where the list goes on; nothing at its end.
    pub(super) next: Option<String>,
    /// Newest and oldest update.
    pub(super) span: Option<(Timestamp, Timestamp)>,
    /// When it was read, by GitHub's clock, where that is known.
    pub(super) at: Option<Timestamp>,
}

/// What could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) number: Option<u64>,
    pub(super) says: String,
}

/// What became of a page.
enum Tried {
    Whole(Page),
    /// Only so many came whole, one after the other from the beginning.
    Part(usize, Page),
}

impl<'a, S: Source> Reader<'a, S> {
    pub(super) fn new(source: &'a S, repository: &'a str, patience: Patience) -> Self {
        Self { source, repository, size: PageSize::default(), patience }
    }

    /// The stretch after a position.
    ///
    /// # Errors
    /// The position is none any more, the repository is gone, or patience is at its end; never that it is too much.
    pub(super) async fn read(&mut self, after: Option<&str>) -> Result<Stretch, Unanswered> {
        let usual = self.size;
        let mut tries = 0;
        loop {
            let place = Place { after, first: self.size.get(), files: true };
            let (says, page) = match self.attempt(place).await {
                Ok(Tried::Whole(page)) => {
                    self.size.succeeded();
                    return Ok(Stretch::of(page, None));
                }
                Ok(Tried::Part(whole, page)) => {
                    let says = said(&page);
                    let single = self.size.get() == 1;
                    self.size.cut(whole);
                    (says, single.then_some(page))
                }
                Err(Unanswered::TooMuch(says)) => {
                    self.size.halve();
                    (says, None)
                }
                Err(other) => return Err(other),
            };
            tracing::debug!(repository = self.repository, first = place.first, says, "a page did not come whole");
            if place.first == 1 {
                tries += 1;
                if tries >= TRIES {
                    match self.read_around(after, page).await {
                        // It is not the pull request: GitHub gives nothing at all.
                        Err(Unanswered::TooMuch(_)) if tries < MOST_TRIES => {}
                        Err(Unanswered::TooMuch(says)) => {
                            return Err(self.source.gives_up(says, &self.patience).into());
                        }
                        read => {
                            self.size = usual;
                            // Perhaps GitHub has given nothing at all until now, and it is not this one that it cannot.
                            if matches!(&read, Ok(Stretch { gap: Some(_), .. }))
                                && let Ok(Tried::Whole(page)) = self.attempt(place).await
                            {
                                return Ok(Stretch::of(page, None));
                            }
                            return read;
                        }
                    }
                }
            }
            if self.size.get() < place.first {
                // A smaller page is another question.
                self.patience.breathe().await;
            } else {
                self.rest(says).await?;
            }
        }
    }

    /// The single pull request after a position.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub(super) async fn read_one(&mut self, after: Option<&str>) -> Result<Stretch, Unanswered> {
        self.size.cut(1);
        let stretch = self.read(after).await;
        self.size = PageSize::default();
        stretch
    }

    /// A page with all files.
    async fn attempt(&mut self, place: Place<'_>) -> Result<Tried, Unanswered> {
        let mut page = self.source.page(self.repository, place, &mut self.patience).await?;
        if page.next.is_some() && page.next.as_deref() == place.after {
            return Err(Unanswered::TooMuch("a page ends where it began".to_owned()));
        }
        let (mut held, single) = (0, page.pulls.len() == 1);
        for pull in &mut page.pulls {
            let Pull::Whole(converted) = pull else { continue };
            if let Err(failed) = self.complete(converted).await {
                match failed {
                    Unanswered::Failed(error) => return Err(Unanswered::Failed(error)),
                    Unanswered::TooMuch(says) | Unanswered::BadCursor(says) => lacks_files(pull, says),
                    Unanswered::Gone => lacks_files(pull, "its files are gone".to_owned()),
                }
                continue;
            }
            held += converted.document.files.as_ref().map_or(0, Vec::len);
            if held > MOST_FILES && !single {
                return Err(Unanswered::TooMuch("a page has too many files".to_owned()));
            }
        }
        let whole = page.pulls.iter().take_while(|pull| matches!(pull, Pull::Whole(_))).count();
        Ok(if whole == page.pulls.len() { Tried::Whole(page) } else { Tried::Part(whole, page) })
    }

    /// The files past the first page.
    async fn complete(&mut self, converted: &mut Converted) -> Result<(), Unanswered> {
        let Converted { document, more_files } = converted;
        let (Some(id), Some(files)) = (&document.node_id, &mut document.files) else { return Ok(()) };
        let (mut pages, mut tries) = (0, 0);
        while let Some(after) = more_files.clone() {
            match self.source.files(self.repository, id, &after, &mut self.patience).await {
                Ok(page) => {
                    tries = 0;
                    pages += 1;
                    if page.next.as_ref() == Some(&after) || pages > FILE_PAGES {
                        return Err(Unanswered::TooMuch("a list of files has no end".to_owned()));
                    }
                    files.extend(page.files);
                    *more_files = page.next;
                }
                Err(Unanswered::TooMuch(says)) if tries < TRIES => {
                    tries += 1;
                    self.rest(says).await?;
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Reads as much as can be had of one pull request that does not come whole, and where the list goes on after it.
    async fn read_around(&mut self, after: Option<&str>, page: Option<Page>) -> Result<Stretch, Unanswered> {
        let page = match page {
            Some(page) if page.pulls.iter().any(|pull| matches!(pull, Pull::Partial(..))) => Some(page),
            _ => {
                // What takes GitHub too long are mostly the files.
                let place = Place { after, first: 1, files: false };
                match self.source.page(self.repository, place, &mut self.patience).await {
                    Ok(page) => Some(page),
                    Err(Unanswered::TooMuch(_)) => None,
                    Err(other) => return Err(other),
                }
            }
        };
        if let Some(page) = page {
            let gap = match page.pulls.first() {
                Some(Pull::Whole(pull)) => Some((pull, "its files did not come")),
                Some(Pull::Partial(pull, says)) => Some((pull, says.as_str())),
                Some(Pull::Absent(_)) => None,
                // The list ends here.
                None => return Ok(Stretch::of(page, None)),
            };
            if let Some((pull, says)) = gap {
                let gap = Gap { number: Some(pull.document.number), says: says.to_owned() };
                return Ok(Stretch::of(page, Some(gap)));
            }
        }
        let place = Place { after, first: 1, files: false };
        let outlined = self.source.outline(self.repository, place, &mut self.patience).await?;
        let pull = outlined.pulls.first().copied();
        let updated_at = pull.flatten().map(|(_, updated_at)| updated_at);
        Ok(Stretch {
            repository: Identity { node_id: outlined.node_id, full_name: outlined.full_name, status: None },
            total: outlined.total,
            documents: Vec::new(),
            gap: pull.map(|pull| Gap { number: pull.map(|(number, _)| number), says: "it did not come".to_owned() }),
            next: outlined.next,
            span: updated_at.zip(updated_at),
            at: None,
        })
    }

    /// Waits before another try.
    async fn rest(&mut self, says: String) -> Result<(), Unanswered> {
        if self.patience.wait(Duration::ZERO).await {
            Ok(())
        } else {
            Err(self.source.gives_up(says, &self.patience).into())
        }
    }
}

impl Stretch {
    fn of(page: Page, gap: Option<Gap>) -> Self {
        let Page { repository, total, pulls, next, at, .. } = page;
        let documents: Vec<Document> = pulls
            .into_iter()
            .filter_map(|pull| match pull {
                Pull::Whole(pull) => Some(pull.document),
                Pull::Partial(pull, _) => Some(without_some_files(pull)),
                Pull::Absent(_) => None,
            })
            .collect();
        let updates = || documents.iter().filter_map(|document| Timestamp::from_second(document.updated_at?.0).ok());
        let span = updates().max().zip(updates().min());
        Self { repository, total, documents, gap, next, span, at: Some(at) }
    }
}

/// Makes a pull request one whose files are not known.
fn lacks_files(pull: &mut Pull, says: String) {
    if let Pull::Whole(mut converted) = std::mem::replace(pull, Pull::Absent(says.clone())) {
        converted.document.files = None;
        converted.more_files = None;
        *pull = Pull::Partial(converted, says);
    }
}

/// The first files of many would pass for all of them.
fn without_some_files(Converted { mut document, more_files }: Converted) -> Document {
    if more_files.is_some() {
        document.files = None;
    }
    document
}

/// What GitHub says of the first pull request that did not come whole.
fn said(page: &Page) -> String {
    let said = page.pulls.iter().find_map(|pull| match pull {
        Pull::Whole(_) => None,
        Pull::Partial(_, says) | Pull::Absent(says) => Some(says.clone()),
    });
    said.unwrap_or_default()
}
