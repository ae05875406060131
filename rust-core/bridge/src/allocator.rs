//! How the C library keeps memory that was freed.
//!
//! Answers and rows of up to 10 MB come and go. By default glibc learns from the first of them to keep blocks of up to
//! 32 MB for later, in every arena; the process then holds two to three times what the memory budgets allow. With fixed
//! values large blocks are given back as soon as they are freed. See mallopt(3).

/// Blocks from this size on are given back at once.
#[cfg(target_env = "gnu")]
const LARGE: std::ffi::c_int = 1 << 20;
/// Free memory at the end of an arena that is kept for smaller blocks.
#[cfg(target_env = "gnu")]
const KEPT: std::ffi::c_int = 4 << 20;

/// Fixes what glibc would learn. Holds for the whole process, for `malloc` only; what the environment says counts more.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        let decided = ["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"];
        ONCE.call_once(|| {
            if decided.iter().all(|name| std::env::var_os(name).is_none()) {
                // SAFETY: takes two numbers and may be called at any time from any thread.
                let large = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
                // SAFETY: as above.
                let kept = unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT) };
                tracing::debug!(
                    done = large == 1 && kept == 1,
                    "large blocks of memory are given back when freed"
                );
            }
        });
    }
}
