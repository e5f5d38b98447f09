//! `args_get`, `args_sizes_get`, `environ_get`, `environ_sizes_get` of programs.

use super::super::super::Errno;
use super::{Fake, Guest, MEMORY, run};

fn world() -> Fake {
    let list = |words: &[&[u8]]| words.iter().map(|word| word.to_vec()).collect();
    Fake {
        arguments: list(&[b"name", b"", b"\xff two"]),
        environment: list(&[b"A=1", b"EMPTY=", b"C=x=y"]),
        ..Fake::default()
    }
}

/// What a guest finds that asks for a list: with the pointers at 0x100, and the strings at 0x200.
fn list(guest: &mut Guest<'_>, kind: &str) -> Vec<Vec<u8>> {
    guest.ok(&format!("{kind}_sizes_get"), &[0x10, 0x20]);
    let (count, size) = (guest.u32_at(0x10), guest.u32_at(0x20));
    guest.put(0x100, &[0xaa; 0x200]);
    guest.ok(&format!("{kind}_get"), &[0x100, 0x200]);
    assert!(guest.bytes(0x100 + 4 * count, 8).iter().all(|byte| *byte == 0xaa));
    assert!(guest.bytes(0x200 + size, 8).iter().all(|byte| *byte == 0xaa));
    let mut found = Vec::new();
    for n in 0..count {
        let at = guest.u32_at(0x100 + 4 * n);
        let rest = guest.bytes(at, 0x200 + size - at);
        found.push(rest.split(|byte| *byte == 0).next().unwrap().to_vec());
    }
    assert_eq!(found.iter().map(|word| word.len() + 1).sum::<usize>(), size as usize);
    found
}

#[test]
fn arguments_and_environment_arrive_in_order() {
    run(world(), |guest| {
        assert_eq!(list(guest, "args"), guest.fake.arguments);
        assert_eq!(list(guest, "environ"), guest.fake.environment);
    });
}

#[test]
fn no_environment_is_an_empty_list() {
    run(Fake::default(), |guest| assert!(list(guest, "environ").is_empty()));
}

#[test]
fn they_may_fill_memory_up_to_its_end() {
    run(world(), |guest| {
        guest.ok("args_get", &[u64::from(MEMORY) - 12, 0x200]);
        assert_eq!(guest.bytes(MEMORY - 12, 4), 0x200u32.to_le_bytes());
        guest.ok("environ_get", &[0x100, u64::from(MEMORY) - 17]);
        assert_eq!(guest.bytes(MEMORY - 17, 17), b"A=1\0EMPTY=\0C=x=y\0");
    });
}

#[test]
fn a_place_outside_memory_is_a_fault_and_nothing_is_written() {
    let end = u64::from(MEMORY);
    run(world(), |guest| {
        for (function, args) in [
            ("args_get", [end - 11, 0x200]),
            ("args_get", [0x100, end - 11]),
            ("args_get", [u64::from(u32::MAX), 0x200]),
            ("environ_get", [0x100, end - 16]),
            ("environ_get", [0x100, u64::from(u32::MAX)]),
            ("args_sizes_get", [end - 3, 0x200]),
            ("args_sizes_get", [0x100, end - 3]),
            ("environ_sizes_get", [0x100, u64::from(u32::MAX)]),
        ] {
            guest.fails(function, &args, Errno::Fault);
        }
    });
}
