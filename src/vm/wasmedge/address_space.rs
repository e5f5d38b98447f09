//! Address space for the memories of guests. WasmEdge reserves all that a memory could ever need, so that what lies beyond its end is
//! nobody's. Where there is no room for that it goes on with a memory that lies at address 0: what the guest reads and writes would
//! be what others have there. So `program.rs` asks here before it makes an instance.

#![allow(unsafe_code)]

use std::io;
use std::ptr;

/// What WasmEdge reserves: what 32-bit addresses reach, and twice that for offsets and what lies before.
const RESERVED: usize = 12 << 30;

/// Room for what else WasmEdge allocates before it reserves that.
const MARGIN: usize = 16 << 20;

/// Whether there is room for a memory. The error says what is missing.
pub fn check() -> Result<(), String> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: the kernel chooses a place where there is nothing, and nothing is done with it.
    let place = unsafe { libc::mmap(ptr::null_mut(), RESERVED + MARGIN, libc::PROT_NONE, flags, -1, 0) };
    if place == libc::MAP_FAILED {
        let reason = io::Error::last_os_error();
        return Err(format!(
            "WasmEdge reserves 12 GiB of address space for the memory of each instance, and there is no more room for that: {reason} \
             (is it limited? ulimit -v, LimitAS= in a unit of systemd)"
        ));
    }
    // SAFETY: it was mapped above, with this size.
    unsafe { libc::munmap(place, RESERVED + MARGIN) };
    Ok(())
}
