//! `proc_exit`, which ends the guest, and `proc_raise`.

use super::Errno;
use crate::proxy_wasm::{HostCall, Row, Run, args};
use crate::vm::Trap;

pub(super) const TABLE: &[Row] = &[
    Row { name: "proc_exit", types: &[("i", "")], run: Run::Value(proc_exit) },
    Row { name: "proc_raise", types: &[("i", "i")], run: Run::Wasi(proc_raise) },
];

fn proc_exit(_: &mut HostCall<'_>, raw: &[u64]) -> Result<u64, Trap> {
    let [code] = args(raw);
    Err(Trap::Exit(code))
}

fn proc_raise(_: &mut HostCall<'_>, _: &[u64]) -> Result<(), Errno> {
    Err(Errno::NotSup)
}
