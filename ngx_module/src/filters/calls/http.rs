//! `proxy_http_call`: one request, and its answer or the reason why there is none.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Bytes;
use ngx_wasm::net::head::Head;
use ngx_wasm::proxy_wasm::{CallFailure, HttpAnswer, HttpCall, Scheme};

use super::{Call, Owner, at_exit, subject};
use crate::net::balancer::BalancerInput;
use crate::net::body::Outgoing;
use crate::net::http::Service;
use crate::net::settings::Version;
use crate::nginx::timer::{self, AtExit};
use crate::process::status::{CallKind, CallResult, CallStatus};

/// Runs a call to its end.
pub fn run(owner: Rc<Owner>, call: HttpCall) -> Call {
    let HttpCall { id, stream, target, scheme, head, body, trailers, timeout } = call;
    let only_http2 = scheme == Scheme::H2c || owner.settings.version == Version::Http2;
    let service = owner.service(&target, head.authority(), owner.has_tls(scheme == Scheme::Https), only_http2);
    let subject = subject(&service, stream, Some(&head));
    let trailers = (!trailers.is_empty()).then(|| trailers.encoded());
    let body = Outgoing::Whole(Bytes::from(body), trailers);
    let status = CallStatus::begin(CallKind::Http, &target);
    Box::pin(async move {
        let answer = answer(service, head, body, timeout, at_exit(stream), subject, &status).await;
        // The guest may end its request, and with it this call, in the callback.
        drop(status);
        let outcome = answer.map_err(|reason| CallFailure { reason });
        if let Err(failure) = &outcome {
            owner.log_failed_call(id, &target, failure);
        }
        owner.deliver(id, |vm, host| vm.on_http_call_response(id, outcome, host));
        owner.forget(id);
    })
}

async fn answer(
    service: Result<Rc<Service>, String>,
    head: Head,
    body: Outgoing,
    timeout: Duration,
    at_exit: AtExit,
    subject: BalancerInput,
    status: &CallStatus,
) -> Result<HttpAnswer, String> {
    status.ends(CallResult::Failed);
    let service = service?;
    let exchange = pin!(service.exchange(&head, body, &subject));
    status.ends(CallResult::Cancelled);
    let answer = timer::timeout(timeout, at_exit, exchange).await;
    status.fails(answer.is_err());
    let (parts, body, trailers) =
        answer.unwrap_or_else(|timer::Elapsed| Err(format!("no answer within {} ms", timeout.as_millis())))?;
    status.ends(CallResult::of_status(parts.status.as_u16()));
    Ok(HttpAnswer::new(&parts, body, trailers.as_ref()))
}
