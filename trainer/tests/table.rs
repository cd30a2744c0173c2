//! `prowl-trainer table` through its own door, on tables that the test writes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn with(self, name: &str, content: &str) -> Self {
        std::fs::write(self.file(name), content).unwrap();
        self
    }

    /// Runs with these options, of which file names lie in this place.
    fn run(&self, options: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_prowl-trainer"));
        command.current_dir(self.0.path()).arg("table").args(options).env_remove("PROWL_LOG").output().unwrap()
    }

    fn done(&self, options: &[&str]) -> String {
        let output = self.run(options);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The message of a run that has to fail, having left nothing behind.
    fn refused(&self, options: &[&str], code: i32) -> String {
        let output = self.run(options);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{message}");
        assert!(!self.file("scores.csv").exists() && !self.file("scores.csv.partial").exists());
        message
    }

    fn scores(&self) -> Vec<f64> {
        let text = std::fs::read_to_string(self.file("scores.csv")).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("score"));
        lines.map(|line| line.parse().unwrap()).collect()
    }
}

const PLAIN: [&str; 4] = ["--input", "rows.csv", "--output", "scores.csv"];

/// Rows of two columns that go together, the last of which does not.
fn pairs(rows: usize) -> Vec<[f64; 2]> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
    let mut pairs: Vec<_> = (0..rows - 1)
        .map(|_| {
            let cause = normal();
            [cause, cause + 0.05 * normal()]
        })
        .collect();
    pairs.push([1.5, -1.5]);
    pairs
}

fn csv(rows: &[[f64; 2]]) -> String {
    rows.iter().fold("a,b\n".to_owned(), |text, [a, b]| text + &format!("{a},{b}\n"))
}

fn place_of_largest(scores: &[f64]) -> usize {
    (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap()
}

#[test]
fn what_does_not_go_together_has_the_largest_score() {
    let place = Place::new().with("rows.csv", &csv(&pairs(300)));
    let said: Value = serde_json::from_str(&place.done(&[&PLAIN[..], &["--json"]].concat())).unwrap();
    let scores = place.scores();
    assert_eq!((scores.len(), place_of_largest(&scores)), (300, 299));
    assert_eq!((&said["rows"], &said["columns"], &said["scored"]), (&300.into(), &2.into(), &300.into()));
    assert_eq!(said["trimmed"], 30);
    let most = scores.iter().copied().fold(0.0, f64::max);
    assert!((said["scores"]["max"].as_f64().unwrap() - most).abs() < 1e-3, "{said}");
    place.done(&PLAIN);
    assert_eq!(place.scores(), scores, "the same again");
    place.done(&[&PLAIN[..], &["--seed", "2"]].concat());
    assert_ne!(place.scores(), scores, "another seed");
}

#[test]
fn parquet_of_any_numbers_is_read_and_written() {
    let place = Place::new();
    let rows = pairs(200);
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let columns: [(&str, ArrayRef); 5] = [
        ("a", Arc::new(rows.iter().map(|[a, _]| Some(*a)).collect::<Float64Array>())),
        ("b", Arc::new(rows.iter().map(|[_, b]| Some((b * 1000.0) as i32)).collect::<Int32Array>())),
        ("flag", Arc::new((0..200).map(|_| Some(random.random::<bool>())).collect::<BooleanArray>())),
        ("nothing", Arc::new(Float64Array::from(vec![None; 200]))),
        ("name", Arc::new(StringArray::from(vec!["x"; 200]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(place.file("rows.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();

    let said = place.done(&["--input", "rows.parquet", "--output", "scores.parquet", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["columns"], 4);
    assert_eq!(said["skipped"], serde_json::json!([["name", "holds Utf8"]]));
    let file = std::fs::File::open(place.file("scores.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let scores: Vec<f64> =
        reader.flat_map(|batch| batch.unwrap()["score"].as_primitive::<Float64Type>().values().to_vec()).collect();
    let larger = scores.iter().filter(|&&score| score > scores[199]).count();
    assert!(scores.len() == 200 && larger < 5, "{larger} rows are above the odd one");
}

#[test]
fn other_rows_are_scored_by_what_was_learnt() {
    let place = Place::new()
        .with("rows.csv", &csv(&pairs(300)[..299]))
        .with("others.csv", "b,more,a\n0.5,x,0.5\n-1.5,x,1.5\n,x,\n");
    place.done(&[&PLAIN[..], &["--score", "others.csv"]].concat());
    let scores = place.scores();
    assert!(scores.len() == 3 && scores[1] > 2.0 * scores[0], "{scores:?}");
    assert_eq!(scores[2], 0.0, "where nothing is known, nothing is unusual");
}

#[test]
fn whatever_the_columns_hold_every_row_has_a_score() {
    let lines = |lines: Vec<String>| "a,b\n".to_owned() + &lines.join("\n");
    let extremes = ["1e30", "-inf", "nan", "0"];
    for (rows, text) in [
        (2, lines(vec!["1,1".to_owned(), "1,2".to_owned()])),
        (40, "a,b,c\n".to_owned() + &"7,,inf\n".repeat(39) + "8,,inf\n"),
        (40, lines((0..40).map(|row| format!("{row},{}", extremes[row % 4])).collect())),
        (30, lines((0..30).map(|row| format!("{},{}", row % 2, f32::MAX)).collect())),
    ] {
        let place = Place::new().with("rows.csv", &text);
        place.done(&PLAIN);
        let scores = place.scores();
        assert!(scores.len() == rows && scores.iter().all(|score| score.is_finite()), "{text}: {scores:?}");
    }
}

#[test]
fn columns_that_teach_nothing_are_named() {
    let (columns, rows) = (25, pairs(100));
    let names = |from: usize| (from..columns).map(|column| format!("same{column}")).collect::<Vec<_>>();
    let text = (0..12).fold(String::new(), |text, column| text + &format!("text{column},"));
    let mut table = format!("a,b,{text}bug,{}\n", names(0).join(","));
    for (row, [a, b]) in rows.iter().enumerate() {
        let same: String = (0..columns).map(|column| if column == 3 { "," } else { ",7" }).collect();
        writeln!(table, "{a},{b},{}{}{same}", "x,".repeat(12), row % 2).unwrap();
    }
    let place = Place::new().with("rows.csv", &table);
    for label in [&[][..], &["--label", "bug"]] {
        let told = String::from_utf8(place.run(&[&PLAIN[..], label].concat()).stderr).unwrap();
        let first: Vec<String> = names(0)[..10].iter().map(|name| format!("{name:?}")).collect();
        let line = format!("of no use among them: {} and 15 more", first.join(", "));
        assert!(told.contains(&line), "{told}");
        assert!(
            told.contains("left out \"text9\": it holds the text \"x\" in row 1, line 2\nleft out 2 more"),
            "{told}"
        );
        let said: Value = serde_json::from_str(&place.done(&[&PLAIN[..], label, &["--json"]].concat())).unwrap();
        assert_eq!(said["constant"], serde_json::json!(names(0)));
        assert_eq!(said["skipped"].as_array().unwrap().len(), 12, "all are told to programs");
        let spread = ["median", "p95", "p99", "max"].map(|name| said["scores"][name].as_f64().unwrap());
        assert!(spread.is_sorted(), "{said}");
    }
}

/// A sensor that has always told the same is usual until it tells something else.
#[test]
fn rows_that_differ_from_what_never_did_are_unusual() {
    let place = Place::new()
        .with("rows.csv", &("a,b\n".to_owned() + &"7,1\n".repeat(40)))
        .with("others.csv", "a,b\n7,1\n7,9\n");
    place.done(&[&PLAIN[..], &["--score", "others.csv"]].concat());
    let scores = place.scores();
    assert!(scores[1] > scores[0], "{scores:?}");
}

#[test]
fn dates_order_rows_as_numbers_do() {
    let (plain, mut dates, mut days) = (labelled(900, 5), String::new(), Vec::new());
    // Two rows of each day, and no day of every seventh row.
    for (row, line) in plain.lines().enumerate() {
        let (rest, time) = line.rsplit_once(',').unwrap();
        let day = time.parse::<i32>().map(|time| time / 2).ok().filter(|_| row % 7 > 0);
        let date = day.map(|day| {
            let date = jiff::civil::date(2024, 1, 1) + jiff::Span::new().days(day);
            if day % 2 == 0 { date.to_string() } else { format!("{date}T01:00:00+01:00") }
        });
        writeln!(dates, "{rest},{}", if row == 0 { "t" } else { date.as_deref().unwrap_or_default() }).unwrap();
        days.push(day.map(|day| (day + 19_723).to_string()).unwrap_or_default());
    }
    let numbers: String = plain.lines().zip(&days).enumerate().fold(String::new(), |text, (row, (line, day))| {
        text + line.rsplit_once(',').unwrap().0 + "," + if row == 0 { "t" } else { day } + "\n"
    });
    let learnt = |table: &str| {
        let place = Place::new().with("rows.csv", table);
        let options = ["--label", "bug", "--time", "t", "--json"];
        let mut said: Value = serde_json::from_str(&place.done(&[&PLAIN[..], &options].concat())).unwrap();
        said.as_object_mut().unwrap().remove("seconds");
        (place.scores(), said)
    };
    let by_dates = learnt(&dates);
    assert_eq!(by_dates, learnt(&numbers));
    let measured = &by_dates.1["measured"];
    assert!(measured["capture_10"]["value"].is_number() && measured.get("capture").is_none(), "{measured}");
}

/// Rows of one time count in the order of the file, and those of none as the oldest of all.
#[test]
fn ties_and_unknown_times_have_a_place() {
    let table = labelled(900, 6);
    let timed = |lines: Vec<&str>, time: &dyn Fn(usize) -> String| {
        lines.iter().enumerate().fold("a,b,name,bug,t\n".to_owned(), |text, (row, line)| {
            text + line.rsplit_once(',').unwrap().0 + "," + &time(row) + "\n"
        })
    };
    let measured = |table: String| {
        let place = Place::new().with("rows.csv", &table);
        let options = ["--label", "bug", "--time", "t", "--json"];
        let said: Value = serde_json::from_str(&place.done(&[&PLAIN[..], &options].concat())).unwrap();
        said["measured"].clone()
    };
    let lines: Vec<&str> = table.lines().skip(1).collect();
    let in_order = measured(timed(lines.clone(), &|row| row.to_string()));
    assert_eq!(in_order, measured(timed(lines.clone(), &|_| "5".to_owned())), "of one time");
    // The oldest third stands at the end, without a time.
    let turned = [&lines[300..], &lines[..300]].concat();
    let time = |row: usize| if row < 600 { (row as i64 - 300).to_string() } else { String::new() };
    assert_eq!(in_order, measured(timed(turned.clone(), &time)), "of no time");
    assert_ne!(in_order, measured(timed(turned, &|row| row.to_string())));
}

#[test]
fn with_times_the_newest_rows_say_when_to_stop() {
    let rows = pairs(200);
    let timed = |time: fn(usize) -> usize| {
        rows.iter()
            .enumerate()
            .fold("a,b,t\n".to_owned(), |text, (row, [a, b])| text + &format!("{a},{b},{}\n", time(row)))
    };
    let scores = |text: &str, options: &[&str]| {
        let place = Place::new().with("rows.csv", text);
        place.done(&[&PLAIN[..], options].concat());
        place.scores()
    };
    let forwards = scores(&timed(|row| row), &["--time", "t"]);
    assert_eq!(forwards.len(), 200);
    assert_ne!(forwards, scores(&timed(|row| 1000 - row), &["--time", "t"]));
    assert_ne!(forwards, scores(&csv(&rows), &[]), "at random");
}

#[test]
fn what_cannot_be_scored_is_told_in_one_line() {
    let place = Place::new().with("rows.csv", &csv(&pairs(60))).with("empty.csv", "a,b\n").with("text.csv", "a\nx\n");
    let place = place
        .with("unknown.csv", "a,b\n,nan\ninf,\n")
        .with("other.csv", "a\n1\n")
        .with("rows.parquet", "no such thing");
    let place = place
        .with("one.csv", "a,b\n1,2\n")
        .with("same.csv", &("a,b,c\n".to_owned() + &"7,,inf\n".repeat(40)))
        .with("soon.csv", "a,b,t\n1,2,2026-03-01\n3,4,soon\n")
        .with("mixed.csv", "a,b,t\n1,2,2026-03-01\n3,4,20260302\n");
    let failing: [(&[&str], &str); 13] = [
        (&["--input", "one.csv"], "nothing can be learnt from one.csv: it has one row to learn from"),
        (&["--input", "one.csv", "--score", "rows.csv"], "nothing can be learnt from one.csv: it has one row"),
        (
            &["--input", "same.csv"],
            "nothing can be learnt from same.csv: every column of numbers is the same in all 40 rows",
        ),
        (
            &["--input", "soon.csv", "--time", "t"],
            "the column \"t\" of soon.csv holds the text \"soon\" in row 2, line 3, among times, and so says no time",
        ),
        (
            &["--input", "mixed.csv", "--time", "t"],
            "the column \"t\" of mixed.csv holds the number \"20260302\" in row 2, line 3, among times",
        ),
        (&["--input", "missing.csv"], "missing.csv cannot be read"),
        (&["--input", "empty.csv"], "empty.csv has no rows"),
        (&["--input", "text.csv"], "no column of numbers"),
        (&["--input", "unknown.csv"], "no value in unknown.csv is known"),
        (&["--input", "rows.parquet"], "rows.parquet cannot be read"),
        (&["--input", "rows.csv", "--score", "other.csv"], "the column \"b\" of other.csv is not there"),
        (&["--input", "rows.csv", "--time", "t"], "the column \"t\" of rows.csv is not there"),
        (&["--input", "rows.csv", "--label", "c"], "the column \"c\" of rows.csv is not there"),
    ];
    for (options, expected) in failing {
        let message = place.refused(&[options, &["--output", "scores.csv"]].concat(), 1);
        assert!(message.contains(expected) && message.lines().count() == 1, "{expected}: {message}");
    }
    let nowhere = place.run(&["--input", "rows.csv", "--output", "missing/scores.csv"]);
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("cannot be written"));
    assert!(place.refused(&["--input", "rows.txt", "--output", "scores.csv"], 2).contains(".parquet"));
}

/// Rows with a label whose log-odds follow `a` and, past 1, `b`; the time runs backwards, text is no column.
fn labelled(rows: usize, seed: u64) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut text = "a,b,name,bug,t\n".to_owned();
    for row in 0..rows {
        let [a, b]: [f64; 2] = [StandardNormal.sample(&mut random), StandardNormal.sample(&mut random)];
        let probability = 1.0 / (1.0 + (2.0 - 1.5 * a - if b > 1.0 { 1.5 } else { 0.0 }).exp());
        let label = u8::from(random.random::<f64>() < probability);
        writeln!(text, "{a},{b},x,{label},{}", rows - row).unwrap();
    }
    text
}

/// The last column but one, and the name of all.
fn labels(table: &str) -> Vec<bool> {
    table.lines().skip(1).map(|line| line.split(',').nth(3) == Some("1")).collect()
}

#[test]
fn a_label_is_learnt_and_its_probability_is_measured_on_other_rows() {
    let (rows, others) = (labelled(3_000, 1), labelled(2_000, 2));
    let unlabelled: String =
        others.lines().map(|line| line.rsplitn(3, ',').last().unwrap().to_owned() + "\n").collect();
    let place = Place::new().with("rows.csv", &rows).with("others.csv", &others).with("plain.csv", &unlabelled);
    let label = [&PLAIN[..], &["--label", "bug", "--time", "t", "--json"]].concat();
    let told =
        |options: &[&str]| -> Value { serde_json::from_str(&place.done(&[&label[..], options].concat())).unwrap() };
    let said = told(&["--score", "others.csv"]);
    let scores = place.scores();
    let truth = labels(&others);
    assert_eq!((&said["rows"], &said["columns"], &said["scored"]), (&3_000.into(), &2.into(), &2_000.into()));
    assert_eq!(said["positives"], labels(&rows).iter().filter(|label| **label).count());
    assert_eq!(said["skipped"][0][0], "name");
    assert!(said["candidates"].as_array().unwrap().len() == 3 && said["members"].as_array().unwrap().len() <= 2);
    // As measured here: pairs that are ranked rightly, and how far the mean is off.
    let of = |kind: bool| scores.iter().zip(&truth).filter(move |row| *row.1 == kind).map(|row| *row.0);
    let won: usize = of(true).map(|high| of(false).filter(|&low| low < high).count()).sum();
    let auc = won as f64 / (of(true).count() * of(false).count()) as f64;
    let measured = &said["measured"];
    assert!((measured["auc"]["value"].as_f64().unwrap() - auc).abs() < 0.01 && auc > 0.79, "{measured}, {auc}");
    assert_eq!((&measured["on"], &measured["rows"]), (&"scored".into(), &2_000.into()));
    assert!(measured["calibration_error"]["value"].as_f64().unwrap() < 0.04, "{measured}");
    let rate = of(true).count() as f64 / 2_000.0;
    assert!((scores.iter().sum::<f64>() / 2_000.0 / rate - 1.0).abs() < 0.15, "scores are probabilities");

    // Without labels to measure on the newest of the rows learnt from serve: those with the largest t, which are the first.
    let said = told(&["--score", "plain.csv"]);
    assert_eq!(place.scores(), scores, "the label of a row that is scored says nothing");
    let newest = labels(&rows)[..900].iter().filter(|label| **label).count();
    let measured = &said["measured"];
    assert_eq!(
        (&measured["on"], &measured["rows"], &measured["positives"]),
        (&"newest".into(), &900.into(), &newest.into())
    );
    let itself = told(&[]);
    assert_eq!((&itself["measured"], &itself["scored"]), (measured, &3_000.into()));
    // What all rows taught is not what is measured.
    let without: Vec<&str> = label.iter().filter(|option| !["--time", "t"].contains(option)).copied().collect();
    let in_order: Value = serde_json::from_str(&place.done(&without)).unwrap();
    assert_ne!(in_order["measured"]["positives"], newest, "without a time the last rows are the newest");
    assert_eq!(in_order["columns"], 3);
}

/// A label that turns in the newest rows cannot be known from the older ones, which alone teach what is measured.
#[test]
fn what_is_measured_has_not_learnt_the_newest_rows() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let row = |row: usize| {
        let a: f64 = random.random();
        format!("{a},{},{row}\n", u8::from((a > 0.5) == (row < 1_400)))
    };
    let place = Place::new().with("rows.csv", &(String::from("a,bug,t\n") + &(0..2_000).map(row).collect::<String>()));
    let options = ["--label", "bug", "--time", "t", "--json"];
    let said: Value = serde_json::from_str(&place.done(&[&PLAIN[..], &options].concat())).unwrap();
    assert!(said["measured"]["auc"]["value"].as_f64().unwrap() < 0.1, "{said}");
}

#[test]
fn what_is_read_is_not_overwritten() {
    let place = Place::new().with("rows.csv", &labelled(100, 1));
    let message = place.refused(&["--input", "rows.csv", "--output", "./rows.csv"], 2);
    assert!(message.contains("would overwrite"), "{message}");
}

#[test]
fn rows_of_an_unknown_label_are_scored_and_not_learnt_from() {
    let text = labelled(1_500, 3);
    let doubled: String =
        text.lines().skip(1).map(|line| line.replace(",0,", ",,").replace(",1,", ",na,") + "\n").collect();
    let place = Place::new().with("rows.csv", &(text.clone() + &doubled)).with("known.csv", &text);
    let options = ["--label", "bug", "--time", "t", "--json"];
    let said: Value = serde_json::from_str(&place.done(&[&PLAIN[..], &options].concat())).unwrap();
    let scores = place.scores();
    assert_eq!((&said["rows"], scores.len()), (&1_500.into(), 3_000));
    assert_eq!(scores[..1_500], scores[1_500..]);
    place.done(&[&["--input", "known.csv", "--output", "scores.csv"], &options[..]].concat());
    assert_eq!(place.scores(), scores[..1_500]);
}

#[test]
fn a_label_that_teaches_nothing_is_refused() {
    let of = |labels: fn(usize) -> &'static str| {
        (0..200).fold("a,bug\n".to_owned(), |text, row| text + &format!("{row},{}\n", labels(row)))
    };
    let place = Place::new()
        .with("few.csv", &of(|row| if row < 29 { "1" } else { "0" }))
        .with("odd.csv", &of(|row| if row == 6 { "2" } else { "1" }))
        .with("text.csv", &of(|row| if row == 6 { "no" } else { "1" }))
        .with("same.csv", &(0..200).fold("a,bug\n".to_owned(), |text, row| text + &format!("7,{}\n", row % 2)))
        .with("sorted.csv", &of(|row| if row < 100 { "1" } else { "0" }));
    for (file, expected) in [
        (
            "few.csv",
            "nothing can be learnt of \"bug\" from few.csv: 29 rows are known to be positive and 171 to be negative, and it takes 30 of each",
        ),
        ("odd.csv", "the column \"bug\" of odd.csv holds 2 in row 7, and a label is 0 or 1"),
        ("text.csv", "holds the text \"no\" in row 7"),
        ("same.csv", "nothing can be learnt from same.csv: every column of numbers is the same in all 200 rows"),
        ("sorted.csv", "all rows of one kind come too early or too late"),
    ] {
        let message = place.refused(&["--input", file, "--label", "bug", "--output", "scores.csv"], 1);
        assert!(message.contains(expected) && message.lines().count() == 1, "{expected}: {message}");
    }
    let same = place.refused(&["--input", "few.csv", "--label", "bug", "--time", "bug", "--output", "scores.csv"], 2);
    assert!(same.contains("same column"), "{same}");
}
