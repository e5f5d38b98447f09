//! Files, of which a filter has none: the three standard streams are character devices, everything else is not open.

use super::Errno;
use crate::proxy_wasm::{HostCall, Row, Run, args};

pub(super) const TABLE: &[Row] = &[
    Row { name: "fd_advise", types: &[("iIIi", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_allocate", types: &[("iII", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_close", types: &[("i", "i")], run: Run::Wasi(close) },
    Row { name: "fd_datasync", types: &[("i", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_fdstat_get", types: &[("ii", "i")], run: Run::Wasi(fdstat_get) },
    Row { name: "fd_fdstat_set_flags", types: &[("ii", "i")], run: Run::Wasi(fdstat_set_flags) },
    Row { name: "fd_fdstat_set_rights", types: &[("iII", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_filestat_get", types: &[("ii", "i")], run: Run::Wasi(filestat_get) },
    Row { name: "fd_filestat_set_size", types: &[("iI", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_filestat_set_times", types: &[("iIIi", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_pread", types: &[("iiiIi", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_prestat_get", types: &[("ii", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_prestat_dir_name", types: &[("iii", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_pwrite", types: &[("iiiIi", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_read", types: &[("iiii", "i")], run: Run::Wasi(read) },
    Row { name: "fd_readdir", types: &[("iiiIi", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_renumber", types: &[("ii", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_seek", types: &[("iIii", "i")], run: Run::Wasi(seek) },
    Row { name: "fd_sync", types: &[("i", "i")], run: Run::Wasi(not_open) },
    Row { name: "fd_tell", types: &[("ii", "i")], run: Run::Wasi(seek) },
    Row { name: "path_create_directory", types: &[("iii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_filestat_get", types: &[("iiiii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_filestat_set_times", types: &[("iiiiIIi", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_link", types: &[("iiiiiii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_open", types: &[("iiiiiIIii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_readlink", types: &[("iiiiii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_remove_directory", types: &[("iii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_rename", types: &[("iiiiii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_symlink", types: &[("iiiii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "path_unlink_file", types: &[("iii", "i")], run: Run::Wasi(no_entry) },
    Row { name: "sock_accept", types: &[("iii", "i")], run: Run::Wasi(not_supported) },
    Row { name: "sock_recv", types: &[("iiiiii", "i")], run: Run::Wasi(not_supported) },
    Row { name: "sock_send", types: &[("iiiii", "i")], run: Run::Wasi(not_supported) },
    Row { name: "sock_shutdown", types: &[("ii", "i")], run: Run::Wasi(not_supported) },
];

const STDIN: u32 = 0;
const STDERR: u32 = 2;
const CHARACTER_DEVICE: u8 = 2;

fn not_open(_: &mut HostCall<'_>, _: &[u64]) -> Result<(), Errno> {
    Err(Errno::BadF)
}

fn no_entry(_: &mut HostCall<'_>, _: &[u64]) -> Result<(), Errno> {
    Err(Errno::NoEnt)
}

fn not_supported(_: &mut HostCall<'_>, _: &[u64]) -> Result<(), Errno> {
    Err(Errno::NotSup)
}

fn standard(fd: u32) -> Result<(), Errno> {
    if fd <= STDERR { Ok(()) } else { Err(Errno::BadF) }
}

/// Closing a standard stream is allowed and changes nothing: the log stays open.
fn close(_: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd] = args(raw);
    standard(fd)
}

fn fdstat_get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    const FDSTAT: usize = 24;
    const RIGHT_FD_READ: u64 = 1 << 1;
    const RIGHT_FD_WRITE: u64 = 1 << 6;
    let [fd, fdstat_at] = args(raw);
    standard(fd)?;
    let mut fdstat = [0; FDSTAT];
    fdstat[0] = CHARACTER_DEVICE;
    let rights = if fd == STDIN { RIGHT_FD_READ } else { RIGHT_FD_WRITE };
    fdstat[8..16].copy_from_slice(&rights.to_le_bytes());
    Ok(call.memory().write(fdstat_at, &fdstat)?)
}

fn fdstat_set_flags(_: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd] = args(raw);
    standard(fd)
}

fn filestat_get(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    const FILESTAT: usize = 64;
    let [fd, filestat_at] = args(raw);
    standard(fd)?;
    let mut filestat = [0; FILESTAT];
    filestat[16] = CHARACTER_DEVICE;
    Ok(call.memory().write(filestat_at, &filestat)?)
}

/// Standard input is at its end.
fn read(call: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd, _iovs, _count, size_at] = args(raw);
    if fd != STDIN {
        return Err(Errno::BadF);
    }
    Ok(call.put_u32(size_at, 0)?)
}

fn seek(_: &mut HostCall<'_>, raw: &[u64]) -> Result<(), Errno> {
    let [fd] = args(raw);
    standard(fd)?;
    Err(Errno::SPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy_wasm::tests::support::{Answer, MEMORY, host_functions, probe};

    fn call(function: &str, args: &[u64]) -> Answer {
        probe(Default::default(), function, args, &[])
    }

    #[test]
    fn nothing_is_preopened() {
        for fd in [0, 3, 4] {
            assert_eq!(call("fd_prestat_get", &[fd, 0x100]).status, Errno::BadF as u32, "{fd}");
        }
        assert_eq!(call("fd_prestat_dir_name", &[3, 0x100, 10]).status, Errno::BadF as u32);
    }

    #[test]
    fn paths_lead_nowhere_and_there_are_no_sockets() {
        for (module, row) in host_functions() {
            let wanted = match row.name {
                name if module != "env" && name.starts_with("path_") => Errno::NoEnt,
                name if name.starts_with("sock_") => Errno::NotSup,
                _ => continue,
            };
            let answer = call(row.name, &vec![3; row.types[0].0.len()]);
            assert_eq!(answer.status, wanted as u32, "{}", row.name);
            assert!(answer.untouched(), "{}", row.name);
        }
    }

    #[test]
    fn the_standard_streams_are_character_devices() {
        for (fd, rights) in [(0, 2), (1, 0x40), (2, 0x40)] {
            let answer = call("fd_fdstat_get", &[fd, 0x100]);
            assert_eq!((answer.status, answer.memory[0x100], answer.u64_at(0x108)), (0, 2, rights), "{fd}");
            let answer = call("fd_filestat_get", &[fd, 0x100]);
            assert_eq!((answer.status, answer.memory[0x110]), (0, 2), "{fd}");
            assert_eq!(call("fd_close", &[fd]).status, 0, "{fd}");
            assert_eq!(call("fd_fdstat_set_flags", &[fd, 0]).status, 0, "{fd}");
            assert_eq!(call("fd_seek", &[fd, 0, 0, 0x100]).status, Errno::SPipe as u32, "{fd}");
            assert_eq!(call("fd_tell", &[fd, 0x100]).status, Errno::SPipe as u32, "{fd}");
        }
    }

    #[test]
    fn every_other_descriptor_is_not_open() {
        for (_, row) in host_functions().filter(|(_, row)| row.name.starts_with("fd_")) {
            for fd in [3, u64::from(u32::MAX)] {
                let mut args = vec![0; row.types[0].0.len()];
                args[0] = fd;
                let answer = call(row.name, &args);
                assert_eq!(answer.status, Errno::BadF as u32, "{} {fd}", row.name);
                assert!(answer.untouched(), "{}", row.name);
            }
        }
    }

    #[test]
    fn standard_input_is_at_its_end() {
        let answer = call("fd_read", &[0, 0x1000, 1, 0x100]);
        assert_eq!((answer.status, answer.u32_at(0x100)), (0, 0));
        assert_eq!(call("fd_read", &[1, 0x1000, 1, 0x100]).status, Errno::BadF as u32);
    }

    #[test]
    fn a_result_needs_a_place() {
        for (function, args) in [
            ("fd_fdstat_get", vec![1, u64::from(MEMORY) - 23]),
            ("fd_filestat_get", vec![1, u64::from(MEMORY) - 63]),
            ("fd_read", vec![0, 0, 0, u64::from(MEMORY) - 3]),
        ] {
            let answer = call(function, &args);
            assert_eq!(answer.status, Errno::Fault as u32, "{function}");
            assert!(answer.untouched(), "{function}");
        }
    }
}
