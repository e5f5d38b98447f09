//! The enumerations of the ABI, with the numbers that cross the border. Source: the Proxy-Wasm specification 0.2.1,
//! section "Types".

/// What a host call answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// No such thing now.
    NotFound = 1,
    /// An argument has no meaning here.
    BadArgument = 2,
    /// The host could not encode its answer.
    SerializationFailure = 3,
    /// The host could not decode an argument.
    ParseFailure = 4,
    /// A pointer or size leads outside guest memory.
    InvalidMemoryAccess = 6,
    /// A queue has nothing.
    Empty = 7,
    /// Shared data changed meanwhile.
    CasMismatch = 8,
    /// The host failed.
    InternalFailure = 10,
    /// This host has no such function.
    Unimplemented = 12,
}

/// An enumeration that a guest passes as a number. Numbers outside of it are the guest's mistake.
macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($variant:ident = $number:literal,)* }) => {
        $(#[$meta])*
        #[repr(u32)]
        #[allow(missing_docs)]
        pub enum $name {
            $($variant = $number,)*
        }

        impl TryFrom<u32> for $name {
            type Error = Status;

            fn try_from(value: u32) -> Result<Self, Status> {
                match value {
                    $($number => Ok($name::$variant),)*
                    _ => Err(Status::BadArgument),
                }
            }
        }
    };
}

numbered! {
    /// Level of a message of the guest.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    LogLevel {
        Trace = 0,
        Debug = 1,
        Info = 2,
        Warn = 3,
        Error = 4,
        Critical = 5,
    }
}

numbered! {
    /// A map of headers, trailers or metadata.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    MapType {
        RequestHeaders = 0,
        RequestTrailers = 1,
        ResponseHeaders = 2,
        ResponseTrailers = 3,
        GrpcInitialMetadata = 4,
        GrpcTrailingMetadata = 5,
        HttpCallHeaders = 6,
        HttpCallTrailers = 7,
    }
}

impl MapType {
    /// Whether it belongs to a call that the guest made, and not to its stream.
    pub fn is_of_call(self) -> bool {
        match self {
            MapType::GrpcInitialMetadata
            | MapType::GrpcTrailingMetadata
            | MapType::HttpCallHeaders
            | MapType::HttpCallTrailers => true,
            MapType::RequestHeaders
            | MapType::RequestTrailers
            | MapType::ResponseHeaders
            | MapType::ResponseTrailers => false,
        }
    }
}

numbered! {
    /// A buffer of bytes that the guest can look into.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    BufferType {
        RequestBody = 0,
        ResponseBody = 1,
        DownstreamData = 2,
        UpstreamData = 3,
        HttpCallBody = 4,
        GrpcMessage = 5,
        VmConfiguration = 6,
        PluginConfiguration = 7,
        ForeignFunctionArguments = 8,
        RedisReply = 9,
    }
}

numbered! {
    /// A direction of a stream.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    StreamType {
        Request = 0,
        Response = 1,
        Downstream = 2,
        Upstream = 3,
    }
}

/// What a callback wants the stream to do: the two actions of the specification, and those that guests for Envoy use
/// beside them (envoy/http/filter.h, FilterHeadersStatus and FilterDataStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Go on.
    Continue,
    /// Wait. In a body callback: keep what was shown, and show it again together with what comes next.
    Pause,
    /// Of headers: wait with them, but show the body that follows. What a callback about it answers decides on both.
    PauseHeaders,
    /// Wait, and show nothing more before the stream goes on.
    PauseAll,
    /// Of a body: wait, and drop what was shown.
    PauseAndDrop,
}

impl Action {
    /// What a callback about headers answered to a host of this ABI. A number that nobody defined means the strictest stop.
    /// 2 once ended the stream behind the headers; Envoy takes it for 0 since it has no such status any more.
    pub fn of_headers(answer: u32, abi: AbiVersion) -> Action {
        match answer {
            0 | 2 => Action::Continue,
            1 if abi == AbiVersion::V0_2_100 => Action::PauseHeaders,
            1 => Action::Pause,
            _ => Action::PauseAll,
        }
    }

    /// What a callback about a body answered.
    pub fn of_body(answer: u32) -> Action {
        match answer {
            0 => Action::Continue,
            3 => Action::PauseAndDrop,
            _ => Action::Pause,
        }
    }

    /// What a callback about trailers answered.
    pub fn of_trailers(answer: u32) -> Action {
        if answer == 0 { Action::Continue } else { Action::Pause }
    }
}

/// Which ABI a module says that it was built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbiVersion {
    /// Reading a missing header answers Ok and nothing.
    V0_1_0,
    /// Reading a missing header answers NotFound.
    V0_2_0,
    /// Envoy's and the SDKs' present version.
    V0_2_1,
    /// Higress': the same, but a pause in headers does not hide the body.
    V0_2_100,
}

impl AbiVersion {
    /// The version that the export `name` declares, if it is a marker.
    pub fn from_marker(name: &str) -> Option<Result<AbiVersion, &str>> {
        let version = name.strip_prefix("proxy_abi_version_")?;
        Some(match version {
            "0_1_0" => Ok(AbiVersion::V0_1_0),
            "0_2_0" => Ok(AbiVersion::V0_2_0),
            "0_2_1" => Ok(AbiVersion::V0_2_1),
            "0_2_100" => Ok(AbiVersion::V0_2_100),
            _ => Err(version),
        })
    }
}
