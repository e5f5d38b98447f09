//! Where a request meets its filters: the phases and filter chains of nginx, a file for each.

mod body_file;
mod body_filter;
mod decode;
mod header_filter;
mod hold;
mod intercept;
mod log;
mod outgoing;
mod parts;
mod pause;
mod precontent;
mod realip;
mod request_body;
mod request_body_filter;
mod request_event;
mod reread;
mod response_event;
mod rewrite;
mod route;
mod streaming;
mod upgrade;
mod writable;

use nginx_sys::{
    ngx_conf_t, ngx_http_phases_NGX_HTTP_LOG_PHASE as LOG, ngx_http_phases_NGX_HTTP_PRECONTENT_PHASE as PRECONTENT,
    ngx_http_phases_NGX_HTTP_REWRITE_PHASE as REWRITE,
};

use crate::http::request::Request;
use crate::nginx::phases::{NoMemory, Phases};
use crate::nginx::{filters, headers};

pub use body_filter::hand_on;
pub use decode::Decoding;
pub use header_filter::{next as next_header_filter, passed as response_headers_passed};
pub use intercept::{Intercepted, in_phase as intercept};
pub use outgoing::pass as pass_response_body;
pub use pause::{release_waiting, wake};
pub use request_body_filter::pass as pass_request_body;
pub use upgrade::{Tunnel, is_wanted as is_upgrade};

/// Registers the handlers and filters, while nginx reads the configuration.
///
/// # Safety
/// `cf` is what nginx passed to `postconfiguration`.
#[allow(unsafe_code)]
pub unsafe fn install(cf: *mut ngx_conf_t) -> Result<(), NoMemory> {
    // SAFETY: this is `postconfiguration`.
    let phases = unsafe { Phases::of(cf) };
    phases.add(REWRITE, rewrite::handler)?;
    // Behind all other modules', and so before them.
    phases.add(PRECONTENT, precontent::handler)?;
    phases.add(LOG, log::handler)?;
    // Before the access log, so that it can show variables that a filter sets in on_log.
    phases.put_last_first(LOG);
    headers::know_filters(Request::FOR_HEADERS);
    // SAFETY: nginx calls these filters as its own.
    unsafe { filters::install(header_filter::filter, body_filter::filter, request_body_filter::filter) };
    realip::install(phases);
    Ok(())
}
