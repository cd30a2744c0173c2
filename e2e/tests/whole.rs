//! `make e2e`, ended by Ctrl-C: neither a process of it is left nor a file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::fs;

use prowl_e2e::{Running, send, wait_for};

/// Processes whose environment or command line names this folder.
fn processes_of(folder: &str) -> Vec<String> {
    let names = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let tells = |number: &String, file: &str| {
        // It may have ended, or be none, or another user's.
        let content = fs::read(format!("/proc/{number}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&content).contains(folder)
    };
    names.filter(|number| tells(number, "environ") || tells(number, "cmdline")).collect()
}

#[test]
fn whenever_it_is_interrupted_nothing_is_left() {
    // Before any server is there, and when all are and executors come.
    for said in ["servers …", "cluster …"] {
        let [temporary, kept] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let folder = temporary.path().to_str().unwrap();
        let environment = [("TMPDIR", folder.to_owned())];
        let mut running = Running::start_with(&environment, "examples/whole", &[kept.path().to_str().unwrap()]);
        running.wait_for_line(said);
        assert!(!processes_of(folder).is_empty(), "it could not be told whether something is left");
        send("INT", running.id()).unwrap();
        let ended = running.wait();
        assert_eq!(ended.code, 130, "{said}: {}", ended.stderr);
        assert!(ended.stderr.contains("stopped by SIGINT: ") && !ended.stderr.contains("panicked"), "{}", ended.stderr);
        // What was killed needs a moment.
        wait_for("the end of all its processes", || processes_of(folder).is_empty().then_some(()));
        let left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{said}: {left:?} is left");
    }
}
