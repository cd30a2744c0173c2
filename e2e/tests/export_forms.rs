//! Whatever form an export has, the same documents give the same bytes of features.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::Write;
use std::path::Path;
use std::process::Command;

use flate2::{Compression, write::GzEncoder};
use prowl_e2e::{Documents, Run, TestStore, reject_rows, run, servers, servers::github::Dice};
use serde_json::{Value, json};

/// Writes each document of a file with the reference implementation of extended JSON, in the mode that is asked for.
const REWRITE: &str = "
import sys
from bson import json_util
options = getattr(json_util, sys.argv[3] + '_JSON_OPTIONS')
with open(sys.argv[1]) as lines, open(sys.argv[2], 'w') as out:
    for line in lines:
        document = json_util.loads(line, json_options=options)
        out.write(json_util.dumps(document, json_options=options) + '\\n')
";

fn rewrite(from: &Path, to: &Path, mode: &str) {
    let python = servers::program("pymongo", "4.16.0", "python3");
    let done = Command::new(python).args(["-c", REWRITE]).args([from, to]).arg(mode).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn every_form_gives_the_same_bytes() {
    let store = TestStore::empty();
    let documents = store.synth(400, 21);
    let expected = store.preprocess("latest", &[]);
    let preprocess = |name: &str| {
        let run = store.preprocess(store.root.join(name).to_str().unwrap(), &[]);
        assert_eq!(run.files, expected.files, "{name}");
        assert_eq!(run.counts, expected.counts, "{name}");
    };
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(store.root.join(name), bytes).unwrap();
        preprocess(name);
    };

    let ours = store.root.join("ours.ndjson");
    documents.write(&ours);
    for mode in ["RELAXED", "CANONICAL"] {
        let name = format!("{mode}.json");
        rewrite(&ours, &store.root.join(&name), mode);
        preprocess(&name);
    }
    let canonical = std::fs::read_to_string(store.root.join("CANONICAL.json")).unwrap();
    assert!(canonical.contains(r#"{"$numberLong":"#) || canonical.contains(r#"{"$numberLong": "#));

    let mut lines: Vec<&str> = canonical.lines().collect();
    lines.reverse();
    write("windows.json", format!("\u{feff}{}", lines.join("\r\n")).as_bytes());
    write("blank.json", format!("\n \n{}\n\t\n\n", lines.join("\n\n")).as_bytes());
    write("array.json", format!("[{}]\n", lines.join(",")).as_bytes());
    write("marked.json", format!("\u{feff}\n[{}\n]", lines.join("\n,")).as_bytes());
    let pretty = serde_json::to_vec_pretty(&documents.0).unwrap();
    write("pretty.json", &pretty);
    write("pretty.json.gz", &gzip(&pretty));
    write("pretty.json.zst", &zstd(&pretty));
    // Several streams in one file, as `cat` makes them.
    let (first, second) = canonical.as_bytes().split_at(canonical.len() / 3);
    write("two.json.gz", &[gzip(first), gzip(second)].concat());
    write("two.json.zst", &[zstd(first), zstd(second)].concat());

    let folder = store.root.join("forty");
    std::fs::create_dir(&folder).unwrap();
    for (index, lines) in lines.chunks(lines.len().div_ceil(40)).enumerate() {
        let text = lines.join("\n");
        let (end, bytes) = match index % 4 {
            0 => ("json", text.into_bytes()),
            1 => ("ndjson.gz", gzip(text.as_bytes())),
            2 => ("jsonl.zst", zstd(text.as_bytes())),
            _ => ("json", format!("[{}]", lines.join(",\n")).into_bytes()),
        };
        std::fs::write(folder.join(format!("{index}.{end}")), bytes).unwrap();
    }
    preprocess("forty");
}

fn inputs(run: &Run) -> Value {
    let manifest = std::fs::read(run.folder.join("manifest.json")).unwrap();
    serde_json::from_slice::<Value>(&manifest).unwrap()["inputs"].clone()
}

/// Files of the run but the rejects, which hold the name of the export.
fn data(run: &Run) -> Vec<(&String, &String)> {
    run.files.iter().filter(|(path, _)| !path.starts_with("rejects/")).collect()
}

/// Each reject without its file.
fn rejects(run: &Run) -> Vec<(u64, u64, String, String)> {
    reject_rows(run).into_iter().map(|row| (row.line, row.offset, row.reason, row.sample)).collect()
}

#[test]
fn a_big_file_is_read_in_ranges_and_says_the_same() {
    let store = TestStore::empty();
    let mut documents = store.synth(500, 22);
    // What nobody reads, so that the file is cut in three.
    for (index, document) in documents.0.iter_mut().enumerate() {
        document["unread"] = json!("x".repeat(50_000 + 97 * index));
    }
    let mut lines: Vec<String> = documents.0.iter().map(Value::to_string).collect();
    for (at, bad) in [(0, "no json"), (7, ""), (120, "{}"), (333, "[1]"), (420, "{\"number\": 1}")] {
        lines.insert(at, bad.to_owned());
    }
    lines.push("cut of".to_owned());
    let text = lines.join("\n");
    assert!(text.len() > 33 << 20, "{}", text.len());
    let plain = store.root.join("plain.json");
    let packed = store.root.join("packed.json.gz");
    std::fs::write(&plain, &text).unwrap();
    std::fs::write(&packed, gzip(text.as_bytes())).unwrap();

    let whole = store.preprocess(packed.to_str().unwrap(), &[]);
    assert_eq!(whole.counts["rejected"], 5);
    let last = rejects(&whole).pop().unwrap();
    assert_eq!((last.0, last.1, &*last.3), (lines.len() as u64, text.len() as u64 - 6, "cut of"));
    let mut digests = Vec::new();
    for partitions in ["1", "2", "5"] {
        let cut = store.preprocess(plain.to_str().unwrap(), &["--partitions", partitions]);
        assert_eq!(data(&cut), data(&whole), "{partitions} partitions");
        assert_eq!(cut.counts, whole.counts, "{partitions} partitions");
        assert_eq!(rejects(&cut), rejects(&whole), "{partitions} partitions");
        digests.push(inputs(&cut));
    }
    let digest_of = |bytes: &[u8]| format!("blake3:{}", blake3::hash(bytes));
    let digest = digest_of(text.as_bytes());
    assert!(digests.iter().all(|inputs| inputs[0]["digest"] == *digest), "{digest}: {digests:?}");
    assert_eq!(inputs(&whole)[0]["digest"], digest_of(&std::fs::read(&packed).unwrap()));

    // One byte that nobody reads.
    let mut other = text.into_bytes();
    let middle = other.len() / 2;
    other[middle] = b'y';
    std::fs::write(&plain, &other).unwrap();
    let changed = store.preprocess(plain.to_str().unwrap(), &[]);
    assert_eq!(data(&changed), data(&whole));
    assert_ne!(inputs(&changed), digests[0]);
}

/// Damages a line in one of the ways in which lines come to harm, and leaves it one line.
fn damage(line: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.below(line.len());
    let end = at + dice.below(line.len() - at);
    match dice.below(8) {
        0 => line[at] ^= 1 << dice.below(8),
        1 => line[at] = b"\"\\{}[],:0-e\r\x00\xFF"[dice.below(14)],
        2 => line.truncate(at.max(1)),
        3 => drop(line.drain(at..end)),
        4 => {
            let piece = line[at..end].to_vec();
            line.splice(at..at, piece);
        }
        5 => drop(line.splice(at..at, vec![b'['; dice.below(3000)])),
        6 => drop(line.splice(at..end, "9".repeat(dice.below(500)).into_bytes())),
        _ => drop(line.splice(at..at, [0xED, 0xA0, 0x80])),
    }
    for byte in line.iter_mut().filter(|byte| **byte == b'\n') {
        *byte = b' ';
    }
    if line.is_empty() {
        line.push(b'x');
    }
}

#[test]
fn what_is_no_export_is_named() {
    let store = TestStore::empty();
    let tar = [&[b'['; 257][..], b"ustar\x0000", &[0; 250]].concat();
    for (begin, what) in [
        (tar.as_slice(), "a tar archive"),
        (&b"PAR1\x15\x04"[..], "a Parquet file"),
        (b"BZh91AY&SY", "packed by bzip2"),
        (b"\xfd7zXZ\0\0", "packed by xz"),
        (b"\x52\x01\0\0\x07_id\0\x65", "BSON, as mongodump writes it"),
    ] {
        let path = store.root.join("given.json");
        let whole = [begin, &[0xff; 100]].concat();
        for bytes in [gzip(&whole), whole] {
            std::fs::write(&path, bytes).unwrap();
            let said = run("prowl-preprocess", &["--store", &store.url, "--export", path.to_str().unwrap()]);
            assert!(
                said.code == 1 && said.stderr.contains(what) && said.stderr.contains("given.json"),
                "{}",
                said.stderr
            );
        }
    }
}

#[test]
fn ten_thousand_damaged_lines_add_up() {
    let store = TestStore::empty();
    let documents: Documents = store.synth(500, 23);
    let good: Vec<Vec<u8>> = documents.0.iter().map(|document| document.to_string().into_bytes()).collect();
    let mut dice = Dice::new(24);
    let mut lines = good.clone();
    for index in 0..10_000 {
        let mut line = good[index % good.len()].clone();
        for _ in 0..=dice.below(3) {
            damage(&mut line, &mut dice);
        }
        lines.insert(1 + dice.below(lines.len()), line);
    }
    let path = store.root.join("damaged.json");
    std::fs::write(&path, lines.join(&b'\n')).unwrap();
    let run = store.preprocess(path.to_str().unwrap(), &["--max-reject-share", "1"]);

    let blank = lines.iter().filter(|line| line.iter().all(u8::is_ascii_whitespace)).count() as u64;
    assert_eq!(run.counts["read"], lines.len() as u64 - blank);
    assert_eq!(run.counts["read"], run.counts["kept"] + run.counts["superseded"] + run.counts["rejected"]);
    let rejects = reject_rows(&run);
    assert_eq!(run.counts["rejected"], rejects.len() as u64);
    assert!(rejects.len() > 3000, "{}", rejects.len());
    let mut offsets = vec![0];
    offsets.extend(lines.iter().scan(0, |end, line| {
        *end += line.len() as u64 + 1;
        Some(*end)
    }));
    for pair in rejects.windows(2) {
        assert!(pair[0].line < pair[1].line);
    }
    for reject in rejects {
        let line = reject.line as usize - 1;
        assert_eq!(reject.offset, offsets[line], "{reject:?}");
        let text = String::from_utf8_lossy(&lines[line][..lines[line].len().min(800)]).into_owned();
        assert_eq!(reject.sample, text.chars().take(200).collect::<String>(), "{reject:?}");
        assert!(!reject.reason.is_empty());
    }
}
