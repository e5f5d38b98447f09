//! Descriptors of programs: how many there are, `fd_renumber`, what they can be opened with.

use super::super::super::{Descriptors, Errno, Grant, State};
use super::super::Folder;
use super::{Fake, Guest, MEMORY, run_with};

pub(super) const READ: u64 = 2;
pub(super) const WRITE: u64 = 64;
pub(super) const CREATE: u64 = 1;
const DSYNC: u64 = 2;
const NONBLOCK: u64 = 4;
const RSYNC: u64 = 8;
const SYNC: u64 = 16;

/// Runs a test as a program that has the folder `r` of a new one as descriptor 3, and `w`, for writing, as 4.
pub(super) fn with_folder(mut test: impl FnMut(&mut Guest<'_>, &Folder)) {
    let folder = Folder::new();
    let grant = |name: &str, writable| {
        let guest = format!("/{name}").into_bytes();
        Grant { host: folder.0.join(name), guest, writable }
    };
    let files = Descriptors::open(&[grant("r", false), grant("w", true)]).unwrap();
    run_with(State { files, ..State::default() }, Fake::default(), |guest| test(guest, &folder));
}

/// Opens a path; the rest is how: flags, rights, flags of the descriptor. The error number, if it is none, and the descriptor.
pub(super) fn try_open(guest: &mut Guest<'_>, fd: u64, path: &str, how: [u64; 3]) -> Result<u64, u32> {
    guest.put(0x200, path.as_bytes());
    let [flags, rights, fd_flags] = how;
    match guest.call("path_open", &[fd, 1, 0x200, path.len() as u64, flags, rights, 0, fd_flags, 0x90]) {
        0 => Ok(u64::from(guest.u32_at(0x90))),
        errno => Err(errno),
    }
}

pub(super) fn open(guest: &mut Guest<'_>, fd: u64, path: &str, how: [u64; 3]) -> u64 {
    try_open(guest, fd, path, how).unwrap()
}

/// Reads from a file; what came.
fn read(guest: &mut Guest<'_>, fd: u64, most: u32) -> Vec<u8> {
    guest.put_vectors(0x100, &[(0x10000, most)]);
    guest.ok("fd_read", &[fd, 0x100, 1, 0x80]);
    let len = guest.u32_at(0x80);
    guest.bytes(0x10000, len)
}

/// What the system says of a descriptor of this process: the flags with which it is open.
fn system_flags(path: &std::path::Path) -> u32 {
    let mut found = None;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap();
        if std::fs::read_link(entry.path()).is_ok_and(|target| target == path) {
            let name = entry.file_name().into_string().unwrap();
            let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{name}")).unwrap();
            let line = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            found = Some(u32::from_str_radix(line.trim(), 8).unwrap());
        }
    }
    found.unwrap()
}

#[test]
fn a_program_may_have_256_open_beside_what_it_was_granted() {
    with_folder(|guest, _| {
        for n in 0..256 {
            assert_eq!(open(guest, 3, "file", [0, READ, 0]), 5 + n);
        }
        guest.fails("path_open", &[3, 1, 0x200, 4, 0, READ, 0, 0, 0x90], Errno::MFile);
        guest.ok("fd_close", &[100]);
        assert_eq!(open(guest, 3, "file", [0, READ, 0]), 100);
    });
}

#[test]
fn a_file_gives_and_takes_much_at_once() {
    with_folder(|guest, folder| {
        let content: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(folder.0.join("r/large"), &content).unwrap();
        let large = open(guest, 3, "large", [0, READ, 0]);
        assert!(read(guest, large, 1_100_000) == content);
        let copy = open(guest, 4, "copy", [CREATE, WRITE, 0]);
        guest.put_vectors(0x100, &[(0x10000, 500_000), (0x10000 + 500_000, 500_000)]);
        guest.ok("fd_write", &[copy, 0x100, 2, 0x80]);
        assert_eq!(guest.u32_at(0x80), 1_000_000);
        assert!(std::fs::read(folder.0.join("w/copy")).unwrap() == content);
    });
}

#[test]
fn a_piece_outside_memory_is_a_fault_before_any_is_moved() {
    with_folder(|guest, folder| {
        let file = open(guest, 3, "file", [0, READ, 0]);
        let new = open(guest, 4, "new", [CREATE, WRITE, 0]);
        guest.put_vectors(0x100, &[(0x1000, 4), (MEMORY - 1, 2)]);
        guest.fails("fd_read", &[file, 0x100, 2, 0x80], Errno::Fault);
        guest.fails("fd_pread", &[file, 0x100, 2, 0, 0x80], Errno::Fault);
        guest.fails("fd_write", &[new, 0x100, 2, 0x80], Errno::Fault);
        guest.fails("fd_pwrite", &[new, 0x100, 2, 0, 0x80], Errno::Fault);
        assert_eq!(read(guest, file, 100), b"0123456789");
        assert_eq!(std::fs::read(folder.0.join("w/new")).unwrap(), b"");
    });
}

#[test]
fn a_descriptor_takes_the_number_of_another_which_is_closed() {
    with_folder(|guest, _| {
        let (file, new) = (open(guest, 3, "file", [0, READ, 0]), open(guest, 4, "new", [CREATE, WRITE, 0]));
        guest.ok("fd_renumber", &[file, new]);
        assert_eq!(read(guest, new, 100), b"0123456789");
        guest.fails("fd_close", &[file], Errno::BadF);
        guest.ok("fd_renumber", &[new, new]);
        assert_eq!(open(guest, 3, "sub", [2, READ, 0]), file);
        guest.ok("fd_renumber", &[file, new]);
        guest.fails("fd_read", &[new, 0x100, 1, 0x80], Errno::IsDir);
        guest.ok("fd_close", &[new]);
        assert!(guest.state.is_as_granted() || guest.state.put_back());
    });
}

#[test]
fn what_is_not_open_or_was_granted_or_is_a_stream_keeps_its_number() {
    with_folder(|guest, _| {
        let file = open(guest, 3, "file", [0, READ, 0]);
        for (from, to, errno) in [
            (file, 6, Errno::BadF),
            (6, file, Errno::BadF),
            (u64::from(u32::MAX), file, Errno::BadF),
            (3, 6, Errno::BadF),
            (3, file, Errno::NotSup),
            (file, 3, Errno::NotSup),
            (3, 4, Errno::NotSup),
            (4, 4, Errno::NotSup),
            (file, 1, Errno::NotSup),
            (0, file, Errno::NotSup),
            (2, 1, Errno::NotSup),
        ] {
            guest.fails("fd_renumber", &[from, to], errno);
        }
        assert_eq!(read(guest, file, 4), b"0123");
        assert!(guest.state.put_back());
    });
}

#[test]
fn what_is_granted_cannot_change_places() {
    with_folder(|guest, _| {
        // The first is closed, the second would take its number, and a third the number of that.
        guest.ok("fd_close", &[3]);
        assert_eq!(open(guest, 4, "new", [CREATE, WRITE, 0]), 3);
        guest.fails("fd_renumber", &[4, 3], Errno::NotSup);
        assert!(!guest.state.put_back());
    });
}

#[test]
fn a_file_may_be_written_through_to_the_disk() {
    // As Linux numbers them: what is through to the disk as a whole is also so as for its content.
    const O_DSYNC: u32 = 0o10000;
    const O_SYNC: u32 = 0o4010000;
    for (flags, wanted) in
        [(0, 0), (NONBLOCK, 0), (DSYNC, O_DSYNC), (SYNC, O_SYNC), (RSYNC, O_SYNC), (SYNC | NONBLOCK, O_SYNC)]
    {
        with_folder(|guest, folder| {
            let new = open(guest, 4, "new", [CREATE, WRITE, flags]);
            let path = std::fs::canonicalize(folder.0.join("w/new")).unwrap();
            assert_eq!(system_flags(&path) & O_SYNC, wanted, "{flags}");
            guest.ok("fd_fdstat_get", &[new, 0x100]);
            assert_eq!(guest.bytes(0x102, 2), [(flags & !NONBLOCK) as u8, 0]);
            guest.put_vectors(0x100, &[(0x1000, 4)]);
            guest.ok("fd_write", &[new, 0x100, 1, 0x80]);
            assert_eq!(guest.u32_at(0x80), 4);
            // It cannot be taken back.
            guest.ok("fd_fdstat_set_flags", &[new, flags | NONBLOCK]);
            guest.fails("fd_fdstat_set_flags", &[new, flags ^ SYNC], Errno::NotSup);
        });
    }
    with_folder(|guest, _| {
        assert_eq!(try_open(guest, 4, "new", [CREATE, WRITE, 32]), Err(Errno::NotSup as u32));
    });
}

#[test]
fn a_file_tells_what_can_be_done_with_it() {
    let [datasync, seek, set_flags, sync, tell, advise, allocate] = [0, 2, 3, 4, 5, 7, 8].map(|bit| 1u64 << bit);
    let [get, set_size, set_times, poll] = [21, 22, 23, 27].map(|bit| 1u64 << bit);
    let always = seek | tell | get | set_flags | advise | poll;
    let changes = datasync | sync | set_times;
    with_folder(|guest, _| {
        for (fd, path, how, rights) in [
            (3, "file", [0, READ, 0], READ | always),
            (4, "new", [CREATE, WRITE, 0], WRITE | set_size | allocate | always | changes),
            (4, "new", [0, READ, 0], READ | always | changes),
        ] {
            let opened = open(guest, fd, path, how);
            guest.ok("fd_fdstat_get", &[opened, 0x100]);
            assert_eq!((guest.bytes(0x100, 1), guest.u64_at(0x108)), (vec![4], rights), "{path} {how:?}");
        }
    });
}

#[test]
fn links_are_not_made_by_programs_either() {
    with_folder(|guest, folder| {
        guest.put(0x200, b"file");
        guest.put(0x300, b"new");
        guest.fails("path_link", &[4, 0, 0x200, 4, 4, 0x300, 3], Errno::NotCapable);
        guest.fails("path_link", &[3, 0, 0x200, 4, 4, 0x300, 3], Errno::RoFs);
        guest.fails("path_symlink", &[0x200, 4, 4, 0x300, 3], Errno::NotCapable);
        guest.fails("path_symlink", &[0x200, 4, 3, 0x300, 3], Errno::RoFs);
        assert_eq!(std::fs::read_dir(folder.0.join("w")).unwrap().count(), 0);
    });
}
