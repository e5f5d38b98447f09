//! What a function is given, and what it gives: input, output, and the text of an error. A plugin that puts its output or its error
//! where there is nothing is ended: it would be lost else.

use super::Row;
use super::call::{HostCall, arg};
use crate::extism::kernel::Part;
use crate::vm::Trap;

pub(super) const TABLE: &[Row] = &[
    Row { name: "input_length", types: ("", "I"), run: input_length },
    Row { name: "input_offset", types: ("", "I"), run: input_offset },
    Row { name: "input_load_u8", types: ("I", "i"), run: input_load_u8 },
    Row { name: "input_load_u64", types: ("I", "I"), run: input_load_u64 },
    Row { name: "input_set", types: ("II", ""), run: input_set },
    Row { name: "output_set", types: ("II", ""), run: output_set },
    Row { name: "output_length", types: ("", "I"), run: output_length },
    Row { name: "output_offset", types: ("", "I"), run: output_offset },
    Row { name: "error_set", types: ("I", ""), run: error_set },
    Row { name: "error_get", types: ("", "I"), run: error_get },
];

fn input_length(call: &mut HostCall<'_>, _: &[u64]) -> Result<u64, Trap> {
    Ok(call.state.kernel.input().len)
}

fn input_offset(call: &mut HostCall<'_>, _: &[u64]) -> Result<u64, Trap> {
    Ok(call.state.kernel.input().at)
}

fn input_load_u8(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    let kernel = &call.state.kernel;
    Ok(kernel.input_from(arg(args, 0), 1).map_or(0, |part| kernel.load_u8(part.at).into()))
}

fn input_load_u64(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    let kernel = &call.state.kernel;
    Ok(kernel.input_from(arg(args, 0), 8).map_or(0, |part| kernel.load_u64(part.at)))
}

fn input_set(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    let part = part(args);
    if call.state.kernel.set_input(part) { Ok(0) } else { Err(outside(call, part)) }
}

fn output_set(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    let part = part(args);
    if call.state.kernel.set_output(part) { Ok(0) } else { Err(outside(call, part)) }
}

fn output_length(call: &mut HostCall<'_>, _: &[u64]) -> Result<u64, Trap> {
    Ok(call.state.kernel.output().len)
}

fn output_offset(call: &mut HostCall<'_>, _: &[u64]) -> Result<u64, Trap> {
    Ok(call.state.kernel.output().at)
}

fn error_set(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    let handle = arg(args, 0);
    if call.state.kernel.set_error(handle) {
        return Ok(0);
    }
    Err(call.trap(&format!("the handle of its text, {handle}, is of no block that is allocated")))
}

fn error_get(call: &mut HostCall<'_>, _: &[u64]) -> Result<u64, Trap> {
    Ok(call.state.kernel.error())
}

fn part(args: &[u64]) -> Part {
    Part { at: arg(args, 0), len: arg(args, 1) }
}

fn outside(call: &HostCall<'_>, Part { at, len }: Part) -> Trap {
    let size = call.state.kernel.size();
    call.trap(&format!(
        "{len} bytes at {at} are not all in the memory that the plugin shares with its host, {size} bytes"
    ))
}
