//! The configuration: what the manifest says, and what the configuration of nginx says over it.

use super::Row;
use super::call::{HostCall, arg};
use crate::vm::Trap;

pub(super) const TABLE: &[Row] = &[Row { name: "config_get", types: ("I", "I"), run: config_get }];

fn config_get(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    let key = call.take(arg(args, 0), "key")?;
    if let Some(value) = call.world.config(&key) {
        return call.give(&value);
    }
    let manifest = call.state.settings.manifest.clone();
    manifest.config(&key).map_or(Ok(0), |value| call.give(value))
}
