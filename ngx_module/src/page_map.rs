//! Wasmtime's pools have a descriptor of /proc/self/pagemap, which a process that was forked opens anew in the same place. There
//! it would stay open in the nginx that an upgrade starts (SIGUSR2), once more with each upgrade. `engine.rs` calls this when
//! there is a pool.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};

static DESCRIPTOR: AtomicI32 = AtomicI32::new(-1);

/// Has the descriptor closed where another program takes the place of nginx in a process. To be called when a pool has been
/// made: handlers of forks run in the order in which they were registered, and this one comes after Wasmtime's then.
pub fn close_on_exec() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Some(descriptor) = find() else { return };
        DESCRIPTOR.store(descriptor, Ordering::SeqCst);
        // SAFETY: the handler makes one system call, which is allowed after a fork. This library is never unloaded.
        unsafe { libc::pthread_atfork(None, None, Some(after_fork)) };
    });
}

/// Where it is; nowhere before Linux 6.7, where Wasmtime does without.
fn find() -> Option<i32> {
    fs::read_dir("/proc/self/fd").ok()?.flatten().find_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        let is_page_map = target.as_os_str().as_bytes().ends_with(b"/pagemap");
        is_page_map.then(|| entry.file_name().to_str()?.parse().ok())?
    })
}

unsafe extern "C" fn after_fork() {
    // SAFETY: the system call looks at its number only; at worst the descriptor is not there any more.
    unsafe { libc::fcntl(DESCRIPTOR.load(Ordering::SeqCst), libc::F_SETFD, libc::FD_CLOEXEC) };
}
