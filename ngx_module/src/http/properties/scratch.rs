//! `wasmx.<name>`: values that the filters of a request keep and share. The name and the meaning are those of the other
//! Wasm module with directives: one set of values for a request, whichever filter wrote them; nothing outlives it.

use std::cell::RefCell;

use ngx_wasm::proxy_wasm::Status;

use crate::nginx::request::HttpRequest;

/// How many values a request can have.
const MOST_VALUES: usize = 64;
/// How many bytes their names and values can have together.
const MOST_BYTES: usize = 64 * 1024;

#[derive(Default)]
struct Scratch(RefCell<Vec<(Vec<u8>, Vec<u8>)>>);

/// Appends a value; false when none was set.
pub fn get(r: HttpRequest<'_>, name: &[u8], value: &mut Vec<u8>) -> bool {
    let Some(scratch) = r.pool().find::<Scratch>(|_| true) else { return false };
    let name = plain(name);
    let values = scratch.0.borrow();
    let found = values.iter().find(|(key, _)| *key == name);
    if let Some((_, kept)) = found {
        value.extend_from_slice(kept);
    }
    found.is_some()
}

/// Sets a value. One without bytes is the same as none: the ABI does not tell them apart.
pub fn set(r: HttpRequest<'_>, name: &[u8], value: &[u8]) -> Result<(), Status> {
    let name = plain(name);
    if name.is_empty() {
        return Err(Status::NotFound);
    }
    let pool = r.pool();
    let scratch = pool.find::<Scratch>(|_| true).or_else(|| pool.own(Scratch::default()));
    let scratch = scratch.ok_or(Status::InternalFailure)?;
    let mut values = scratch.0.borrow_mut();
    let others = values.iter().filter(|(key, _)| *key != name);
    let (count, bytes) = others.fold((0, 0), |(count, bytes), (key, kept)| (count + 1, bytes + key.len() + kept.len()));
    if !value.is_empty() && (count >= MOST_VALUES || bytes + name.len() + value.len() > MOST_BYTES) {
        return Err(Status::BadArgument);
    }
    values.retain(|(key, _)| *key != name);
    if !value.is_empty() {
        values.push((name, value.to_vec()));
    }
    Ok(())
}

/// A name in segments is the same as one with dots.
fn plain(name: &[u8]) -> Vec<u8> {
    name.iter().map(|byte| if *byte == 0 { b'.' } else { *byte }).collect()
}
