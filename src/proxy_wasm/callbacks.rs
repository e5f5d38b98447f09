//! Everything that the host calls in a guest, with the types that it accepts. Source: specification 0.2.1, "Callbacks";
//! the older shapes are those of 0.1.0.

use crate::shared::latency::Kind;

/// A function that a guest may export for the host.
///
/// The number of a variant is the number of the export in [`crate::vm::Instance::call`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
#[allow(missing_docs)]
pub enum Callback {
    Initialize,
    Main,
    MainVoid,
    Start,
    OnMemoryAllocate,
    Malloc,
    OnContextCreate,
    OnVmStart,
    OnConfigure,
    OnTick,
    OnQueueReady,
    OnRequestHeaders,
    OnRequestBody,
    OnRequestTrailers,
    OnResponseHeaders,
    OnResponseBody,
    OnResponseTrailers,
    OnHttpCallResponse,
    OnGrpcReceiveInitialMetadata,
    OnGrpcReceive,
    OnGrpcReceiveTrailingMetadata,
    OnGrpcClose,
    OnRedisCallResponse,
    OnDone,
    OnLog,
    OnDelete,
}

/// One row of the table of callbacks.
pub(super) struct Row {
    /// The callback that it describes; rows stand in the order of the enumeration.
    pub callback: Callback,
    /// Name of the export.
    pub name: &'static str,
    /// Numbers of parameters, all i32, that the host can serve.
    pub params: &'static [usize],
    /// Whether it has a result, an i32.
    pub result: bool,
}

const fn row(callback: Callback, name: &'static str, params: &'static [usize], result: bool) -> Row {
    Row { callback, name, params, result }
}

/// All callbacks that this host makes.
pub(super) const TABLE: [Row; 26] = [
    row(Callback::Initialize, "_initialize", &[0], false),
    row(Callback::Main, "main", &[2], true),
    row(Callback::MainVoid, "__main_void", &[0], true),
    row(Callback::Start, "_start", &[0], false),
    row(Callback::OnMemoryAllocate, "proxy_on_memory_allocate", &[1], true),
    row(Callback::Malloc, "malloc", &[1], true),
    row(Callback::OnContextCreate, "proxy_on_context_create", &[2], false),
    row(Callback::OnVmStart, "proxy_on_vm_start", &[2], true),
    row(Callback::OnConfigure, "proxy_on_configure", &[2], true),
    row(Callback::OnTick, "proxy_on_tick", &[1], false),
    row(Callback::OnQueueReady, "proxy_on_queue_ready", &[2], false),
    // (context, headers) in 0.1.0, (context, headers, end of stream) since 0.2.0.
    row(Callback::OnRequestHeaders, "proxy_on_request_headers", &[2, 3], true),
    row(Callback::OnRequestBody, "proxy_on_request_body", &[3], true),
    row(Callback::OnRequestTrailers, "proxy_on_request_trailers", &[2], true),
    row(Callback::OnResponseHeaders, "proxy_on_response_headers", &[2, 3], true),
    row(Callback::OnResponseBody, "proxy_on_response_body", &[3], true),
    row(Callback::OnResponseTrailers, "proxy_on_response_trailers", &[2], true),
    // (root, call, headers, bytes of the body, trailers).
    row(Callback::OnHttpCallResponse, "proxy_on_http_call_response", &[5], false),
    row(Callback::OnGrpcReceiveInitialMetadata, "proxy_on_grpc_receive_initial_metadata", &[3], false),
    row(Callback::OnGrpcReceive, "proxy_on_grpc_receive", &[3], false),
    row(Callback::OnGrpcReceiveTrailingMetadata, "proxy_on_grpc_receive_trailing_metadata", &[3], false),
    row(Callback::OnGrpcClose, "proxy_on_grpc_close", &[3], false),
    // Higress': (root, call, status, bytes).
    row(Callback::OnRedisCallResponse, "proxy_on_redis_call_response", &[4], false),
    row(Callback::OnDone, "proxy_on_done", &[1], true),
    row(Callback::OnLog, "proxy_on_log", &[1], false),
    row(Callback::OnDelete, "proxy_on_delete", &[1], false),
];

/// The names of [`TABLE`], as the engine wants them for linking.
pub(super) const NAMES: [&str; TABLE.len()] = {
    let mut names = [""; TABLE.len()];
    let mut n = 0;
    while n < TABLE.len() {
        assert!(TABLE[n].callback as usize == n, "rows stand in the order of the enumeration");
        names[n] = TABLE[n].name;
        n += 1;
    }
    names
};

impl Callback {
    /// The name of the export.
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// What it is measured as.
    pub fn kind(self) -> Kind {
        match self {
            Callback::Initialize | Callback::Main | Callback::MainVoid | Callback::Start => Kind::Start,
            Callback::OnMemoryAllocate | Callback::Malloc | Callback::OnVmStart | Callback::OnConfigure => Kind::Start,
            Callback::OnContextCreate => Kind::ContextCreate,
            Callback::OnTick => Kind::Tick,
            Callback::OnQueueReady => Kind::QueueReady,
            Callback::OnRequestHeaders => Kind::RequestHeaders,
            Callback::OnRequestBody => Kind::RequestBody,
            Callback::OnRequestTrailers => Kind::RequestTrailers,
            Callback::OnResponseHeaders => Kind::ResponseHeaders,
            Callback::OnResponseBody => Kind::ResponseBody,
            Callback::OnResponseTrailers => Kind::ResponseTrailers,
            Callback::OnHttpCallResponse
            | Callback::OnGrpcReceiveInitialMetadata
            | Callback::OnGrpcReceive
            | Callback::OnGrpcReceiveTrailingMetadata
            | Callback::OnGrpcClose
            | Callback::OnRedisCallResponse => Kind::CallResponse,
            Callback::OnDone | Callback::OnLog | Callback::OnDelete => Kind::End,
        }
    }
}

/// Which callbacks a module has, and with how many parameters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Callbacks([Option<u8>; TABLE.len()]);

impl Callbacks {
    /// Notes that the module exports `callback` with `params` parameters.
    pub fn insert(&mut self, callback: Callback, params: usize) {
        self.0[callback as usize] = Some(params as u8);
    }

    /// Without those that are not wanted.
    pub fn filtered(mut self, is_wanted: impl Fn(Callback) -> bool) -> Self {
        for (slot, row) in self.0.iter_mut().zip(&TABLE) {
            *slot = slot.filter(|_| is_wanted(row.callback));
        }
        self
    }

    /// The number of parameters, when the module has it.
    pub fn params(&self, callback: Callback) -> Option<usize> {
        self.0[callback as usize].map(usize::from)
    }

    /// Whether the module has it.
    pub fn has(&self, callback: Callback) -> bool {
        self.0[callback as usize].is_some()
    }

    /// Whether there is one that the host calls when the module has been initialized.
    pub fn are_any(&self) -> bool {
        self.0[Callback::OnContextCreate as usize..].iter().any(Option::is_some)
    }

    /// Whether the module can run from its beginning to its end, and that is all: no callback could ever find it.
    pub fn is_program(&self) -> bool {
        self.has(Callback::Start) && !self.has(Callback::Initialize) && !self.are_any()
    }

    /// The function that gives the host memory inside the guest.
    pub fn allocator(&self) -> Option<Callback> {
        [Callback::OnMemoryAllocate, Callback::Malloc].into_iter().find(|callback| self.has(*callback))
    }
}
