//! Files as guests meet them: what each function answers, with the real file system below. What runtimes of languages make of
//! it is tested in t/35-limits/directories.t.

mod programs;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Errno;
use crate::proxy_wasm::tests::support::{FakeHost, Guest, World};
use crate::proxy_wasm::{Capabilities, LogLevel, RootConfig, VmConfig};

/// A folder of its own for each test, with one to read (`r`, the guest's descriptor 3) and one to write (`w`, 4) in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ngx-wasm-files-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        for part in ["r/sub", "w"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        fs::write(folder.join("r/file"), "0123456789").unwrap();
        fs::write(folder.join("secret"), "secret").unwrap();
        symlink("../secret", folder.join("r/out")).unwrap();
        symlink("file", folder.join("r/in")).unwrap();
        Folder(folder)
    }

    /// What a guest notes that does this.
    fn notes(&self, code: &str) -> Vec<String> {
        self.run(code).notes()
    }

    fn run(&self, code: &str) -> World {
        let words =
            [format!("dir={}:/r", self.0.join("r").display()), format!("dir={}:/w:rw", self.0.join("w").display())];
        let words = words.iter().map(|word| word.as_bytes());
        let capabilities = Some(Arc::new(Capabilities::parse(words, &self.0).unwrap()));
        let vm = VmConfig { capabilities, ..VmConfig::default() };
        // A buffer of 256 bytes at 0x200 under a vector at 0x100; results at 0x10.
        let guest = Guest::on_request(&format!(
            "(i32.store (i32.const 0x100) (i32.const 0x200)) (i32.store (i32.const 0x104) (i32.const 0x100)) {code}"
        ))
        .memory("(memory (export \"memory\") 8)");
        let mut world = guest.start_with(vm, RootConfig::default(), FakeHost::default()).unwrap();
        let id = world.stream();
        world.request_headers(id).unwrap();
        world
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

const READ: u64 = 2;
const WRITE: u64 = 64;

/// Opens a path, following symbolic links; the descriptor is at 0x10.
fn open(fd: u32, path: &str, flags: u32, rights: u64) -> String {
    format!(
        "(note \"open\" (call $path_open (i32.const {fd}) (i32.const 1) (text \"{path}\") (i32.const {flags})
            (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 0x10)))"
    )
}

/// A call on the descriptor at 0x10.
fn on_opened(function: &str, rest: &str) -> String {
    format!("(note \"{function}\" (call ${function} (i32.load (i32.const 0x10)) {rest}))")
}

/// Logs so many bytes of the buffer.
fn show(len: &str) -> String {
    format!("(drop (call $proxy_log (i32.const 2) (i32.const 0x200) {len}))")
}

const VECTOR: &str = "(i32.const 0x100) (i32.const 1)";

fn error(errno: Errno) -> String {
    format!("open {}", errno as u32)
}

#[test]
fn what_is_granted_has_the_first_descriptors_and_a_name() {
    let prestat = |fd: u32| {
        format!(
            "(note \"prestat\" (call $fd_prestat_get (i32.const {fd}) (i32.const 0x10)))
             (note \"prestat\" (i32.load (i32.const 0x10))) (note \"prestat\" (i32.load (i32.const 0x14)))
             (note \"name\" (call $fd_prestat_dir_name (i32.const {fd}) (i32.const 0x200) (i32.const 2)))
             (note \"short\" (call $fd_prestat_dir_name (i32.const {fd}) (i32.const 0x300) (i32.const 1)))
             {}",
            show("(i32.const 2)")
        )
    };
    let world = &mut Folder::new().run(&(prestat(3) + &prestat(4)));
    assert_eq!(world.notes(), ["prestat 0 0 2", "name 0", "short 37", "prestat 0 0 2", "name 0", "short 37"]);
    assert_eq!(world.host.logged(LogLevel::Info), ["/r", "/w"]);
    let folder = Folder::new();
    assert_eq!(folder.notes("(note \"fifth\" (call $fd_prestat_get (i32.const 5) (i32.const 0x10)))"), ["fifth 8"]);
    // A file is open, and has no such name.
    let code = open(3, "file", 0, READ) + &on_opened("fd_prestat_get", "(i32.const 0x20)");
    assert_eq!(folder.notes(&code), ["open 0", "fd_prestat_get 8"]);
}

#[test]
fn a_path_that_is_none_is_refused() {
    let folder = Folder::new();
    for (fd, path, errno) in [
        (3, "nothing", Errno::NoEnt),
        (3, "", Errno::NoEnt),
        (3, "file\\00", Errno::Inval),
        (3, "file/x", Errno::NotDir),
        (3, &"x".repeat(4097), Errno::NameTooLong),
        (3, &"x".repeat(300), Errno::NameTooLong),
        (0, "file", Errno::BadF),
        (9, "file", Errno::BadF),
    ] {
        assert_eq!(folder.notes(&open(fd, path, 0, READ)), [error(errno)], "{fd} {path}");
    }
    let at = |ptr: u32, len: u32, fd_at: u32| {
        format!(
            "(note \"open\" (call $path_open (i32.const 3) (i32.const 1) (i32.const {ptr}) (i32.const {len}) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const {fd_at})))"
        )
    };
    let end = 8u32 << 16;
    for code in [at(end - 3, 4, 0x10), at(u32::MAX, 1, 0x10), at(0, u32::MAX, 0x10), at(0, 1, end - 3)] {
        assert_eq!(folder.notes(&code), [error(Errno::Fault)]);
    }
}

#[test]
fn nothing_outside_is_opened() {
    let folder = Folder::new();
    let absolute = folder.0.join("secret");
    for path in ["../secret", "sub/../../secret", "out", "..", "sub/../..", absolute.to_str().unwrap(), "/r/file"] {
        assert_eq!(folder.notes(&open(3, path, 0, READ)), [error(Errno::Perm)], "{path}");
        assert_eq!(folder.notes(&open(3, path, 2, READ)), [error(Errno::Perm)], "{path} as a folder");
    }
    for path in ["../secret", "../new", "/elsewhere/new"] {
        assert_eq!(folder.notes(&open(4, path, 1 | 8, WRITE)), [error(Errno::Perm)], "{path}");
    }
    assert_eq!(fs::read(absolute).unwrap(), b"secret");
    assert!(!folder.0.join("new").exists());
}

#[test]
fn a_symbolic_link_is_followed_when_that_is_asked_for() {
    let folder = Folder::new();
    assert_eq!(folder.notes(&open(3, "in", 0, READ)), ["open 0"]);
    let code = open(3, "in", 0, READ).replace("(i32.const 1) (", "(i32.const 0) (");
    assert_eq!(folder.notes(&code), [error(Errno::Loop)]);
}

#[test]
fn what_is_granted_for_reading_is_not_changed() {
    let folder = Folder::new();
    for (flags, rights) in [(0, WRITE), (1, READ), (8, READ), (1 | 4, WRITE), (8, READ | WRITE)] {
        assert_eq!(folder.notes(&open(3, "file", flags, rights)), [error(Errno::RoFs)], "{flags} {rights}");
    }
    let path = "(i32.const 3) (text \"file\")";
    for call in [
        "$path_create_directory (i32.const 3) (text \"new\")".to_string(),
        "$path_remove_directory (i32.const 3) (text \"sub\")".to_string(),
        format!("$path_unlink_file {path}"),
        format!("$path_rename {path} {path}"),
        "$path_rename (i32.const 4) (text \"x\") (i32.const 3) (text \"x\")".to_string(),
        "$path_symlink (text \"file\") (i32.const 3) (text \"new\")".to_string(),
        "$path_link (i32.const 3) (i32.const 0) (text \"file\") (i32.const 4) (text \"new\")".to_string(),
    ] {
        assert_eq!(folder.notes(&format!("(note \"change\" (call {call}))")), ["change 69"], "{call}");
    }
    assert_eq!(fs::read_dir(folder.0.join("r")).unwrap().count(), 4);
    // A folder below is no other.
    let code = open(3, "sub", 2, READ)
        + "(note \"below\" (call $path_create_directory (i32.load (i32.const 0x10)) (text \"new\")))";
    assert_eq!(folder.notes(&code), ["open 0", "below 69"]);
}

#[test]
fn links_are_never_made() {
    let folder = Folder::new();
    for call in [
        "$path_symlink (text \"/etc/passwd\") (i32.const 4) (text \"new\")",
        "$path_link (i32.const 4) (i32.const 0) (text \"file\") (i32.const 4) (text \"new\")",
    ] {
        assert_eq!(folder.notes(&format!("(note \"link\" (call {call}))")), ["link 76"]);
    }
}

#[test]
fn rights_hold_for_what_was_opened() {
    let folder = Folder::new();
    let end = "(i32.const 0x20)";
    let both = on_opened("fd_read", &format!("{VECTOR} {end}")) + &on_opened("fd_write", &format!("{VECTOR} {end}"));
    assert_eq!(folder.notes(&(open(3, "file", 0, READ) + &both)), ["open 0", "fd_read 0", "fd_write 8"]);
    assert_eq!(folder.notes(&(open(3, "file", 0, 0) + &both)), ["open 0", "fd_read 8", "fd_write 8"]);
    assert_eq!(folder.notes(&(open(4, "new", 1, WRITE) + &both)), ["open 0", "fd_read 8", "fd_write 0"]);
    assert_eq!(folder.notes(&(open(4, "new", 0, READ | WRITE) + &both)), ["open 0", "fd_read 0", "fd_write 0"]);
    let folder_again = open(3, "sub", 0, READ) + &both;
    let is_folder = Errno::IsDir as u32;
    let wanted = ["open 0".to_owned(), format!("fd_read {is_folder}"), format!("fd_write {is_folder}")];
    assert_eq!(folder.notes(&folder_again), wanted);
}

#[test]
fn places_in_a_file_are_checked() {
    let folder = Folder::new();
    let seek = |offset: i64, whence: u32| {
        on_opened("fd_seek", &format!("(i64.const {offset}) (i32.const {whence}) (i32.const 0x20)"))
            + "(note \"at\" (i32.load (i32.const 0x20)))"
    };
    let code = open(3, "file", 0, READ)
        + &seek(4, 0)
        + &seek(2, 1)
        + &seek(-1, 2)
        + &seek(-1, 0)
        + &seek(-100, 1)
        + &seek(0, 3);
    let inval = format!("fd_seek {}", Errno::Inval as u32);
    assert_eq!(
        folder.notes(&code),
        [
            "open 0",
            "fd_seek 0",
            "at 4",
            "fd_seek 0",
            "at 6",
            "fd_seek 0",
            "at 9",
            &inval,
            "at 9",
            &inval,
            "at 9",
            &inval,
            "at 9"
        ]
    );
    let pread = |offset: i64| on_opened("fd_pread", &format!("{VECTOR} (i64.const {offset}) (i32.const 0x20)"));
    let code = open(3, "file", 0, READ)
        + &pread(7)
        + "(note \"read\" (i32.load (i32.const 0x20)))"
        + &pread(-1)
        + &pread(i64::MAX);
    assert_eq!(folder.notes(&code), ["open 0", "fd_pread 0", "read 3", "fd_pread 28 28"]);
}

#[test]
fn one_call_moves_64_kib() {
    let folder = Folder::new();
    fs::write(folder.0.join("r/large"), vec![b'x'; 200_000]).unwrap();
    let code = "(i32.store (i32.const 0x100) (i32.const 0x10000)) (i32.store (i32.const 0x104) (i32.const 150000))"
        .to_owned()
        + &open(3, "large", 0, READ)
        + &on_opened("fd_read", &format!("{VECTOR} (i32.const 0x20)"))
        + "(note \"read\" (i32.load (i32.const 0x20)))";
    assert_eq!(folder.notes(&code), ["open 0", "fd_read 0", "read 65536"]);
}

#[test]
fn what_would_wait_for_a_disk_is_not_supported() {
    let folder = Folder::new();
    let code = open(4, "new", 1, WRITE)
        + &on_opened("fd_sync", "")
        + &on_opened("fd_datasync", "")
        + &on_opened("fd_allocate", "(i64.const 0) (i64.const 1000000)")
        + &on_opened("fd_renumber", "(i32.const 3)")
        + &on_opened("fd_advise", "(i64.const 0) (i64.const 0) (i32.const 0)");
    assert_eq!(
        folder.notes(&code),
        ["open 0", "fd_sync 58", "fd_datasync 58", "fd_allocate 58", "fd_renumber 58", "fd_advise 0"]
    );
}

#[test]
fn a_number_that_is_free_is_given_again() {
    let folder = Folder::new();
    let code = open(3, "file", 0, READ)
        + "(note \"first\" (i32.load (i32.const 0x10)))"
        + &open(3, "sub", 2, READ)
        + "(note \"second\" (i32.load (i32.const 0x10)))
           (note \"close\" (call $fd_close (i32.const 5))) (note \"again\" (call $fd_close (i32.const 5)))"
        + &open(3, "file", 0, READ)
        + "(note \"third\" (i32.load (i32.const 0x10)))";
    assert_eq!(
        folder.notes(&code),
        ["open 0", "first 5", "open 0", "second 6", "close 0", "again 8", "open 0", "third 5"]
    );
}

/// Reads the folder `sub` of `r` with these cookies and sizes of buffers, and notes how many bytes came.
fn readdir(folder: &Folder, reads: &[(u64, u32)]) -> Vec<String> {
    let mut code = open(3, "sub", 2, READ);
    for (cookie, size) in reads {
        let rest = format!("(i32.const 0x10000) (i32.const {size}) (i64.const {cookie}) (i32.const 0x20)");
        code += &(on_opened("fd_readdir", &rest) + "(note \"used\" (i32.load (i32.const 0x20)))");
    }
    folder.notes(&code)[1..].to_vec()
}

#[test]
fn a_folder_is_read_from_any_entry_on_and_never_cut_short() {
    let folder = Folder::new();
    for name in ["aa", "bb", "cc"] {
        fs::write(folder.0.join("r/sub").join(name), "").unwrap();
    }
    // Each entry has 26 bytes.
    let read = |reads: &[(u64, u32)]| readdir(&folder, reads);
    assert_eq!(read(&[(0, 1000)]), ["fd_readdir 0", "used 78"]);
    assert_eq!(
        read(&[(0, 60), (2, 60), (3, 60)]).join(" "),
        "fd_readdir 0 used 60 fd_readdir 0 used 26 fd_readdir 0 used 0"
    );
    // The same again: from the start, and from an entry before.
    assert_eq!(
        read(&[(0, 78), (0, 78), (1, 78)]).join(" "),
        "fd_readdir 0 used 78 fd_readdir 0 used 78 fd_readdir 0 used 52"
    );
    assert_eq!(
        read(&[(0, 10), (0, 26), (1, 0)]).join(" "),
        "fd_readdir 0 used 10 fd_readdir 0 used 26 fd_readdir 0 used 0"
    );
    assert_eq!(read(&[(100, 78)]), ["fd_readdir 0", "used 0"]);
    assert_eq!(read(&[(u64::from(u32::MAX), 78)])[0], "fd_readdir 28");
    assert_eq!(read(&[(0, (256 << 10) + 1)])[0], "fd_readdir 28");
}

#[test]
fn a_folder_that_is_not_there_keeps_a_filter_from_starting() {
    let folder = Folder::new();
    let word = format!("dir={}", folder.0.join("gone").display());
    let capabilities = Some(Arc::new(Capabilities::parse([word.as_bytes()], &folder.0).unwrap()));
    let vm = VmConfig { capabilities, ..VmConfig::default() };
    let Err(failed) = Guest::new("").start_with(vm, RootConfig::default(), FakeHost::default()) else {
        panic!("it started");
    };
    let err = failed.err.to_string();
    assert!(err.starts_with(&format!("cannot open the directory \"{}\": ", folder.0.join("gone").display())), "{err}");
    assert!(err.ends_with("(proxy_wasm_allow)"), "{err}");
}
