//! `model.onnx` in ONNX Runtime says what `model.safetensors` says in Prowl.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::Path;
use std::process::Command;

use prowl_e2e::{Row, TestStore, run, servers};
use prowl_model::{Inputs, Model};
use serde_json::{Value, json};

/// The largest difference, for values up to 1 absolute and for larger ones relative.
const TOLERANCE: f32 = 1e-5;

const PACKAGES: [(&str, &str); 3] = [("onnxruntime", "1.32.0"), ("onnx", "1.23.2"), ("numpy", "2.4.6")];

/// Trains on made-up pull requests; the model file's folder, the model, and the rows that it learnt from.
fn train() -> (TestStore, std::path::PathBuf, Model, Vec<Row>) {
    let store = TestStore::empty();
    let documents = store.synth(800, 21);
    let rows = store.preprocess_documents(&documents).rows.into_values().collect();
    let arguments = ["train", "--store", &store.url, "--features", "latest", "--epochs", "3"];
    let _ = run("prowl-trainer", &arguments).expect_success();
    let published = std::fs::read_dir(store.root.join("models")).unwrap().next().unwrap().unwrap().path();
    let model = Model::from_bytes(&std::fs::read(published.join("model.safetensors")).unwrap()).unwrap();
    (store, published, model, rows)
}

/// The rows as they are, and again with values and texts that are unknown, infinite, tiny or extreme.
fn rows(kept: Vec<Row>) -> Vec<Row> {
    let odd = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        -0.0,
        1e-6,
        -1e-3,
        0.5,
        1e9,
        -1e9,
    ];
    let mut rows = kept.clone();
    for round in 0..4 {
        for (index, row) in kept.iter().enumerate() {
            let mut row = row.clone();
            for (feature, value) in row.values.iter_mut().enumerate() {
                let place = index * 31 + feature * 17 + round * 7;
                // In the last round all are odd, else one in three.
                if round == 3 || place.is_multiple_of(3) {
                    *value = odd[place % odd.len()];
                }
            }
            if index % 5 == round {
                row.tokens.clear();
            }
            rows.push(row);
        }
    }
    // One of which nothing at all is known.
    let mut nothing = kept[0].clone();
    nothing.values.fill(f32::NAN);
    nothing.tokens.clear();
    rows.push(nothing);
    rows
}

/// The projection of a text, as the documentation tells to make it.
fn project(model: &Model, tokens: &[u32]) -> Vec<f32> {
    let text = &model.parts().text;
    let words = text.vector(tokens);
    let dimension = |dimension: usize| match words.as_slice() {
        [] => f32::NAN,
        words => words.iter().map(|&(bucket, weight)| weight * text.components[(bucket as usize, dimension)]).sum(),
    };
    (0..text.dimensions()).map(dimension).collect()
}

fn write(path: &Path, values: impl Iterator<Item = f32>) {
    std::fs::write(path, values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>()).unwrap();
}

fn read(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytes.chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect()
}

fn assert_close(name: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        // Written so that NaN fails.
        let close = (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0);
        assert!(close, "{name} at {place}: {found}, and Prowl says {expected}");
    }
}

/// Runs the rows through both, and gives what the file says of itself.
fn assert_same(folder: &Path, model: &Model, rows: &[Row]) -> Value {
    let values = tempfile::tempdir().unwrap();
    let file = |name: &str| values.path().join(format!("{name}.f32"));
    write(&file("features"), rows.iter().flat_map(|row| row.values.iter().copied()));
    write(&file("text"), rows.iter().flat_map(|row| project(model, &row.tokens)));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run_onnx.py");
    let mut command = Command::new(servers::python(&PACKAGES));
    let done = command.arg(script).arg(folder.join("model.onnx")).arg(values.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let parts = model.parts();
    let (mut scaled, mut reconstruction, mut score) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        let inputs = Inputs::of(&parts.scaler, &parts.text, &row.values, &row.tokens);
        let expected = parts.network.reconstruct(&inputs.scaled);
        score.push(parts.views.opinions(&inputs, &expected)[0].score);
        reconstruction.extend(expected);
        scaled.extend(inputs.scaled);
    }
    assert_close("scaled", &read(&file("scaled")), &scaled);
    assert_close("reconstruction", &read(&file("reconstruction")), &reconstruction);
    assert_close("score", &read(&file("score")), &score);
    assert!(score.iter().any(|&score| score > 1.0) && score.last() == Some(&0.0), "rows of every kind");
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn onnx_runtime_says_the_same() {
    let (_store, folder, model, kept) = train();
    let rows = rows(kept);
    assert!(rows.len() > 3_000, "{}", rows.len());
    let parts = model.parts();
    let (features, dimensions) = (parts.scaler.columns.len(), parts.text.dimensions());
    let inputs = features + dimensions;
    assert!(dimensions > 0 && parts.scaler.columns.iter().any(|column| column.known && column.logarithmic));
    let said = assert_same(&folder, &model, &rows);
    assert_eq!(said["inputs"], json!({"features": ["rows", features], "text": ["rows", dimensions]}));
    let outputs = json!({"scaled": ["rows", inputs], "reconstruction": ["rows", inputs], "score": ["rows"]});
    assert_eq!(said["outputs"], outputs);
    let metadata = model.metadata();
    assert_eq!(said["metadata"], json!({"features_digest": metadata.features_digest, "version": metadata.version}));
}
