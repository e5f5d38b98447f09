//! The output of a program as a response: a block of headers and a body behind it, or a body alone.

use nginx_sys::{NGX_HTTP_NOT_MODIFIED, ngx_int_t};
use ngx_wasm::flow::Marks;
use ngx_wasm::programs::{Head, Location};

use super::failure::Failure;
use super::served::{Served, Stage};
use crate::config::program_conf::OutputForm;
use crate::nginx::after::Redirect;
use crate::nginx::request::HttpRequest;
use crate::nginx::{filters, headers, rc};

/// What is to be done when the program has written something.
pub enum Next {
    /// To go on.
    Go,
    /// To end the request with a code: it has its response, or will not get one.
    End(ngx_int_t),
    /// To go on with another location.
    Redirect(Redirect),
}

/// Takes what the program has written.
pub fn take(served: &Served, head: Option<Head>, output: Vec<u8>) -> Result<Next, Failure> {
    let r = served.r();
    served.written.set(served.written.get() + output.len() as u64);
    let is_too_large = served.loc().output_limit().is_some_and(|limit| served.written.get() > limit);
    if is_too_large {
        return Err(Failure::OutputLimit);
    }
    match served.stage.get() {
        Stage::Head => {}
        Stage::Body => return body(served, output),
        Stage::Discarded => return Ok(Next::Go),
    }
    if let Some(head) = head {
        let length = head.content_length;
        return match begin(r, head, true)? {
            Next::Go => {
                begin_body(served, length);
                body(served, output)
            }
            next => Ok(next),
        };
    }
    if served.loc().output() == OutputForm::Raw {
        return match begin_raw(r) {
            Next::Go => {
                begin_body(served, None);
                body(served, output)
            }
            next => Ok(next),
        };
    }
    let parsed = served.parser.borrow_mut().push(&output).map_err(|err| Failure::Head(err.to_string()))?;
    let Some(parsed) = parsed else { return Ok(Next::Go) };
    if let Some(path) = parsed.head.local_redirect() {
        let redirect = Redirect::to(r, path).ok_or(Failure::NoMemory)?;
        return Ok(Next::Redirect(redirect));
    }
    let length = parsed.head.content_length;
    match begin(r, parsed.head, false)? {
        Next::Go => {
            begin_body(served, length);
            body(served, parsed.body)
        }
        next => Ok(next),
    }
}

/// The program has ended well. Ends the response.
pub fn end(served: &Served) -> Result<ngx_int_t, Failure> {
    let r = served.r();
    if served.stage.get() == Stage::Head {
        if served.loc().output() == OutputForm::Cgi {
            let err = served.parser.replace(Served::parser(served.loc())).end();
            return Err(Failure::Head(err.to_string()));
        }
        if let Next::End(code) = begin_raw(r) {
            return Ok(code);
        }
        begin_body(served, None);
    }
    if served.stage.get() == Stage::Discarded {
        return Ok(rc::OK);
    }
    if served.left.get().is_some_and(|left| left > 0) {
        return Err(Failure::Short);
    }
    send(served, Vec::new(), true)
}

/// Sends headers that say nothing.
fn begin_raw(r: HttpRequest<'_>) -> Next {
    r.set_status(rc::HTTP_OK as usize);
    r.set_content_length(-1);
    headers::fields::set_default_content_type(r);
    send_headers(r)
}

/// Answers with a failure in the words of a function.
pub fn tell(served: &Served, status: ngx_int_t, message: &[u8]) -> Result<ngx_int_t, Failure> {
    let head = Head {
        status: u16::try_from(status).ok(),
        content_type: Some(b"text/plain; charset=utf-8".to_vec()),
        content_length: Some(message.len() as u64),
        ..Head::default()
    };
    if let Next::End(code) = begin(served.r(), head, false)? {
        return Ok(code);
    }
    begin_body(served, None);
    if served.stage.get() == Stage::Discarded { Ok(rc::OK) } else { send(served, message.to_vec(), true) }
}

/// Sends the headers that a program wrote. `has_type`: those without a type have that of the location.
fn begin(r: HttpRequest<'_>, head: Head, has_type: bool) -> Result<Next, Failure> {
    let status = head.effective_status();
    r.set_status(status.into());
    // The reason is the program's, if it gave one.
    if !head.reason.is_empty() {
        let line = [status.to_string().as_bytes(), b" ", &head.reason].concat();
        headers::fields::set_status_line(r, &line).map_err(|_| Failure::NoMemory)?;
    }
    let is_bodiless = headers::response::is_bodiless(status.into());
    let length = head.content_length.filter(|_| !is_bodiless && u32::from(status) != NGX_HTTP_NOT_MODIFIED);
    headers::response::set_length(r, length);
    if let Some(content_type) = &head.content_type {
        headers::fields::set_content_type(r, content_type).map_err(|_| Failure::NoMemory)?;
    }
    if has_type && head.content_type.is_none() {
        headers::fields::set_default_content_type(r);
    }
    let location = match &head.location {
        Some(Location::Local(value) | Location::Absolute(value)) => Some((&b"Location"[..], value.as_slice())),
        None => None,
    };
    let fields = head.fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    for (name, value) in location.into_iter().chain(fields) {
        if let Err(refused) = headers::response::add(r, name, value) {
            crate::http::local_response::log_refused(r, Err(refused));
        }
    }
    if !head.dropped.is_empty() {
        let line =
            format!("wasm: headers that are nginx's own are left out of a program's: {}", head.dropped.join(", "));
        r.log().write(nginx_sys::NGX_LOG_WARN, line);
    }
    Ok(send_headers(r))
}

fn send_headers(r: HttpRequest<'_>) -> Next {
    // Conditions are the program's business, as they are an upstream's (src/http/ngx_http_upstream.c,
    // ngx_http_upstream_process_headers).
    r.set_disable_not_modified(true);
    let code = filters::send_header(r);
    if code == rc::ERROR || code > rc::OK { Next::End(code) } else { Next::Go }
}

/// The headers have gone.
fn begin_body(served: &Served, length: Option<u64>) {
    let has_none = served.r().is_header_only();
    served.left.set(length);
    served.stage.set(if has_none { Stage::Discarded } else { Stage::Body });
}

/// Sends a part of the body, as far as the headers have said that there is one.
fn body(served: &Served, mut bytes: Vec<u8>) -> Result<Next, Failure> {
    if served.stage.get() == Stage::Discarded || bytes.is_empty() {
        return Ok(Next::Go);
    }
    if let Some(left) = served.left.get() {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        if bytes.len() > most {
            served.complain("writes more than its Content-Length says: the rest is left out");
            bytes.truncate(most);
        }
        served.left.set(Some(left - bytes.len() as u64));
        if bytes.is_empty() {
            return Ok(Next::Go);
        }
    }
    match send(served, bytes, false)? {
        rc::ERROR => Ok(Next::End(rc::ERROR)),
        _ => Ok(Next::Go),
    }
}

fn send(served: &Served, bytes: Vec<u8>, last: bool) -> Result<ngx_int_t, Failure> {
    let r = served.r();
    let mut output = served.output.borrow_mut();
    output.reclaim();
    let marks = Marks { last, flush: !last, recycled: false };
    let chain = output.chain(r.pool(), bytes, marks, !r.is_main()).ok_or(Failure::NoMemory)?;
    drop(output);
    Ok(filters::output(r, chain))
}
