//! Changes of any size: shares stay shares, and the time taken grows with the size and not with its square.

mod common;

use std::time::{Duration, Instant};

use common::{Dice, MONDAY, bare, file, value};
use prowl_features::{Facts, FileHistory, History, PullRequest, RepositoryHistory, features};

const SHARES: [&str; 8] = [
    "share_source",
    "share_test",
    "share_docs",
    "share_config",
    "share_ci",
    "share_dependency",
    "share_generated",
    "share_asset",
];

#[test]
fn three_thousand_files() {
    // As many as GitHub lists, over 60 directories of 50, all alike.
    let files = (0..3000).map(|index| file(&format!("src/part{}/unit{index}.rs", index / 50), 2, 1)).collect();
    let large = PullRequest { files: Some(files), ..bare(1, MONDAY) };
    let facts = Facts::of(&large);
    assert_eq!((facts.files.len(), facts.directories.len()), (3000, 60));
    let repository = RepositoryHistory { opened: 1, ..RepositoryHistory::default() };
    let history = History { repository, files: vec![FileHistory::default(); 3000], ..History::default() };
    let vector = facts.vector(&history);
    assert_eq!((value(&vector, "changed_files"), value(&vector, "churn")), (3000.0, 9000.0));
    assert_eq!((value(&vector, "directories"), value(&vector, "files_per_directory")), (60.0, 50.0));
    assert!((f64::from(value(&vector, "entropy")) - 3000f64.log2()).abs() < 1e-5);
    assert!((value(&vector, "largest_file_share") - 1.0 / 3000.0).abs() < 1e-9);
    assert!((value(&vector, "share_source") - 1.0).abs() < 1e-5);
    assert!((value(&vector, "files_without_history") - 1.0).abs() < 1e-6);
}

#[test]
fn shares_sum_to_one() {
    let names = [
        "src/lib.rs",
        "tests/a.rs",
        "docs/a.md",
        "config/a.toml",
        ".github/workflows/ci.yml",
        "Cargo.lock",
        "vendor/a.go",
        "a.png",
        "bin/tool",
    ];
    let mut dice = Dice(2);
    for _ in 0..200 {
        let files: Vec<_> = (0..=dice.below(40))
            .map(|index| {
                let (directory, name) = (dice.below(5), dice.pick(&names));
                file(&format!("{name}.d{directory}/{index}/{name}"), dice.below(50), dice.below(50))
            })
            .collect();
        let count = files.len() as f32;
        let vector = features(&PullRequest { files: Some(files), ..bare(1, MONDAY) }, &History::default());
        let sum: f32 = SHARES.iter().map(|name| value(&vector, name)).sum();
        // What is of no kind (`bin/tool`) is left over.
        assert!((-1e-6..=1.0 + 1e-5).contains(&sum), "{sum}");
        let (entropy, largest) = (value(&vector, "entropy"), value(&vector, "largest_file_share"));
        assert!(entropy >= 0.0 && entropy <= count.log2() + 1e-4, "{entropy} bits over {count} files");
        assert!(largest >= 1.0 / count - 1e-6 && largest <= 1.0, "{largest}");
    }
    let one_of_each = names[..8].iter().map(|name| file(name, 1, 0)).collect();
    let vector = features(&PullRequest { files: Some(one_of_each), ..bare(1, MONDAY) }, &History::default());
    for name in SHARES {
        assert_eq!(value(&vector, name).to_bits(), 0.125f32.to_bits(), "{name}");
    }
}

#[test]
fn the_time_does_not_grow_with_the_square_of_the_size() {
    // As many paths as fit into the largest body that a service takes: each in a top-level directory of its own.
    let files = (0..300_000).map(|index| file(&format!("d{index}/f"), 1, 0)).collect();
    let huge = PullRequest { files: Some(files), ..bare(1, MONDAY) };
    let start = Instant::now();
    let vector = features(&huge, &History::default());
    assert_eq!(value(&vector, "subsystems").to_bits(), 300_000f32.to_bits());
    // A tenth of a second; comparing all with all would take minutes.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn long_text_is_read_in_one_go() {
    let start = Instant::now();
    for piece in
        ["# ", "#1", "Revert \"", "word ", "```\n", "- [ ] ", "/issues/", "This reverts commit ", "\u{1f980}", "(#"]
    {
        let text = piece.repeat(500_000 / piece.len());
        let long = PullRequest {
            title: Some(text.as_str().into()),
            labels: Some(vec![text.as_str().into()]),
            body: Some(text.as_str().into()),
            ..bare(1, MONDAY)
        };
        assert!(!features(&long, &History::default()).tokens.is_empty() || !piece.contains(char::is_alphanumeric));
    }
    assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
}
