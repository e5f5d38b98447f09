//! `proxy_http_call`: one request, and its answer or the reason why there is none.

use std::pin::pin;
use std::rc::Rc;

use hyper::body::Bytes;
use hyper::http::{Request, header};
use ngx_wasm::proxy_wasm::{CallFailure, HttpAnswer, HttpCall, Scheme};

use super::{Call, Owner, at_exit, subject};
use crate::net::balancer::Subject;
use crate::net::body::Outgoing;
use crate::net::http::Service;
use crate::net::settings::Version;
use crate::net::timer;

/// Runs a call to its end.
pub fn run(owner: Rc<Owner>, call: HttpCall) -> Call {
    let headers = call.request.headers();
    let host = headers.get(header::HOST).map(|host| host.as_bytes()).unwrap_or_default();
    let only_http2 = call.scheme == Scheme::H2c || owner.settings.version == Version::Http2;
    let service = owner.service(&call.target, host, call.scheme == Scheme::Https, only_http2);
    let path = call.request.uri().path_and_query().map_or("/", |path| path.as_str());
    let subject = subject(&service, call.stream, path, headers);
    Box::pin(finish(owner, call, service, subject))
}

async fn finish(owner: Rc<Owner>, call: HttpCall, service: Result<Rc<Service>, String>, subject: Subject) {
    let HttpCall { id, stream, target, request, trailers, timeout, .. } = call;
    let (parts, body) = request.into_parts();
    let trailers = (!trailers.is_empty()).then_some(trailers);
    let mut request = Some(Request::from_parts(parts, Outgoing::Whole(Bytes::from(body), trailers)));
    let outcome = match service {
        Ok(service) => {
            let exchange = pin!(service.exchange(&mut request, &subject));
            timer::timeout(timeout, at_exit(stream), exchange)
                .await
                .unwrap_or_else(|timer::Elapsed| Err(format!("no answer within {} ms", timeout.as_millis())))
        }
        Err(reason) => Err(reason),
    };
    let outcome = match outcome {
        Ok((parts, body, trailers)) => Ok(HttpAnswer::new(&parts, body, trailers.as_ref())),
        Err(reason) => {
            let failure = CallFailure { reason };
            owner.complain(id, &target, &failure);
            Err(failure)
        }
    };
    owner.deliver(|vm, host| vm.on_http_call_response(id, outcome, host));
    owner.forget(id);
}
