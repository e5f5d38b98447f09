//! What instances have to know of the filter that they are of: [`Filter`]. A filter of nginx.conf (`configured.rs`) and a module that
//! Lua has loaded (`lua/module.rs`) are started, judged, replaced and dropped by the same code, and differ in this.

use std::rc::Rc;

use ngx_wasm::proxy_wasm::{CallId, ContextId, StreamToken, Vm, VmImage};

use super::failure::Consequences;
use crate::config::rules::Policy;
use crate::filters::requests::RootWorld;
use crate::net::settings::CallSettings;
use crate::nginx::log::Log;
use crate::process::status::FilterStatus;

/// A filter, whoever has it run.
pub trait Filter {
    /// The name under which it is in the log.
    fn name(&self) -> &[u8];

    /// What is said about it.
    fn policy(&self) -> &Policy;

    /// Bytes of memory that an instance may have.
    fn memory_limit(&self) -> usize;

    /// What counts for it.
    fn status(&self) -> FilterStatus;

    /// Starts a VM, with the root context that requests get. `None`: whoever has requests makes root contexts, when they are
    /// needed; so an instance that nobody has asked for would do nothing.
    fn start(&self, log: Log<'_>) -> Result<(Vm, Option<ContextId>), String>;

    /// Whether instances may be put back to what they were when they had started, for the next request.
    fn may_put_back(&self) -> bool {
        false
    }

    /// How many of them are kept for that.
    fn most_idle(&self) -> usize {
        0
    }

    /// Makes a VM that is what the image says, one of a VM of this filter.
    fn start_from(&self, _image: &VmImage) -> Result<Vm, String> {
        Err("it starts in another way".into())
    }

    /// Whether [`Filter::start`] makes the root context.
    fn has_own_root(&self) -> bool;

    /// Says in the log that an instance did not start. `fate` says what its requests do, and until when.
    fn log_start_failure(&self, reason: &str, fate: &str, log: Log<'_>);

    /// How the log calls those who use it.
    fn wording(&self) -> &'static Wording;

    /// How it calls other services. `None`: it may not in this process, and the log says so.
    fn calls(&self) -> Option<Rc<CallSettings>>;

    /// Whether it can be told of messages in a queue that it has registered. If not, the log says so.
    fn is_told_of_messages(&self) -> bool;

    /// Sees to it that the deadlines of callbacks hold that follow.
    fn start_clock(&self) {}

    /// The world of a callback of an instance that is about no request, or about a call that was made for some. `None` without
    /// requests.
    fn world<'a>(&'a self, generation: u64, log: Log<'a>, streams: &[StreamToken]) -> Option<Box<dyn RootWorld + 'a>>;

    /// The instance of a consequences has gone, in which the request had a context: it goes on without the filter, or fails.
    fn let_go(&self, stream: StreamToken, consequences: &Consequences);

    /// Requests that may go on after a callback that is about no request, or about a call: [`Filter::has_ended`] is told.
    fn waiting(&self, _vm: &Vm, _call: Option<CallId>) -> Vec<StreamToken> {
        Vec::new()
    }

    /// Such a callback has ended well.
    fn has_ended(&self, _vm: &Vm, _generation: u64, _streams: Vec<StreamToken>) {}
}

/// What the log says of those who use a filter, when that fails.
pub struct Wording {
    /// What the request does whose callback has failed, when it fails and when it goes on, with a comma behind.
    pub fails: &'static str,
    pub goes_on: &'static str,
    /// What those do that cannot have the filter.
    pub closed: &'static str,
    pub open: &'static str,
    /// Those whose contexts are in another instance.
    pub others: &'static str,
    /// Until when a filter that stays away does.
    pub until: &'static str,
    /// Who gets a new instance.
    pub next: &'static str,
    /// Who gets one after a failure about no request.
    pub at_once: &'static str,
    /// What an instance is.
    pub instance: &'static str,
}
