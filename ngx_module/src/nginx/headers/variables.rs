//! Variables of nginx follow the request when a filter changes it. Nginx keeps the value of most variables once it has
//! computed it (`valid` in the request's array of values): a `set`, an `if` or a log format of the server level may have
//! asked for `$http_x` or for a `map` over it before any filter ran. `request.rs` here is the caller.
//!
//! What was assigned stays: `set`, `auth_request_set`, the set_by_lua directives, captures of a regular expression.

use std::cell::RefCell;
use std::rc::Rc;

use nginx_sys::{
    NGX_HTTP_VAR_CHANGEABLE, NGX_HTTP_VAR_NOCACHEABLE, NGX_HTTP_VAR_WEAK, ngx_hash_find, ngx_http_core_main_conf_t,
    ngx_http_core_module, ngx_http_get_indexed_variable, ngx_http_request_t, ngx_http_variable_t,
    ngx_http_variable_value_t, ngx_uint_t,
};

use super::list::nginx_hash;
use crate::nginx::cycle;

/// The variables of a configuration that depend on requests, by their place in a request's array of values.
struct Followers {
    /// Read from the request whenever they are asked for.
    read: Vec<usize>,
    /// Computed from other variables: `map`, `geo`, `split_clients`.
    computed: Vec<usize>,
}

/// Makes nginx read the request again. To be called after a change of it.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn follow(r: *mut ngx_http_request_t) {
    // SAFETY: see above; the configuration lives as long as the request.
    unsafe {
        let followers = Followers::of(r);
        let values = (*r).variables;
        for index in &followers.read {
            forget(values.add(*index));
        }
        if followers.computed.iter().any(|index| (*values.add(*index)).valid() != 0) {
            compute_again(r, &followers.computed);
        }
    }
}

unsafe fn forget(value: *mut ngx_http_variable_value_t) {
    // SAFETY: the callers pass a place in the array of values.
    unsafe {
        (*value).set_valid(0);
        (*value).set_not_found(0);
    }
}

/// Computes those anew that nginx has computed before. They are not just forgotten, because some that look the same are
/// assigned: the function behind these knows no value, and then the old one stays.
unsafe fn compute_again(r: *mut ngx_http_request_t, computed: &[usize]) {
    // SAFETY: see `follow`. All are forgotten before the first is computed, since they may depend on each other.
    unsafe {
        let values = (*r).variables;
        let mut old: Vec<(usize, ngx_http_variable_value_t)> = Vec::new();
        for index in computed {
            let value = values.add(*index);
            if (*value).valid() != 0 {
                old.push((*index, *value));
                forget(value);
            }
        }
        let captures = Captures::take(r);
        for (index, before) in old {
            let now = ngx_http_get_indexed_variable(r, index as ngx_uint_t);
            if now.is_null() || (*now).not_found() != 0 {
                *values.add(index) = before;
            }
        }
        captures.put_back(r);
    }
}

impl Followers {
    /// Those of the configuration that a request is served by. It is looked through once, as long as no request of another one
    /// comes: a process that is its own master has both for a while after a reload.
    unsafe fn of(r: *mut ngx_http_request_t) -> Rc<Followers> {
        type Known = Option<((usize, u64), Rc<Followers>)>;
        thread_local! {
            static KNOWN: RefCell<Known> = const { RefCell::new(None) };
        }
        // SAFETY: see `follow`. The address alone might be that of a configuration which is gone.
        let key = unsafe { (*(*r).main_conf.add(ngx_http_core_module.ctx_index) as usize, cycle::number()) };
        KNOWN.with_borrow_mut(|known| match known {
            Some((of, followers)) if *of == key => followers.clone(),
            _ => {
                // SAFETY: see above.
                let followers = Rc::new(unsafe { Followers::find(r) });
                *known = Some((key, followers.clone()));
                followers
            }
        })
    }

    /// Looks through the variables of the configuration.
    unsafe fn find(r: *mut ngx_http_request_t) -> Followers {
        let mut followers = Followers { read: Vec::new(), computed: Vec::new() };
        // SAFETY: see `follow`; nginx has an element for each variable that has a place in a request.
        unsafe {
            let cmcf: *mut ngx_http_core_main_conf_t = (*(*r).main_conf.add(ngx_http_core_module.ctx_index)).cast();
            let variables = (*cmcf).variables.as_slice::<ngx_http_variable_t>();
            for (index, variable) in variables.iter().enumerate() {
                if variable.flags & NGX_HTTP_VAR_NOCACHEABLE as ngx_uint_t != 0 {
                    continue;
                }
                let name = variable.name.as_bytes();
                match made_by_directive(cmcf, name) {
                    Some(flags) if is_computed(flags, variable, variables.len()) => followers.computed.push(index),
                    None if is_read(name) => followers.read.push(index),
                    _ => {}
                }
            }
        }
        followers
    }
}

/// The flags of a variable that a directive makes, so that its value may be more than a copy.
unsafe fn made_by_directive(cmcf: *mut ngx_http_core_main_conf_t, name: &[u8]) -> Option<ngx_uint_t> {
    let hash = name.iter().fold(0, |key, byte| nginx_hash(key, *byte));
    // SAFETY: nginx's table of variables has `ngx_http_variable_t`. Variables with a prefix are not in it, unless a
    // directive assigns them.
    unsafe {
        let table = &raw mut (*cmcf).variables_hash;
        let known = ngx_hash_find(table, hash as ngx_uint_t, name.as_ptr().cast_mut(), name.len());
        let flags = known.cast::<ngx_http_variable_t>().as_ref()?.flags;
        (flags & NGX_HTTP_VAR_CHANGEABLE as ngx_uint_t != 0).then_some(flags)
    }
}

/// Whether the variable has a function that computes it from the configuration of its directive, which `data` points to.
/// Those that `set` and its likes make are weak, or have their own number there. Only nginx's own modules count: a function
/// in a language, of a dynamic module, may do more than compute (`js_set`), and should run once.
unsafe fn is_computed(flags: ngx_uint_t, variable: &ngx_http_variable_t, count: usize) -> bool {
    let is_weak = flags & NGX_HTTP_VAR_WEAK as ngx_uint_t != 0;
    let Some(function) = variable.get_handler else { return false };
    // SAFETY: both are addresses of functions.
    !is_weak
        && variable.data > count
        && unsafe { object(function as *const libc::c_void) }
            == unsafe { object(ngx_http_get_indexed_variable as *const libc::c_void) }
}

/// Where the program or library with this function begins.
unsafe fn object(function: *const libc::c_void) -> Option<usize> {
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: the function fills the structure when it answers something else than 0; all zeros are a valid one too.
    unsafe { (libc::dladdr(function, info.as_mut_ptr()) != 0).then(|| info.assume_init().dli_fbase as usize) }
}

/// Whether nginx reads the variable from what filters can change.
fn is_read(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 12] = [
        b"host",
        b"content_length",
        b"content_type",
        b"remote_user",
        b"request_uri",
        b"proxy_add_x_forwarded_for",
        b"modern_browser",
        b"ancient_browser",
        b"msie",
        b"uid_got",
        b"secure_link",
        b"secure_link_expires",
    ];
    const PREFIXES: [&[u8]; 3] = [b"http_", b"cookie_", b"arg_"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// What `$1` and its likes stand for. A `map` with regular expressions would change it behind the back of a location.
#[cfg(ngx_feature = "pcre")]
struct Captures {
    count: ngx_uint_t,
    places: *mut std::ffi::c_int,
    text: *mut u8,
}

#[cfg(ngx_feature = "pcre")]
impl Captures {
    unsafe fn take(r: *mut ngx_http_request_t) -> Captures {
        // SAFETY: see `follow`. Without an array, nginx makes one (src/http/ngx_http_variables.c, ngx_http_regex_exec).
        unsafe {
            let captures = Captures { count: (*r).ncaptures, places: (*r).captures, text: (*r).captures_data };
            (*r).ncaptures = 0;
            (*r).captures = std::ptr::null_mut();
            captures
        }
    }

    unsafe fn put_back(self, r: *mut ngx_http_request_t) {
        // SAFETY: as above.
        unsafe {
            (*r).ncaptures = self.count;
            (*r).captures = self.places;
            (*r).captures_data = self.text;
        }
    }
}

#[cfg(not(ngx_feature = "pcre"))]
struct Captures;

#[cfg(not(ngx_feature = "pcre"))]
impl Captures {
    unsafe fn take(_: *mut ngx_http_request_t) -> Captures {
        Captures
    }

    unsafe fn put_back(self, _: *mut ngx_http_request_t) {}
}
