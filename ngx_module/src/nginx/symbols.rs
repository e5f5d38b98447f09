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

/// Why this module must not run in this nginx: it was compiled with the headers of another one, whose structures are others, and nginx
/// cannot tell, because both have the same version and the same options (NGX_MODULE_SIGNATURE).
pub fn wrong_headers() -> Option<&'static str> {
    // What one of OpenResty's first patches adds, which all of its releases have.
    match (cfg!(openresty), find(c"ngx_is_privileged_agent").is_some()) {
        (false, true) => Some(
            "this module was built for nginx, and this is OpenResty, whose structures are others: build it from the source of this OpenResty \
             (docs/openresty.md)",
        ),
        (true, false) => Some(
            "this module was built for OpenResty, and this is nginx, whose structures are others: build it for this nginx (README.md)",
        ),
        _ => None,
    }
}

/// Where the program or library begins that has this address in it.
pub fn object(address: *const c_void) -> Option<usize> {
    let mut info = libc::Dl_info::zeros();
    // SAFETY: the function looks the address up, and nothing at it; it fills the structure when it answers something else than 0.
    let is_known = !address.is_null() && unsafe { libc::dladdr(address, &mut info) } != 0;
    is_known.then_some(info.dli_fbase as usize)
}
