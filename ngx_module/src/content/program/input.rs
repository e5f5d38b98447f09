//! The body of a request as the input of a program: as a whole, or as it comes (`wasm_request_buffering off`).

use nginx_sys::{ngx_http_request_t, ngx_int_t};
use ngx_wasm::programs::{Input, Piece};

use super::served::{AT_ONCE, Served};
use crate::nginx::after::After;
use crate::nginx::callback::callback;
use crate::nginx::rc;
use crate::nginx::request::HttpRequest;
use crate::nginx::request_body;

/// The whole body, which nginx has read. The error is that it cannot be read from its file.
pub fn whole(r: HttpRequest<'_>) -> Result<Input, String> {
    let mut pieces = Vec::new();
    for buf in r.request_body().into_iter().flat_map(|body| body.bufs().bufs()) {
        if buf.len() == 0 {
            continue;
        }
        if buf.is_in_memory() {
            let mut bytes = Vec::with_capacity(buf.len());
            buf.read(0, buf.len(), &mut bytes).map_err(|_| "the body of the request cannot be read")?;
            pieces.push(Piece::Bytes(bytes));
        } else {
            let (file, from, to) =
                buf.file().map_err(|err| format!("the file of the request's body cannot be opened: {err}"))?;
            pieces.push(Piece::File { file, from, to });
        }
    }
    Ok(Input::Whole(pieces))
}

callback! {
    /// The client has sent more of a body that is not read as a whole.
    pub fn on_readable(r: HttpRequest<'_> = *mut ngx_http_request_t), otherwise () => go_on
}

fn go_on(r: HttpRequest<'_>) -> After<'_> {
    match Served::of(r) {
        Some(served) => match feed(served) {
            Ok(()) => After::Nothing,
            Err(code) => served.finish(code),
        },
        None => After::Nothing,
    }
}

/// Gives the program what has come of the body, as far as there is room, and has nginx read more. The error ends the request.
pub fn feed(served: &Served) -> Result<(), ngx_int_t> {
    let r = served.r();
    if !served.is_fed.get() {
        return Ok(());
    }
    let Some(run) = served.run() else { return Ok(()) };
    let mut waiting = served.waiting.take();
    let failed = || rc::INTERNAL_SERVER_ERROR;
    for _ in 0..AT_ONCE {
        let body = r.request_body().ok_or_else(failed)?;
        for buf in body.bufs().bufs() {
            buf.read(0, buf.len(), &mut waiting).map_err(|_| failed())?;
            buf.consume();
        }
        body.set_bufs(crate::nginx::chain::Chain::EMPTY);
        let given = run.give(&waiting);
        waiting.drain(..given);
        if !waiting.is_empty() {
            // The run says when there is room.
            served.waiting.set(waiting);
            return Ok(());
        }
        if !r.reads_body() {
            run.end_input();
            served.is_fed.set(false);
            r.watch_client();
            return Ok(());
        }
        let code = request_body::read_more(r);
        if code >= rc::SPECIAL_RESPONSE {
            return Err(code);
        }
        let has_more = r.request_body().is_some_and(|body| !body.bufs().is_empty());
        if !has_more && r.reads_body() {
            return Ok(());
        }
    }
    served.go_on_later();
    Ok(())
}
