//! The compiler, in a process of its own.
//!
//! It is LLVM and its linker, which start threads; nginx's master has none, because it forks. So a fork of this process compiles into a
//! file, and ends. There is no program to execute in it: a module of nginx has none, and the `wasmedge` command need not be installed.
//! What a fork of a process with threads may not do (a worker has one for its clock, tests have many) is to wait for a lock that
//! another thread had: the C library sees to its own, for memory too; those of WasmEdge and LLVM are in the hands of the one thread
//! that compiles; and what the library logs goes to a logger that the fork makes anew.

#![allow(unsafe_code)]

use std::ffi::{CString, OsString};
use std::fs;
use std::io::{self, PipeWriter, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use super::executor::without_signals;
use super::library::{Library, one_line, take_notes};
use super::setup::Setup;
use super::trap;
use super::types::{Bytes, LogMessage, Outcome, WARNINGS};

/// Said by a process that has written the file.
const DONE: &[u8] = b"done";

/// Compiles a valid module. The result is the module, with its machine code in a section of its own.
pub fn compile(library: &'static Library, setup: Setup, module: &[u8]) -> Result<Vec<u8>, String> {
    let folder = Folder::new().map_err(|err| format!("no folder for the compiler can be made: {err}"))?;
    let target = folder.0.join("module");
    let said = in_fork(|| compile_to(library, setup, module, &target))
        .map_err(|err| format!("no process for the compiler can be made: {err}"))?;
    if said == DONE {
        return fs::read(&target).map_err(|err| format!("what the compiler has written cannot be read: {err}"));
    }
    Err(match String::from_utf8_lossy(&said) {
        said if said.is_empty() => "the compiler has ended without a word: it crashed, or somebody killed it".into(),
        said => one_line(&said),
    })
}

fn compile_to(library: &'static Library, setup: Setup, module: &[u8], target: &Path) -> Result<(), String> {
    let functions = &library.functions;
    // SAFETY: the callback has the type that the API wants.
    unsafe {
        (functions.log_callback)(note);
        (functions.log_level)(WARNINGS);
    }
    let configure = setup.configure_compiler(library, module)?;
    let target = CString::new(target.as_os_str().as_bytes()).map_err(|err| err.to_string())?;
    // SAFETY: all that is passed lives, and the compiler goes with the process. The bytes are a valid module.
    let outcome = unsafe {
        let compiler = (functions.compiler_create)(configure.get());
        if compiler.is_null() {
            return Err("this build of WasmEdge has no compiler".into());
        }
        (functions.compiler_compile)(compiler, Bytes::of(module), target.as_ptr())
    };
    match outcome {
        Outcome::SUCCESS => Ok(()),
        failure => Err(trap::reason(library, failure, &take_notes().messages)),
    }
}

/// For the logger of the fork. The one of this process may be locked, and takes what was logged as this does.
unsafe extern "C" fn note(message: *const LogMessage) {
    // SAFETY: both are callbacks of the library, with the same conditions.
    unsafe { super::library::note(message) };
}

/// Runs `body` in a fork of this process. The result is what the fork said: [`DONE`], the error, or nothing.
fn in_fork(body: impl FnOnce() -> Result<(), String>) -> io::Result<Vec<u8>> {
    let (mut from_fork, to_parent) = io::pipe()?;
    // Nginx's handlers are not for the fork; and the one of the parent that asks for children that have ended is not to be first.
    without_signals(|| {
        // SAFETY: it cannot fail.
        let parent = unsafe { libc::getpid() };
        // SAFETY: what the fork does is above, and in this file: it uses no locks that other threads of this process may have, and
        // never returns.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                end_with(parent);
                drop(from_fork);
                say_and_end(to_parent, body)
            }
            process => {
                drop(to_parent);
                let mut said = Vec::new();
                let read = from_fork.read_to_end(&mut said);
                wait(process);
                read.map(|_| said)
            }
        }
    })
}

/// Has the kernel end this fork when its parent ends, which waits for it on the thread that has made it: nobody else would want what
/// may take minutes.
fn end_with(parent: libc::pid_t) {
    // SAFETY: neither touches memory.
    let is_orphan = unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) == 0 && libc::getppid() != parent
    };
    if is_orphan {
        // SAFETY: it ends this fork, of which nothing is left to be done.
        unsafe { libc::_exit(0) }
    }
}

fn say_and_end(mut to_parent: PipeWriter, body: impl FnOnce() -> Result<(), String>) -> ! {
    let said = match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => DONE.to_vec(),
        Ok(Err(reason)) => reason.into_bytes(),
        Err(_) => b"the compiler panicked".to_vec(),
    };
    let _ = to_parent.write_all(&said);
    // SAFETY: nothing of the parent is ended with it: neither buffers are written nor objects destroyed.
    unsafe { libc::_exit(0) }
}

/// Buries the fork. Its word has come already, so it does not matter if somebody else does.
fn wait(process: libc::pid_t) {
    loop {
        let mut status = 0;
        // SAFETY: the status has its place.
        let waited = unsafe { libc::waitpid(process, &mut status, 0) };
        if waited != -1 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return;
        }
    }
}

/// A folder that nobody else can write to, and that goes with this.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        let template = std::env::temp_dir().join("ngx-wasm-XXXXXX");
        let mut path = CString::new(template.into_os_string().into_vec())?.into_bytes_with_nul();
        // SAFETY: the path ends with the letters that the function wants, and a zero.
        if unsafe { libc::mkdtemp(path.as_mut_ptr().cast()) }.is_null() {
            return Err(io::Error::last_os_error());
        }
        path.pop();
        Ok(Folder(OsString::from_vec(path).into()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
