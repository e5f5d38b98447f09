//! Functions and modules of the program that runs, and of its libraries, by name: what some builds of nginx have and others have
//! not.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use super::plain::Plain;

/// What has this name. What it is, whoever asks must know.
pub fn find(name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: looking a name up has no precondition.
    NonNull::new(unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) })
}

/// Where the program or library begins that has this address in it.
pub fn object(address: *const c_void) -> Option<usize> {
    let mut info = libc::Dl_info::zeros();
    // SAFETY: the function looks the address up, and nothing at it; it fills the structure when it answers something else than 0.
    let is_known = !address.is_null() && unsafe { libc::dladdr(address, &mut info) } != 0;
    is_known.then_some(info.dli_fbase as usize)
}
