//! Sends what waits in the module for a slow client while an upstream goes on.
//!
//! When the client takes more, nginx's pipe looks at how much of what the upstream sent is under way, and calls no filter for
//! less than `proxy_busy_buffers_size` (src/event/ngx_event_pipe.c, ngx_event_pipe_write_to_client). What filters, or the
//! decoder, made of a few bytes can be much, and would wait until the upstream sends something.

use nginx_sys::{ngx_http_request_empty_handler, ngx_http_request_t};

use super::{body_filter, request_body};
use crate::http::flow::Chain;
use crate::http::request::Request;
use crate::nginx::after::After;
use crate::nginx::callback::callback;
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;
use crate::nginx::upstream::Upstream;

/// Has the body filter called when the client takes more, if there is anything for it to do then. The response has begun.
pub(super) fn watch(request: &Request) {
    let r = request.r();
    let has_upstream = r.upstream().is_some_and(Upstream::is_at_work);
    let outbound = &request.outbound;
    let is_waiting = outbound.output.borrow().waiting() > 0 || !request.input.borrow().is_empty();
    if !has_upstream || !is_waiting || outbound.waits_for_filter() {
        return;
    }
    if !r.is_written_by(on_writable) {
        // What nginx sets in the place of this handler calls the filters itself.
        request.writer.set(r.write_event_handler());
        r.set_write_event_handler(Some(on_writable));
    }
}

callback! {
    /// The client takes more.
    fn on_writable(r: HttpRequest<'_> = *mut ngx_http_request_t), otherwise () => go_on
}

fn go_on(r: HttpRequest<'_>) -> After<'_> {
    let request = Request::of(r);
    let writer = request.and_then(|request| request.writer.take()).or(Some(ngx_http_request_empty_handler));
    r.set_write_event_handler(writer);
    let c = r.connection();
    if let Some(request) = request
        && !c.is_write_timed_out()
        && !c.is_delayed()
    {
        if body_filter::take(request, r, Chain::EMPTY) == rc::ERROR {
            request_body::end_upstream(r);
            return After::Finalize(r, rc::ERROR);
        }
        watch(request);
    }
    After::Call(r, writer)
}
