//! The world of a filter, as a trait: `ngx_module` implements it for a request and for a worker, a fake in memory for
//! unit tests.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::filter_state::{FilterState, LifeSpan};
use super::ids::{ContextId, StreamToken};
use super::pairs::Pairs;
use super::types::{BufferType, LogLevel, MapType, Status, StreamType};
use crate::shared::Stores;
use crate::shared::latency::Kind;

/// A response that the filter makes itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalResponse {
    /// HTTP status.
    pub status: u32,
    /// Why, for logs and `response.code_details`.
    pub details: Vec<u8>,
    /// The body, possibly empty.
    pub body: Vec<u8>,
    /// Headers to add; a name may come twice.
    pub headers: Pairs,
    /// 0 to 16 when the guest gave one.
    pub grpc_status: Option<u32>,
}

/// A server that may be asked for the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamHost {
    /// As the property `upstream.address` has it: "IP:PORT", or the path of a socket.
    pub address: Vec<u8>,
    /// What is known of it.
    pub health: HostHealth,
}

/// Envoy's words for the state of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostHealth {
    /// It works.
    Healthy,
    /// It works, and is only asked where the healthy ones are not enough.
    Degraded,
    /// It does not work, or is not to be asked.
    Unhealthy,
}

/// What a filter can reach. Every method speaks of the stream that [`Host::select`] chose last; a host without streams
/// keeps the defaults, which know no map, buffer or property.
///
/// Failures are the status that the guest gets. A map or buffer that is not there now is `NotFound` to a reader and
/// `BadArgument` to a writer.
pub trait Host {
    /// How long one callback may run.
    fn timeout(&self) -> Duration;

    /// A callback took so long, if the VM is to measure that.
    fn callback_took(&mut self, _kind: Kind, _time: Duration) {}

    /// Writes what there is to be said about the guest.
    fn log(&mut self, level: LogLevel, message: &[u8]);

    /// Writes a message of the guest: what it logs, and what it prints.
    fn guest_log(&mut self, level: LogLevel, message: &[u8]) {
        self.log(level, message);
    }

    /// The lowest level at which messages of the guest are written.
    fn log_level(&self) -> LogLevel;

    /// Whether the callback that runs is traced, line by line: by [`Host::trace`].
    fn traces(&self) -> bool {
        false
    }

    /// Writes a line of the trace.
    fn trace(&mut self, line: &str) {
        let _ = line;
    }

    /// Warns of what the filter does, once for each `subject` in the life of the filter.
    fn warn_once(&mut self, subject: &'static str, message: &str) {
        let _ = subject;
        self.log(LogLevel::Warn, message.as_bytes());
    }

    /// Wall-clock time in nanoseconds since 1970.
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Makes another stream of the same filter the one that the other methods speak of; `None` is none at all.
    /// Answers whether there is such a stream now; if not, the one before stays.
    fn select(&mut self, stream: Option<StreamToken>) -> bool {
        stream.is_none()
    }

    /// Tells which context host calls are about from now on, before each callback and when the guest chooses another one: a
    /// stream may have several in one VM.
    fn about(&mut self, context: ContextId) {
        let _ = context;
    }

    /// Appends the first value of `name` to `value`. Names are compared without regard to case.
    fn map_get(&mut self, map: MapType, name: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
        let _ = (map, name, value);
        Err(Status::NotFound)
    }

    /// Shows all pairs to `visit`, names in lower case, pseudo-headers first.
    fn map_visit(&mut self, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Status> {
        let _ = (map, visit);
        Err(Status::NotFound)
    }

    /// Adds one more value for `name`.
    fn map_add(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let _ = (map, name, value);
        Err(Status::BadArgument)
    }

    /// Makes `value` the only one for `name`.
    fn map_replace(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
        let _ = (map, name, value);
        Err(Status::BadArgument)
    }

    /// Drops all values of `name`; there may be none.
    fn map_remove(&mut self, map: MapType, name: &[u8]) -> Result<(), Status> {
        let _ = (map, name);
        Err(Status::BadArgument)
    }

    /// Makes the map consist of `pairs` alone.
    fn map_set(&mut self, map: MapType, pairs: &Pairs) -> Result<(), Status> {
        let _ = (map, pairs);
        Err(Status::BadArgument)
    }

    /// How many bytes a buffer has.
    fn buffer_len(&mut self, buffer: BufferType) -> Result<usize, Status> {
        let _ = buffer;
        Err(Status::NotFound)
    }

    /// Appends `len` bytes of a buffer, from `start` on, to `out`. There are as many.
    fn buffer_read(&mut self, buffer: BufferType, start: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Status> {
        let _ = (buffer, start, len, out);
        Err(Status::NotFound)
    }

    /// Puts `bytes` in the place of `size` bytes of a buffer, from `start` on; both may lie behind its end.
    fn buffer_write(&mut self, buffer: BufferType, start: u32, size: u32, bytes: &[u8]) -> Result<(), Status> {
        let _ = (buffer, start, size, bytes);
        Err(Status::NotFound)
    }

    /// Appends the value of the property to `value`. Segments of `path` are separated by NUL.
    fn property(&mut self, path: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
        let _ = (path, value);
        Err(Status::NotFound)
    }

    /// Sets a property.
    fn set_property(&mut self, path: &[u8], value: &[u8]) -> Result<(), Status> {
        let _ = (path, value);
        Err(Status::NotFound)
    }

    /// Answers the request; takes effect after the callback. A second one is ignored. So is one without a stream, as in Envoy:
    /// the stream may end while the guest waits for something, and any status but Ok would end Rust guests.
    fn send_local_response(&mut self, response: LocalResponse) -> Result<(), Status> {
        let _ = response;
        Ok(())
    }

    /// Resumes a paused direction; takes effect after the callback. Without a stream there is nothing to resume, see above.
    fn continue_stream(&mut self, stream: StreamType) -> Result<(), Status> {
        let _ = stream;
        Ok(())
    }

    /// What filters share across workers. A host without it answers Unimplemented to the calls that want it.
    fn stores(&self) -> Option<&Stores> {
        None
    }

    /// A queue of [`Host::stores`] has got a message: somebody who has registered it is to get on_queue_ready, after the
    /// callback.
    fn queue_filled(&mut self, queue: u32) {
        let _ = queue;
    }

    /// Whether there is a service of this name that calls can go to, as far as that is known without asking it.
    fn can_call(&mut self, target: &[u8]) -> bool {
        let _ = target;
        false
    }

    /// Ends the stream, if there is one; takes effect after the callback.
    fn close_stream(&mut self, stream: StreamType) -> Result<(), Status> {
        let _ = stream;
        Ok(())
    }

    /// The location is to be chosen again, from the request as filters have left it. Without a request, or when it is too
    /// late, nothing is to be done, and that is no failure.
    fn clear_route_cache(&mut self) -> Result<(), Status> {
        Ok(())
    }

    /// The servers of the upstream that the request is to go to; `NotFound` when none is known.
    fn upstream_hosts(&mut self) -> Result<Vec<UpstreamHost>, Status> {
        Err(Status::NotFound)
    }

    /// The first connection to the upstream is to go to the server with this address; with none, an earlier choice is taken
    /// back. An address that no server has, or one that does not work, has no effect, and is no failure. `BadArgument` when no
    /// upstream can be asked any more.
    fn override_upstream_host(&mut self, address: &[u8]) -> Result<(), Status> {
        let _ = address;
        Err(Status::BadArgument)
    }

    /// Shows `look` the values that filters share for this long. Where there is no place for such, it is not called.
    fn filter_state(&mut self, span: LifeSpan, look: &mut dyn FnMut(&mut FilterState)) {
        let _ = (span, look);
    }
}
