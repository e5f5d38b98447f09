//! Calls of HTTP that a function makes: the thread that it runs on waits, and nginx's loop makes them, as those of filters.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_task::Task;
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::http::uri::Authority;
use ngx_wasm::extism::{HttpRequest, HttpResponse};
use ngx_wasm::net::head::{Head, Unsendable};
use ngx_wasm::programs::Run;
use ngx_wasm::proxy_wasm::Capabilities;

use crate::config::program_conf::ProgramLocation;
use crate::net::balancer::BalancerInput;
use crate::net::body::Outgoing;
use crate::net::http::Service;
use crate::net::service;
use crate::net::settings::Version;
use crate::nginx::executor;
use crate::nginx::timer::{self, AtExit};
use crate::process::status::{CallKind, CallResult, CallStatus};

/// Makes a call, and gives its answer to the run. It ends when the task is dropped.
pub fn begin(
    location: &ProgramLocation,
    run: Arc<Run>,
    number: u64,
    request: HttpRequest,
    longest: Duration,
) -> Task<()> {
    let most = request.most_body;
    let prepared = prepare(location, &request);
    let left = request.until.map_or(longest, |until| until.saturating_duration_since(Instant::now()).min(longest));
    let body = Outgoing::Whole(Bytes::from(request.body.unwrap_or_default()), None);
    let host =
        request.uri.authority().map_or("", |authority| authority.as_str().rsplit('@').next().unwrap_or_default());
    let status = CallStatus::begin(CallKind::Http, host.as_bytes());
    executor::spawn(async move {
        let answer = match prepared {
            Ok((service, head, subject)) => answer(service, head, body, subject, left, most, &status).await,
            Err(reason) => {
                status.fails(false);
                Err(reason)
            }
        };
        drop(status);
        run.answer(number, answer);
    })
}

fn prepare(location: &ProgramLocation, request: &HttpRequest) -> Result<(Rc<Service>, Head, BalancerInput), String> {
    let uri = &request.uri;
    let authority = uri.authority().ok_or("the URL has no host")?;
    let is_https = uri.scheme_str() == Some("https");
    // User and password stand in a header, if anywhere.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    if location.capabilities.as_ref().is_some_and(|known| !may_call(known, authority, host, is_https)) {
        return Err(format!("calls to \"{host}\" are not allowed (proxy_wasm_allow)"));
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let named = request.headers.get(HOST).map_or(host.as_bytes(), |value| value.as_bytes());
    let refused = |Unsendable(reason)| reason;
    let mut head = Head::new(request.method.clone(), path.as_bytes(), named).map_err(refused)?;
    for (name, value) in &request.headers {
        if name != HOST {
            head.fields.append(name.as_str().as_bytes(), value.as_bytes(), "header").map_err(refused)?;
        }
    }
    let settings = &location.calls;
    let has_tls = settings.ssl.unwrap_or(is_https);
    let only_http2 = settings.version == Version::Http2;
    let service = service::named(settings, host.as_bytes(), host.as_bytes(), has_tls, only_http2)?;
    let mut subject = BalancerInput::default();
    if service.looks_at_requests() {
        subject.method = head.method.to_string();
        subject.path = head.target().to_vec();
        let host = std::iter::once((&b"host"[..], head.authority()));
        let headers = host.chain(head.fields.iter());
        subject.headers = headers.map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
    }
    Ok((service, head, subject))
}

/// Whether calls to a host of a URL are allowed, with the scheme and the port that the URL says. Without a port it means that of its scheme.
fn may_call(known: &Capabilities, host: &Authority, name: &str, is_https: bool) -> bool {
    let (scheme, port) = if is_https { ("https", 443) } else { ("http", 80) };
    let allowed = |name: String| known.may_call(format!("{scheme}://{name}").as_bytes());
    allowed(name.to_owned()) || (host.port().is_none() && allowed(format!("{name}:{port}")))
}

async fn answer(
    service: Rc<Service>,
    head: Head,
    body: Outgoing,
    subject: BalancerInput,
    left: Duration,
    most: u64,
    status: &CallStatus,
) -> Result<HttpResponse, String> {
    let exchange = pin!(service.exchange(&head, body, &subject));
    let answer = timer::timeout(left, AtExit::Wait, exchange).await;
    status.fails(answer.is_err());
    let (parts, body, _) =
        answer.unwrap_or_else(|timer::Elapsed| Err(format!("no answer within {} ms", left.as_millis())))?;
    status.ends(CallResult::of_status(parts.status.as_u16()));
    if body.len() as u64 > most {
        return Err(format!("the answer has more than {most} bytes (max_http_response_bytes of the manifest)"));
    }
    Ok(HttpResponse { status: parts.status.as_u16(), headers: parts.headers, body })
}
