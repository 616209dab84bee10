//! How the server's memory behaves: a long list is a few large blocks, made and dropped for every answer.
//!
//! GNU's C library maps a large block when it is asked for and gives it back when it is dropped, so that the kernel clears the
//! same pages for every list: a fifth of the processor time of a list of 1,000 ports (docs/benchmarks.md). With another C
//! library nothing is done.

/// The largest block that need not be a mapping of its own; the C library takes no more.
#[cfg(target_env = "gnu")]
const LARGE: nix::libc::c_int = 32 << 20;
/// What is free at the end of a heap is kept up to here.
#[cfg(target_env = "gnu")]
const KEPT: nix::libc::c_int = 16 << 20;

/// From now on large blocks are kept for the next answer, in bounds; best called before there are threads.
#[allow(unsafe_code)]
pub(super) fn keep_large_blocks() {
    #[cfg(target_env = "gnu")]
    for (what, value) in [(nix::libc::M_MMAP_THRESHOLD, LARGE), (nix::libc::M_TRIM_THRESHOLD, KEPT)] {
        // SAFETY: the function takes two numbers, may be called at any time from any thread, and answers whether it knew them.
        if unsafe { nix::libc::mallopt(what, value) } == 0 {
            tracing::debug!(what, "the C library does not know this setting of its memory");
        }
    }
}
