//! `random_get`, from the operating system.

use super::Errno;
use crate::proxy_wasm::{HostCall, Row, Run, args};

pub(super) const TABLE: &[Row] = &[Row { name: "random_get", types: &[("ii", "i")], run: Run::Wasi(random_get) }];

/// The reference host's limit: more at once is a mistake, or an attempt to keep the host busy.
const LARGEST: u32 = 64 << 10;

fn random_get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [ptr, len] = args(raw);
    if len > LARGEST {
        return Err(Errno::Inval);
    }
    call.memory().fill_with(ptr, len, getrandom::fill)?.map_err(|_| Errno::Io)?;
    Ok(())
}
