//! Arguments and environment: `args_get`, `args_sizes_get`, `environ_get`, `environ_sizes_get`. A filter has no arguments, and the environment that
//! the configuration gives it; a program has both of its run.

use super::call::{Call, Row, Run};
use super::{Errno, Outside, State};
use crate::vm::args;

pub(super) const TABLE: &[Row] = &[
    Row { name: "args_get", types: &[("ii", "i")], run: Run::Errno(args_get) },
    Row { name: "args_sizes_get", types: &[("ii", "i")], run: Run::Errno(args_sizes_get) },
    Row { name: "environ_get", types: &[("ii", "i")], run: Run::Errno(environ_get) },
    Row { name: "environ_sizes_get", types: &[("ii", "i")], run: Run::Errno(environ_sizes_get) },
];

/// One of the lists that a guest has.
#[derive(Clone, Copy)]
enum List {
    Arguments,
    Environment,
}

impl List {
    fn of<'a>(self, state: &'a State, host: &'a mut dyn Outside) -> &'a [Vec<u8>] {
        match (self, host.process()) {
            (List::Arguments, Some(process)) => process.arguments(),
            (List::Arguments, None) => &[],
            (List::Environment, Some(process)) => process.environment(),
            (List::Environment, None) => &state.environment,
        }
    }
}

fn args_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    get(call, raw, List::Arguments)
}

fn args_sizes_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    sizes_get(call, raw, List::Arguments)
}

fn environ_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    get(call, raw, List::Environment)
}

fn environ_sizes_get(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    sizes_get(call, raw, List::Environment)
}

/// Writes a list: pointers to one place, and to the other what they point to, strings that end with a zero.
fn get(call: &mut Call<'_>, raw: &[u64], list: List) -> Result<(), Errno> {
    const POINTER: u32 = 4;
    let [pointers_at, strings_at] = args(raw);
    let list = list.of(call.state, call.host);
    // Where there is nothing to write, the places need not be there.
    if list.is_empty() {
        return Ok(());
    }
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
    let (count, size) = sizes(list.of(call.state, call.host))?;
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
    use std::sync::Arc;

    use crate::proxy_wasm::tests::support::{FakeHost, Guest, MEMORY, World, probe};
    use crate::proxy_wasm::{LogLevel, RootConfig, VmConfig};

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

    /// What a guest notes of its environment, whose strings it logs in one piece.
    fn world_with(environment: &[&str]) -> World {
        let environment = environment.iter().map(|string| string.as_bytes().to_vec()).collect();
        let vm = VmConfig { environment: Arc::new(environment), ..VmConfig::default() };
        let code = "(note \"sizes\" (call $environ_sizes_get (i32.const 0x10) (i32.const 0x14)))
                    (note \"count\" (i32.load (i32.const 0x10))) (note \"size\" (i32.load (i32.const 0x14)))
                    (note \"get\" (call $environ_get (i32.const 0x100) (i32.const 0x200)))
                    (note \"first\" (i32.load (i32.const 0x100))) (note \"second\" (i32.load (i32.const 0x104)))
                    (drop (call $proxy_log (i32.const 2) (i32.const 0x200) (i32.load (i32.const 0x14))))
                    (note \"arguments\" (call $args_sizes_get (i32.const 0x10) (i32.const 0x14)))
                    (note \"count\" (i32.load (i32.const 0x10)))";
        let mut world = Guest::on_request(code).start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
        let id = world.stream();
        world.request_headers(id).unwrap();
        world
    }

    #[test]
    fn a_filter_has_the_environment_that_it_is_given_and_no_arguments() {
        let world = &mut world_with(&["A=1", "LONGER=x=y"]);
        assert_eq!(world.host.logged(LogLevel::Info), ["A=1\0LONGER=x=y\0"]);
        let wanted = ["sizes 0", "count 2", "size 15", "get 0", "first 512", "second 516", "arguments 0", "count 0"];
        assert_eq!(world.notes(), wanted);
    }

    #[test]
    fn a_filter_without_an_environment_finds_an_empty_one() {
        let wanted = ["sizes 0", "count 0", "size 0", "get 0", "first 0", "second 0", "arguments 0", "count 0"];
        assert_eq!(world_with(&[]).notes(), wanted);
    }

    #[test]
    fn a_filter_that_is_put_back_keeps_its_environment() {
        let environment = Arc::new(vec![b"A=1".to_vec()]);
        let mut state = State { environment, ..State::default() };
        assert!(state.put_back());
        assert_eq!(*state.environment, [b"A=1".to_vec()]);
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
