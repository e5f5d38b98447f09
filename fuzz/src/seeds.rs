//! What a run begins with: the inputs of `corpus/`, which `tools/fuzz.sh` unpacks, and for modules the guests that were built,
//! which are too large, and not text enough, to be kept.

use std::fs;
use std::path::{Path, PathBuf};

/// The largest guest that is a seed: from larger ones a fuzzer learns nothing for its time.
const LARGEST_GUEST: u64 = 300 << 10;

/// The folder of the crate.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All seeds of a target, in the order of the files' names; an empty one at least.
///
/// # Panics
/// When the inputs have not been unpacked.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = root().join("../build/fuzz/seeds").join(target);
    assert!(folder.is_dir(), "{} is not there: tools/fuzz.sh unpacks it", folder.display());
    let mut seeds = files(&folder, |_| true);
    if target == "module" {
        seeds.extend(guests());
    }
    if seeds.is_empty() {
        seeds.push(Vec::new());
    }
    seeds
}

/// Guests, whole and cut off, with what they are cut at in the names of functions and in code.
pub fn guests() -> Vec<Vec<u8>> {
    let whole = files(&root().join("../build/guests"), |path| {
        path.extension().is_some_and(|extension| extension == "wasm")
            && path.metadata().is_ok_and(|file| file.len() <= LARGEST_GUEST)
    });
    let mut seeds = Vec::new();
    for guest in whole {
        seeds.extend([guest[..guest.len() / 2].to_vec(), guest[..guest.len() - 1].to_vec(), guest]);
    }
    seeds
}

fn files(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<Vec<u8>> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| wanted(path)).collect();
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path).ok()).collect()
}
