//! Time-outs of starts are CPU time: what other processes do meanwhile does not count. Those of other calls are time as it
//! passes. The engine's clock stands for the latter, and is moved by hand.

use super::*;
use crate::vm::TICK;
use crate::vm::clock::MOST_WAITING;

/// Calls the host, and goes round a loop, where deadlines are looked at.
const LOOPING: &str = "(module (import \"h\" \"wait\" (func $wait (result i32)))
    (func $go (export \"go\") (loop $again (br_if $again (call $wait))))
    (start $go))";

const ENDLESS: &str = "(module (func $go (export \"go\") (loop $again (br $again))) (start $go))";

struct Started {
    engine: Arc<dyn Engine>,
    program: Arc<dyn Program>,
}

fn compiled(wat: &str) -> Started {
    let engine = engine(EngineOptions::default());
    let module = engine.compile(wat.as_bytes()).unwrap();
    let program = module.link(&linked(module.imports()), &["go"]).unwrap();
    Started { engine, program }
}

/// A host on which so much time passes in each of so many calls.
fn waits(engine: &Arc<dyn Engine>, times: u64, each: Duration) -> impl HostFunctions {
    let engine = engine.clone();
    let mut left = times;
    recorder(move |_, _| {
        (0..each.as_millis() / TICK.as_millis()).for_each(|_| engine.tick());
        left -= 1;
        Ok(u64::from(left > 0))
    })
}

#[test]
fn a_start_may_take_longer_than_its_time_out_when_others_have_the_processor() {
    let Started { engine, program } = compiled(LOOPING);
    let host = &mut waits(&engine, 10, 2 * SECOND);
    let mut instance = program.instantiate(InstanceLimits::default(), None, SECOND.into(), host).unwrap();
    // The same in a call of a start function.
    let host = &mut waits(&engine, 10, 2 * SECOND);
    assert_eq!(instance.call(0, &[], SECOND, host).unwrap(), 0);
}

#[test]
fn a_call_after_the_start_may_not() {
    let Started { engine, program } = compiled(LOOPING);
    let host = &mut waits(&engine, 1, Duration::ZERO);
    let mut instance = program.instantiate(InstanceLimits::default(), None, SECOND.into(), host).unwrap();
    instance.count_cpu_time(false);
    let trap = instance.call(0, &[], SECOND, &mut waits(&engine, 10, 2 * SECOND)).unwrap_err();
    assert!(matches!(trap, Trap::Timeout(SECOND)), "{trap}");
}

#[test]
fn a_start_that_waits_for_ever_ends() {
    let Started { engine, program } = compiled(LOOPING);
    let host = &mut waits(&engine, 4 * MOST_WAITING, SECOND);
    let Err(trap) = program.instantiate(InstanceLimits::default(), None, SECOND.into(), host) else {
        panic!("it started")
    };
    assert!(matches!(trap, Trap::Timeout(SECOND)), "{trap}");
}

#[test]
fn a_start_that_uses_up_its_time_ends() {
    let Started { engine, program } = compiled(ENDLESS);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let begun = crate::vm::clock::cpu_time();
    let timeout = Duration::from_millis(100);
    let started = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::sleep(TICK);
                engine.tick();
            }
        });
        let host = &mut recorder(|_, _| Ok(0));
        let started = program.instantiate(InstanceLimits::default(), None, timeout.into(), host);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        started
    });
    let Err(trap) = started else { panic!("it started") };
    assert!(matches!(trap, Trap::Timeout(after) if after == timeout), "{trap}");
    assert!(crate::vm::clock::cpu_time() - begun >= timeout);
}
