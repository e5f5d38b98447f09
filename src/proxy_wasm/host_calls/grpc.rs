//! gRPC calls and streams to other services. The AssemblyScript SDK declares two of them without initial metadata.

use super::{Row, Run};

pub(super) const TABLE: &[Row] = &[
    Row { name: "proxy_grpc_call", types: &[("iiiiiiiiiiii", "i"), ("iiiiiiiiii", "i")], run: Run::Unimplemented },
    Row { name: "proxy_grpc_stream", types: &[("iiiiiiiii", "i"), ("iiiiiii", "i")], run: Run::Unimplemented },
    Row { name: "proxy_grpc_send", types: &[("iiii", "i")], run: Run::Unimplemented },
    Row { name: "proxy_grpc_cancel", types: &[("i", "i")], run: Run::Unimplemented },
    Row { name: "proxy_grpc_close", types: &[("i", "i")], run: Run::Unimplemented },
];
