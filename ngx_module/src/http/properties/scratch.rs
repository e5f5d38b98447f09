//! `wasmx.<name>`: values that the filters of a request keep and share. The name and the meaning are those of the other
//! Wasm module with directives: one set of values for a request, whichever filter wrote them; nothing outlives it.

use nginx_sys::ngx_http_request_t;
use ngx_wasm::proxy_wasm::Status;

use crate::nginx::pool;

/// How many values a request can have.
const MOST_VALUES: usize = 64;
/// How many bytes their names and values can have together.
const MOST_BYTES: usize = 64 * 1024;

#[derive(Default)]
struct Scratch(Vec<(Vec<u8>, Vec<u8>)>);

/// Appends a value; false when none was set.
///
/// # Safety
/// `r` is a live request, here and below.
pub unsafe fn get(r: *mut ngx_http_request_t, name: &[u8], value: &mut Vec<u8>) -> bool {
    // SAFETY: see above; one thread runs, and no guest does meanwhile.
    let Some(scratch) = (unsafe { find(r).and_then(|scratch| scratch.as_ref()) }) else { return false };
    let name = plain(name);
    let found = scratch.0.iter().find(|(key, _)| *key == name);
    if let Some((_, kept)) = found {
        value.extend_from_slice(kept);
    }
    found.is_some()
}

/// Sets a value. One without bytes is the same as none: the ABI does not tell them apart.
pub unsafe fn set(r: *mut ngx_http_request_t, name: &[u8], value: &[u8]) -> Result<(), Status> {
    let name = plain(name);
    if name.is_empty() {
        return Err(Status::NotFound);
    }
    // SAFETY: see `get`.
    let scratch = unsafe {
        let found = match find(r) {
            None => pool::own((*r).pool, Scratch::default()),
            found => found,
        };
        found.and_then(|scratch| scratch.as_mut()).ok_or(Status::InternalFailure)?
    };
    let others = scratch.0.iter().filter(|(key, _)| *key != name);
    let (count, bytes) = others.fold((0, 0), |(count, bytes), (key, kept)| (count + 1, bytes + key.len() + kept.len()));
    if !value.is_empty() && (count >= MOST_VALUES || bytes + name.len() + value.len() > MOST_BYTES) {
        return Err(Status::BadArgument);
    }
    scratch.0.retain(|(key, _)| *key != name);
    if !value.is_empty() {
        scratch.0.push((name, value.to_vec()));
    }
    Ok(())
}

unsafe fn find(r: *mut ngx_http_request_t) -> Option<*mut Scratch> {
    // SAFETY: see `get`.
    unsafe { pool::find::<Scratch>((*r).pool, |_| true) }
}

/// A name in segments is the same as one with dots.
fn plain(name: &[u8]) -> Vec<u8> {
    name.iter().map(|byte| if *byte == 0 { b'.' } else { *byte }).collect()
}
