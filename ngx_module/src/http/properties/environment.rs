//! What Envoy tells of its configuration, in the terms of nginx: `node`, `cluster_name`, `route_name`, `xds.*`.

use super::{cluster, number, text, variables};
use crate::nginx::request::HttpRequest;
use crate::nginx::{cycle, location};

/// Envoy's number for a listener whose clients come from outside.
const INBOUND: i64 = 1;

/// Which worker this is, counted from 0, in decimal digits: a property of the other Wasm module with directives.
const WORKER: &[u8] = b"worker_id";

/// Appends a property that needs no request.
pub fn of_process(name: &[u8], value: &mut Vec<u8>) -> bool {
    name == WORKER && text(value, cycle::worker().to_string().as_bytes())
}

/// Whether [`get`] knows the name, now or at another time.
pub fn knows(name: &[u8]) -> bool {
    matches!(
        name,
        b"node"
            | b"cluster_name"
            | b"cluster_metadata"
            | b"route_name"
            | b"route_metadata"
            | b"listener_direction"
            | b"listener_metadata"
            | b"upstream_host_metadata"
            | b"metadata"
            | b"connection_id"
            | WORKER
    )
}

/// Appends a property whose path is one name.
pub fn get(r: HttpRequest<'_>, name: &[u8], value: &mut Vec<u8>) -> bool {
    match name {
        b"connection_id" => number(value, r.connection().number()),
        WORKER => of_process(name, value),
        // There is none, and no message of protocol buffers has no bytes.
        b"metadata" => true,
        name if knows(name) => xds(r, name, value),
        _ => false,
    }
}

/// Appends `xds.<name>`.
pub fn xds(r: HttpRequest<'_>, name: &[u8], value: &mut Vec<u8>) -> bool {
    match name {
        b"cluster_name" => cluster::name(r).is_some_and(|name| text(value, name)),
        b"route_name" => text(value, location::name(r)),
        b"virtual_host_name" => variables::get(r, b"server_name", value),
        b"listener_direction" => number(value, INBOUND),
        b"cluster_metadata" | b"route_metadata" | b"virtual_host_metadata" | b"listener_metadata" => true,
        b"node" => {
            for (field, name) in NODE {
                let mut content = Vec::new();
                if node(r, name, &mut content) {
                    field_of_message(value, field, &content);
                }
            }
            true
        }
        _ => name.strip_prefix(b"node\0").is_some_and(|name| node(r, name, value)),
    }
}

/// Fields of Envoy's message (envoy.config.core.v3.Node) for which nginx has a value.
const NODE: [(u8, &[u8]); 3] = [(1, b"id"), (6, b"user_agent_name"), (7, b"user_agent_version")];

/// Appends a field of the node: this nginx.
pub fn node(r: HttpRequest<'_>, name: &[u8], value: &mut Vec<u8>) -> bool {
    match name {
        b"id" => variables::get(r, b"hostname", value),
        b"user_agent_name" => text(value, b"nginx"),
        b"user_agent_version" => variables::get(r, b"nginx_version", value),
        _ => false,
    }
}

/// Text in the wire format of protocol buffers: number and type of the field, length, bytes.
fn field_of_message(message: &mut Vec<u8>, field: u8, content: &[u8]) {
    message.push(field << 3 | 2);
    let mut len = content.len();
    while len >= 0x80 {
        message.push(len as u8 | 0x80);
        len >>= 7;
    }
    message.push(len as u8);
    message.extend_from_slice(content);
}
