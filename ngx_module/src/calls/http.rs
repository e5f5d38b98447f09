//! `proxy_http_call`: one request, and its answer or the reason why there is none.

use hyper::body::Bytes;
use hyper::http::{Request, header};
use ngx_wasm::proxy_wasm::{CallFailure, HttpAnswer, HttpCall, Scheme};

use super::{Owner, at_exit, subject};
use crate::net::balancer::Subject;
use crate::net::body::Outgoing;
use crate::net::settings::Version;
use crate::net::timer;

/// Runs a call to its end.
pub fn run(owner: Owner, call: HttpCall) -> impl Future<Output = ()> + 'static {
    // The request that the call was made for is there now, and perhaps not later.
    let path = call.request.uri().path_and_query().map_or("/", |path| path.as_str());
    let subject = subject(call.stream, path, call.request.headers());
    async move {
        let (id, target) = (call.id, call.target.clone());
        let outcome = answer(&owner, call, &subject).await.map_err(|reason| CallFailure { reason });
        if let Err(failure) = &outcome {
            owner.complain(id, &target, failure);
        }
        owner.deliver(|vm, host| vm.on_http_call_response(id, outcome, host));
        owner.forget(id);
    }
}

async fn answer(owner: &Owner, call: HttpCall, subject: &Subject) -> Result<HttpAnswer, String> {
    let (parts, body) = call.request.into_parts();
    let host = parts.headers.get(header::HOST).map(|host| host.as_bytes()).unwrap_or_default();
    let only_http2 = call.scheme == Scheme::H2c || owner.settings.version == Version::Http2;
    let service = owner.service(&call.target, host, call.scheme == Scheme::Https, only_http2)?;
    let service = std::rc::Rc::new(service);
    let trailers = (!call.trailers.is_empty()).then_some(call.trailers);
    let request = Request::from_parts(parts, Outgoing::Whole(Bytes::from(body), trailers));
    match timer::timeout(call.timeout, at_exit(call.stream), service.exchange(request, subject)).await {
        Ok(outcome) => {
            let (parts, body, trailers) = outcome?;
            Ok(HttpAnswer::new(&parts, body, trailers.as_ref()))
        }
        Err(timer::Elapsed) => Err(format!("no answer within {} ms", call.timeout.as_millis())),
    }
}
