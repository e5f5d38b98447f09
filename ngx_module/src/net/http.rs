//! Requests to other services over HTTP: finds a server, takes or makes a connection to it, and goes to the next one when
//! that fails. `hyper` does the framing.

use std::cell::RefCell;
use std::error::Error as _;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;

use hyper::body::{Body, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::http::{HeaderMap, Response, StatusCode, header, response::Parts};
use hyper::rt::Executor;
use ngx_wasm::net::head::{Head, Unsendable};
use ngx_wasm::net::target::Target;

use super::address::Address;
use super::balancer::{BalancerInput, Peers, Upstream};
use super::body::Outgoing;
use super::connect::connect;
use super::connection::Connection;
use super::pool::{self, Key, Protocol, Single, Use};
use super::resolve;
use super::settings::{CallSettings, Version};
use crate::nginx::timer::{AtExit, timeout};
use crate::nginx::{cycle, executor};

/// Headers and trailers of an answer may have this many bytes.
const HEADERS: usize = 64 << 10;

/// Who is to be called, and how.
pub struct Service {
    pub settings: Rc<CallSettings>,
    pub endpoint: Endpoint,
    /// Whether TLS is wanted, and for which host.
    pub tls: Option<String>,
    /// HTTP/2 from the first byte on, or as the only choice of TLS.
    pub only_http2: bool,
}

/// Where a service is.
#[derive(Clone)]
pub enum Endpoint {
    Upstream(Upstream),
    Target(Target),
}

/// The servers of a service, one after the other.
pub enum Servers {
    /// With whether one has been tried.
    Upstream(Peers, bool),
    List(std::vec::IntoIter<Address>),
}

impl Servers {
    /// Begins with a service.
    pub async fn find(service: &Service, subject: &BalancerInput) -> Result<Servers, String> {
        match &service.endpoint {
            Endpoint::Upstream(upstream) => Ok(Servers::Upstream(Peers::new(*upstream, subject)?, false)),
            Endpoint::Target(Target::Unix(path)) => {
                let address = Address::unix(path).ok_or("the path of the socket is too long")?;
                Ok(Servers::List(vec![address].into_iter()))
            }
            Endpoint::Target(Target::Host { host, port }) => {
                let port = port.unwrap_or(if service.tls.is_some() { 443 } else { 80 });
                let addresses = Box::pin(resolve::resolve(service.settings.core, host, port)).await?;
                Ok(Servers::List(addresses.into_iter()))
            }
        }
    }

    /// The next one to be tried. `None`: there is none left.
    pub fn next(&mut self) -> Result<Option<Address>, String> {
        match self {
            // Asked for the first time, the balancer says itself that there is none.
            Servers::Upstream(peers, true) if peers.tries() == 0 => Ok(None),
            Servers::Upstream(peers, is_begun) => {
                *is_begun = true;
                peers.next().map(Some)
            }
            Servers::List(addresses) => Ok(addresses.next()),
        }
    }

    /// How it went with the last one.
    pub fn report(&mut self, is_failed: bool) {
        if let Servers::Upstream(peers, _) = self {
            peers.report(is_failed);
        }
    }
}

/// A connection for one request.
pub enum Link {
    Single(Single),
    Shared(Use),
}

impl Link {
    fn is_reused(&self) -> bool {
        match self {
            Link::Single(single) => single.uses > 0,
            Link::Shared(shared) => shared.is_reused,
        }
    }
}

/// Runs the futures that `hyper` makes for a connection of HTTP/2.
#[derive(Clone)]
struct Local;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        executor::spawn(future).detach();
    }
}

/// An answer that was not read to its end.
pub struct Trouble {
    pub reason: String,
    /// It is more than this end wants, which is no failure of the server.
    pub is_ours: bool,
}

/// Why each of several attempts failed.
#[derive(Default)]
pub struct Reasons(Vec<String>);

impl Reasons {
    pub fn add(&mut self, reason: String) {
        self.0.push(reason);
    }
}

impl From<Reasons> for String {
    fn from(Reasons(reasons): Reasons) -> String {
        if reasons.is_empty() { "the service has no address".into() } else { reasons.join("; ") }
    }
}

/// An error with all of its causes.
pub fn describe(err: &hyper::Error) -> String {
    let mut text = err.to_string();
    let mut source = err.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl Service {
    /// Whether the choice of a server may depend on the request.
    pub fn looks_at_requests(&self) -> bool {
        matches!(self.endpoint, Endpoint::Upstream(upstream) if !upstream.is_round_robin())
    }

    pub fn key(&self, address: Address) -> Key {
        Key {
            address,
            tls: self.tls.as_ref().map(|host| (cycle::number(), Rc::as_ptr(&self.settings), host.clone())),
            kind: if self.only_http2 { Protocol::Http2 } else { Protocol::Http },
        }
    }

    /// A new connection, with TLS if the service wants it, and whether HTTP/2 was agreed upon.
    pub async fn open(&self, address: &Address, offer_http2: bool) -> Result<(Connection, bool), String> {
        let settings = &self.settings;
        let within = format!("within {} ms (wasm_call_connect_timeout)", settings.connect_timeout.as_millis());
        // The call's own time-out holds up a worker that shuts down, if anything does.
        let connection = timeout(settings.connect_timeout, AtExit::Leave, pin!(connect(address)))
            .await
            .map_err(|_| format!("connect to {address}: no connection {within}"))?
            .map_err(|err| format!("connect to {address}: {err}"))?;
        let Some(host) = &self.tls else { return Ok((connection, false)) };
        let handshake = Box::pin(settings.tls.handshake(&connection, host, offer_http2));
        let is_http2 = timeout(settings.connect_timeout, AtExit::Leave, handshake)
            .await
            .map_err(|_| format!("TLS with {address}: no handshake {within}"))?
            .map_err(|err| format!("TLS with {address}: {err}"))?;
        Ok((connection, is_http2))
    }

    /// A connection with this key, used before or new.
    async fn link(&self, key: &Key, may_reuse: bool) -> Result<Link, String> {
        if may_reuse {
            if let Some(shared) = pool::share(key, &self.settings) {
                return Ok(Link::Shared(shared));
            }
            if let Some(single) = pool::take_single(key) {
                return Ok(Link::Single(single));
            }
        }
        // In a box, so that calls over connections that are there are not as large as this is.
        Box::pin(self.new_link(key)).await
    }

    async fn new_link(&self, key: &Key) -> Result<Link, String> {
        let (settings, address) = (&self.settings, &key.address);
        let offer_http2 = self.only_http2 || settings.version != Version::Http1;
        let (connection, is_http2) = self.open(address, offer_http2).await?;
        if self.only_http2 && self.tls.is_some() && !is_http2 {
            return Err(format!("TLS with {address}: the other end does not speak HTTP/2"));
        }
        let handle = connection.handle();
        let own_key = key.clone();
        if is_http2 || self.only_http2 {
            // Until the other end says how many calls it takes at a time, it gets one.
            let handshake = http2::Builder::new(Local)
                .max_header_list_size(HEADERS as u32)
                .initial_max_send_streams(1)
                .handshake(connection);
            let (sender, driver) =
                handshake.await.map_err(|err| format!("HTTP/2 with {address}: {}", describe(&err)))?;
            let shared = pool::put_shared(key.clone(), sender, handle, settings);
            executor::spawn(async move {
                // The calls on it get the error too.
                let _ = driver.await;
                pool::forget_closed(&own_key);
            })
            .detach();
            return Ok(Link::Shared(shared));
        }
        // An answer may have 100 headers, as in Envoy: more than that `hyper` would not hold without allocating for each answer.
        let handshake = http1::Builder::new().max_buf_size(HEADERS).handshake(connection);
        let (sender, driver) = handshake.await.map_err(|err| format!("HTTP with {address}: {}", describe(&err)))?;
        executor::spawn(async move {
            // The call on it, if there is one, gets the error too.
            let _ = driver.await;
            pool::forget_closed(&own_key);
        })
        .detach();
        Ok(Link::Single(Single { sender, handle, uses: 0 }))
    }

    /// Sends a request, and answers with the headers of the response. The connection comes with it, for
    /// [`Service::finish`].
    pub async fn send(
        &self,
        head: &Head,
        body: &mut Option<Outgoing>,
        servers: &mut Servers,
    ) -> Result<(Response<Incoming>, Link, Key), String> {
        let mut reasons = Reasons::default();
        loop {
            let address = match servers.next() {
                Ok(Some(address)) => address,
                Ok(None) => break,
                Err(why) => {
                    reasons.add(why);
                    break;
                }
            };
            let key = self.key(address);
            let mut may_reuse = true;
            loop {
                let mut link = match self.link(&key, may_reuse).await {
                    Ok(link) => link,
                    Err(why) => {
                        reasons.add(why);
                        break;
                    }
                };
                let Some(outgoing) = body.take() else { return Err(reasons.into()) };
                // Of a connection that was idle nobody knows whether the other end is about to close it.
                let is_reused = link.is_reused();
                let spare = if is_reused && head.method.is_idempotent() { outgoing.again() } else { None };
                match link.send(head, outgoing, self.tls.is_some()).await {
                    Ok(response) => return Ok((response, link, key)),
                    Err(NotSent { reason: why, unsent, cause }) => {
                        reasons.add(format!("{}: {why}", key.address));
                        if cause == Cause::Unsendable {
                            return Err(reasons.into());
                        }
                        // A stream that the other end reset on purpose is an answer of a kind.
                        let spare = spare.filter(|_| cause != Cause::Refused);
                        *body = unsent.or(spare);
                        if !is_reused || body.is_none() {
                            break;
                        }
                        may_reuse = false;
                    }
                }
            }
            servers.report(true);
            if body.is_none() {
                break;
            }
        }
        Err(reasons.into())
    }

    /// Reads the body of a response, and its trailers.
    async fn read(&self, body: Incoming) -> Result<(Vec<u8>, Option<HeaderMap>), Trouble> {
        let limit = self.settings.response_buffer;
        let too_large = || Trouble {
            reason: format!("the answer is larger than wasm_call_response_buffer ({limit} bytes)"),
            is_ours: true,
        };
        if body.size_hint().lower() > limit as u64 {
            return Err(too_large());
        }
        let mut body = body;
        let mut bytes = Vec::new();
        let mut trailers = None;
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let frame = frame.map_err(|err| Trouble { reason: describe(&err), is_ours: false })?;
            match frame.into_data() {
                Ok(data) => {
                    if data.len() > limit - bytes.len() {
                        return Err(too_large());
                    }
                    bytes.extend_from_slice(&data);
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        Ok((bytes, trailers))
    }

    /// The response has been read: the connection may serve somebody else.
    pub fn finish(self: &Rc<Self>, link: Link, key: Key) {
        let Link::Single(mut single) = link else { return };
        single.uses += 1;
        if single.sender.is_ready() {
            return pool::put_single(key, single, &self.settings);
        }
        let service = self.clone();
        executor::spawn(async move {
            // One that closes after its response never gets ready.
            if single.sender.ready().await.is_ok() {
                pool::put_single(key, single, &service.settings);
            }
        })
        .detach();
    }

    /// One request, and all of its answer.
    pub async fn exchange(
        self: &Rc<Self>,
        head: &Head,
        body: Outgoing,
        subject: &BalancerInput,
    ) -> Result<(Parts, Vec<u8>, Option<HeaderMap>), String> {
        let mut servers = Servers::find(self, subject).await?;
        let (response, link, key) = self.send(head, &mut Some(body), &mut servers).await?;
        let (parts, body) = response.into_parts();
        if parts.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(format!("{}: the other end switches to another protocol", key.address));
        }
        match self.read(body).await {
            Ok((body, trailers)) => {
                servers.report(false);
                self.finish(link, key);
                Ok((parts, body, trailers))
            }
            Err(trouble) => {
                servers.report(!trouble.is_ours);
                Err(format!("{}: {}", key.address, trouble.reason))
            }
        }
    }
}

/// A request has no response.
struct NotSent {
    reason: String,
    /// The body, when nothing of the request has left.
    unsent: Option<Outgoing>,
    cause: Cause,
}

/// Whose doing it is that there is no response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The connection broke.
    Broken,
    /// The other end has seen the request, and refused to answer it.
    Refused,
    /// There is no such request in the protocol that the other end speaks.
    Unsendable,
}

impl From<Unsendable> for NotSent {
    fn from(unsendable: Unsendable) -> Self {
        NotSent { reason: unsendable.0, unsent: None, cause: Cause::Unsendable }
    }
}

/// Whether the other end has ended this one stream, after it began to look at the request
/// (RFC 9113, section 8.7: REFUSED_STREAM says that it did not).
fn is_refusal(err: &hyper::Error) -> bool {
    let cause = err.source().and_then(|source| source.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| cause.is_reset() && cause.reason() != Some(h2::Reason::REFUSED_STREAM))
}

impl Link {
    /// Sends a request.
    async fn send(&mut self, head: &Head, body: Outgoing, is_tls: bool) -> Result<Response<Incoming>, NotSent> {
        let sent = match self {
            Link::Single(single) => {
                let (mut request, swaps) = head.for_http1()?;
                name_trailers(request.headers_mut(), &body);
                single.handle.expect(swaps);
                single.sender.try_send_request(request.map(|()| body)).await
            }
            Link::Shared(shared) => {
                let request = head.for_http2(is_tls)?;
                let mut sender = shared.shared.sender.clone();
                sender.try_send_request(request.map(|()| body)).await
            }
        };
        sent.map_err(|mut err| {
            let cause = if is_refusal(err.error()) { Cause::Refused } else { Cause::Broken };
            let unsent = err.take_message().map(|request| request.into_body());
            NotSent { reason: describe(err.error()), unsent, cause }
        })
    }
}

/// Without this line of HTTP/1.1 `hyper` sends no trailers; RFC 9110, section 6.6.2, asks for it anyway.
fn name_trailers(headers: &mut HeaderMap, body: &Outgoing) {
    if let Outgoing::Whole(_, Some(trailers)) = body {
        let names: Vec<_> = trailers.keys().map(header::HeaderName::as_str).collect();
        if let Ok(names) = header::HeaderValue::from_str(&names.join(", ")) {
            headers.insert(header::TRAILER, names);
        }
    }
}

/// For bodies that are fed while the call runs.
pub type Feed = Rc<RefCell<super::body::Queue>>;
