//! Where machine code lies. The engine writes it to memory of its own, and has the kernel make that executable. Hardened systems forbid
//! that (`MemoryDenyWriteExecute=` of systemd, `PR_SET_MDWE`, SELinux): what was writable once must never be executable. Then code is
//! copied to a sealed file in memory, which nobody can write any more, and mapped from there. `mod.rs` finds out which it is before
//! anything is compiled; where neither is allowed, it says so.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::ptr;
use std::slice;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap, mmap_anonymous, mprotect, munmap};
use wasmtime as wt;

/// Where machine code can lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodePages {
    /// In memory that it is written to, as the engine does it by itself.
    Own,
    /// In sealed files.
    Sealed,
}

impl CodePages {
    /// Tries it out. The error says that this process may run no code that is made while it runs, and what to do about it.
    pub fn find() -> Result<CodePages, String> {
        CodePages::choose(try_own(), try_sealed)
    }

    fn choose(own: io::Result<()>, sealed: impl FnOnce() -> io::Result<()>) -> Result<CodePages, String> {
        let Err(own) = own else { return Ok(CodePages::Own) };
        let Err(sealed) = sealed() else { return Ok(CodePages::Sealed) };
        Err(format!(
            "the system lets this process run no machine code that is made while it runs, and without an engine runs no module: memory \
             that was written to cannot be made executable ({own}), and a sealed file in memory cannot be mapped so ({sealed}). Allow \
             the second, or both: for a unit of systemd, memfd_create in SystemCallFilter=, or MemoryDenyWriteExecute=no; with SELinux, \
             setsebool httpd_execmem on{}",
            // Nothing has to be executable for an interpreter.
            if cfg!(feature = "pulley") {
                "; or have modules interpreted, which takes longer: wasm_vm pulley"
            } else {
                ""
            }
        ))
    }

    /// Has an engine put its code there.
    pub fn configure(self, config: &mut wt::Config) {
        if self == CodePages::Sealed {
            config.with_custom_code_memory(Some(Arc::new(Sealed)));
        }
    }
}

/// Makes a page executable that was writable, as the engine does.
fn try_own() -> io::Result<()> {
    let page = rustix::param::page_size();
    // SAFETY: a new mapping, which nothing knows, and which goes here.
    unsafe {
        let place = mmap_anonymous(ptr::null_mut(), page, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)?;
        let made = mprotect(place, page, MprotectFlags::READ | MprotectFlags::EXEC);
        munmap(place, page)?;
        Ok(made?)
    }
}

/// Maps a page of a sealed file as executable.
fn try_sealed() -> io::Result<()> {
    let page = rustix::param::page_size();
    let file = sealed_file(&vec![0; page])?;
    // SAFETY: a new mapping, which nothing knows, and which goes here.
    unsafe {
        let place = mmap(ptr::null_mut(), page, ProtFlags::READ | ProtFlags::EXEC, MapFlags::PRIVATE, &file, 0)?;
        Ok(munmap(place, page)?)
    }
}

/// A file in memory with this content, which stays so.
fn sealed_file(content: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("wasm-code", flags)?);
    file.write_all(content)?;
    let file = OwnedFd::from(file);
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file)
}

/// Puts code into sealed files.
struct Sealed;

impl wt::CustomCodeMemory for Sealed {
    fn required_alignment(&self) -> usize {
        rustix::param::page_size()
    }

    /// Takes a mapping of a sealed file in the place of the pages that the engine has written code to. They go with the rest of the
    /// engine's mapping. What a processor keeps of instructions, the kernel sees to when it maps a page of a file as executable.
    fn publish_executable(&self, code: *const u8, len: usize) -> wt::Result<()> {
        // The last page of the code may have more behind it.
        let len = len.next_multiple_of(rustix::param::page_size());
        // SAFETY: Wasmtime gives whole pages of a mapping of its own, which can be read and which nothing writes to any more.
        let file = sealed_file(unsafe { slice::from_raw_parts(code, len) })?;
        let place: *mut c_void = code.cast_mut().cast();
        let flags = MapFlags::PRIVATE | MapFlags::FIXED;
        // SAFETY: the pages are Wasmtime's, as said above, and have the same content afterwards. Nothing runs there yet.
        let mapped = unsafe { mmap(place, len, ProtFlags::READ | ProtFlags::EXEC, flags, &file, 0) };
        mapped.map(drop).map_err(io::Error::from)?;
        Ok(())
    }

    fn unpublish_executable(&self, _: *const u8, _: usize) -> wt::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::tests::{SECOND, linked, recorder};
    use crate::vm::wasmtime::WasmtimeEngine;
    use crate::vm::wasmtime::target::Target;
    use crate::vm::{Engine, EngineOptions, InstanceLimits, PoolOptions, TrustedCode};

    const WAT: &str = "(module (import \"h\" \"f\" (func $f (param i32) (result i32)))
        (func (export \"go\") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1)))
        (func (export \"trap\") unreachable))";

    fn engine(pages: CodePages, options: EngineOptions) -> WasmtimeEngine {
        WasmtimeEngine::for_target(Target::Processor(pages), options).unwrap()
    }

    fn sealed_engine() -> WasmtimeEngine {
        let pool = Some(PoolOptions { instances: 2, memory: 1 << 20 });
        engine(CodePages::Sealed, EngineOptions { pool, ..EngineOptions::default() })
    }

    fn runs(module: &dyn crate::vm::Module) {
        for pooled in [false, true] {
            let program = module.link(&linked(module.imports()), &["go", "trap"]).unwrap();
            let host = &mut recorder(|_, _| Ok(41));
            let limits = InstanceLimits { pooled, ..InstanceLimits::default() };
            let mut instance = program.instantiate(limits, None, SECOND.into(), host).unwrap();
            assert_eq!(instance.call(0, &[7], SECOND, host).unwrap(), 42);
            assert_eq!(host.calls, [(0, vec![7])]);
            assert!(instance.call(1, &[], SECOND, host).unwrap_err().to_string().contains("unreachable"));
        }
    }

    #[test]
    fn code_in_sealed_files_runs_traps_and_goes() {
        let sealing = sealed_engine();
        let module = sealing.compile(WAT.as_bytes()).unwrap();
        runs(module.as_ref());
        let code = module.serialize().unwrap();
        drop(module);
        // What a cache has is the same for both ways.
        runs(sealing.load(&TrustedCode::of_test(&code)).unwrap().as_ref());
        let own = engine(CodePages::Own, EngineOptions::default());
        let sealed = engine(CodePages::Sealed, EngineOptions::default());
        assert_eq!(own.fingerprint(), sealed.fingerprint());
    }

    /// Mappings of this process that can be executed, and are of such files.
    fn sealed_mappings() -> Vec<String> {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().filter(|line| line.contains("memfd:wasm-code")).map(str::to_owned).collect()
    }

    #[test]
    fn nothing_of_it_is_writable() {
        let engine = sealed_engine();
        let _module = engine.compile(WAT.as_bytes()).unwrap();
        let mappings = sealed_mappings();
        assert!(!mappings.is_empty());
        assert!(mappings.iter().all(|mapping| mapping.contains(" r-xp ")), "{mappings:?}");
        let mut file = File::from(sealed_file(b"code").unwrap());
        assert!(file.write_all(b"more").is_err());
    }

    #[test]
    fn what_is_forbidden_is_told_with_what_to_do() {
        let denied = || Err(io::Error::from_raw_os_error(libc::EACCES));
        assert_eq!(CodePages::choose(Ok(()), || panic!("nothing more is tried")), Ok(CodePages::Own));
        assert_eq!(CodePages::choose(denied(), || Ok(())), Ok(CodePages::Sealed));
        let told = CodePages::choose(denied(), denied).unwrap_err();
        for part in
            ["Permission denied", "MemoryDenyWriteExecute=no", "memfd_create", "httpd_execmem", "wasm_vm pulley"]
        {
            assert!(told.contains(part), "{told}");
        }
        assert!(!told.contains('\n'));
        assert!(try_own().is_ok() && try_sealed().is_ok(), "tests run where both are allowed");
    }
}
