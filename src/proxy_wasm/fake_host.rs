//! The world of a filter in memory, for unit tests and fuzz targets: streams with maps, buffers and properties that a test fills in before a
//! callback and looks at afterwards.

#![cfg_attr(not(test), allow(dead_code))]

use std::collections::BTreeMap;
use std::time::Duration;

use super::body::splice;
use super::filter_state::{FilterState, LifeSpan};
use super::host::{Host, LocalResponse, UpstreamHost};
use super::ids::StreamToken;
use super::pairs::Pairs;
use super::types::{BufferType, LogLevel, MapType, Status, StreamType};
use crate::shared::Stores;
use crate::shared::latency::Kind;

type Map = Vec<(Vec<u8>, Vec<u8>)>;

/// A stream. What is not filled in is not there now.
#[derive(Default)]
pub(crate) struct FakeStream {
    maps: BTreeMap<u32, Map>,
    buffers: BTreeMap<u32, Vec<u8>>,
    properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the guest answered.
    pub responses: Vec<LocalResponse>,
    /// The directions that the guest resumed.
    pub continued: Vec<StreamType>,
    /// The directions that the guest closed.
    pub closed: Vec<StreamType>,
    /// How often the guest cleared the route cache.
    pub routes_cleared: usize,
    /// What filters keep as long as the request.
    pub filter_state: FilterState,
    /// No property can be set.
    pub knows_no_property: bool,
    /// The servers of its upstream, if that is known.
    pub upstream_hosts: Option<Vec<UpstreamHost>>,
    /// The servers that the guest chose, in order; `None` when nothing can be chosen any more.
    pub chosen_hosts: Option<Vec<Vec<u8>>>,
}

impl FakeStream {
    pub fn set_map(&mut self, map: MapType, pairs: &[(&str, &str)]) {
        let pairs = pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        self.maps.insert(map as u32, pairs.collect());
    }

    /// A map of one pair.
    pub fn set_raw(&mut self, map: MapType, name: &[u8], value: &[u8]) {
        self.maps.insert(map as u32, vec![(name.to_vec(), value.to_vec())]);
    }

    /// The pairs of a map, as text.
    pub fn map(&self, map: MapType) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.maps[&(map as u32)].iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    pub fn set_buffer(&mut self, buffer: BufferType, bytes: &[u8]) {
        self.buffers.insert(buffer as u32, bytes.to_vec());
    }

    /// The bytes of a buffer.
    pub fn buffer(&self, buffer: BufferType) -> &[u8] {
        &self.buffers[&(buffer as u32)]
    }

    pub fn set_property(&mut self, path: &[u8], value: &[u8]) {
        self.properties.insert(path.to_vec(), value.to_vec());
    }

    pub fn property(&self, path: &[u8]) -> Option<&[u8]> {
        self.properties.get(path).map(Vec::as_slice)
    }
}

/// A host with any number of streams.
pub(crate) struct FakeHost {
    pub timeout: Duration,
    pub lowest_level: LogLevel,
    pub now: u64,
    /// What was logged, in order.
    pub entries: Vec<(LogLevel, Vec<u8>)>,
    /// What happens meanwhile.
    pub on_log: Option<Box<dyn Fn()>>,
    pub streams: BTreeMap<usize, FakeStream>,
    /// What filters keep as long as the connection, of which there is one.
    pub connection: FilterState,
    /// The stream that host calls are about.
    pub selected: Option<usize>,
    pub stores: Stores,
    /// Queues that got a message, in order.
    pub filled: Vec<u32>,
    /// Where calls can go.
    pub services: Vec<&'static [u8]>,
    /// What has been warned of.
    pub warned: Vec<&'static str>,
    /// The lines of traces, if callbacks are traced.
    pub trace: Option<Vec<String>>,
    /// What it was told of that took its time.
    pub took: Vec<Kind>,
}

impl Default for FakeHost {
    fn default() -> Self {
        FakeHost {
            timeout: Duration::from_secs(1),
            lowest_level: LogLevel::Trace,
            now: 1_700_000_000_123_456_789,
            entries: Vec::new(),
            on_log: None,
            streams: BTreeMap::new(),
            connection: FilterState::default(),
            selected: None,
            stores: Stores::on_heap(16 << 10),
            filled: Vec::new(),
            services: vec![b"service"],
            warned: Vec::new(),
            trace: None,
            took: Vec::new(),
        }
    }
}

impl FakeHost {
    /// What was logged at `level`, as text.
    pub fn logged(&self, level: LogLevel) -> Vec<String> {
        let wanted = self.entries.iter().filter(|(entry, _)| *entry == level);
        wanted.map(|(_, message)| String::from_utf8_lossy(message).into_owned()).collect()
    }

    fn stream(&mut self) -> Option<&mut FakeStream> {
        self.streams.get_mut(&self.selected?)
    }

    fn readable(&mut self, map: MapType) -> Result<&mut Map, Status> {
        self.stream().and_then(|stream| stream.maps.get_mut(&(map as u32))).ok_or(Status::NotFound)
    }

    fn body(&mut self, buffer: BufferType) -> Result<&mut Vec<u8>, Status> {
        self.stream().and_then(|stream| stream.buffers.get_mut(&(buffer as u32))).ok_or(Status::NotFound)
    }

    fn writable(&mut self, map: MapType) -> Result<&mut Map, Status> {
        self.readable(map).map_err(|_| Status::BadArgument)
    }
}

impl Host for FakeHost {
    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn callback_took(&mut self, kind: Kind, _: Duration) {
        self.took.push(kind);
    }

    fn log(&mut self, level: LogLevel, message: &[u8]) {
        self.entries.push((level, message.to_vec()));
        if let Some(on_log) = &self.on_log {
            on_log();
        }
    }

    fn log_level(&self) -> LogLevel {
        self.lowest_level
    }

    fn traces(&self) -> bool {
        self.trace.is_some()
    }

    fn trace(&mut self, line: &str) {
        if let Some(lines) = &mut self.trace {
            lines.push(line.to_owned());
        }
    }

    fn warn_once(&mut self, subject: &'static str, message: &str) {
        if !self.warned.contains(&subject) {
            self.warned.push(subject);
            self.log(LogLevel::Warn, message.as_bytes());
        }
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn select(&mut self, stream: Option<StreamToken>) -> bool {
        let wanted = stream.map(|token| token.0);
        if wanted.is_some_and(|token| !self.streams.contains_key(&token)) {
            return false;
        }
        self.selected = wanted;
        true
    }

    fn map_get(&mut self, map: MapType, name: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
        let map = self.readable(map)?;
        let (_, found) = map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).ok_or(Status::NotFound)?;
        value.extend_from_slice(found);
        Ok(())
    }

    fn map_visit(&mut self, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), Status> {
        self.readable(map)?.iter().for_each(|(name, value)| visit(&name.to_ascii_lowercase(), value));
        Ok(())
    }

    fn map_add(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.writable(map)?.push((name.to_vec(), value.to_vec()));
        Ok(())
    }

    fn map_replace(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), Status> {
        self.map_remove(map, name)?;
        self.map_add(map, name, value)
    }

    fn map_remove(&mut self, map: MapType, name: &[u8]) -> Result<(), Status> {
        self.writable(map)?.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        Ok(())
    }

    fn map_set(&mut self, map: MapType, pairs: &Pairs) -> Result<(), Status> {
        *self.writable(map)? = pairs.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        Ok(())
    }

    fn buffer_len(&mut self, buffer: BufferType) -> Result<usize, Status> {
        Ok(self.body(buffer)?.len())
    }

    fn buffer_read(&mut self, buffer: BufferType, start: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Status> {
        out.extend_from_slice(&self.body(buffer)?[start..start + len]);
        Ok(())
    }

    fn buffer_write(&mut self, buffer: BufferType, start: u32, size: u32, bytes: &[u8]) -> Result<(), Status> {
        splice(self.body(buffer)?, start, size, bytes);
        Ok(())
    }

    fn property(&mut self, path: &[u8], value: &mut Vec<u8>) -> Result<(), Status> {
        let found = self.stream().and_then(|stream| stream.properties.get(path)).ok_or(Status::NotFound)?;
        value.extend_from_slice(found);
        Ok(())
    }

    fn set_property(&mut self, path: &[u8], value: &[u8]) -> Result<(), Status> {
        let stream = self.stream().filter(|stream| !stream.knows_no_property).ok_or(Status::NotFound)?;
        stream.set_property(path, value);
        Ok(())
    }

    fn send_local_response(&mut self, response: LocalResponse) -> Result<(), Status> {
        self.stream().ok_or(Status::BadArgument)?.responses.push(response);
        Ok(())
    }

    fn continue_stream(&mut self, stream: StreamType) -> Result<(), Status> {
        self.stream().ok_or(Status::BadArgument)?.continued.push(stream);
        Ok(())
    }

    fn stores(&self) -> Option<&Stores> {
        Some(&self.stores)
    }

    fn queue_filled(&mut self, queue: u32) {
        self.filled.push(queue);
    }

    fn can_call(&mut self, target: &[u8]) -> bool {
        self.services.contains(&target)
    }

    fn close_stream(&mut self, stream: StreamType) -> Result<(), Status> {
        self.stream().ok_or(Status::BadArgument)?.closed.push(stream);
        Ok(())
    }

    fn clear_route_cache(&mut self) -> Result<(), Status> {
        if let Some(stream) = self.stream() {
            stream.routes_cleared += 1;
        }
        Ok(())
    }

    fn upstream_hosts(&mut self) -> Result<Vec<UpstreamHost>, Status> {
        self.stream().and_then(|stream| stream.upstream_hosts.clone()).ok_or(Status::NotFound)
    }

    fn override_upstream_host(&mut self, address: &[u8]) -> Result<(), Status> {
        let chosen = self.stream().and_then(|stream| stream.chosen_hosts.as_mut()).ok_or(Status::BadArgument)?;
        chosen.push(address.to_vec());
        Ok(())
    }

    fn filter_state(&mut self, span: LifeSpan, look: &mut dyn FnMut(&mut FilterState)) {
        let Some(stream) = self.selected.and_then(|token| self.streams.get_mut(&token)) else { return };
        match span {
            LifeSpan::FilterChain | LifeSpan::DownstreamRequest => look(&mut stream.filter_state),
            LifeSpan::DownstreamConnection => look(&mut self.connection),
        }
    }
}
