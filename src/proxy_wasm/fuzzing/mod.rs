//! What the fuzz targets in `fuzz/` reach of this crate's inside. There only with the cargo feature `fuzzing`, which nothing
//! but `fuzz/` asks for. A function here takes any bytes and panics when a rule is broken: that is a finding.

mod foreign;
mod guest;
mod host_calls;

pub use foreign::{foreign, properties};
pub use host_calls::{host_calls, live_guest, live_program};

/// Bytes of a fuzzer, read from the front; behind their end come zeros.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn number<const N: usize>(&mut self) -> u64 {
        self.bytes(N).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn u8(&mut self) -> u8 {
        self.number::<1>() as u8
    }

    fn u16(&mut self) -> u16 {
        self.number::<2>() as u16
    }

    fn u32(&mut self) -> u32 {
        self.number::<4>() as u32
    }

    fn u64(&mut self) -> u64 {
        self.number::<8>()
    }

    /// Bytes with their size before them, in a byte.
    fn short(&mut self) -> &'a [u8] {
        let len = self.u8();
        self.bytes(usize::from(len))
    }
}

/// Names that mean something to the host, so that a fuzzer need not guess them.
const WORDS: &[&[u8]] = &[
    b"service",
    b"unknown-service",
    b"key",
    b"queue",
    b"id",
    b"other-vm",
    b":path",
    b":method",
    b":authority",
    b":scheme",
    b":status",
    b"content-length",
    b"host",
    b"te",
    b"grpc-timeout",
    b"/package.Service",
    b"Method",
    b"request\0path",
    b"request\0headers\0host",
    b"plugin_name",
    b"plugin_root_id",
    b"plugin_vm_id",
    b"x-program",
    b"file",
    b"folder",
    b"folder/new",
    b"link",
    b"link/file",
    b"../secret/file",
    b"/etc/passwd",
    b"..",
    b".",
    b"filter_state\0wasm\0x",
    b"wasm\0x",
    b"x",
    b"node\0metadata\0\0",
    b"\0\0\0",
    b"clear_route_cache",
    b"compress",
    b"declare_property",
    b"expr_create",
    b"expr_delete",
    b"expr_evaluate",
    b"set_envoy_filter_state",
    b"sign",
    b"uncompress",
    b"verify_signature",
    b"request.path == '/' && 'x' in request.headers",
    b"[1,2,3].map(x, x * 2).exists(x, x > 4)",
    b"*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n",
    // Lists of pairs.
    b"\0\0\0\0",
    b"\x01\0\0\0\x01\0\0\0\x01\0\0\0a\0b\0",
    b"\x04\0\0\0\x05\0\0\0\x01\0\0\0\x07\0\0\0\x03\0\0\0\x0a\0\0\0\x01\0\0\0\x07\0\0\0\x04\0\0\0\
      :path\0/\0:method\0GET\0:authority\0h\0:scheme\0http\0",
    b"\xff\xff\xff\xff",
    b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
    // Envoy's GrpcService: an Envoy cluster, a target of Google's library.
    b"\x0a\x09\x0a\x07service",
    b"\x12\x09\x0a\x07service",
    // Arguments of declare_property and set_envoy_filter_state.
    b"\x0a\x01x\x10\x00",
    b"\x0a\x01x\x12\x01y\x18\x02",
    b"",
];
