//! Which processes live: a worker that was killed has left its counters behind, and says nothing more.

use std::{fs, io};

use nginx_sys::ngx_pid;
use ngx_wasm::shared::filter_status::Process;

/// This process.
pub fn own() -> Process {
    // SAFETY: nginx sets the variable in each process.
    let pid = unsafe { ngx_pid } as u64;
    Process { pid, started: look(pid).map_or(0, |seen| seen.started) }
}

/// Whether a process lives, and is the one that had this number when it was noted.
pub fn is_alive(process: Process) -> bool {
    match look(process.pid) {
        // When it was noted, nothing was seen of it.
        Some(seen) if process.started == 0 => !seen.is_dead,
        Some(seen) => !seen.is_dead && seen.started == process.started,
        // That nothing is seen does not say that it is dead: there may be no /proc, on another system or after a chroot, or this
        // process may have no descriptor left to look with.
        None => is_there(process.pid),
    }
}

/// Whether any process has this number.
fn is_there(pid: u64) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 is not sent; the call only says whether there is such a process, which may be another user's.
    let is_told = unsafe { libc::kill(pid, 0) } == 0;
    is_told || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

struct Seen {
    /// It has ended, and nobody has taken notice.
    is_dead: bool,
    /// In ticks of the system's clock since it was booted.
    started: u64,
}

/// What Linux knows about a process: proc(5), /proc/pid/stat.
fn look(pid: u64) -> Option<Seen> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in parentheses, with any characters in it.
    let rest = &stat[stat.iter().rposition(|byte| *byte == b')')? + 1..];
    let mut fields = std::str::from_utf8(rest).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    // The state is field 3, and the time field 22.
    let started = fields.nth(18)?.parse().ok()?;
    Some(Seen { is_dead: matches!(state, "Z" | "X" | "x"), started })
}
