//! The short run: every target on its corpus, and on variations of it by a plain random walk without coverage. It needs the
//! stable compiler alone, and does the same in each run. `tools/fuzz.sh short` is the caller.
//!
//! ```text
//! short [--seed NUMBER] [--scale PERCENT] [TARGET...]
//! short --seeds FOLDER      writes what else a corpus is to begin with there, by target
//! short --guest             prints the guest of live/run.py
//! short --seed NUMBER --programs COUNT    prints programs for it, a line each
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::panic::catch_unwind;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs};

use ngx_wasm::fuzzing::{live_guest, live_program};
use ngx_wasm_fuzz::{TARGETS, Target, seeds};

/// How often each target runs: some 10 seconds for all on a slow machine.
fn executions(target: &str) -> u64 {
    match target {
        "module" => 300,
        "foreign" => 4_000,
        "host_calls" => 10_000,
        "shared" => 20_000,
        "flow" => 500_000,
        _ => 100_000,
    }
}

const LARGEST: usize = 4096;
/// What one execution may allocate at a time, and how long it may take: far from what any needs.
const MEMORY: usize = 512 << 20;
const TIME: Duration = Duration::from_secs(20);

/// Counts what is allocated, and the most that it was.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// A variation of one of `seeds`.
fn vary(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut data = seeds[random.below(seeds.len())].clone();
    if random.below(8) == 0 {
        let len = random.below(512);
        data = random.bytes(len);
    }
    for _ in 0..=random.below(6) {
        let at = random.below(data.len() + 1);
        match random.below(7) {
            0 if at < data.len() => data[at] ^= 1 << random.below(8),
            1 if at < data.len() => data[at] = random.next() as u8,
            2 => {
                let len = random.below(16);
                data.splice(at..at, random.bytes(len));
            }
            3 => {
                let end = (at + random.below(32)).min(data.len());
                data.drain(at..end);
            }
            4 => data.truncate(at),
            5 => {
                // Numbers at which things turn.
                let number = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff_u32][random.below(8)];
                let end = (at + 4).min(data.len());
                let bytes = number.to_le_bytes();
                data[at..end].copy_from_slice(&bytes[..end - at]);
            }
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let end = (from + random.below(256)).min(other.len());
                data.splice(at..at, other[from..end].iter().copied());
            }
        }
    }
    data
}

/// Runs `target` once. The text says how it broke a rule.
fn run(target: Target, data: &[u8]) -> Result<(), String> {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let begin = Instant::now();
    catch_unwind(|| target(data)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })?;
    let (time, memory) = (begin.elapsed(), MOST.load(Ordering::Relaxed).saturating_sub(before));
    if time > TIME {
        return Err(format!("it took {time:?}"));
    }
    if memory > MEMORY {
        return Err(format!("it held {memory} bytes"));
    }
    Ok(())
}

/// Keeps what broke a rule, and says how to run it again.
fn keep(name: &str, data: &[u8], why: &str) {
    let mut hasher = DefaultHasher::new();
    data.hash(&mut hasher);
    let folder = seeds::root().join("artifacts").join(name);
    let file = folder.join(format!("short-{:016x}", hasher.finish()));
    let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, data));
    println!("{name}: {why}");
    match kept {
        Ok(()) => println!("{name}: again: tools/fuzz.sh run {name} {}", file.display()),
        Err(err) => println!("{name}: the input is not kept: {err}: {}", data.escape_ascii()),
    }
}

fn write_seeds(folder: &Path) -> std::io::Result<()> {
    let modules = folder.join("module");
    fs::create_dir_all(&modules)?;
    for (n, guest) in seeds::guests().into_iter().enumerate() {
        fs::write(modules.join(format!("guest-{n}")), guest)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let (mut seed, mut scale, mut only) = (1, 100, Vec::new());
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok());
        match argument.as_str() {
            "--seed" => seed = number().expect("--seed wants a number"),
            "--scale" => scale = number().expect("--scale wants a number"),
            "--guest" => {
                println!("{}", live_guest());
                return ExitCode::SUCCESS;
            }
            "--programs" => {
                let mut random = Random(seed);
                for _ in 0..number().expect("--programs wants a number") {
                    let len = random.below(1500);
                    let digits: String =
                        live_program(&random.bytes(len)).iter().map(|byte| format!("{byte:02x}")).collect();
                    println!("{digits}");
                }
                return ExitCode::SUCCESS;
            }
            "--seeds" => {
                let folder = arguments.next().expect("--seeds wants a folder");
                write_seeds(Path::new(&folder)).unwrap_or_else(|err| panic!("{folder}: {err}"));
                return ExitCode::SUCCESS;
            }
            name if TARGETS.iter().any(|(target, _)| *target == name) => only.push(argument),
            other => {
                eprintln!("short: no target or option \"{other}\"");
                return ExitCode::from(2);
            }
        }
    }
    let (mut all, mut findings) = (0, 0);
    for (name, target) in TARGETS {
        if !only.is_empty() && !only.iter().any(|wanted| wanted == name) {
            continue;
        }
        let seeds = seeds::seeds(name);
        let mut random = Random(seed);
        let begin = Instant::now();
        let wanted = executions(name) * scale / 100 + seeds.len() as u64;
        let mut found = 0;
        for n in 0..wanted {
            let data = match seeds.get(n as usize) {
                Some(seed) => seed.clone(),
                None => {
                    let mut data = vary(&mut random, &seeds);
                    // Modules are as large as their seeds.
                    if *name != "module" {
                        data.truncate(LARGEST);
                    }
                    data
                }
            };
            if let Err(why) = run(*target, &data) {
                keep(name, &data, &why);
                found += 1;
                if found == 10 {
                    println!("{name}: stopped after 10 findings");
                    break;
                }
            }
        }
        println!("{name}: {wanted} executions from {} seeds, {:.1?}, {found} findings", seeds.len(), begin.elapsed());
        all += wanted;
        findings += found;
    }
    println!("fuzz: {all} executions, {findings} findings");
    if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
