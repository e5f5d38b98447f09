//! A zone of nginx's shared memory, as the stores of `ngx_wasm` want their memory.
//!
//! Nginx makes the memory after it has read the configuration, before it forks, and gives a zone of the same name and size
//! the old memory at a reload. All of it is one allocation from the zone's slab pool. The lock is the pool's: the master
//! opens it when a worker dies that holds it (src/os/unix/ngx_process.c, ngx_unlock_mutexes).

use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::AtomicU64;

use nginx_sys::{
    NGX_LOG_ERR, ngx_conf_t, ngx_cycle, ngx_cycle_t, ngx_int_t, ngx_pagesize, ngx_shared_memory_add, ngx_shm_zone_t,
    ngx_shmtx_lock, ngx_shmtx_unlock, ngx_slab_alloc, ngx_slab_pool_t,
};
use ngx_wasm::shared::Memory;

use crate::nginx::guard::guard;
use crate::nginx::module::ngx_wasm_module;
use crate::nginx::pool::Pool;
use crate::nginx::{log, rc};

/// Nginx needs some pages for itself.
const FEWEST_PAGES: usize = 8;

/// A zone of a configuration. Nginx has its address.
pub struct Zone {
    name: Vec<u8>,
    /// Null until nginx has made the memory.
    pool: Cell<*mut ngx_slab_pool_t>,
    words: Cell<*const AtomicU64>,
    len: Cell<usize>,
}

impl Zone {
    /// Asks nginx for a zone of `size` bytes, or somewhat more.
    ///
    /// # Safety
    /// `cycle` is the cycle that nginx is making, before it makes shared memory. The zone must live as long as the cycle.
    pub unsafe fn declare(cycle: *mut ngx_cycle_t, name: &[u8], size: usize) -> Result<Box<Zone>, String> {
        let shown = String::from_utf8_lossy(name).into_owned();
        // SAFETY: the function looks at nothing of the configuration structure but these fields, and at the file being
        // read, which may be null, for its messages (src/core/ngx_cycle.c).
        unsafe {
            let mut cf = mem::zeroed::<ngx_conf_t>();
            cf.cycle = cycle;
            cf.pool = (*cycle).pool;
            cf.log = (*cycle).log;
            let mut name_of_zone = Pool::from_ptr((*cycle).pool).copy(name).ok_or("no memory")?;
            let page = ngx_pagesize;
            let size = size.max(FEWEST_PAGES * page).div_ceil(page) * page;
            let shm = ngx_shared_memory_add(&mut cf, &mut name_of_zone, size, (&raw mut ngx_wasm_module).cast());
            if shm.is_null() {
                return Err(format!("cannot make the shared memory zone \"{shown}\", see the message before"));
            }
            let zone = Box::new(Zone {
                name: name.to_vec(),
                pool: Cell::new(ptr::null_mut()),
                words: Cell::new(ptr::null()),
                len: Cell::new(0),
            });
            (*shm).init = Some(init);
            (*shm).data = ptr::from_ref(zone.as_ref()).cast_mut().cast();
            Ok(zone)
        }
    }

    /// Takes over the memory that nginx has made, or that the configuration before has used.
    unsafe fn attach(&self, shm: *mut ngx_shm_zone_t, before: *const Zone) -> ngx_int_t {
        // SAFETY: see `init`. The slab pool stands at the beginning of the memory, and what is allocated from it is aligned
        // to pages. Other processes use the words too, only as atomics.
        unsafe {
            let pool = (*shm).shm.addr.cast::<ngx_slab_pool_t>();
            if let Some(before) = before.as_ref() {
                self.words.set(before.words.get());
                self.len.set(before.len.get());
            } else {
                let size = (*pool).pfree * ngx_pagesize;
                (*pool).set_log_nomem(0);
                let words = ngx_slab_alloc(pool, size);
                if words.is_null() {
                    return rc::ERROR;
                }
                self.words.set(words.cast());
                self.len.set(size / size_of::<AtomicU64>());
            }
            self.pool.set(pool);
        }
        rc::OK
    }
}

unsafe extern "C" fn init(shm: *mut ngx_shm_zone_t, before: *mut c_void) -> ngx_int_t {
    // SAFETY: nginx calls this once the memory is there, with the data of the zone of this name in the cycle before, if that
    // had the same size; both cycles are alive then (src/core/ngx_cycle.c, ngx_init_cycle).
    guard(rc::ERROR, || unsafe { (*(*shm).data.cast::<Zone>()).attach(shm, before.cast()) })
}

impl Memory for Zone {
    fn words(&self) -> &[AtomicU64] {
        if self.words.get().is_null() {
            return &[];
        }
        // SAFETY: `attach` got so many words, which stay mapped as long as the cycle, and are used as atomics only.
        unsafe { std::slice::from_raw_parts(self.words.get(), self.len.get()) }
    }

    fn lock(&self) {
        let pool = self.pool.get();
        if !pool.is_null() {
            // SAFETY: nginx has made the lock with the pool.
            unsafe { ngx_shmtx_lock(&raw mut (*pool).mutex) };
        }
    }

    fn unlock(&self) {
        let pool = self.pool.get();
        if !pool.is_null() {
            // SAFETY: as above.
            unsafe { ngx_shmtx_unlock(&raw mut (*pool).mutex) };
        }
    }

    fn was_reset(&self) {
        let line = format!(
            "wasm: a worker died while it wrote to the shared memory zone \"{}\", which is empty now",
            log::printable(&String::from_utf8_lossy(&self.name))
        );
        // SAFETY: nginx always has a cycle with a log.
        unsafe { log::write(NGX_LOG_ERR, (*ngx_cycle).log, line) };
    }
}

/// Memory of this process alone, of which only what is used exists.
pub struct Scratch {
    words: *mut c_void,
    size: usize,
}

impl Scratch {
    /// So many bytes.
    pub fn boxed(size: usize) -> Result<Box<dyn Memory>, String> {
        // SAFETY: a new mapping of zeros.
        let words = unsafe {
            let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            libc::mmap(ptr::null_mut(), size, access, kind, -1, 0)
        };
        if words == libc::MAP_FAILED {
            return Err(format!("no memory: {}", io::Error::last_os_error()));
        }
        Ok(Box::new(Scratch { words, size }))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: the mapping is there, and references to it do not outlive `self`.
        unsafe { libc::munmap(self.words, self.size) };
    }
}

impl Memory for Scratch {
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: so many bytes are mapped, aligned to pages.
        unsafe { std::slice::from_raw_parts(self.words.cast(), self.size / size_of::<AtomicU64>()) }
    }

    // One thread runs everything in a process of nginx.
    fn lock(&self) {}

    fn unlock(&self) {}
}
