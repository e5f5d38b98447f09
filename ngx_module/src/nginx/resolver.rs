//! nginx's resolver: names of hosts to addresses (`resolver`).

use std::cell::Cell;
use std::ffi::CStr;
use std::future::Future;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use nginx_sys::{
    ngx_http_core_loc_conf_t, ngx_msec_t, ngx_resolve_name, ngx_resolve_name_done, ngx_resolve_start,
    ngx_resolver_ctx_t, ngx_resolver_strerror, ngx_str_t,
};

use super::guard::guard;
use super::sockaddr::Address;
use super::{executor, rc};

/// What `ngx_resolve_start` answers when there is no `resolver` in the configuration (src/core/ngx_resolver.h,
/// NGX_NO_RESOLVER).
const NO_RESOLVER: *mut ngx_resolver_ctx_t = usize::MAX as *mut ngx_resolver_ctx_t;

/// The resolver of a level of the configuration, for what goes by the same configuration and ends with it.
#[derive(Clone, Copy)]
pub struct Resolver(NonNull<ngx_http_core_loc_conf_t>);

/// The addresses of a host, of which there is at least one; or why there are none.
pub type Answer = Result<Vec<Address>, String>;

/// A question to the resolver, which ends when this is dropped.
pub struct Question(Rc<Asked>);

struct Asked {
    /// Null when it has been answered, or could not be asked.
    ctx: Cell<*mut ngx_resolver_ctx_t>,
    port: u16,
    answer: Cell<Option<Answer>>,
    waker: Cell<Option<Waker>>,
    /// Nginx writes it in lower case, in its place.
    _name: Vec<u8>,
}

impl Resolver {
    /// # Safety
    /// `core` is what the core module keeps of a level, and is there as long as what gets this.
    pub(super) unsafe fn from_ptr(core: NonNull<ngx_http_core_loc_conf_t>) -> Resolver {
        Resolver(core)
    }

    fn core(&self) -> &ngx_http_core_loc_conf_t {
        // SAFETY: it is there as long as the configuration, and does not change once that is complete.
        unsafe { self.0.as_ref() }
    }

    /// Whether there is any. Nginx makes a resolver without servers where none is configured (src/http/ngx_http_core_module.c,
    /// ngx_http_core_merge_loc_conf).
    pub fn has_servers(self) -> bool {
        // SAFETY: null means that there is none; one that is there is as long there as the configuration.
        unsafe { self.core().resolver.as_ref() }.is_some_and(|resolver| resolver.connections.nelts > 0)
    }

    /// Asks for the addresses of a host. They get this port.
    pub fn ask(self, host: &str, port: u16) -> Result<Question, String> {
        let unconfigured = || format!("no \"resolver\" is configured to find \"{host}\"");
        let core = self.core();
        if core.resolver.is_null() {
            return Err(unconfigured());
        }
        // SAFETY: the resolver is there as long as the configuration.
        let ctx = unsafe { ngx_resolve_start(core.resolver, ptr::null_mut()) };
        if ctx == NO_RESOLVER {
            return Err(unconfigured());
        }
        // SAFETY: the context is the asker's until it asks.
        let Some(question) = (unsafe { ctx.as_mut() }) else { return Err("the resolver has no memory".into()) };
        let mut name = Vec::from(host);
        question.name = ngx_str_t { len: name.len(), data: name.as_mut_ptr() };
        let (answer, waker) = (Cell::new(None), Cell::new(None));
        let asked = Rc::new(Asked { ctx: Cell::new(ctx), port, answer, waker, _name: name });
        let kept = Rc::into_raw(asked.clone());
        question.handler = Some(on_answer);
        question.data = kept.cast_mut().cast();
        question.timeout = core.resolver_timeout as ngx_msec_t;
        // Whether a worker that shuts down waits is the call's to say.
        question.set_cancelable(1);
        // SAFETY: the context is complete. Its name is there until the question has been answered or has ended.
        if unsafe { ngx_resolve_name(ctx) } != rc::OK {
            // The resolver has freed the context, and does not call the handler.
            asked.ctx.set(ptr::null_mut());
            // SAFETY: nobody else has this use of it.
            drop(unsafe { Rc::from_raw(kept) });
            return Err(format!("\"{host}\" could not be resolved"));
        }
        Ok(Question(asked))
    }
}

impl Future for Question {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let answer = self.0.answer.take();
        if answer.is_none() {
            self.0.waker.set(Some(cx.waker().clone()));
        }
        answer.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let ctx = self.0.ctx.replace(ptr::null_mut());
        if ctx.is_null() || executor::is_over() {
            return;
        }
        // SAFETY: the resolver has not answered, so the context is there, and has a use of this.
        unsafe { Rc::decrement_strong_count(Rc::as_ptr(&self.0)) };
        // SAFETY: the context is there, and its handler is not called any more after this.
        unsafe { ngx_resolve_name_done(ctx) };
    }
}

unsafe extern "C" fn on_answer(ctx: *mut ngx_resolver_ctx_t) {
    guard((), || {
        // SAFETY: nginx calls the handler once, with the context that `ask` made.
        let asked = unsafe { Rc::from_raw((*ctx).data.cast::<Asked>().cast_const()) };
        asked.ctx.set(ptr::null_mut());
        // SAFETY: the context is there until the resolver is told that it is not needed any more, and nobody changes it meanwhile.
        let answer = answer(unsafe { &*ctx }, asked.port);
        // SAFETY: nobody has it any more.
        unsafe { ngx_resolve_name_done(ctx) };
        asked.answer.set(Some(answer));
        if let Some(waker) = asked.waker.take() {
            waker.wake();
        }
    });
}

fn answer(ctx: &ngx_resolver_ctx_t, port: u16) -> Answer {
    if ctx.state == rc::OK && ctx.naddrs > 0 {
        // SAFETY: the resolver has found so many addresses.
        let found = unsafe { std::slice::from_raw_parts(ctx.addrs, ctx.naddrs) };
        // SAFETY: each has its length.
        let address = |found: &nginx_sys::ngx_resolver_addr_t| unsafe { Address::of(found.sockaddr, found.socklen) };
        return Ok(found.iter().map(|found| address(found).with_port(port)).collect());
    }
    // SAFETY: nginx has a text for every state.
    let reason = unsafe { CStr::from_ptr(ngx_resolver_strerror(ctx.state).cast()) }.to_string_lossy();
    let name = String::from_utf8_lossy(ctx.name.as_bytes());
    Err(format!("\"{name}\" could not be resolved ({reason})"))
}
