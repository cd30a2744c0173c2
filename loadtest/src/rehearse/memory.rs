//! The memory that a process takes, as Linux tells it (proc(5), `VmRSS`).

use std::fs;

/// Resident memory of a process in bytes: of a number, or `self`. Nothing where the system does not tell it.
pub(super) fn resident_bytes(process: &str) -> Option<u64> {
    of_status(&fs::read_to_string(format!("/proc/{process}/status")).ok()?)
}

fn of_status(status: &str) -> Option<u64> {
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = resident.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_the_resident_memory_is_found() {
        let status = "Name:\tprowl\nVmHWM:\t    9000 kB\nVmRSS:\t    5432 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(of_status(status), Some(5_432 << 10));
        assert_eq!(of_status("Name:\tzombie\n"), None);
        assert_eq!(of_status("VmRSS:\tmuch\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_kept_is_seen() {
        let before = resident_bytes("self").unwrap();
        let kept = vec![1_u8; 64 << 20];
        let after = resident_bytes("self").unwrap();
        assert!(after > before + (32 << 20), "{before} {after}");
        drop(kept);
        assert_eq!(resident_bytes("0"), None);
    }
}
