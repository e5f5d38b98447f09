//! What a guest prints: `fd_write` to standard output becomes log entries of level info, to standard error of level
//! error, a line each. Runtimes print a line in many pieces, so pieces are kept until their line ends or the callback. The
//! standard output of a program is no log: `streams.rs` has it.

use super::call::{Call, Row, Run};
use super::outside::Stream;
use super::streams::{STDERR, STDOUT};
use super::vectors::Vectors;
use super::{Errno, files, streams};
use crate::vm::args;

pub(super) const TABLE: &[Row] = &[Row { name: "fd_write", types: &[("iiii", "i")], run: Run::Errno(fd_write) }];

fn fd_write(call: &mut Call<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, at, count, moved_at] = args(raw);
    let vectors = Vectors { at, count, moved_at };
    let to = match fd {
        STDOUT if call.is_program() => return streams::write(call, vectors),
        STDOUT => Stream::Out,
        STDERR => Stream::Err,
        _ => return files::write(call, fd, vectors),
    };
    vectors.transfer(call, |call, (ptr, len), _| {
        call.with_bytes(ptr, len, |bytes, state, host| state.output.write(to, bytes, host))?;
        Ok(len)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Errno;
    use crate::proxy_wasm::LogLevel;
    use crate::proxy_wasm::tests::support::{Guest, MEMORY, World, probe};

    /// Calls fd_write with a vector for each piece.
    fn print(fd: u32, pieces: &[&str]) -> String {
        let mut code = String::new();
        for (n, piece) in pieces.iter().enumerate() {
            code += &format!("(call $piece (i32.const {}) (text \"{piece}\"))", n * 8);
        }
        let count = pieces.len();
        code + &format!(
            "(note \"written\" (call $fd_write (i32.const {fd}) (i32.const 0) (i32.const {count}) (i32.const 0x1000)))
             (note \"written\" (i32.load (i32.const 0x1000)))"
        )
    }

    fn guest(calls: &str) -> Guest {
        Guest::on_request(calls).and(
            "(func $piece (param i32 i32 i32)
                (i32.store (local.get 0) (local.get 1)) (i32.store offset=4 (local.get 0) (local.get 2)))",
        )
    }

    fn after(calls: &str) -> World {
        let mut world = guest(calls).start();
        let id = world.stream();
        world.request_headers(id).unwrap();
        world
    }

    fn logged(calls: &str) -> (Vec<String>, Vec<String>) {
        let world = after(calls);
        (world.host.logged(LogLevel::Info), world.host.logged(LogLevel::Error))
    }

    #[test]
    fn vectors_are_joined_to_a_line() {
        let mut world = after(&print(1, &["one ", "", "line", "\\0a"]));
        assert_eq!(world.notes(), ["written 0 9"]);
        assert_eq!(world.host.logged(LogLevel::Info), ["one line"]);
    }

    #[test]
    fn standard_output_is_info_and_standard_error_is_error() {
        let calls = print(1, &["to out\\0a"]) + &print(2, &["to err\\0a"]);
        assert_eq!(logged(&calls), (vec!["to out".into()], vec!["to err".into()]));
    }

    #[test]
    fn each_line_is_an_entry_and_empty_lines_are_none() {
        let calls = print(1, &["a\\0ab\\0a\\0a\\0ac", "\\0ad\\0a"]);
        assert_eq!(logged(&calls).0, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_line_may_come_in_several_calls() {
        let calls = print(2, &["panicked "]) + &print(1, &["x"]) + &print(2, &["at main\\0a"]);
        assert_eq!(logged(&calls), (vec!["x".into()], vec!["panicked at main".into()]));
    }

    #[test]
    fn what_has_no_end_is_logged_at_the_end_of_the_callback() {
        let mut world = guest(&print(1, &["no end"])).start();
        let id = world.stream();
        world.request_headers(id).unwrap();
        assert_eq!(world.host.logged(LogLevel::Info), ["no end"]);
        world.request_headers(id).unwrap();
        assert_eq!(world.host.logged(LogLevel::Info), ["no end", "no end"]);
    }

    #[test]
    fn what_was_printed_before_a_trap_is_logged() {
        let mut world = guest(&(print(2, &["the reason"]) + "unreachable")).start();
        let id = world.stream();
        assert!(world.request_headers(id).is_err());
        assert_eq!(world.host.logged(LogLevel::Error), ["the reason"]);
    }

    #[test]
    fn a_long_line_is_cut_into_entries_of_4096_bytes() {
        // 10000 bytes of zeros, which are no newline.
        let calls = "(call $piece (i32.const 0) (i32.const 0x8000) (i32.const 10000))
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 0x1000)))";
        let sizes: Vec<_> = logged(calls).0.iter().map(String::len).collect();
        assert_eq!(sizes, [4096, 4096, 1808]);
    }

    #[test]
    fn any_bytes_may_be_printed() {
        let world = after(&print(1, &["\\00\\ff\\c3\\28\\0d"]));
        assert!(world.host.entries.contains(&(LogLevel::Info, b"\x00\xff\xc3\x28\x0d".to_vec())));
    }

    #[test]
    fn only_the_two_can_be_written_to() {
        for fd in [0, 3, u32::MAX] {
            assert_eq!(after(&print(fd, &["x"])).notes()[0], format!("written {} 0", Errno::BadF as u32), "{fd}");
        }
    }

    #[test]
    fn pointers_that_lead_outside_are_a_fault() {
        let fd_write = |iovs: u32, count: u32, written_at: u32, iov: &[u8]| {
            let args = [1, u64::from(iovs), u64::from(count), u64::from(written_at)];
            let answer = probe(Default::default(), "fd_write", &args, &[(0x1000, iov)]);
            assert!(answer.untouched());
            answer.status
        };
        let fault = Errno::Fault as u32;
        let good = b"\0\0\0\0\x01\0\0\0";
        assert_eq!(fd_write(MEMORY - 7, 1, 0, good), fault);
        assert_eq!(fd_write(0x1000, u32::MAX, 0, good), fault);
        assert_eq!(fd_write(u32::MAX, 1, 0, good), fault);
        assert_eq!(fd_write(0x1000, 1, MEMORY - 3, good), fault);
        assert_eq!(fd_write(0x1000, 1, 0, b"\xff\xff\x01\0\x02\0\0\0"), fault);
        assert_eq!(fd_write(0x1000, 1, 0, b"\x01\0\0\0\xff\xff\xff\xff"), fault);
    }
}
