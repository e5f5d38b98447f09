//! `wasm_cgi NAME;` and `wasm_function NAME FUNCTION;`: a location is answered by a program, or by a function of a plugin, which run on
//! threads. The body of the request is its input (`input.rs`), what nginx knows of the request its environment (`environment.rs`), and
//! its output the response (`output.rs`); `served.rs` is what is kept of such a request, and moves bytes between nginx and the run
//! whenever one of them has news. `ready.rs` has them start before there are requests. What may go wrong, and what the client and the log are told then, is in `failure.rs`.

mod call;
mod environment;
mod failure;
mod input;
mod left;
mod output;
mod ready;
mod served;

use nginx_sys::{ngx_http_request_t, ngx_int_t};

use crate::config::conf::MainConf;
use crate::config::loc_conf::LocConf;
use crate::nginx::after::After;
use crate::nginx::callback::callback;
use crate::nginx::request::HttpRequest;
use crate::nginx::{rc, request_body};
pub use ready::prepare;
use served::Served;

callback! {
    pub fn handler(r: HttpRequest<'_> = *mut ngx_http_request_t) -> ngx_int_t,
    otherwise rc::INTERNAL_SERVER_ERROR => answer
}

callback! {
    /// nginx has read the body, or the first part of one that is not read as a whole.
    fn on_body(r: HttpRequest<'_> = *mut ngx_http_request_t), otherwise () => begin
}

/// What the handler of the location does. The answer has nothing to be done after it but what nginx does with the code.
fn answer(r: HttpRequest<'_>) -> ngx_int_t {
    let loc = LocConf::of(r);
    let main = MainConf::of_request(r);
    let work = loc.programs.number.and_then(|number| main.programs.get(number)?.work.clone());
    let (Some(number), Some(work)) = (loc.programs.number, work) else {
        r.log().error("wasm: the location has no program");
        return rc::INTERNAL_SERVER_ERROR;
    };
    if Served::create(r, main, number, work).is_none() {
        return rc::INTERNAL_SERVER_ERROR;
    }
    // A subrequest has the body of its main request.
    if !loc.programs.buffers_request() && r.is_main() {
        r.set_body_unbuffered(true);
    }
    let result = request_body::read(r, on_body);
    if result >= rc::SPECIAL_RESPONSE {
        return result;
    }
    rc::DONE
}

fn begin(r: HttpRequest<'_>) -> After<'_> {
    match Served::of(r) {
        Some(served) => served.begin(),
        None => After::Finalize(r, rc::INTERNAL_SERVER_ERROR),
    }
}
