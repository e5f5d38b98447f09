//! Failures: before the headers, and after them.

use std::hint::black_box;
use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use crate::answers::{TEXT, put};
use crate::request::Request;

/// What a failure that comes late has behind it.
fn begin() -> io::Result<()> {
    put(format!("{TEXT}begun\n").as_bytes())
}

/// Ends with `code`.
pub fn exit(request: &Request) -> io::Result<ExitCode> {
    Ok(ExitCode::from(request.number("code", 1)))
}

pub fn exit_late(request: &Request) -> io::Result<ExitCode> {
    begin()?;
    exit(request)
}

pub fn trap() -> ! {
    // That of the C library does the same, but is not sure to be a trap.
    #[cfg(target_arch = "wasm32")]
    std::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

pub fn trap_late() -> io::Result<()> {
    begin()?;
    trap()
}

pub fn panic() -> ! {
    panic!("as it was asked for")
}

pub fn run_on() -> ! {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

pub fn run_on_late() -> io::Result<()> {
    begin()?;
    run_on()
}

/// Calls itself until the stack ends.
pub fn recurse() -> io::Result<()> {
    fn deeper(n: u64) -> u64 {
        let here = black_box([n; 64]);
        if n == u64::MAX { 0 } else { deeper(n + 1) + here[(n % 64) as usize] }
    }
    put(format!("{TEXT}{}\n", deeper(black_box(0))).as_bytes())
}

/// Takes memory, a MiB at a time, until there is none; says how much it was.
pub fn grow() -> io::Result<()> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    loop {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(1 << 20).is_err() {
            break;
        }
        piece.resize(1 << 20, 1);
        kept.push(black_box(piece));
    }
    let size = kept.len();
    drop(kept);
    put(format!("{TEXT}no more memory after {size} MiB\n").as_bytes())
}

/// Lines of all kinds, the last without an end.
pub fn standard_error() -> io::Result<()> {
    let mut err = io::stderr().lock();
    err.write_all(b"first line\nsecond ")?;
    err.write_all(b"line, in two pieces\n\nafter an empty one\nwith\ttab, \x1b[31mescape and \xff\r\n")?;
    err.write_all(format!("long {}\n", "y".repeat(10_000)).as_bytes())?;
    err.write_all(b"without an end")?;
    put(format!("{TEXT}told\n").as_bytes())
}

/// Waits for `ms` milliseconds before it answers.
pub fn sleep(request: &Request) -> io::Result<()> {
    thread::sleep(Duration::from_millis(request.number("ms", 10)));
    put(format!("{TEXT}slept\n").as_bytes())
}
