//! Calls to other services, as they are counted: how they end, how long they take, how many are under way.

use std::cell::Cell;
use std::ptr;
use std::time::Instant;

use ngx_wasm::shared::filter_status::Slot;
pub use ngx_wasm::shared::host_status::{CallKind, CallResult};

use super::{Status, current, process};

/// A call that is under way. When it goes and nobody has said how the call has ended, it was given up.
pub struct CallStatus {
    /// Where it is counted: that of the configuration which the process had then.
    status: *const Status,
    service: Option<Slot>,
    begin: Instant,
    result: Cell<CallResult>,
}

impl CallStatus {
    /// A call to this service begins.
    pub fn begin(kind: CallKind, name: &[u8]) -> CallStatus {
        let status = current();
        let service = status.and_then(|status| status.service(kind, name));
        if let (Some(host), Some(service)) = (status.and_then(Status::host), service) {
            host.began(service);
        }
        CallStatus {
            status: status.map_or(ptr::null(), ptr::from_ref),
            service,
            begin: Instant::now(),
            result: Cell::new(CallResult::Cancelled),
        }
    }

    /// How it ends.
    pub fn ends(&self, result: CallResult) {
        self.result.set(result);
    }

    /// The same, of an error that may be that its time was up.
    pub fn fails(&self, is_timeout: bool) {
        self.ends(if is_timeout { CallResult::Timeout } else { CallResult::Failed });
    }
}

impl Drop for CallStatus {
    fn drop(&mut self) {
        // A slot says nothing in the memory of another configuration.
        let status = current().filter(|status| ptr::eq(*status, self.status));
        if let (Some(host), Some(service)) = (status.and_then(Status::host), self.service) {
            host.ended(service, self.result.get(), self.begin.elapsed());
        }
    }
}

impl Status {
    /// Where calls to a service are counted. The memory is looked through for the first of them only.
    fn service(&self, kind: CallKind, name: &[u8]) -> Option<Slot> {
        /// Names come from guests.
        const MOST_KNOWN: usize = 256;
        let host = self.host()?;
        let mut known = self.services.borrow_mut();
        let is_known = known.get(name).and_then(|known| known.iter().find(|(of, _)| *of == kind));
        if let Some((_, slot)) = is_known {
            return Some(*slot);
        }
        let slot = host.service(kind, name, &process::is_alive)?;
        if known.len() < MOST_KNOWN {
            known.entry(name.to_vec()).or_default().push((kind, slot));
        }
        Some(slot)
    }
}
