//! Arguments and environment, both empty: `args_get`, `args_sizes_get`, `environ_get`, `environ_sizes_get`.

use super::Errno;
use crate::proxy_wasm::{HostCall, Row, Run, args};

pub(super) const TABLE: &[Row] = &[
    Row { name: "args_get", types: &[("ii", "i")], run: Run::Wasi(get) },
    Row { name: "args_sizes_get", types: &[("ii", "i")], run: Run::Wasi(sizes_get) },
    Row { name: "environ_get", types: &[("ii", "i")], run: Run::Wasi(get) },
    Row { name: "environ_sizes_get", types: &[("ii", "i")], run: Run::Wasi(sizes_get) },
];

fn get(_: &mut HostCall<'_>, _: &[u64]) -> Result<(), Errno> {
    Ok(())
}

fn sizes_get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [count_at, size_at] = args(raw);
    call.put_u32(count_at, 0)?;
    call.put_u32(size_at, 0)?;
    Ok(())
}
