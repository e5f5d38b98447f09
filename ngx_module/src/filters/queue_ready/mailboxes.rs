//! How a worker wakes another up: a pipe for each, made by the master, so that all workers have both ends of all of them,
//! also those of the configuration before a reload. Which worker has which is a table of processes in shared memory.

use std::io;
use std::os::fd::RawFd;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

use ngx_wasm::shared::WORKERS;

/// The pipes of this process, and the table. Made once, and made larger when a reload asks for more workers.
struct Mailboxes {
    /// The process of each, 0 for none.
    owners: &'static [AtomicI32],
    /// The ends to read from and to write to.
    pipes: Vec<(RawFd, RawFd)>,
}

static MAILBOXES: Mutex<Option<Mailboxes>> = Mutex::new(None);

fn with<R>(run: impl FnOnce(&mut Option<Mailboxes>) -> R) -> R {
    run(&mut MAILBOXES.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Sees to it that there are mailboxes for so many workers at once, and as many of two configurations before.
pub fn prepare(workers: usize) -> io::Result<()> {
    let wanted = workers.saturating_mul(3).clamp(4, WORKERS);
    with(|mailboxes| {
        let mailboxes = match mailboxes {
            Some(mailboxes) => mailboxes,
            None => mailboxes.insert(Mailboxes { owners: table()?, pipes: Vec::new() }),
        };
        while mailboxes.pipes.len() < wanted {
            mailboxes.pipes.push(pipe()?);
        }
        Ok(())
    })
}

fn table() -> io::Result<&'static [AtomicI32]> {
    let (size, access) = (WORKERS * size_of::<AtomicI32>(), libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: a new mapping of zeros.
    let place = unsafe { libc::mmap(ptr::null_mut(), size, access, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0) };
    if place == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it stays as long as the process, and its words are used as atomics only.
    Ok(unsafe { std::slice::from_raw_parts(place.cast(), WORKERS) })
}

/// Nobody waits for it, and it does not pass to the program of an upgrade.
fn pipe() -> io::Result<(RawFd, RawFd)> {
    let mut ends = [0; 2];
    // SAFETY: the call fills both places.
    match unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } {
        0 => Ok((ends[0], ends[1])),
        _ => Err(io::Error::last_os_error()),
    }
}

fn own_pid() -> i32 {
    // SAFETY: it cannot fail.
    unsafe { libc::getpid() }
}

/// Whether there is a process of this number that this one may send signals to, which workers may to each other.
fn is_alive(pid: i32) -> bool {
    // SAFETY: signal 0 does nothing.
    pid > 0 && unsafe { libc::kill(pid, 0) } == 0
}

/// Takes a mailbox for this worker: its number, and the end to read from.
pub fn claim() -> Option<(usize, RawFd)> {
    with(|mailboxes| {
        let mailboxes = mailboxes.as_ref()?;
        let own = own_pid();
        mailboxes.pipes.iter().enumerate().find_map(|(number, (read, _))| {
            let owner = mailboxes.owners.get(number)?;
            let before = owner.load(Ordering::SeqCst);
            let is_free = before == 0 || before == own || !is_alive(before);
            let is_mine = is_free && owner.compare_exchange(before, own, Ordering::SeqCst, Ordering::SeqCst).is_ok();
            is_mine.then_some((number, *read))
        })
    })
}

/// Gives the mailbox back.
pub fn release(number: usize) {
    with(|mailboxes| {
        if let Some(owner) = mailboxes.as_ref().and_then(|mailboxes| mailboxes.owners.get(number)) {
            let _ = owner.compare_exchange(own_pid(), 0, Ordering::SeqCst, Ordering::SeqCst);
        }
    });
}

/// Whether there is a worker that has this mailbox, and this process can reach it.
pub fn is_attended(number: usize) -> bool {
    with(|mailboxes| {
        let Some(mailboxes) = mailboxes else { return false };
        let Some(owner) = mailboxes.owners.get(number) else { return false };
        let owner = owner.load(Ordering::SeqCst);
        number < mailboxes.pipes.len() && (owner == own_pid() || is_alive(owner))
    })
}

/// Wakes the worker of a mailbox up.
pub fn ring(number: usize) -> io::Result<()> {
    let Some(end) = with(|mailboxes| Some(mailboxes.as_ref()?.pipes.get(number)?.1)) else { return Ok(()) };
    // SAFETY: one byte is there. A full pipe is one whose reader has not looked yet, and will.
    let written = unsafe { libc::write(end, [1u8].as_ptr().cast(), 1) };
    let err = io::Error::last_os_error();
    if written == 1 || err.kind() == io::ErrorKind::WouldBlock { Ok(()) } else { Err(err) }
}

/// Reads all that is in a pipe.
pub fn drain(end: RawFd) {
    let mut bytes = [0u8; 256];
    // SAFETY: there is room for so many bytes.
    while unsafe { libc::read(end, bytes.as_mut_ptr().cast(), bytes.len()) } > 0 {}
}
