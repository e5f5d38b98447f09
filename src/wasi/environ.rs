//! Arguments and environment: `args_get`, `args_sizes_get`, `environ_get`, `environ_sizes_get`. Both are empty for a filter.

use super::call::{Call, Row, Run};
use super::{Errno, Process};
use crate::vm::args;

pub(super) const TABLE: &[Row] = &[
    Row { name: "args_get", types: &[("ii", "i")], run: Run::Errno(args_get) },
    Row { name: "args_sizes_get", types: &[("ii", "i")], run: Run::Errno(args_sizes_get) },
    Row { name: "environ_get", types: &[("ii", "i")], run: Run::Errno(environ_get) },
    Row { name: "environ_sizes_get", types: &[("ii", "i")], run: Run::Errno(environ_sizes_get) },
];

/// One of the lists that a program has.
type List = fn(&dyn Process) -> &[Vec<u8>];

fn args_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    get(call, raw, |process| process.arguments())
}

fn args_sizes_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    sizes_get(call, raw, |process| process.arguments())
}

fn environ_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    get(call, raw, |process| process.environment())
}

fn environ_sizes_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    sizes_get(call, raw, |process| process.environment())
}

/// Writes a list: pointers to one place, and to the other what they point to, strings that end with a zero.
fn get(call: &mut Call<'_>, raw: &[u64], list: List) -> Result<(), Errno> {
    const POINTER: u32 = 4;
    let [pointers_at, strings_at] = args(raw);
    let Some(process) = call.host.process() else { return Ok(()) };
    let list = list(process);
    let (count, size) = sizes(list)?;
    let mut memory = call.caller.memory();
    memory.check(pointers_at, u64::from(count) * u64::from(POINTER))?;
    memory.check(strings_at, u64::from(size))?;
    let (mut pointer_at, mut string_at) = (pointers_at, strings_at);
    for string in list {
        memory.write_u32(pointer_at, string_at)?;
        memory.write(string_at, string)?;
        // All are inside memory: what may wrap is what follows the last of them.
        let end = string_at + string.len() as u32;
        memory.write(end, &[0])?;
        string_at = end.wrapping_add(1);
        pointer_at = pointer_at.wrapping_add(POINTER);
    }
    Ok(())
}

fn sizes_get(call: &mut Call<'_>, raw: &[u64], list: List) -> Result<(), Errno> {
    let [count_at, size_at] = args(raw);
    let (count, size) = sizes(call.host.process().map_or(&[], |process| list(process)))?;
    call.memory().check(size_at, 4)?;
    call.put_u32(count_at, count)?;
    call.put_u32(size_at, size)?;
    Ok(())
}

/// How many strings, and of how many bytes together, with a zero behind each.
fn sizes(list: &[Vec<u8>]) -> Result<(u32, u32), Errno> {
    let size: usize = list.iter().map(|string| string.len() + 1).sum();
    match (list.len().try_into(), size.try_into()) {
        (Ok(count), Ok(size)) => Ok((count, size)),
        _ => Err(Errno::TooBig),
    }
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
