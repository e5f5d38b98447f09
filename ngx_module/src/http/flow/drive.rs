//! Drives one direction of a request through its stages. The rules are Envoy's filter manager's, as the reference host
//! shows them to Proxy-Wasm filters.
//!
//! Every function reaches the request through a pointer, and borrows nothing of it while a guest runs: the guest reaches
//! the request too, through `host.rs`.

use nginx_sys::ngx_int_t;
use ngx_wasm::proxy_wasm::{Action, CallError, Callback, Vm};

use super::{Chunk, Direction, Hold, Marks};
use crate::config::loc_conf::LocConf;
use crate::http::body_limit;
use crate::http::chain::{self, Lost};
use crate::http::host::RequestHost;
use crate::http::phases;
use crate::http::report;
use crate::http::request::{Request, Run};
use crate::nginx::headers;

/// Why a direction does not go on.
#[derive(Debug)]
pub enum Stop {
    /// A filter answered the request itself; [`Request::local_response`] has the answer.
    Answered,
    /// A filter cannot do its work, or did what must not go on the wire.
    Failed,
    /// A filter closed the stream.
    Closed,
    /// More of the body would have to be held than the configuration allows.
    TooLarge,
    /// A filter of nginx answered this; the log has the reason.
    Nginx(ngx_int_t),
}

/// Shows headers to the stages that have not let them through, until one holds them.
///
/// # Safety
/// `request` belongs to a live request, whose location has the configuration `loc`.
pub unsafe fn headers(request: *mut Request, loc: &LocConf, direction: Direction) -> Result<(), Stop> {
    // SAFETY: see above.
    unsafe {
        loop {
            let flow = (*request).flow(direction);
            let n = (*flow).headers;
            let Some(stage) = (*flow).stage(n) else { return Ok(()) };
            if stage.hold != Hold::Open {
                return Ok(());
            }
            if stage.is_skipped {
                (*flow).headers = n + 1;
                continue;
            }
            stage.resumed = false;
            let end = end_of_stream(request, direction);
            let action = show_headers(request, loc, direction, stage.run, end)?;
            let stage = &mut (&mut (*flow).stages)[n];
            let is_resumed = std::mem::take(&mut stage.resumed);
            match action {
                Action::Continue => {}
                _ if is_resumed => {}
                // Without a callback about the body, nothing of it could make the headers go on; and no body follows when the
                // connection changes its protocol.
                _ if loc.shows_body(action) && stage.wants_body && !end && !is_upgrade(request, direction) => {
                    stage.hold = Hold::HeadersOnly;
                    return Ok(());
                }
                _ => {
                    stage.hold = Hold::Headers;
                    return Ok(());
                }
            }
            (*flow).headers = n + 1;
        }
    }
}

/// Sends a piece of the body through the stages from number `first` on.
///
/// # Safety
/// As [`headers`]; the piece is there until this returns.
pub unsafe fn data(
    request: *mut Request,
    loc: &LocConf,
    direction: Direction,
    first: usize,
    chunk: Chunk,
    marks: Marks,
) -> Result<(), Stop> {
    let (mut chunk, mut n) = (chunk, first);
    // SAFETY: see above.
    unsafe {
        let flow = (*request).flow(direction);
        loop {
            let Some(stage) = (*flow).stage(n) else {
                return pass(request, loc, direction, chunk, marks);
            };
            let hold = stage.hold;
            if matches!(hold, Hold::Headers | Hold::Trailers) || (hold == Hold::HeadersOnly && !stage.wants_body) {
                stage.end |= marks.last;
                return keep(request, loc, direction, n, chunk);
            }
            if !stage.wants_body || (chunk.len() == 0 && !marks.last) {
                // Only the end, or something to show, is worth a callback.
                if hold != Hold::Open {
                    return Ok(());
                }
                n += 1;
                continue;
            }
            if hold != Hold::Open {
                keep(request, loc, direction, n, chunk)?;
                chunk = Chunk::Bytes(std::mem::take(&mut (&mut (*flow).stages)[n].held));
            }
            let action = show_body(request, loc, direction, n, &mut chunk, marks.last)?;
            let stage = &mut (&mut (*flow).stages)[n];
            let is_resumed = std::mem::take(&mut stage.resumed);
            match action {
                Action::Pause | Action::PauseAll | Action::PauseAndDrop if !is_resumed => {
                    if hold == Hold::Open {
                        stage.hold = Hold::Body;
                    }
                    stage.end |= marks.last;
                    if action == Action::PauseAndDrop {
                        (*flow).changed = true;
                        chunk.into_bytes().map_err(unreadable)?;
                        return Ok(());
                    }
                    return keep(request, loc, direction, n, chunk);
                }
                _ => stage.hold = Hold::Open,
            }
            if hold == Hold::HeadersOnly {
                go_on_with_headers(request, loc, direction, n)?;
            }
            n += 1;
        }
    }
}

/// Shows trailers, which end the stream, to the stages from number `first` on.
///
/// # Safety
/// As [`headers`].
pub unsafe fn trailers(request: *mut Request, loc: &LocConf, direction: Direction, first: usize) -> Result<(), Stop> {
    let mut n = first;
    // SAFETY: see above.
    unsafe {
        let flow = (*request).flow(direction);
        while let Some(stage) = (*flow).stage(n) {
            let hold = stage.hold;
            if hold == Hold::Headers || (hold == Hold::HeadersOnly && !stage.wants_trailers) {
                stage.trailers = true;
                return Ok(());
            }
            stage.resumed = false;
            let (run, wants) = (stage.run, stage.wants_trailers);
            let action = if wants { show_trailers(request, loc, direction, run)? } else { Action::Continue };
            let stage = &mut (&mut (*flow).stages)[n];
            if action != Action::Continue && !std::mem::take(&mut stage.resumed) {
                // The headers stay with it when it holds them.
                stage.hold = if hold == Hold::HeadersOnly { Hold::Headers } else { Hold::Trailers };
                stage.trailers = true;
                return Ok(());
            }
            let_go(request, loc, direction, n)?;
            n += 1;
        }
        pass(request, loc, direction, Chunk::Bytes(Vec::new()), Marks { last: true, ..Marks::default() })
    }
}

/// Goes on where filters have asked for it.
///
/// # Safety
/// As [`headers`].
pub unsafe fn resume(request: *mut Request, loc: &LocConf, direction: Direction) -> Result<(), Stop> {
    // SAFETY: see above.
    unsafe {
        let flow = (*request).flow(direction);
        if std::mem::take(&mut (*flow).too_large) {
            return Err(Stop::TooLarge);
        }
        for n in 0..(*flow).stages.len() {
            let stage = &mut (&mut (*flow).stages)[n];
            if !std::mem::take(&mut stage.resumed) || stage.hold == Hold::Open {
                continue;
            }
            let hold = stage.hold;
            let had_trailers = stage.trailers;
            if hold == Hold::Headers {
                // What came behind the headers has not been shown to this filter.
                stage.hold = Hold::Open;
                let (held, end) = (std::mem::take(&mut stage.held), std::mem::take(&mut stage.end));
                stage.trailers = false;
                go_on_with_headers(request, loc, direction, n)?;
                if !held.is_empty() || end {
                    data(
                        request,
                        loc,
                        direction,
                        n,
                        Chunk::Bytes(held),
                        Marks { last: end, flush: true, ..Marks::default() },
                    )?;
                }
                if had_trailers {
                    trailers(request, loc, direction, n)?;
                }
                continue;
            }
            let_go(request, loc, direction, n)?;
            if had_trailers {
                trailers(request, loc, direction, n + 1)?;
            }
        }
        Ok(())
    }
}

/// Opens a stage whose filter has seen what it holds, and sends that on.
unsafe fn let_go(request: *mut Request, loc: &LocConf, direction: Direction, n: usize) -> Result<(), Stop> {
    // SAFETY: see `headers`.
    unsafe {
        let flow = (*request).flow(direction);
        let stage = &mut (&mut (*flow).stages)[n];
        let hold = std::mem::take(&mut stage.hold);
        let (held, end) = (std::mem::take(&mut stage.held), std::mem::take(&mut stage.end));
        stage.trailers = false;
        if hold == Hold::HeadersOnly {
            go_on_with_headers(request, loc, direction, n)?;
        }
        if held.is_empty() && !end {
            return Ok(());
        }
        let marks = Marks { last: end, flush: true, ..Marks::default() };
        data(request, loc, direction, n + 1, Chunk::Bytes(held), marks)
    }
}

/// Stage number `n` has let the headers go.
unsafe fn go_on_with_headers(request: *mut Request, loc: &LocConf, direction: Direction, n: usize) -> Result<(), Stop> {
    // SAFETY: see `headers`.
    unsafe {
        let flow = (*request).flow(direction);
        if (*flow).headers > n {
            return Ok(());
        }
        (*flow).headers = n + 1;
        headers(request, loc, direction)?;
        if direction == Direction::Response && (*flow).headers_passed() {
            phases::response_headers_passed(request)?;
        }
        Ok(())
    }
}

/// Adds a piece to what a stage holds.
unsafe fn keep(request: *mut Request, loc: &LocConf, direction: Direction, n: usize, chunk: Chunk) -> Result<(), Stop> {
    // SAFETY: see `headers`.
    unsafe {
        let stage = &mut (&mut (*(*request).flow(direction)).stages)[n];
        let limit = body_limit::of(request, loc, direction, stage.of_higress);
        if stage.held.len().saturating_add(chunk.len()) > limit.bytes {
            (*(*request).flow(direction)).exceeded = Some(limit);
            let filter = (*request).run(stage.run).map_or(usize::MAX, |run| run.filter);
            report::note(request, (*request).filter_name(filter), "body too large");
            return Err(Stop::TooLarge);
        }
        let bytes = chunk.into_bytes().map_err(unreadable)?;
        if stage.held.is_empty() {
            stage.held = bytes;
        } else {
            stage.held.extend_from_slice(&bytes);
        }
        Ok(())
    }
}

/// Nginx has logged why the file could not be read.
fn unreadable(_: super::Unreadable) -> Stop {
    Stop::Nginx(crate::nginx::rc::INTERNAL_SERVER_ERROR)
}

unsafe fn pass(
    request: *mut Request,
    loc: &LocConf,
    direction: Direction,
    chunk: Chunk,
    marks: Marks,
) -> Result<(), Stop> {
    // SAFETY: see `headers`.
    unsafe {
        match direction {
            Direction::Request => phases::pass_request_body(request, chunk, marks),
            Direction::Response => phases::pass_response_body(request, loc, chunk, marks),
        }
    }
}

unsafe fn is_upgrade(request: *mut Request, direction: Direction) -> bool {
    // SAFETY: see `headers`.
    unsafe { direction == Direction::Response && phases::is_upgrade((*request).r) }
}

unsafe fn end_of_stream(request: *mut Request, direction: Direction) -> bool {
    // SAFETY: see `headers`.
    unsafe {
        match direction {
            Direction::Request => headers::request::end_stream((*request).r),
            Direction::Response => headers::response::end_stream((*request).r),
        }
    }
}

/// Runs a callback about headers.
unsafe fn show_headers(
    request: *mut Request,
    loc: &LocConf,
    direction: Direction,
    run: usize,
    end: bool,
) -> Result<Action, Stop> {
    // SAFETY: see `headers`.
    unsafe {
        let r = (*request).r;
        call(request, loc, run, |run, vm, host| match direction {
            Direction::Request if vm.has(Callback::OnRequestHeaders) => {
                vm.on_request_headers(run.context, headers::request::count(r), end, host)
            }
            Direction::Response if vm.has(Callback::OnResponseHeaders) => {
                vm.on_response_headers(run.context, headers::response::count(r), end, host)
            }
            _ => Ok(Action::Continue),
        })
    }
}

/// Runs a callback about the body; the filter may change `chunk`.
unsafe fn show_body(
    request: *mut Request,
    loc: &LocConf,
    direction: Direction,
    n: usize,
    chunk: &mut Chunk,
    end: bool,
) -> Result<Action, Stop> {
    // SAFETY: see `headers`.
    unsafe {
        let flow = (*request).flow(direction);
        let stage = &mut (&mut (*flow).stages)[n];
        stage.resumed = false;
        let run = stage.run;
        let size = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        (*flow).current = Some((n, std::mem::replace(chunk, Chunk::Bytes(Vec::new()))));
        let result = call(request, loc, run, |run, vm, host| match direction {
            Direction::Request => vm.on_request_body(run.context, size, end, host),
            Direction::Response => vm.on_response_body(run.context, size, end, host),
        });
        if let Some((_, now)) = (*flow).current.take() {
            *chunk = now;
        }
        if result.is_ok() && std::mem::take(&mut (*flow).too_large) {
            return Err(Stop::TooLarge);
        }
        result
    }
}

/// Runs a callback about trailers.
unsafe fn show_trailers(
    request: *mut Request,
    loc: &LocConf,
    direction: Direction,
    run: usize,
) -> Result<Action, Stop> {
    // SAFETY: see `headers`.
    unsafe {
        let r = (*request).r;
        call(request, loc, run, |run, vm, host| match direction {
            // Nginx keeps none of requests.
            Direction::Request => vm.on_request_trailers(run.context, 0, host),
            Direction::Response => vm.on_response_trailers(run.context, headers::trailers::count(r), host),
        })
    }
}

/// Runs a callback, and looks at what it asked for beside its answer.
unsafe fn call(
    request: *mut Request,
    loc: &LocConf,
    run: usize,
    callback: impl FnOnce(Run, &mut Vm, &mut RequestHost<'_>) -> Result<Action, CallError>,
) -> Result<Action, Stop> {
    // SAFETY: see `headers`.
    unsafe {
        let Some(run) = (*request).run(run) else { return Err(Stop::Failed) };
        let result = chain::call(request, loc, run, |vm, host| callback(run, vm, host));
        if let Some(stop) = (*request).decided() {
            return Err(stop);
        }
        match result {
            Ok(action) => Ok(action),
            Err(Lost::Open) => Ok(Action::Continue),
            // The VM that had the context has trapped meanwhile. When that made this very response, it goes out without the
            // filter.
            Err(Lost::Gone) if (*request).failed => Ok(Action::Continue),
            Err(Lost::Gone | Lost::Closed) => Err(Stop::Failed),
        }
    }
}
