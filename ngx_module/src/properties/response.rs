//! `response.*`.

use nginx_sys::ngx_http_request_t;
use ngx_wasm::proxy_wasm::Pairs;

use super::number;
use crate::headers;

/// Appends `response.<path>`, once there is a response.
///
/// # Safety
/// `r` is a live request.
pub unsafe fn get(r: *mut ngx_http_request_t, path: &[u8], value: &mut Vec<u8>) -> bool {
    // SAFETY: see above.
    unsafe {
        if (*r).headers_out.status == 0 {
            return false;
        }
        match path {
            b"code" => number(value, (*r).headers_out.status),
            b"size" => number(value, ((*(*r).connection).sent - (*r).header_size as i64).max(0)),
            b"total_size" => number(value, (*(*r).connection).sent),
            b"headers" => {
                let mut pairs = Pairs::default();
                headers::response::visit(r, &mut |name, text| pairs.push(name, text));
                Pairs::encode(pairs.iter(), value).is_ok()
            }
            _ => match path.strip_prefix(b"headers\0") {
                Some(name) => headers::response::get(r, name, value),
                None => false,
            },
        }
    }
}
