//! Variables: what a plugin keeps from call to call, until its instance is put back.

use super::Row;
use super::call::{HostCall, arg};
use crate::vm::Trap;

pub(super) const TABLE: &[Row] = &[
    Row { name: "var_get", types: ("I", "I"), run: var_get },
    Row { name: "var_set", types: ("II", ""), run: var_set },
];

fn var_get(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    let key = call.take(arg(args, 0), "key")?;
    match call.state.vars.get(&key).map(<[u8]>::to_vec) {
        Some(value) => call.give(&value),
        None => Ok(0),
    }
}

fn var_set(call: &mut HostCall<'_>, args: &[u64]) -> Result<u64, Trap> {
    let (key, value) = (arg(args, 0), arg(args, 1));
    let most = call.state.vars.most();
    if most == 0 {
        return Err(call.trap("there are no variables (memory.max_var_bytes of the manifest is 0)"));
    }
    let key = call.take(key, "key")?;
    if value == 0 {
        call.state.vars.remove(&key);
        return Ok(0);
    }
    let value = call.take(value, "value")?;
    if call.state.vars.set(key, value) {
        return Ok(0);
    }
    Err(call.trap(&format!("all variables together have {most} bytes at most (memory.max_var_bytes of the manifest)")))
}
