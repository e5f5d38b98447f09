//! What the host calls that make calls to other services have in common: whose call it is, whether there is room for it, and
//! what is said when it cannot be made.

use super::{Failure, HostCall, shown};
use crate::proxy_wasm::ids::ContextId;
use crate::proxy_wasm::in_flight::Refused;
use crate::proxy_wasm::types::Status;

/// A call that cannot be made: what the guest gets, and what the log says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: Status,
    /// Complaints about one subject are written once a minute.
    pub subject: &'static str,
    pub reason: String,
}

impl Refusal {
    /// The guest has passed something that means nothing.
    pub fn argument(reason: impl Into<String>) -> Self {
        Refusal { status: Status::BadArgument, subject: "arguments of calls", reason: reason.into() }
    }
}

impl HostCall<'_> {
    /// Says why a call to `target` is not made.
    pub(super) fn refuse(&mut self, target: &[u8], refusal: Refusal) -> Failure {
        self.warn_rarely(refusal.subject, &format!("call to \"{}\" is not made: {}", shown(target), refusal.reason));
        refusal.status.into()
    }

    /// The root context that the call is of. A guest that runs its start functions has none.
    pub(super) fn root_of_call(&self) -> Result<ContextId, Refusal> {
        let root = self.state.contexts.root_of(self.context());
        root.map(|(root, _)| root).ok_or_else(|| Refusal::argument("no filter has been configured yet"))
    }

    /// Whether the target is known and allowed; `unknown` is the status for one that is not.
    pub(super) fn known(&mut self, target: &[u8], unknown: Status) -> Result<(), Refusal> {
        // Names are compared with others, letter by letter.
        const LONGEST: usize = 4096;
        if target.len() > LONGEST {
            let reason = format!("its name has {} bytes, more than {LONGEST}", target.len());
            return Err(Refusal { status: unknown, subject: "targets of calls", reason });
        }
        if self.state.capabilities().is_some_and(|all| !all.may_call(target)) {
            self.state.count_denied();
            let target = shown(target);
            let reason =
                format!("it is not allowed; add \"host={target}\" to \"proxy_wasm_allow\" if the filter may call it");
            return Err(Refusal { status: unknown, subject: "targets that are not allowed", reason });
        }
        if self.host.can_call(target) {
            return Ok(());
        }
        let reason = match target {
            b"" => "it has no name".to_owned(),
            _ => "there is no such service; declare an \"upstream\" of this name, or write host:port".to_owned(),
        };
        Err(Refusal { status: unknown, subject: "targets of calls", reason })
    }

    /// Whether there is room for one more call for which the host holds so many bytes.
    pub(super) fn room(&self, bytes: usize) -> Result<(), Refusal> {
        self.state.calls.fits(bytes).map_err(|refused| Refusal {
            status: Status::InternalFailure,
            subject: "room for calls",
            reason: match refused {
                Refused::Count(max) => {
                    format!("{max} calls of this filter are in flight already; see \"wasm_max_calls\"")
                }
                Refused::Bytes(max) => format!(
                    "with its {bytes} bytes, the calls of this filter in flight would hold more than {max}; see \
                     \"wasm_memory_limit\""
                ),
            },
        })
    }
}
