//! Responses that are made of several requests. What a subrequest sends is a part of the response around it when somebody
//! before this module's place made it (`slice`, a handler such as that of `echo_location`), and goes through the filters of
//! that response. What a filter of nginx behind that place made (SSI, addition) is put in behind it. `body_filter.rs` asks.
//!
//! nginx lets one request of a tree send at a time, the active one, and keeps what others send for later
//! (src/http/ngx_http_postpone_filter_module.c). A part goes through filters in the same order.

use crate::http::request::{Request, Response};
use crate::nginx::modules::{self, OtherModule};
use crate::nginx::request::{HttpRequest, KeptRequest};

/// Requests of a tree: the active one, and others. Most trees are of one.
pub(super) struct Requests {
    active: KeptRequest,
    others: Vec<KeptRequest>,
}

impl Requests {
    fn contains(&self, r: KeptRequest) -> bool {
        self.active == r || self.others.contains(&r)
    }
}

/// Whether a tree may have parts that have to do with filters: without data of the main request, no request of the tree has any.
pub(super) fn may_have_any(r: HttpRequest<'_>) -> bool {
    !r.is_main() || Request::of(r).is_some()
}

/// The subrequests that are there, as far as a filter that `r` passes can have nginx run them.
pub(super) fn known(r: HttpRequest<'_>) -> Requests {
    // Each response comes here twice or more, and most have no subrequests: plain loops cost least.
    let mut others = Vec::new();
    for sr in r.posted() {
        others.push(sr.keep());
    }
    for sr in r.postponed() {
        others.push(sr.keep());
    }
    Requests { active: r.active().keep(), others }
}

/// Notes which subrequests filters behind this module's place have made for `r`: those that nginx is to run and that were not
/// `known`. nginx posts each when it is made, and runs none before it has gone on from here
/// (src/http/ngx_http_core_module.c, ngx_http_subrequest).
pub(super) fn note_behind(r: HttpRequest<'_>, known: &Requests) {
    for sr in r.posted() {
        if sr.parent() != Some(r) || known.contains(sr.keep()) {
            continue;
        }
        let Some(main) = Request::of(r.main()) else { return };
        if !is_behind(main, sr) {
            main.behind.borrow_mut().push(sr.keep());
        }
    }
}

/// Whether a filter of nginx behind this module's place has made a subrequest.
fn is_behind(main: &Request, sr: HttpRequest<'_>) -> bool {
    main.behind.borrow().contains(&sr.keep())
}

/// The data of the request whose filters look at what `r` sends as a part of their response, if there is one.
pub(super) fn whole(r: HttpRequest<'_>) -> Option<&Request> {
    if r.is_main() || r.is_header_only() {
        return None;
    }
    let main = Request::of(r.main())?;
    let mut child = r;
    while let Some(parent) = child.parent() {
        let is_sent = !child.is_background() && !child.is_in_memory() && is_in_line(child, parent);
        if !is_sent || is_behind(main, child) {
            return None;
        }
        if let Some(request) = Request::of(parent)
            && request.has_filters()
            && request.has_reached(Response::Shown)
        {
            return Some(request);
        }
        child = parent;
    }
    None
}

/// Whether a subrequest sends to the client, now or later. (One of Lua's gives what it has to Lua.)
fn is_in_line(sr: HttpRequest<'_>, parent: HttpRequest<'_>) -> bool {
    is_active(sr) || parent.postponed().any(|postponed| postponed == sr)
}

/// Whether it is the turn of `r`, or of a subrequest of it.
fn is_active(r: HttpRequest<'_>) -> bool {
    r.active().ancestry().any(|request| request == r)
}

/// Whether parts that subrequests of `r` send come before what `r` sends now.
fn has_parts_before(main: &Request, r: HttpRequest<'_>) -> bool {
    // The one that is active may have been taken from the list.
    let mut below = r.active().ancestry().take_while(|request| *request != r);
    below.any(|request| request.parent() == Some(r) && !is_behind(main, request))
        || r.postponed().any(|sr| !is_behind(main, sr))
}

/// Whether a response has parts that have not been sent.
pub(super) fn are_to_come(r: HttpRequest<'_>) -> bool {
    // `slice` forgets a request when it has the last part.
    r.is_main() && modules::has_context(r, OtherModule::Slice)
        || Request::of(r.main()).is_some_and(|main| has_parts_before(main, r))
}

/// A filter looks at the bytes of a response that `slice` makes: the client's range does not count, neither for the parts
/// that are asked for nor for what is sent. The module looks at the range when the upstream's request is made
/// (src/http/modules/ngx_http_slice_filter_module.c, ngx_http_slice_range_variable).
pub(super) fn forget_range(request: &Request) {
    let r = request.r();
    if modules::slice_size(r) > 0 && request.outbound.wants_body() {
        r.forget_range();
    }
}

/// The request to hand on what has left the filters of a response with: the part whose turn it is, or the request itself. What
/// another one sends, nginx would put off.
pub(super) fn sender(request: &Request) -> HttpRequest<'_> {
    let r = request.r();
    let active = r.active();
    let is_part = active != r && whole(active).is_some_and(|whole| whole.r() == r);
    if is_part { active } else { r }
}

/// Whether what `from` brings may go through the filters of `request` now, as far as the order of parts goes. `request` is the
/// data of `from` itself, or what [`whole`] found for it.
pub(super) fn has_turn(request: &Request, from: HttpRequest<'_>) -> bool {
    let r = request.r();
    let main = r.main();
    // Most responses have no subrequests.
    if r == main && from == main && !main.has_postponed() && r.active() == main {
        return true;
    }
    let Some(of_main) = Request::of(main) else { return true };
    (from == r || is_active(from)) && !has_parts_before(of_main, from)
}
