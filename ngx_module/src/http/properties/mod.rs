//! Properties: values that a filter asks for by path, with Envoy's names and types. Numbers are 8 bytes little endian,
//! timestamps and durations nanoseconds, booleans one byte, maps pairs, the rest text. A file for each family; `host/`
//! is the caller. What each property means on nginx is in docs/properties.md.

mod cluster;
mod connection;
mod environment;
mod request;
mod response;
mod scratch;
mod tls;
mod upstream;
mod variables;

use std::collections::HashMap;

use ngx_wasm::proxy_wasm::{Pairs, Status};

pub use cluster::{is_asked as is_upstream_asked, upstream as upstream_of_location};
pub use response::{FAILED_STREAM, note_details};

use crate::nginx::request::HttpRequest;

/// Families that no filter can set.
const FAMILIES: [&[u8]; 9] =
    [b"request", b"response", b"source", b"destination", b"connection", b"upstream", b"node", b"xds", b"metadata"];

/// Appends the value of the property at `path`, whose segments are separated by NUL.
pub fn get(r: HttpRequest<'_>, path: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
    let (first, rest) = split(path);
    let found = match (first, rest) {
        (b"request", Some(rest)) => request::get(r, rest, value),
        (b"response", Some(rest)) => response::get(r, rest, value),
        (b"source", Some(rest)) => connection::source(r, rest, value),
        (b"destination", Some(rest)) => connection::destination(r, rest, value),
        (b"connection", Some(rest)) => connection::get(r, rest, value),
        (b"upstream", Some(rest)) => upstream::get(r, rest, value),
        (b"node", Some(rest)) => environment::node(r, rest, value),
        (b"xds", Some(rest)) => environment::xds(r, rest, value),
        (b"metadata", Some(b"filter_metadata")) => no_pairs(value),
        (b"ngx", Some(name)) => variables::get(r, name, value),
        (b"wasmx", Some(name)) => scratch::get(r, name, value),
        // A path of one segment is a variable of nginx, with or without "ngx." before it: filters for the two other
        // Wasm modules for nginx use these forms.
        (name, None) => match prefixed(name) {
            Some(Prefixed::Variable(name)) => variables::get(r, name, value),
            Some(Prefixed::Scratch(name)) => scratch::get(r, name, value),
            None => variables::get(r, name, value) || environment::get(r, name, value),
        },
        _ => false,
    };
    if found { Ok(()) } else { Err(Status::NotFound) }
}

/// Appends a property that has a value without a request too.
pub fn of_process(path: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
    if environment::of_process(path, value) { Ok(()) } else { Err(Status::NotFound) }
}

/// Sets a property: variables of nginx that can be set, and scratch values.
pub fn set(r: HttpRequest<'_>, path: &[u8], value: &[u8]) -> Result<(), Status> {
    let (first, rest) = split(path);
    match (first, rest) {
        (b"ngx", Some(name)) => variables::set(r, name, value),
        (b"wasmx", Some(name)) => scratch::set(r, name, value),
        (family, Some(_)) if FAMILIES.contains(&family) => Err(Status::BadArgument),
        (_, Some(_)) => Err(Status::NotFound),
        (name, None) => match prefixed(name) {
            Some(Prefixed::Variable(name)) => variables::set(r, name, value),
            Some(Prefixed::Scratch(name)) => scratch::set(r, name, value),
            None => match variables::set(r, name, value) {
                Err(Status::NotFound) if FAMILIES.contains(&name) || environment::knows(name) => {
                    Err(Status::BadArgument)
                }
                result => result,
            },
        },
    }
}

fn split(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match path.iter().position(|byte| *byte == 0) {
        Some(nul) => (&path[..nul], Some(&path[nul + 1..])),
        None => (path, None),
    }
}

enum Prefixed<'a> {
    Variable(&'a [u8]),
    Scratch(&'a [u8]),
}

fn prefixed(name: &[u8]) -> Option<Prefixed<'_>> {
    if let Some(name) = name.strip_prefix(b"ngx.") {
        return Some(Prefixed::Variable(name));
    }
    name.strip_prefix(b"wasmx.").map(Prefixed::Scratch)
}

fn number(value: &mut Vec<u8>, number: impl TryInto<i64>) -> bool {
    match number.try_into() {
        Ok(number) => {
            value.extend_from_slice(&number.to_le_bytes());
            true
        }
        Err(_) => false,
    }
}

/// A time span that nginx has in milliseconds.
fn milliseconds(value: &mut Vec<u8>, span: i64) -> bool {
    number(value, span.saturating_mul(1_000_000))
}

fn boolean(value: &mut Vec<u8>, boolean: bool) -> bool {
    value.push(u8::from(boolean));
    true
}

fn text(value: &mut Vec<u8>, text: &[u8]) -> bool {
    value.extend_from_slice(text);
    true
}

/// A walk over the headers of a message.
type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]);

/// A map as Envoy gives it: each name once, with its values joined by commas.
fn pairs(value: &mut Vec<u8>, visit: impl FnOnce(Visit)) -> bool {
    let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut lines: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    visit(&mut |name, text| match places.get(name) {
        Some(place) => {
            lines[*place].1.push(b',');
            lines[*place].1.extend_from_slice(text);
        }
        None => {
            places.insert(name.to_vec(), lines.len());
            lines.push((name.to_vec(), text.to_vec()));
        }
    });
    Pairs::encode(lines.iter().map(|(name, text)| (name.as_slice(), text.as_slice())), value).is_ok()
}

fn no_pairs(value: &mut Vec<u8>) -> bool {
    Pairs::encode(std::iter::empty(), value).is_ok()
}

/// All values of a name, joined by commas.
fn joined(value: &mut Vec<u8>, wanted: &[u8], visit: impl FnOnce(Visit)) -> bool {
    let mut found = false;
    visit(&mut |name, text| {
        if name.eq_ignore_ascii_case(wanted) {
            if found {
                value.push(b',');
            }
            found = true;
            value.extend_from_slice(text);
        }
    });
    found
}

/// The size of a map as Envoy counts it: names and values, without what parts them on the wire.
fn size_of_map(visit: impl FnOnce(Visit)) -> i64 {
    let mut size = 0;
    visit(&mut |name, text| size += (name.len() + text.len()) as i64);
    size
}
