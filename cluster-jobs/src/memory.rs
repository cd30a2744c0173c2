//! The memory of a process: the limit that the user sets, and the pool of it that tasks sort in.

use std::sync::Arc;

use bytesize::ByteSize;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use tikv_jemallocator::Jemalloc;

/// Gives back what is free. The system's own keeps whatever was large once, beside the limit. How soon, is set when it is
/// compiled (`.cargo/config.toml`). Code in C, such as Zstandard's, still uses the system's.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const MIB: usize = 1 << 20;

/// 16 TiB.
const MOST_MIB: u64 = 16 << 20;

/// What a process takes beside its pool, measured with a million pull requests: the program itself, and for each core blocks
/// that are being read, rows that are being packed, and bytes that are being uploaded.
const BESIDE: usize = 256 * MIB;
const BESIDE_PER_CORE: usize = 64 * MIB;

/// Below which sorting cannot spill: a task holds a few batches and what merging spills needs, for two sorts.
const POOL_PER_CORE: usize = 64 * MIB;

/// Bytes that a process of so many cores needs at least.
fn least(cores: usize) -> usize {
    BESIDE + cores * (BESIDE_PER_CORE + POOL_PER_CORE)
}

/// A limit as users write it: `4GiB`, `500MB`, or a number of MiB.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(mib) if mib > MOST_MIB => {
            Err("that is more than any machine has: a number without a unit counts MiB".to_owned())
        }
        Ok(mib) => Ok(mib * MIB as u64),
        Err(_) => {
            text.parse().map(|size: ByteSize| size.as_u64()).map_err(|_| "write MiB, or a size such as 4GiB".to_owned())
        }
    }
}

/// Bytes that a process of so many cores may take: what was asked for, if it is enough. There could be fewer cores with the
/// option `fewer`.
pub(crate) fn limit(asked: Option<u64>, cores: usize, fewer: &str) -> Result<usize, String> {
    let least = least(cores);
    let limit = asked.map_or(least.max(2048 * MIB), |limit| limit as usize);
    if limit >= least {
        return Ok(limit);
    }
    let (limit, least, s) = (limit / MIB, least / MIB, if cores == 1 { "" } else { "s" });
    Err(format!(
        "--memory-limit {limit}MiB is too little for {cores} core{s}: give at least {least}MiB, or fewer {fewer}"
    ))
}

/// The pool that all tasks of a process share, which may take `limit` bytes: what one task does not need, another may use.
pub(crate) fn pool(limit: usize, cores: usize) -> Arc<dyn MemoryPool> {
    Arc::new(FairSpillPool::new(limit.saturating_sub(BESIDE + cores * BESIDE_PER_CORE)))
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::MemoryLimit;

    use super::*;

    #[test]
    fn the_least_is_just_enough() {
        for cores in [1, 2, 64] {
            let least = least(cores);
            let limit = |bytes| limit(bytes, cores, "--cores");
            assert_eq!(limit(Some(least as u64)), Ok(least));
            assert!(limit(Some(least as u64 - 1)).unwrap_err().ends_with("MiB, or fewer --cores"));
            assert_eq!(limit(None), Ok(least.max(2 << 30)));
            let pool = pool(least + 5, cores);
            assert!(matches!(pool.memory_limit(), MemoryLimit::Finite(bytes) if bytes == cores * POOL_PER_CORE + 5));
        }
    }

    #[test]
    fn a_limit_is_a_size_or_a_number_of_mib() {
        assert_eq!(parse("384"), Ok(384 << 20));
        assert_eq!(parse("4GiB"), Ok(4 << 30));
        assert_eq!(parse("500MB"), Ok(500_000_000));
        for wrong in ["", "much", "-1", "99999999999999999999", "1073741824"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
