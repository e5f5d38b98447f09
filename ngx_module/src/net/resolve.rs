//! Names of hosts to addresses, by nginx's resolver.

use std::cell::RefCell;
use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr::NonNull;
use std::rc::Rc;
use std::task::{Poll, Waker};

use nginx_sys::{
    ngx_http_core_loc_conf_t, ngx_msec_t, ngx_resolve_name, ngx_resolve_name_done, ngx_resolve_start,
    ngx_resolver_ctx_t, ngx_resolver_strerror, ngx_str_t,
};

use super::address::Address;
use crate::nginx::executor;
use crate::nginx::guard::guard;
use crate::nginx::rc;

/// What `ngx_resolve_start` answers when there is no `resolver` in the configuration (src/core/ngx_resolver.h,
/// NGX_NO_RESOLVER).
const NO_RESOLVER: *mut ngx_resolver_ctx_t = usize::MAX as *mut ngx_resolver_ctx_t;

/// A question to the resolver.
struct Question {
    /// Null when it has been answered, or could not be asked.
    ctx: *mut ngx_resolver_ctx_t,
    name: Vec<u8>,
    answer: Option<Result<Vec<Address>, String>>,
    waker: Option<Waker>,
}

/// Ends the question when the one who asked does not wait any more.
struct Asking(Rc<RefCell<Question>>);

impl Drop for Asking {
    fn drop(&mut self) {
        let ctx = std::mem::replace(&mut self.0.borrow_mut().ctx, std::ptr::null_mut());
        if !ctx.is_null() && !executor::is_over() {
            // SAFETY: the resolver has not answered, so the context is there, with what `ask` gave it.
            unsafe {
                drop(Box::from_raw((*ctx).data.cast::<Data>()));
                ngx_resolve_name_done(ctx);
            }
        }
    }
}

/// The addresses of `host`, of which there is at least one.
///
/// # Safety
/// `core` is the configuration of a location of this cycle.
pub async unsafe fn resolve(
    core: Option<NonNull<ngx_http_core_loc_conf_t>>,
    host: &str,
    port: u16,
) -> Result<Vec<Address>, String> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port).into()]);
    }
    // RFC 6761, section 6.3: this name needs no server.
    if host.eq_ignore_ascii_case("localhost") {
        let both = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        return Ok(both.map(|ip| SocketAddr::new(ip, port).into()).to_vec());
    }
    // SAFETY: see above.
    let asking = unsafe { ask(core, host, port) }?;
    std::future::poll_fn(|cx| {
        let mut question = asking.0.borrow_mut();
        match question.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                question.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}

/// Whether there is any hope to find `host`.
pub fn can_resolve(core: Option<NonNull<ngx_http_core_loc_conf_t>>, host: &str) -> bool {
    if host.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    // SAFETY: the configuration of a level lives as long as its cycle. Nginx makes a resolver without servers where none is
    // configured (src/http/ngx_http_core_module.c, ngx_http_core_merge_loc_conf).
    unsafe {
        core.is_some_and(|core| {
            let core = core.as_ref();
            !core.resolver.is_null() && (*core.resolver).connections.nelts > 0
        })
    }
}

/// The question and the port, for the handler.
struct Data(Rc<RefCell<Question>>, u16);

unsafe fn ask(core: Option<NonNull<ngx_http_core_loc_conf_t>>, host: &str, port: u16) -> Result<Asking, String> {
    // SAFETY: the resolver lives as long as the cycle; it copies nothing of the name, which the question keeps.
    unsafe {
        let unconfigured = || format!("no \"resolver\" is configured to find \"{host}\"");
        let core = core.map(|core| core.as_ref()).filter(|core| !core.resolver.is_null()).ok_or_else(unconfigured)?;
        let ctx = ngx_resolve_start(core.resolver, std::ptr::null_mut());
        if ctx == NO_RESOLVER {
            return Err(unconfigured());
        }
        if ctx.is_null() {
            return Err("the resolver has no memory".into());
        }
        let question = Rc::new(RefCell::new(Question { ctx, name: host.into(), answer: None, waker: None }));
        let mut name = question.borrow_mut();
        (*ctx).name = ngx_str_t { len: name.name.len(), data: name.name.as_mut_ptr() };
        drop(name);
        (*ctx).handler = Some(on_answer);
        (*ctx).data = Box::into_raw(Box::new(Data(question.clone(), port))).cast();
        (*ctx).timeout = core.resolver_timeout as ngx_msec_t;
        // Whether a worker that shuts down waits is the call's to say.
        (*ctx).set_cancelable(1);
        let data = (*ctx).data.cast::<Data>();
        if ngx_resolve_name(ctx) != rc::OK {
            // The resolver has freed the context, and does not call the handler.
            question.borrow_mut().ctx = std::ptr::null_mut();
            drop(Box::from_raw(data));
            return Err(format!("\"{host}\" could not be resolved"));
        }
        Ok(Asking(question))
    }
}

unsafe extern "C" fn on_answer(ctx: *mut ngx_resolver_ctx_t) {
    // SAFETY: nginx calls the handler once, with the context that `ask` made.
    guard((), || unsafe {
        let Data(question, port) = *Box::from_raw((*ctx).data.cast::<Data>());
        let answer = if (*ctx).state == rc::OK && (*ctx).naddrs > 0 {
            let addresses = std::slice::from_raw_parts((*ctx).addrs, (*ctx).naddrs);
            Ok(addresses.iter().map(|found| Address::of(found.sockaddr, found.socklen).with_port(port)).collect())
        } else {
            let reason = CStr::from_ptr(ngx_resolver_strerror((*ctx).state).cast()).to_string_lossy();
            let name = String::from_utf8_lossy((*ctx).name.as_bytes());
            Err(format!("\"{name}\" could not be resolved ({reason})"))
        };
        ngx_resolve_name_done(ctx);
        let mut question = question.borrow_mut();
        question.ctx = std::ptr::null_mut();
        question.answer = Some(answer);
        if let Some(waker) = question.waker.take() {
            waker.wake();
        }
    });
}
