//! The stack that guests run on while they serve requests, which is the process' own. Engines ask here when they are made: a guest
//! may take [`GUEST`] of it, and is stopped there; a process whose stack ends before that would be ended instead.

use rustix::process::{Resource, getrlimit};

/// What a guest may take, in bytes: Wasmtime's default.
pub(super) const GUEST: usize = 512 << 10;

/// What nginx may have taken before, and what host calls may take on top of it.
const HOST: usize = 512 << 10;

/// Roughly where the stack of this thread ends now. It grows towards 0.
#[cfg(feature = "wasmtime")]
#[inline(never)]
pub(super) fn pointer() -> usize {
    let here = 0u8;
    std::hint::black_box(&raw const here).addr()
}

/// Whether there is room on the stack of a process. The error says how to make it.
pub(super) fn check() -> Result<(), String> {
    check_limit(getrlimit(Resource::Stack).current)
}

/// `limit` in bytes; `None` is no limit.
fn check_limit(limit: Option<u64>) -> Result<(), String> {
    match limit {
        Some(limit) if limit < (GUEST + HOST) as u64 => Err(format!(
            "the stack of this process is limited to {} KiB, and a guest that calls itself without end could end it: allow {} KiB or \
             more (LimitSTACK= in a unit of systemd, ulimit -s in a shell)",
            limit >> 10,
            (GUEST + HOST) >> 10,
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_a_guest_and_the_host_is_needed() {
        assert_eq!(check_limit(None), Ok(()));
        assert_eq!(check_limit(Some(8 << 20)), Ok(()));
        assert_eq!(check_limit(Some(1 << 20)), Ok(()));
        let reason = check_limit(Some((1 << 20) - 1)).unwrap_err();
        assert!(reason.contains("limited to 1023 KiB") && reason.contains("allow 1024 KiB or more"), "{reason}");
    }
}
