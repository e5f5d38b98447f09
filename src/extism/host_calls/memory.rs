//! The memory that plugin and host share: blocks, loads and stores.

use super::Row;
use super::call::{HostCall, arg};
use crate::vm::Trap;

pub(super) const TABLE: &[Row] = &[
    Row { name: "alloc", types: ("I", "I"), run: alloc },
    Row { name: "free", types: ("I", ""), run: free },
    Row { name: "length", types: ("I", "I"), run: length },
    // The reference host does not check the handle here.
    Row { name: "length_unsafe", types: ("I", "I"), run: length },
    Row { name: "load_u8", types: ("I", "i"), run: load_u8 },
    Row { name: "load_u64", types: ("I", "I"), run: load_u64 },
    Row { name: "store_u8", types: ("Ii", ""), run: store_u8 },
    Row { name: "store_u64", types: ("II", ""), run: store_u64 },
    Row { name: "memory_bytes", types: ("", "I"), run: memory_bytes },
    Row { name: "reset", types: ("", ""), run: reset },
];

fn alloc(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    Ok(call.state.kernel.alloc(arg(args, 0)))
}

fn free(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    call.state.kernel.free(arg(args, 0));
    Ok(0)
}

fn length(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    Ok(call.state.kernel.length(arg(args, 0)))
}

fn load_u8(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    Ok(call.state.kernel.load_u8(arg(args, 0)).into())
}

fn load_u64(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    Ok(call.state.kernel.load_u64(arg(args, 0)))
}

fn store_u8(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    call.state.kernel.store(arg(args, 0), &[arg(args, 1) as u8]);
    Ok(0)
}

fn store_u64(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    call.state.kernel.store(arg(args, 0), &arg(args, 1).to_le_bytes());
    Ok(0)
}

fn memory_bytes(call: &mut HostCall<'_>, _: &[u64]) -> Result<u64, Trap> {
    Ok(call.state.kernel.size())
}

fn reset(call: &mut HostCall<'_>, _: &[u64]) -> Result<u64, Trap> {
    call.state.kernel.reset();
    Ok(0)
}
