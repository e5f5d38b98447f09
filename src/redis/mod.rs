//! Redis' protocol (RESP2, and the replies of RESP3), as far as a client needs it that passes commands and replies on as they
//! are: commands of its own, what a guest's command means for the connection, and where a reply ends. The embedder sends and
//! receives; `proxy_wasm::host_calls::redis` checks commands.

mod command;
mod reply;

pub use command::{CommandError, Usage, auth, check, command, select};
pub use reply::{ReplyError, Scanner, error_of};
