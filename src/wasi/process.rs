//! `proc_exit`, which ends the guest, and `proc_raise`.

use super::Errno;
use super::call::{Call, Row, Run};
use crate::vm::Trap;
use crate::vm::args;

pub(super) const TABLE: &[Row] = &[
    Row { name: "proc_exit", types: &[("i", "")], run: Run::Value(proc_exit) },
    Row { name: "proc_raise", types: &[("i", "i")], run: Run::Errno(proc_raise) },
];

fn proc_exit(_: &mut Call<'_>, raw: &[u64]) -> Result<u64, Trap> {
    let [code] = args(raw);
    Err(Trap::Exit(code))
}

fn proc_raise(_: &mut Call<'_>, _: &[u64]) -> Result<(), Errno> {
    Err(Errno::NotSup)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy_wasm::tests::support::{Guest, probe};

    #[test]
    fn the_exit_of_a_guest_ends_it() {
        let mut world = Guest::on_request("(call $proc_exit (i32.const 3)) (note \"later\" (i32.const 0))").start();
        let id = world.stream();
        let err = world.request_headers(id).unwrap_err();
        assert_eq!(err.to_string(), "proxy_on_request_headers trapped in context 2: called proc_exit(3)");
        assert!(world.notes().is_empty());
        assert!(world.vm.is_dead());
    }

    #[test]
    fn signals_are_not_supported() {
        assert_eq!(probe(Default::default(), "proc_raise", &[6], &[]).status, Errno::NotSup as u32);
    }
}
