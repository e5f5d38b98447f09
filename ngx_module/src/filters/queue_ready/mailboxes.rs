//! How a worker wakes another up: a socket for each that has filters to be told of messages, under a name that stands beside its process
//! in a table in shared memory. So a worker has one descriptor for it, and no descriptors of others, however many there are; those of
//! the configuration before a reload have the same table.
//!
//! The names are those of Linux that are no files (abstract ones), by chance, so that nobody has to make or remove anything. Others on the
//! machine could send something to them: it wakes a worker up, which finds nothing to do.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::SystemTime;

use ngx_wasm::shared::WORKERS;

/// A worker that can be woken up, in memory that processes share. Zeros are none.
#[derive(Default)]
struct Mailbox {
    /// The process that has it.
    owner: AtomicI32,
    /// The name of its socket, 0 before it has one.
    name: AtomicU64,
}

/// All of them, made once by the master.
static MAILBOXES: OnceLock<&'static [Mailbox]> = OnceLock::new();

thread_local! {
    /// The socket of this worker: to be woken up by, or to wake others up. The master has none that a worker could inherit.
    static SOCKET: RefCell<Option<UnixDatagram>> = const { RefCell::new(None) };
}

fn mailbox(number: usize) -> Option<&'static Mailbox> {
    MAILBOXES.get()?.get(number)
}

/// Makes the table, in the master; and finds out whether this process may have such sockets.
pub fn prepare() -> io::Result<()> {
    if MAILBOXES.get().is_none() {
        let _ = MAILBOXES.set(table()?);
    }
    bound().map(drop)
}

fn table() -> io::Result<&'static [Mailbox]> {
    let (size, access) = (WORKERS * size_of::<Mailbox>(), libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: a new mapping of zeros.
    let place = unsafe { libc::mmap(ptr::null_mut(), size, access, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1, 0) };
    if place == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it stays as long as the process, and its words are used as atomics only.
    Ok(unsafe { std::slice::from_raw_parts(place.cast(), WORKERS) })
}

fn address(name: u64) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("ngx-wasm/{name:016x}"))
}

/// A socket under a name that nothing else has.
fn bound() -> io::Result<(UnixDatagram, u64)> {
    const TRIES: usize = 8;
    let mut tries = 0;
    loop {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // What processes have for it by themselves, they may have inherited.
        let name = RandomState::new().hash_one((own_pid(), time.as_nanos(), tries)).max(1);
        match UnixDatagram::bind_addr(&address(name)?) {
            Err(err) if err.kind() == io::ErrorKind::AddrInUse && tries < TRIES => tries += 1,
            Err(err) => return Err(err),
            Ok(socket) => {
                socket.set_nonblocking(true)?;
                return Ok((socket, name));
            }
        }
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

/// Takes a mailbox for this worker: its number, and the descriptor to be looked at. `None`: there are too many workers.
pub fn claim() -> io::Result<Option<(usize, RawFd)>> {
    let own = own_pid();
    let all = MAILBOXES.get().copied().unwrap_or_default();
    let number = all.iter().position(|mailbox| {
        let before = mailbox.owner.load(Ordering::SeqCst);
        let is_free = before == 0 || before == own || !is_alive(before);
        is_free && mailbox.owner.compare_exchange(before, own, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    });
    let Some(number) = number else { return Ok(None) };
    let (socket, name) = bound().inspect_err(|_| release(number))?;
    let descriptor = socket.as_raw_fd();
    // Nobody wakes this worker up before it says that it is to be told of something.
    all[number].name.store(name, Ordering::SeqCst);
    SOCKET.with_borrow_mut(|own| *own = Some(socket));
    Ok(Some((number, descriptor)))
}

/// Gives the mailbox back. Its socket goes with the worker.
pub fn release(number: usize) {
    if let Some(mailbox) = mailbox(number) {
        let _ = mailbox.owner.compare_exchange(own_pid(), 0, Ordering::SeqCst, Ordering::SeqCst);
    }
}

/// Whether there is a worker that has this mailbox.
pub fn is_attended(number: usize) -> bool {
    let owner = mailbox(number).map_or(0, |mailbox| mailbox.owner.load(Ordering::SeqCst));
    owner == own_pid() || is_alive(owner)
}

/// Wakes the worker of a mailbox up.
pub fn ring(number: usize) -> io::Result<()> {
    let name = mailbox(number).map_or(0, |mailbox| mailbox.name.load(Ordering::SeqCst));
    let sent = SOCKET.with_borrow_mut(|own| {
        let socket = match own {
            Some(socket) => socket,
            none => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                none.insert(socket)
            }
        };
        socket.send_to_addr(&[1], &address(name)?)
    });
    match sent {
        Ok(_) => Ok(()),
        // It has not looked yet, and will.
        Err(err) if err.kind() == io::ErrorKind::WouldBlock => Ok(()),
        // It has ended. Others find that out when they look for who is to be told.
        Err(err) if matches!(err.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(()),
        Err(err) => Err(err),
    }
}

/// Reads all that has come.
pub fn drain() {
    SOCKET.with_borrow(|own| {
        // What does not fit is dropped.
        while own.as_ref().is_some_and(|socket| socket.recv(&mut [0]).is_ok()) {}
    });
}
