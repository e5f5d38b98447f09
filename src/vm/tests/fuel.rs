//! Budgets: what guests and their host calls use up.

use super::*;
use crate::vm::{BYTES_PER_FUEL, HOST_CALL_FUEL};

const WORK: &str = "(module (import \"h\" \"f\" (func $f)) (memory (export \"memory\") 1)
    (func (export \"work\") (param $n i32)
        (loop $next
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br_if $next (local.get $n))))
    (func (export \"call\") (call $f))
    (func (export \"loop\") (loop $again (br $again))))";

fn counting(wat: &str, exports: &[&'static str]) -> Arc<dyn Program> {
    let engine = engine(EngineOptions { fuel: true, ..EngineOptions::default() });
    let module = engine.compile(wat.as_bytes()).unwrap();
    module.link(&linked(module.imports()), exports).unwrap()
}

fn working(fuel: u64) -> Box<dyn Instance> {
    let program = counting(WORK, &["work", "call", "loop"]);
    let host = &mut recorder(|_, _| Ok(0));
    let mut instance = program.instantiate(InstanceLimits::default(), None, SECOND.into(), host).unwrap();
    instance.set_fuel(fuel);
    instance
}

/// What a call takes.
fn used<F>(export: usize, args: &[u32], host: F) -> u64
where
    F: FnMut(u32, &mut dyn Caller) -> Result<u64, Trap>,
{
    let mut instance = working(1 << 40);
    instance.call(export, args, SECOND, &mut recorder(host)).unwrap();
    (1 << 40) - instance.fuel().unwrap()
}

#[test]
fn the_same_work_takes_the_same_and_more_takes_more() {
    let (ten, thousand) = (used(0, &[10], |_, _| Ok(0)), used(0, &[1000], |_, _| Ok(0)));
    assert_eq!(ten, used(0, &[10], |_, _| Ok(0)));
    assert_eq!((thousand - ten) % 990, 0);
    assert!(thousand > ten);
}

#[test]
fn a_host_call_takes_a_part_and_what_it_copies_another() {
    let nothing = used(1, &[], |_, _| Ok(0));
    assert!((HOST_CALL_FUEL..HOST_CALL_FUEL + 20).contains(&nothing), "{nothing}");
    let copying = used(1, &[], |_, caller| {
        caller.memory().read(0, 4096).unwrap();
        caller.memory().write(0, &[0; 4096]).unwrap();
        Ok(0)
    });
    assert_eq!(copying - nothing, 8192 / BYTES_PER_FUEL);
}

#[test]
fn a_loop_ends_with_the_budget() {
    let mut instance = working(100_000);
    let trap = instance.call(2, &[], SECOND, &mut recorder(|_, _| Ok(0))).unwrap_err();
    assert!(matches!(trap, Trap::OutOfFuel), "{trap}");
    assert_eq!(instance.fuel(), Some(0));
}

#[test]
fn a_host_call_for_which_too_little_is_left_does_not_run() {
    let mut instance = working(HOST_CALL_FUEL);
    let mut host = recorder(|_, _| Ok(0));
    let trap = instance.call(1, &[], SECOND, &mut host).unwrap_err();
    assert!(matches!(trap, Trap::OutOfFuel), "{trap}");
    assert!(host.calls.is_empty());
}

#[test]
fn a_host_call_that_copies_more_than_is_left_is_the_last() {
    let mut instance = working(HOST_CALL_FUEL + 100);
    let mut host = recorder(|_, caller| {
        caller.memory().read(0, 65536).unwrap();
        Ok(0)
    });
    let trap = instance.call(1, &[], SECOND, &mut host).unwrap_err();
    assert!(matches!(trap, Trap::OutOfFuel), "{trap}");
    assert_eq!(host.calls.len(), 1);
    assert_eq!(instance.fuel(), Some(0));
}

#[test]
fn a_start_function_has_a_budget() {
    let program = counting("(module (func $go (loop $again (br $again))) (start $go))", &[]);
    let host = &mut recorder(|_, _| Ok(0));
    let Err(trap) = program.instantiate(InstanceLimits::default(), Some(10_000), SECOND.into(), host) else {
        panic!("ended")
    };
    assert!(matches!(trap, Trap::OutOfFuel), "{trap}");
}

#[test]
fn an_engine_that_does_not_count_has_no_budgets() {
    let mut instance = instance(WORK, &["work", "call", "loop"]);
    instance.set_fuel(1);
    assert_eq!(instance.fuel(), None);
    instance.call(0, &[1000], SECOND, &mut recorder(|_, _| Ok(0))).unwrap();
}
