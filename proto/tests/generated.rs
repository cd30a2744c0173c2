//! The checked-in code is what the generator makes of the `.proto` file.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use tonic_prost_build::Config;

#[test]
fn checked_in_code_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = tempfile::tempdir().unwrap();
    generate(root, fresh.path());

    let checked_in = root.join("src/generated");
    let write = std::env::var_os("PROWL_PROTO_WRITE").is_some();
    let mut files: Vec<_> = fs::read_dir(fresh.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["inference.rs", "prowl.bin", "prowl.v1.rs"]);
    for file in files {
        let made = fs::read(fresh.path().join(&file)).unwrap();
        if write {
            fs::write(checked_in.join(&file), &made).unwrap();
        }
        assert!(
            fs::read(checked_in.join(&file)).is_ok_and(|kept| kept == made),
            "src/generated/{} is not what proto/ says: run `PROWL_PROTO_WRITE=1 cargo test -p prowl-proto`",
            file.display()
        );
    }
}

fn generate(root: &Path, out: &Path) {
    let include = root.join("proto");
    let mut compiler = protox::Compiler::new([&include]).unwrap();
    compiler.include_imports(true).include_source_info(true);
    for file in ["prowl/v1/scoring.proto", "inference/open_inference.proto"] {
        compiler.open_file(include.join(file)).unwrap();
    }
    fs::write(out.join("prowl.bin"), compiler.encode_file_descriptor_set()).unwrap();

    let mut config = Config::new();
    config.enable_type_names();
    tonic_prost_build::configure()
        .bytes(".prowl.v1.ScoreRequest.github_json")
        .bytes(".inference")
        .out_dir(out)
        .compile_fds_with_config(compiler.file_descriptor_set(), config)
        .unwrap();
    // What the option is made of; no code of ours asks for it.
    fs::remove_file(out.join("google.api.rs")).unwrap();
}
