//! What an instance remembers, and what it must not: for snapshots.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::answers::{TEXT, put};

static COUNTER: AtomicU64 = AtomicU64::new(0);
static INITIALIZED: AtomicU64 = AtomicU64::new(0);
/// A whole page of memory that nobody else touches.
static USED: [AtomicU64; 8192] = [const { AtomicU64::new(0) }; 8192];

/// What a snapshot is taken behind: the counter begins at 100.
#[unsafe(export_name = "wizer-initialize")]
pub extern "C" fn initialize() {
    COUNTER.store(100, Relaxed);
    INITIALIZED.fetch_add(1, Relaxed);
}

/// The same under another name.
#[unsafe(export_name = "prepare")]
pub extern "C" fn prepare() {
    initialize();
    COUNTER.store(200, Relaxed);
}

/// A snapshot that is refused: a seed would be the same in all requests.
#[unsafe(export_name = "draw-seed")]
pub extern "C" fn draw_seed() {
    COUNTER.store(number(), Relaxed);
}

/// A snapshot that cannot be taken.
#[unsafe(export_name = "fail-to-prepare")]
pub extern "C" fn fail_to_prepare() {
    crate::failures::trap();
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn random_get(place: *mut u8, size: usize) -> u32;
}

/// A random number of the host's: Rust's library keeps what it has once been given.
fn number() -> u64 {
    let mut bytes = [0; 8];
    // SAFETY: the host writes as many bytes as are there.
    let errno = unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
    assert_eq!(errno, 0, "random_get");
    u64::from_le_bytes(bytes)
}

/// Counts, in a variable and all over the memory: what another request has left would be seen.
pub fn counter() -> io::Result<()> {
    let count = COUNTER.fetch_add(1, Relaxed) + 1;
    let left = USED.iter().filter(|place| place.fetch_add(1, Relaxed) > 0).count();
    let initialized = INITIALIZED.load(Relaxed);
    put(format!("{TEXT}count {count}, initialized {initialized} times, {left} left\n").as_bytes())
}

pub fn time() -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    let begin = Instant::now();
    let goes_on = (0..1_000_000).any(|_| begin.elapsed().as_nanos() > 0);
    put(format!("{TEXT}{}.{:09} {goes_on}\n", now.as_secs(), now.subsec_nanos()).as_bytes())
}

/// A random number.
pub fn random() -> io::Result<()> {
    put(format!("{TEXT}{:016x}\n", number()).as_bytes())
}
