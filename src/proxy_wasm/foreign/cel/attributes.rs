//! The properties that expressions know, with their types. Paths are those of `proxy_get_property`.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelBytes, CelDuration, CelInt, CelMap, CelMapKey, CelString, CelTimestamp, CelUInt};
use cel::common::value::Val;
use chrono::{DateTime, Duration};

use crate::proxy_wasm::filter_state::ValueType;
use crate::proxy_wasm::pairs::Pairs;
use crate::proxy_wasm::types::Status;

/// Appends the property at a path, and tells its type when filters made it.
pub(super) type Load<'a> = dyn FnMut(&[u8], &mut Vec<u8>) -> Result<Option<ValueType>, Status> + 'a;

/// What the bytes of a property mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttributeType {
    /// Text; bytes that are no UTF-8 stay bytes.
    Text,
    Int,
    UInt,
    Bool,
    Duration,
    Timestamp,
    /// Pairs of text.
    Map,
}

/// A value, and its size in bytes.
pub(super) type Loaded = (Box<dyn Val>, usize);

/// A property that an expression asks for.
#[derive(Debug)]
pub(super) struct Attribute {
    pub path: Vec<u8>,
    pub kind: AttributeType,
}

/// The segments of the longest paths.
pub(super) const LONGEST: usize = 3;

/// The kind of the property with these segments; `None` when they are no whole path.
pub(super) fn kind(segments: &[&str]) -> Option<AttributeType> {
    use AttributeType::{Bool, Duration, Int, Map, Text, Timestamp, UInt};
    Some(match segments {
        ["request" | "response", "headers" | "trailers", _] => Text,
        ["request" | "response", "headers" | "trailers"] => Map,
        ["request", "size" | "total_size" | "headers_bytes"] => Int,
        ["request", "time"] => Timestamp,
        ["request", "duration"] => Duration,
        ["response", "code" | "flags" | "grpc_status" | "headers_bytes" | "size" | "total_size"] => Int,
        ["response", "backend_latency"] => Duration,
        ["source" | "destination", "port"] => Int,
        ["connection", "id"] => UInt,
        ["connection", "mtls"] => Bool,
        ["upstream", "port" | "local_port"] => Int,
        ["upstream", "request_attempt_count"] => UInt,
        ["upstream", "cx_pool_ready_duration"] => Duration,
        [
            "request" | "response" | "source" | "destination" | "connection" | "upstream" | "xds" | "filter_state"
            | "ngx" | "wasmx",
            rest @ ..,
        ] => return if rest.len() == 1 { Some(Text) } else { None },
        ["listener_direction"] => Int,
        // One of the VM, of nginx, or of a filter, which may have declared its type.
        [_] => Text,
        _ => return None,
    })
}

impl Attribute {
    /// The value, if there is one.
    pub fn load(&self, load: &mut Load<'_>) -> Option<Loaded> {
        let mut bytes = Vec::new();
        let declared = load(&self.path, &mut bytes).ok()?;
        let size = bytes.len();
        let value: Box<dyn Val> = match (declared, self.kind) {
            (Some(ValueType::Bytes), _) => Box::new(CelBytes::from(bytes)),
            (Some(ValueType::String), _) | (None, AttributeType::Text) => text(bytes),
            (None, AttributeType::Int) => Box::new(CelInt::from(number(&bytes)?)),
            (None, AttributeType::UInt) => Box::new(CelUInt::from(number(&bytes)? as u64)),
            (None, AttributeType::Bool) => Box::new(CelBool::from(bytes != [0])),
            (None, AttributeType::Duration) => Box::new(CelDuration::from(Duration::nanoseconds(number(&bytes)?))),
            (None, AttributeType::Timestamp) => {
                Box::new(CelTimestamp::from(DateTime::from_timestamp_nanos(number(&bytes)?).fixed_offset()))
            }
            (None, AttributeType::Map) => map(&bytes)?,
        };
        Some((value, size))
    }
}

fn number(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_le_bytes)
}

fn text(bytes: Vec<u8>) -> Box<dyn Val> {
    match String::from_utf8(bytes) {
        Ok(text) => Box::new(CelString::from(text)),
        Err(err) => Box::new(CelBytes::from(err.into_bytes())),
    }
}

/// A name that comes several times has its values joined by commas, as in HTTP.
fn map(bytes: &[u8]) -> Option<Box<dyn Val>> {
    let mut joined: HashMap<String, Vec<u8>> = HashMap::new();
    for (name, value) in Pairs::decode(bytes).ok()?.iter() {
        joined
            .entry(String::from_utf8_lossy(name).into_owned())
            .and_modify(|all| {
                all.push(b',');
                all.extend_from_slice(value);
            })
            .or_insert_with(|| value.to_vec());
    }
    let entries = joined.into_iter().map(|(name, value)| (CelMapKey::from(name), text(value)));
    Some(Box::new(CelMap::from(entries.collect::<HashMap<CelMapKey<'static>, Box<dyn Val>>>())))
}
