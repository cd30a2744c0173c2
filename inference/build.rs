//! Links the service so that its binary is small.

use std::process::Command;

/// The first version of glibc that reads relocations in their short form.
const SHORT_RELOCATIONS: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let told = |name: &str| std::env::var(name).unwrap_or_default();
    // There the linker is the one that comes with the compiler, unless another is asked for, which may not know what follows.
    let another_linker = told("CARGO_ENCODED_RUSTFLAGS").contains("link") || !told("RUSTC_LINKER").is_empty();
    let target = "x86_64-unknown-linux-gnu";
    if told("TARGET") == target && told("HOST") == target && !another_linker {
        // Functions that came out alike are kept once.
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        if glibc().is_some_and(|version| version >= SHORT_RELOCATIONS) {
            println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        }
    }
}

/// The version here; what is built runs where it is no older.
fn glibc() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let (major, minor) = str::from_utf8(&told.stdout).ok()?.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
