//! The log.

use super::Row;
use super::call::{HostCall, arg};
use crate::extism::world::Level;
use crate::vm::Trap;

pub(super) const TABLE: &[Row] = &[
    Row { name: "log_trace", types: ("I", ""), run: |call, args| log(call, args, Level::Trace) },
    Row { name: "log_debug", types: ("I", ""), run: |call, args| log(call, args, Level::Debug) },
    Row { name: "log_info", types: ("I", ""), run: |call, args| log(call, args, Level::Info) },
    Row { name: "log_warn", types: ("I", ""), run: |call, args| log(call, args, Level::Warn) },
    Row { name: "log_error", types: ("I", ""), run: |call, args| log(call, args, Level::Error) },
    Row { name: "get_log_level", types: ("", "i"), run: get_log_level },
];

/// The level that is above all.
const OFF: u32 = i32::MAX.cast_unsigned();

fn log(call: &mut HostCall<'_>, args: &[u64], level: Level) -> Result<u64, Trap> {
    let message = call.take(arg(args, 0), "message")?;
    if call.world.log_level().is_some_and(|least| level >= least) {
        call.world.log(level, &message);
    }
    Ok(0)
}

fn get_log_level(call: &mut HostCall<'_>, _: &[u64]) -> Result<u64, Trap> {
    Ok(call.world.log_level().map_or(OFF, number).into())
}

fn number(level: Level) -> u32 {
    match level {
        Level::Trace => 0,
        Level::Debug => 1,
        Level::Info => 2,
        Level::Warn => 3,
        Level::Error => 4,
    }
}
