//! Variables of nginx, read and written: `ngx.<name>`.

use nginx_sys::{
    NGX_HTTP_VAR_CHANGEABLE, NGX_HTTP_VAR_INDEXED, ngx_hash_find, ngx_http_core_main_conf_t, ngx_http_core_module,
    ngx_http_get_variable, ngx_http_request_t, ngx_http_variable_t, ngx_http_variable_value_t, ngx_str_t, ngx_uint_t,
};
use ngx_wasm::proxy_wasm::Status;
use smallvec::SmallVec;

use crate::nginx::headers::list::nginx_hash;
use crate::nginx::pool;

/// How many bytes filters can assign in a request, all in all: a value takes memory of the request, also when another one
/// takes its place.
const MOST_ASSIGNED: usize = 1 << 20;

/// How many there were; in the pool of the request.
struct Assigned(usize);

type Name = SmallVec<[u8; 64]>;

/// Names of variables are in lower case.
fn key(name: &[u8]) -> (Name, usize) {
    let mut name = Name::from_slice(name);
    name.make_ascii_lowercase();
    let hash = name.iter().fold(0, |key, byte| nginx_hash(key, *byte));
    (name, hash)
}

/// Appends the value of a variable; false when there is none, or it has none now.
///
/// # Safety
/// `r` is a live request, here and below.
pub unsafe fn get(r: *mut ngx_http_request_t, name: &[u8], value: &mut Vec<u8>) -> bool {
    if name.is_empty() {
        return false;
    }
    let (mut lower, hash) = key(name);
    // SAFETY: nginx reads the name while it looks, and keeps nothing of it.
    unsafe {
        let mut name = ngx_str_t { len: lower.len(), data: lower.as_mut_ptr() };
        let found = ngx_http_get_variable(r, &mut name, hash as ngx_uint_t);
        if found.is_null() || (*found).not_found() != 0 {
            return false;
        }
        value.extend_from_slice((*found).as_bytes());
    }
    true
}

/// Sets a variable that the configuration allows to change, as `set` of the rewrite module does.
pub unsafe fn set(r: *mut ngx_http_request_t, name: &[u8], value: &[u8]) -> Result<(), Status> {
    let (lower, hash) = key(name);
    // SAFETY: nginx's table of variables has `ngx_http_variable_t`; an indexed one has its value in the request.
    unsafe {
        let cmcf: *mut ngx_http_core_main_conf_t = (*(*r).main_conf.add(ngx_http_core_module.ctx_index)).cast();
        let variable =
            ngx_hash_find(&raw mut (*cmcf).variables_hash, hash as ngx_uint_t, lower.as_ptr().cast_mut(), lower.len())
                .cast::<ngx_http_variable_t>();
        if variable.is_null() {
            return Err(Status::NotFound);
        }
        if (*variable).flags & NGX_HTTP_VAR_CHANGEABLE as ngx_uint_t == 0 {
            return Err(Status::BadArgument);
        }
        count(r, value.len())?;
        let text = pool::copy((*r).pool, value).ok_or(Status::InternalFailure)?;
        let fill = |place: *mut ngx_http_variable_value_t| {
            (*place).set_valid(1);
            (*place).set_no_cacheable(0);
            (*place).set_not_found(0);
            // 28 bits of nginx's structure hold the length, and `count` lets no longer one pass.
            (*place).set_len(text.len as u32);
            (*place).data = text.data;
        };
        if let Some(handler) = (*variable).set_handler {
            let mut place = std::mem::zeroed::<ngx_http_variable_value_t>();
            fill(&mut place);
            handler(r, &mut place, (*variable).data);
            return Ok(());
        }
        if (*variable).flags & NGX_HTTP_VAR_INDEXED as ngx_uint_t != 0 {
            fill((*r).variables.add((*variable).index));
            return Ok(());
        }
        Err(Status::BadArgument)
    }
}

/// Counts what is assigned; refuses what is too much.
unsafe fn count(r: *mut ngx_http_request_t, len: usize) -> Result<(), Status> {
    // SAFETY: see `get`.
    let assigned = unsafe {
        let found = match pool::find::<Assigned>((*r).pool, |_| true) {
            None => pool::own((*r).pool, Assigned(0)),
            found => found,
        };
        found.and_then(|assigned| assigned.as_mut()).ok_or(Status::InternalFailure)?
    };
    let sum = assigned.0.saturating_add(len);
    if sum > MOST_ASSIGNED {
        return Err(Status::BadArgument);
    }
    assigned.0 = sum;
    Ok(())
}
