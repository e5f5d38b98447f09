//! `proxy_grpc_call` and `proxy_grpc_stream`: calls over HTTP/2. `ngx_wasm::grpc` knows the format, `net/http.rs` the way.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;

use hyper::HeaderMap;
use hyper::body::{Body, Bytes, Incoming};
use ngx_wasm::grpc::{Decoder, FrameError, GrpcOutcome, code, frame, of_head, of_trailers};
use ngx_wasm::proxy_wasm::{CallFailure, CallId, GrpcCall, Pairs, Scheme};

use super::{Call, Owner, at_exit, subject};
use crate::net::balancer::BalancerInput;
use crate::net::body::{Outgoing, Queue};
use crate::net::http::{Feed, Servers, Service, describe};
use crate::nginx::timer;
use crate::process::status::{CallKind, CallResult, CallStatus};

/// What a frame adds to its message, in bytes.
const FRAME: usize = 5;

/// Where the messages of a stream go; a call has its one.
pub fn feed(call: &GrpcCall) -> Option<Feed> {
    call.message.is_none().then(Rc::<RefCell<Queue>>::default)
}

/// Puts a message into a stream, and ends it.
pub fn send(feed: &Feed, message: Option<Vec<u8>>, is_end: bool) {
    let mut feed = feed.borrow_mut();
    // A message that no frame can hold was refused by the host call.
    if let Some(Ok(framed)) = message.as_deref().map(frame) {
        feed.push(Bytes::from(framed));
    }
    if is_end {
        feed.end();
    }
}

/// Gives up what is left of a stream's request when the call ends, by itself or because it is cancelled. Otherwise `hyper`
/// would keep the request open for ever, waiting for more.
struct Open(Option<Feed>);

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(feed) = &self.0 {
            feed.borrow_mut().give_up();
        }
    }
}

/// Runs a call to its end.
pub fn run(owner: Rc<Owner>, call: GrpcCall, feed: Option<Feed>) -> Call {
    let is_tls = owner.has_tls(call.scheme == Scheme::Https);
    let service = owner.service(&call.target, call.head.authority(), is_tls, true);
    let subject = subject(&service, call.stream, Some(&call.head));
    // Before the call runs, so that one which never does is given up too.
    let open = Open(feed.clone());
    let status = CallStatus::begin(CallKind::Grpc, &call.target);
    Box::pin(async move {
        let _open = open;
        let (id, target, timeout, exit) = (call.id, call.target.clone(), call.timeout, at_exit(call.stream));
        let sent = feed.clone();
        let mut running = pin!(attempt(&owner, call, feed, service, &subject));
        // Whatever has left the queue of a stream makes room for more.
        let running = poll_fn(|cx| {
            if let Some(feed) = &sent {
                let sent = feed.borrow_mut().take_sent(cx.waker());
                if !sent.is_empty() {
                    owner.deliver(id, |vm, _| {
                        sent.iter().for_each(|size| vm.grpc_sent(id, size.saturating_sub(FRAME)));
                        Ok(())
                    });
                }
            }
            running.as_mut().poll(cx)
        });
        let outcome = match timeout {
            Some(time) => timer::timeout(time, exit, running).await.unwrap_or_else(|_| {
                let reason = format!("no answer within {} ms", time.as_millis());
                Err(Failure { status: code::DEADLINE_EXCEEDED, reason })
            }),
            None => running.await,
        };
        status.ends(result(&outcome));
        drop(status);
        let outcome = outcome.unwrap_or_else(|failure| {
            owner.log_failed_call(id, &target, &CallFailure { reason: failure.reason.clone() });
            End::Closed(GrpcOutcome::new(failure.status, failure.reason))
        });
        owner.deliver(id, |vm, host| match outcome {
            End::Message(message) => vm.on_grpc_message(id, message, host),
            End::Closed(GrpcOutcome { status, message }) => vm.on_grpc_close(id, status, message, host),
        });
        owner.forget(id);
    })
}

/// How a call has ended, as it is counted.
fn result(outcome: &Result<End, Failure>) -> CallResult {
    match outcome {
        Ok(End::Message(_)) => CallResult::Answered,
        Ok(End::Closed(outcome)) if outcome.status == code::OK => CallResult::Answered,
        Ok(End::Closed(_)) => CallResult::ServerError,
        Err(failure) if failure.status == code::DEADLINE_EXCEEDED => CallResult::Timeout,
        Err(_) => CallResult::Failed,
    }
}

/// The last callback of a call.
enum End {
    /// The answer of a call that went well.
    Message(Vec<u8>),
    /// The end of a stream, or of a call that did not.
    Closed(GrpcOutcome),
}

/// This end gave up.
struct Failure {
    status: u32,
    reason: String,
}

fn unavailable(reason: String) -> Failure {
    Failure { status: code::UNAVAILABLE, reason }
}

async fn attempt(
    owner: &Owner,
    call: GrpcCall,
    feed: Option<Feed>,
    service: Result<Rc<Service>, String>,
    subject: &BalancerInput,
) -> Result<End, Failure> {
    let service = service.map_err(unavailable)?;
    let is_stream = feed.is_some();
    let body = match (feed, call.message) {
        (Some(feed), _) => Outgoing::Stream(feed),
        (None, message) => {
            let framed = frame(&message.unwrap_or_default());
            let framed = framed.map_err(|err| Failure { status: code::INTERNAL, reason: err.to_string() })?;
            Outgoing::Whole(Bytes::from(framed), None)
        }
    };
    let mut servers = Servers::find(&service, subject).await.map_err(unavailable)?;
    let (response, link, key) = service.send(&call.head, &mut Some(body), &mut servers).await.map_err(unavailable)?;
    let answer = Answer { owner, id: call.id, is_stream, limit: service.settings.response_buffer };
    let end = answer.read(response).await;
    servers.report(end.is_err());
    drop(link);
    end.map_err(|failure| Failure { reason: format!("{}: {}", key.address, failure.reason), ..failure })
}

fn no_message(err: FrameError) -> String {
    match err {
        FrameError::TooLarge { size, limit } => {
            format!("a message of {size} bytes is larger than wasm_call_response_buffer ({limit} bytes)")
        }
        err => err.to_string(),
    }
}

/// An answer on its way to the guest.
struct Answer<'a> {
    owner: &'a Owner,
    id: CallId,
    is_stream: bool,
    /// Largest message.
    limit: usize,
}

impl Answer<'_> {
    async fn read(&self, response: hyper::Response<Incoming>) -> Result<End, Failure> {
        let (parts, mut body) = response.into_parts();
        let is_end = body.is_end_stream();
        if self.is_stream {
            // An answer that is its trailers alone has no metadata before them, as in Envoy.
            let metadata = if is_end { Pairs::default() } else { Pairs::of_response(&parts) };
            self.owner.deliver(self.id, |vm, host| vm.on_grpc_initial_metadata(self.id, metadata, host));
        }
        if let Some(outcome) = of_head(parts.status, &parts.headers, is_end) {
            if is_end {
                self.trailing_metadata(&parts.headers);
            }
            return Ok(End::Closed(outcome));
        }
        let broken = |reason: String| Failure { status: code::INTERNAL, reason };
        let mut decoder = Decoder::new(self.limit);
        let mut only = None;
        let mut trailers = None;
        while let Some(piece) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let piece = piece.map_err(|err| unavailable(describe(&err)))?;
            match piece.into_data() {
                Ok(data) => {
                    let mut bytes = &data[..];
                    while let Some(message) = decoder.next(&mut bytes).map_err(|err| broken(no_message(err)))? {
                        if self.is_stream {
                            self.owner.deliver(self.id, |vm, host| vm.on_grpc_message(self.id, message, host));
                        } else if only.replace(message).is_some() {
                            return Err(broken("the answer has more than one message".into()));
                        }
                    }
                }
                Err(piece) => trailers = piece.into_trailers().ok(),
            }
        }
        decoder.end().map_err(|err| broken(err.to_string()))?;
        if let Some(trailers) = &trailers {
            self.trailing_metadata(trailers);
        }
        let outcome = of_trailers(trailers.as_ref());
        match only {
            Some(message) if outcome.status == code::OK && !self.is_stream => Ok(End::Message(message)),
            None if outcome.status == code::OK && !self.is_stream => Err(broken("the answer has no message".into())),
            _ => Ok(End::Closed(outcome)),
        }
    }

    fn trailing_metadata(&self, trailers: &HeaderMap) {
        if self.is_stream {
            let metadata = Pairs::from(trailers);
            self.owner.deliver(self.id, |vm, host| vm.on_grpc_trailing_metadata(self.id, metadata, host));
        }
    }
}
