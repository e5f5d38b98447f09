//! Responses that are made of several requests. What a subrequest sends is a part of the response around it when somebody
//! before this module's place made it (`slice`, a handler such as that of `echo_location`), and goes through the filters of
//! that response. What a filter of nginx behind that place made (SSI, addition) is put in behind it. `body_filter.rs` asks.
//!
//! nginx lets one request of a tree send at a time, `c->data`, and keeps what others send for later
//! (src/http/ngx_http_postpone_filter_module.c). A part goes through filters in the same order.

use nginx_sys::{ngx_http_posted_request_t, ngx_http_request_t};
use smallvec::SmallVec;

use crate::http::request::Request;
use crate::nginx::modules::{self, Known};

/// Requests of a tree.
type Requests = SmallVec<[*mut ngx_http_request_t; 4]>;

/// The subrequests that are there, as far as a filter that `r` passes can have nginx run them.
///
/// # Safety
/// `r` is a live request, here and below.
pub(super) unsafe fn known(r: *mut ngx_http_request_t) -> Requests {
    let mut known = Requests::new();
    // SAFETY: see above; both lists end with null.
    unsafe {
        let mut link: *mut ngx_http_posted_request_t = (*(*r).main).posted_requests;
        while !link.is_null() {
            known.push((*link).request);
            link = (*link).next;
        }
        let mut postponed = (*r).postponed;
        while !postponed.is_null() {
            known.push((*postponed).request);
            postponed = (*postponed).next;
        }
        known.push(active(r));
    }
    known
}

/// Notes which subrequests filters behind this module's place have made for `r`: those that nginx is to run and that were not
/// `known`. nginx posts each when it is made, and runs none before it has gone on from here
/// (src/http/ngx_http_core_module.c, ngx_http_subrequest).
pub(super) unsafe fn note_behind(r: *mut ngx_http_request_t, known: &Requests) {
    // SAFETY: see above.
    unsafe {
        let mut link: *mut ngx_http_posted_request_t = (*(*r).main).posted_requests;
        while !link.is_null() {
            let sr = (*link).request;
            link = (*link).next;
            if (*sr).parent != r || known.contains(&sr) {
                continue;
            }
            let Some(main) = Request::of((*r).main).as_mut() else { return };
            if !main.behind.contains(&sr) {
                main.behind.push(sr);
            }
        }
    }
}

/// The data of the request whose filters look at what `r` sends as a part of their response, if there is one.
pub(super) unsafe fn whole(r: *mut ngx_http_request_t) -> Option<*mut Request> {
    // SAFETY: see above. Requests of a tree live as long as the main request.
    unsafe {
        if r == (*r).main || (*r).header_only() != 0 {
            return None;
        }
        let main = Request::of((*r).main).as_ref()?;
        let mut child = r;
        while child != (*r).main {
            let parent = (*child).parent;
            let is_sent = (*child).background() == 0 && (*child).subrequest_in_memory() == 0 && is_in_line(child);
            if !is_sent || main.behind.contains(&child) {
                return None;
            }
            let request = Request::of(parent);
            if !request.is_null() && (*request).has_filters() && (*request).response_shown {
                return Some(request);
            }
            child = parent;
        }
        None
    }
}

/// Whether a subrequest sends to the client, now or later. (One of Lua's gives what it has to Lua.)
unsafe fn is_in_line(sr: *mut ngx_http_request_t) -> bool {
    // SAFETY: see above; a list that ends with null.
    unsafe {
        if is_active(sr) {
            return true;
        }
        let mut postponed = (*(*sr).parent).postponed;
        while !postponed.is_null() {
            if (*postponed).request == sr {
                return true;
            }
            postponed = (*postponed).next;
        }
        false
    }
}

/// The request whose turn it is to send.
pub(super) unsafe fn active(r: *mut ngx_http_request_t) -> *mut ngx_http_request_t {
    // SAFETY: see above; a connection that serves a request leads to it (src/http/ngx_http_request.c,
    // ngx_http_create_request).
    unsafe { (*(*r).connection).data.cast() }
}

/// Whether it is the turn of `r`, or of a subrequest of it.
unsafe fn is_active(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see above.
    unsafe {
        let mut request = active(r);
        while !request.is_null() {
            if request == r {
                return true;
            }
            request = (*request).parent;
        }
        false
    }
}

/// Whether parts that subrequests of `r` send come before what `r` sends now.
unsafe fn has_parts_before(main: &Request, r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see above.
    unsafe {
        // The one that is active may have been taken from the list.
        let mut request = active(r);
        while !request.is_null() && request != r {
            if (*request).parent == r && !main.behind.contains(&request) {
                return true;
            }
            request = (*request).parent;
        }
        let mut postponed = (*r).postponed;
        while !postponed.is_null() {
            let sr = (*postponed).request;
            if !sr.is_null() && !main.behind.contains(&sr) {
                return true;
            }
            postponed = (*postponed).next;
        }
        false
    }
}

/// Whether a response has parts that have not been sent.
pub(super) unsafe fn are_to_come(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: see above; `slice` forgets a request when it has the last part.
    unsafe {
        let main = Request::of((*r).main);
        r == (*r).main && modules::has_context(r, Known::Slice)
            || main.as_ref().is_some_and(|main| has_parts_before(main, r))
    }
}

/// A filter looks at the bytes of a response that `slice` makes: the client's range does not count, neither for the parts
/// that are asked for nor for what is sent.
pub(super) unsafe fn forget_range(request: *mut Request) {
    // SAFETY: see above. The configuration of the module begins with the size of a part; it looks at the range when the
    // upstream's request is made (src/http/modules/ngx_http_slice_filter_module.c, ngx_http_slice_range_variable).
    unsafe {
        let r = (*request).r;
        let conf = modules::loc_conf((*r).loc_conf, Known::Slice).cast::<usize>();
        if !conf.is_null() && *conf > 0 && (*request).outbound.wants_body() {
            (*r).headers_in.range = std::ptr::null_mut();
            (*r).headers_in.if_range = std::ptr::null_mut();
        }
    }
}

/// The request to hand on what has left the filters of a response with: the part whose turn it is, or the request itself. What
/// another one sends, nginx would put off.
///
/// # Safety
/// `request` belongs to a live request.
pub(super) unsafe fn sender(request: *mut Request) -> *mut ngx_http_request_t {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        let active = active(r);
        let is_part = active != r && !active.is_null() && whole(active) == Some(request);
        if is_part { active } else { r }
    }
}

/// Whether what `from` brings may go through the filters of `request` now, as far as the order of parts goes.
///
/// # Safety
/// `request` is the data of `from` itself, or what [`whole`] found for it.
pub(super) unsafe fn has_turn(request: *mut Request, from: *mut ngx_http_request_t) -> bool {
    // SAFETY: see above.
    unsafe {
        let r = (*request).r;
        let main = (*r).main;
        // Most responses have no subrequests.
        if r == main && from == main && (*main).postponed.is_null() && active(r) == main {
            return true;
        }
        let Some(of_main) = Request::of(main).as_ref() else { return true };
        (from == r || is_active(from)) && !has_parts_before(of_main, from)
    }
}
