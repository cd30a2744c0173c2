//! What a gate hands over: `verdict.json` for programs, `verdict.md` for a comment on a pull request, `report.html` for
//! whoever wants to see it, and ten lines for a terminal.
//!
//! All are made of the [`Verdict`](crate::verdict::Verdict) alone, so that they can be made again from an old one.

mod answers;
mod escape;
mod html;
mod lines;
mod markdown;
mod number;
mod place;
mod plots;
mod words;

pub use self::place::Place;
use crate::verdict::Verdict;

/// The files of a verdict.
const NAMES: [&str; 3] = ["verdict.json", "verdict.md", "report.html"];

/// Beside them, goose's own report.
pub(crate) const GOOSE: &str = "goose.html";

/// What is in the files, with their [`NAMES`].
fn files(verdict: &Verdict) -> Result<[(&'static str, Vec<u8>); 3], serde_json::Error> {
    let mut json = serde_json::to_vec_pretty(verdict)?;
    json.push(b'\n');
    let [first, second, third] = NAMES;
    let (markdown, html) = (markdown::markdown(verdict), html::html(verdict));
    Ok([(first, json), (second, markdown.into_bytes()), (third, html.into_bytes())])
}

/// The ten lines that are printed.
pub fn lines(verdict: &Verdict) -> String {
    lines::lines(verdict).join("\n")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Writes the examples to folders of the path in `PROWL_WRITE_REPORT`, to be looked at in a browser.
    #[test]
    fn every_file_of_a_verdict_is_made() {
        let examples =
            [("go", Verdict::example()), ("no-go", Verdict::example_no_go()), ("alone", Verdict::example_alone())];
        let to = std::env::var_os("PROWL_WRITE_REPORT");
        for (name, verdict) in examples {
            let files = files(&verdict).unwrap();
            assert_eq!(files.each_ref().map(|file| file.0), NAMES);
            assert!(files.iter().all(|(_, bytes)| bytes.ends_with(b"\n") && std::str::from_utf8(bytes).is_ok()));
            let read: Verdict = serde_json::from_slice(&files[0].1).unwrap();
            assert_eq!((read.decision, read.checks), (verdict.decision, verdict.checks));
            let Some(to) = &to else { continue };
            let folder = Path::new(to).join(name);
            std::fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in files {
                std::fs::write(folder.join(name), bytes).unwrap();
            }
        }
    }
}
