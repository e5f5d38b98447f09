//! Arguments and environment, both empty: `args_get`, `args_sizes_get`, `environ_get`, `environ_sizes_get`.

use super::Errno;
use super::call::{Call, Row, Run};
use crate::vm::args;

pub(super) const TABLE: &[Row] = &[
    Row { name: "args_get", types: &[("ii", "i")], run: Run::Errno(get) },
    Row { name: "args_sizes_get", types: &[("ii", "i")], run: Run::Errno(sizes_get) },
    Row { name: "environ_get", types: &[("ii", "i")], run: Run::Errno(get) },
    Row { name: "environ_sizes_get", types: &[("ii", "i")], run: Run::Errno(sizes_get) },
];

fn get(_: &mut Call<'_>, _: &[u64]) -> Result<(), Errno> {
    Ok(())
}

fn sizes_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [count_at, size_at] = args(raw);
    call.memory().check(size_at, 4)?;
    call.put_u32(count_at, 0)?;
    call.put_u32(size_at, 0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy_wasm::tests::support::{MEMORY, probe};

    #[test]
    fn there_are_no_arguments_and_no_environment() {
        for function in ["args_sizes_get", "environ_sizes_get"] {
            let answer = probe(Default::default(), function, &[0x100, 0x140], &[]);
            assert_eq!((answer.status, answer.u32_at(0x100), answer.u32_at(0x140)), (0, 0, 0), "{function}");
        }
        for function in ["args_get", "environ_get"] {
            let answer = probe(Default::default(), function, &[0x100, 0x140], &[]);
            assert_eq!(answer.status, 0, "{function}");
            assert!(answer.untouched(), "{function}");
        }
    }

    #[test]
    fn sizes_need_a_place() {
        let outside = u64::from(MEMORY) - 3;
        for args in [[outside, 0x100], [0x100, outside]] {
            let answer = probe(Default::default(), "environ_sizes_get", &args, &[]);
            assert_eq!(answer.status, Errno::Fault as u32);
            assert!(answer.untouched());
        }
    }
}
