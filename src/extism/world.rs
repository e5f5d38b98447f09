//! What a plugin's host wants of the world around it. `ngx_module` implements [`World`] for each call of a function.

use std::time::Instant;

use http::{HeaderMap, Method, Uri};

/// The world around a plugin.
pub trait World {
    /// Takes a message that the plugin logs, of a level that [`World::log_level`] lets through, or a line that it prints: to standard
    /// output is [`Level::Info`], to standard error is [`Level::Error`].
    fn log(&mut self, level: Level, message: &[u8]);

    /// The least level that is logged; `None`: nothing is.
    fn log_level(&self) -> Option<Level>;

    /// Makes a call of HTTP, and waits until it has been answered. The host of the URL is one that the manifest allows: nothing of that
    /// is to be checked again, but no other host may be asked either, so redirects are not followed. The error says why there is no
    /// answer.
    fn http(&mut self, request: HttpRequest) -> Result<HttpResponse, String>;

    /// The time, in nanoseconds since 1970.
    fn now(&self) -> u64;

    /// A value of the configuration that wins over that of the manifest.
    fn config(&self, name: &[u8]) -> Option<Vec<u8>> {
        let _ = name;
        None
    }
}

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Each step.
    Trace,
    /// For who looks for a mistake.
    Debug,
    /// What happens.
    Info,
    /// What should not be.
    Warn,
    /// What failed.
    Error,
}

/// A call of HTTP that a plugin wants to make.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    /// GET, unless the plugin says otherwise.
    pub method: Method,
    /// With a scheme, `http` or `https`, and a host: a name, or an address, in brackets when it is one of IPv6.
    pub uri: Uri,
    /// As the plugin says them; it may say `host`, too.
    pub headers: HeaderMap,
    /// `None`: the plugin sends none.
    pub body: Option<Vec<u8>>,
    /// The longest body that the answer may have. What is longer is an error, and need not be read to its end.
    pub most_body: u64,
    /// When the time is over that the manifest gives to the call of the function.
    pub until: Option<Instant>,
}

/// The answer to it.
#[derive(Clone, Debug, Default)]
pub struct HttpResponse {
    /// Its status; all are answers.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}
