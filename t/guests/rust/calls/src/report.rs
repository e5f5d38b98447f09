//! What came of calls, as JSON. Bytes are shown as the characters of the same numbers.

/// Something that a callback, or the refusal of a call, told.
#[derive(Default)]
pub struct Event {
    pub name: String,
    pub kind: &'static str,
    /// What the callback's arguments say: numbers of headers, of bytes and of trailers; or one of these; or a gRPC status.
    pub counts: Vec<usize>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, Vec<u8>)>,
    /// What proxy_get_status says.
    pub status: (u32, String),
}

impl Event {
    fn json(&self) -> String {
        let body = if self.body.len() > 100_000 {
            quoted(format!("{} bytes", self.body.len()).as_bytes())
        } else {
            quoted(&self.body)
        };
        format!(
            r#"{{"name":{},"kind":"{}","counts":{:?},"headers":{},"body":{body},"trailers":{},"status":[{},{}]}}"#,
            quoted(self.name.as_bytes()),
            self.kind,
            self.counts,
            pairs(&self.headers),
            pairs(&self.trailers),
            self.status.0,
            quoted(self.status.1.as_bytes()),
        )
    }

    /// For the log.
    pub fn line(&self) -> String {
        let status = self.headers.iter().find(|(name, _)| name == ":status").map(|(_, value)| value.escape_ascii());
        let status = status.map_or("-".to_owned(), |status| status.to_string());
        let counts: Vec<_> = self.counts.iter().map(usize::to_string).collect();
        format!("{} {}: {} {status} [{} {}]", self.name, self.kind, counts.join("/"), self.status.0, self.status.1)
    }
}

impl Event {
    /// Leaves what does not depend on who the host is: no headers but `:status` and those of the service's own (`x-...`), no
    /// counts, no status of the host.
    pub fn shorten(&mut self) {
        self.headers.retain(|(name, _)| name == ":status" || name.starts_with("x-") && !name.starts_with("x-envoy-"));
        self.counts.clear();
        self.status = (0, String::new());
    }
}

pub fn json(events: &[Event], open: usize) -> String {
    let events: Vec<_> = events.iter().map(Event::json).collect();
    format!("{{\"events\":[{}],\"open\":{open}}}\n", events.join(","))
}

fn pairs(pairs: &[(String, Vec<u8>)]) -> String {
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("[{},{}]", quoted(name.as_bytes()), quoted(value))).collect();
    format!("[{}]", pairs.join(","))
}

fn quoted(bytes: &[u8]) -> String {
    let mut out = String::from('"');
    for &byte in bytes {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(byte)]),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\u{byte:04x}")),
        }
    }
    out + "\""
}
