//! The log.

use super::support::{Running, function, plugin};
use crate::extism::{Level, Settings};

const LEVELS: [Level; 5] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];

fn plugin_that_logs() -> Running {
    let names = ["trace", "debug", "info", "warn", "error"];
    let calls: String = names.map(|name| format!("(call $log_{name} (call $block (text \"{name}\")))")).concat();
    let body = function("f", &calls) + &function("level", "(call $number (i64.extend_i32_u (call $get_log_level)))");
    Running::start(&plugin(&body), &Settings::default())
}

#[test]
fn messages_are_logged_from_the_least_level_on() {
    let mut running = plugin_that_logs();
    for (number, least) in LEVELS.into_iter().enumerate() {
        running.world.level = Some(least);
        running.call("f", b"");
        let levels: Vec<_> = running.world.logged().into_iter().map(|(level, _)| level).collect();
        assert_eq!(levels, LEVELS[number..]);
        assert_eq!(running.number("level"), number as u64);
    }
}

#[test]
fn nothing_is_logged_when_the_log_is_off() {
    let mut running = plugin_that_logs();
    running.world.level = None;
    running.call("f", b"");
    assert!(running.world.logged().is_empty());
    assert_eq!(running.number("level"), u64::from(i32::MAX.unsigned_abs()));
}

#[test]
fn any_bytes_may_be_logged() {
    let mut running = Running::of("(call $log_warn (call $block (text \"a\\00\\ff\"))) (call $log_warn (i64.const 0))");
    running.call("f", b"");
    assert_eq!(running.world.entries, [(Level::Warn, b"a\x00\xff".to_vec()), (Level::Warn, Vec::new())]);
}
