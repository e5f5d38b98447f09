//! What waits for disks: `fd_sync`, `fd_datasync`, `fd_allocate`, and the functions that set times.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::super::super::Errno;
use super::files::{CREATE, READ, WRITE, open, with_folder};
use super::{Guest, MEMORY};

const ACCESSED: u64 = 1;
const ACCESSED_NOW: u64 = 2;
const MODIFIED: u64 = 4;
const MODIFIED_NOW: u64 = 8;

const SECOND: u64 = 1_000_000_000;

/// The times of last access and last change, in seconds and the rest of it.
fn times(path: &Path) -> [(i64, i64); 2] {
    let metadata = fs::symlink_metadata(path).unwrap();
    [(metadata.atime(), metadata.atime_nsec()), (metadata.mtime(), metadata.mtime_nsec())]
}

/// Arguments of `path_filestat_set_times`, of a path that is put at 0x200.
fn path_args(guest: &mut Guest<'_>, fd: u64, follow: bool, path: &str, times: [u64; 3]) -> [u64; 7] {
    guest.put(0x200, path.as_bytes());
    let [accessed, modified, flags] = times;
    [fd, u64::from(follow), 0x200, path.len() as u64, accessed, modified, flags]
}

#[test]
fn files_and_folders_that_may_be_changed_are_written_back() {
    with_folder(|guest, folder| {
        fs::create_dir(folder.0.join("w/sub")).unwrap();
        let new = open(guest, 4, "new", [CREATE, WRITE, 0]);
        let again = open(guest, 4, "new", [0, READ, 0]);
        let sub = open(guest, 4, "sub", [2, READ, 0]);
        for fd in [new, again, sub, 4] {
            guest.ok("fd_sync", &[fd]);
            guest.ok("fd_datasync", &[fd]);
        }
    });
}

#[test]
fn what_may_not_be_changed_is_not_written_back_and_streams_have_no_disk() {
    with_folder(|guest, _| {
        let file = open(guest, 3, "file", [0, READ, 0]);
        for (fd, errno) in [
            (3, Errno::RoFs),
            (file, Errno::RoFs),
            (0, Errno::Inval),
            (1, Errno::Inval),
            (2, Errno::Inval),
            (99, Errno::BadF),
        ] {
            guest.fails("fd_sync", &[fd], errno);
            guest.fails("fd_datasync", &[fd], errno);
            guest.fails("fd_filestat_set_times", &[fd, 0, 0, MODIFIED_NOW], errno);
        }
    });
}

#[test]
fn room_is_kept_for_a_file_which_grows_and_never_shrinks() {
    with_folder(|guest, folder| {
        let new = open(guest, 4, "new", [CREATE, WRITE, 0]);
        let path = folder.0.join("w/new");
        guest.ok("fd_allocate", &[new, 1000, 3000]);
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.len(), 4000);
        assert!(metadata.blocks() > 0);
        guest.ok("fd_allocate", &[new, 0, 10]);
        assert_eq!(fs::metadata(&path).unwrap().len(), 4000);
        let largest = u64::MAX >> 1;
        for (fd, offset, len, errno) in [
            (new, 0, 0, Errno::Inval),
            (new, 1, largest, Errno::FBig),
            (new, u64::MAX, 1, Errno::FBig),
            (4, 0, 1, Errno::IsDir),
            (1, 0, 1, Errno::SPipe),
            (99, 0, 1, Errno::BadF),
        ] {
            guest.fails("fd_allocate", &[fd, offset, len], errno);
        }
        for (fd, path) in [(3, "file"), (4, "new")] {
            let file = open(guest, fd, path, [0, READ, 0]);
            guest.fails("fd_allocate", &[file, 0, 10], Errno::BadF);
        }
    });
}

#[test]
fn the_times_of_what_is_open_are_set_one_or_both() {
    with_folder(|guest, folder| {
        let new = open(guest, 4, "new", [CREATE, READ, 0]);
        for (fd, path) in [(new, folder.0.join("w/new")), (4, folder.0.join("w"))] {
            guest.ok("fd_filestat_set_times", &[fd, 5 * SECOND + 6, 7 * SECOND + 8, ACCESSED | MODIFIED]);
            assert_eq!(times(&path), [(5, 6), (7, 8)]);
            guest.ok("fd_filestat_set_times", &[fd, 9 * SECOND, 9 * SECOND, MODIFIED]);
            assert_eq!(times(&path), [(5, 6), (9, 0)]);
            guest.ok("fd_filestat_set_times", &[fd, 9 * SECOND, 9 * SECOND, ACCESSED]);
            guest.ok("fd_filestat_set_times", &[fd, 0, 0, 0]);
            assert_eq!(times(&path), [(9, 0), (9, 0)]);
            guest.ok("fd_filestat_set_times", &[fd, 1, 1, ACCESSED_NOW | MODIFIED_NOW]);
            assert!(times(&path).iter().all(|(seconds, _)| *seconds > 1_700_000_000));
            for flags in [ACCESSED | ACCESSED_NOW, MODIFIED | MODIFIED_NOW, 16, u64::from(u32::MAX)] {
                guest.fails("fd_filestat_set_times", &[fd, 0, 0, flags], Errno::Inval);
            }
        }
    });
}

#[test]
fn the_times_of_a_path_are_set_and_nothing_is_opened() {
    with_folder(|guest, folder| {
        let below = folder.0.join("w");
        fs::create_dir(below.join("sub")).unwrap();
        fs::write(below.join("sub/file"), "").unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            below.join("pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
        for path in ["sub/file", "sub", "sub/", "sub/.", ".", "sub/../sub/file", "sub/..", "pipe"] {
            let args = path_args(guest, 4, true, path, [2 * SECOND, 3 * SECOND, ACCESSED | MODIFIED]);
            guest.ok("path_filestat_set_times", &args);
            assert_eq!(times(&below.join(path)), [(2, 0), (3, 0)], "{path}");
            let args = path_args(guest, 4, false, path, [0, 0, ACCESSED_NOW | MODIFIED_NOW]);
            guest.ok("path_filestat_set_times", &args);
            assert!(times(&below.join(path))[0].0 > 1_700_000_000, "{path}");
        }
    });
}

#[test]
fn a_symbolic_link_has_times_of_its_own_unless_it_is_followed() {
    with_folder(|guest, folder| {
        let below = folder.0.join("w");
        fs::write(below.join("file"), "").unwrap();
        fs::create_dir(below.join("sub")).unwrap();
        symlink("../file", below.join("sub/link")).unwrap();
        symlink("sub/link", below.join("second")).unwrap();
        let (file, link) = (below.join("file"), below.join("second"));
        let before = times(&file);
        let args = path_args(guest, 4, false, "second", [0, 3 * SECOND, MODIFIED]);
        guest.ok("path_filestat_set_times", &args);
        assert_eq!((times(&link)[1], times(&file)), ((3, 0), before));
        let args = path_args(guest, 4, true, "second", [0, 4 * SECOND, MODIFIED]);
        guest.ok("path_filestat_set_times", &args);
        assert_eq!((times(&link)[1], times(&file)[1]), ((3, 0), (4, 0)));
    });
}

#[test]
fn no_times_are_set_outside_or_of_what_is_granted_for_reading() {
    with_folder(|guest, folder| {
        let secret = folder.0.join("secret");
        let before = times(&secret);
        symlink("../secret", folder.0.join("w/out")).unwrap();
        symlink("nowhere", folder.0.join("w/broken")).unwrap();
        for (fd, path, errno) in [
            (4, "out", Errno::Perm),
            (4, "../secret", Errno::Perm),
            (4, "..", Errno::Perm),
            (4, "/", Errno::Perm),
            (4, secret.to_str().unwrap(), Errno::Perm),
            (4, "broken", Errno::NoEnt),
            (4, "nothing", Errno::NoEnt),
            (4, "", Errno::NoEnt),
            (4, "a\0b", Errno::Inval),
            (3, "file", Errno::RoFs),
            (1, "file", Errno::BadF),
        ] {
            let args = path_args(guest, fd, true, path, [0, 0, ACCESSED | MODIFIED]);
            guest.fails("path_filestat_set_times", &args, errno);
        }
        assert_eq!(times(&secret), before);
        let mut args = path_args(guest, 4, true, "file", [0, 0, 16]);
        guest.fails("path_filestat_set_times", &args, Errno::Inval);
        args[2] = u64::from(MEMORY) - 3;
        guest.fails("path_filestat_set_times", &args, Errno::Fault);
    });
}
