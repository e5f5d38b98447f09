//! What a level says, or inherits.

use std::time::Duration;

use nginx_sys::ngx_msec_t;
use ngx_wasm::proxy_wasm::Action;

use crate::config::calls::CallConf;
use crate::config::direction::Direction;
use crate::config::inherit::inherit;
use crate::config::program_conf::ProgramConf;
use crate::nginx::location;
use crate::nginx::request::HttpRequest;

const DEFAULT_MEMORY_LIMIT: usize = 128 << 20;
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const DEFAULT_PAUSE_TIMEOUT: Duration = Duration::from_secs(60);
/// What a plugin for Higress usually asks for is more than it needs; responses have no bound of nginx's.
const DEFAULT_RESPONSE_BUFFER_MAX: usize = 16 << 20;
/// Guests count with 32 bits.
pub const LARGEST_BODY: usize = (4 << 30) - 1;

/// Where on its way a request meets the filters of a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is said: the rewrite phase, with what nginx would find out later and filters want to know.
    Unsaid,
    Rewrite,
    /// Behind the access phase.
    Access,
}

/// What a level says about the filters of the level around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outer {
    /// Nothing: they run if the level has none of its own.
    #[default]
    Unsaid,
    /// `proxy_wasm inherit;`: they run before its own.
    Inherited,
    /// `proxy_wasm off;`: they do not run.
    Dropped,
}

/// What a level says, or inherits. `None` is what neither it nor a level around it says.
#[derive(Clone, Default)]
pub struct LocConf {
    /// Place in [`MainConf::chains`]; `None` is that no filters run.
    pub chain: Option<usize>,
    /// What is said of the chain of the outer level.
    pub outer_chain: Outer,
    pub memory_limit: Option<usize>,
    pub timeout: Option<Duration>,
    pub pause_timeout: Option<Duration>,
    pub request_body_buffer: Option<usize>,
    pub response_body_buffer: Option<usize>,
    pub body_buffer_max: Option<usize>,
    pub stop_iteration: Option<bool>,
    pub declared_order: Option<bool>,
    pub phase: Option<Phase>,
    pub reroute: Option<bool>,
    pub calls: CallConf,
    pub programs: ProgramConf,
    pub decode: Option<bool>,
    pub intercept_errors: Option<bool>,
}

impl LocConf {
    /// Takes from the outer level what this one does not say. Its chain is for `chains.rs`.
    pub fn inherit(&mut self, outer: &LocConf) {
        inherit!(self, outer => memory_limit, timeout, pause_timeout, request_body_buffer, response_body_buffer);
        inherit!(self, outer => body_buffer_max, stop_iteration, declared_order, phase, reroute, decode, intercept_errors);
        self.calls.inherit(&outer.calls);
        self.programs.inherit(&outer.programs);
    }

    /// How long a callback may run.
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// How long a filter may pause a request, in milliseconds.
    pub fn pause_timeout(&self) -> ngx_msec_t {
        self.pause_timeout.unwrap_or(DEFAULT_PAUSE_TIMEOUT).as_millis() as ngx_msec_t
    }

    /// How much of a body a filter may hold, in bytes, where nothing is said.
    pub const DEFAULT_BODY_BUFFER: usize = 1 << 20;

    /// How much of a body a filter may hold, in bytes, when the configuration says it.
    pub fn body_buffer(&self, direction: Direction) -> Option<usize> {
        match direction {
            Direction::Request => self.request_body_buffer,
            Direction::Response => self.response_body_buffer,
        }
    }

    /// How much of a body a filter can ask to hold, in bytes; `r` is in this location.
    pub fn body_buffer_max(&self, r: HttpRequest<'_>, direction: Direction) -> usize {
        match (self.body_buffer_max, direction) {
            (Some(most), _) => most,
            (None, Direction::Response) => DEFAULT_RESPONSE_BUFFER_MAX,
            (None, Direction::Request) => {
                let most = location::largest_body(r);
                // Without a bound, it is that of what guests can count.
                usize::try_from(most).ok().filter(|most| *most > 0).map_or(LARGEST_BODY, |most| most.min(LARGEST_BODY))
            }
        }
    }

    /// Whether a filter that answers so to headers, and holds them, sees the body nevertheless. What the directive says counts
    /// for all ABIs; where it says nothing, that of Higress has it so.
    pub fn shows_body(&self, action: Action) -> bool {
        matches!(
            (action, self.stop_iteration),
            (Action::Pause | Action::PauseHeaders, Some(true)) | (Action::PauseHeaders, None)
        )
    }

    /// Whether responses pass the filters in the order of the configuration, and not in reverse.
    pub fn declared_order(&self) -> bool {
        self.declared_order == Some(true)
    }

    /// Where a request meets the filters.
    pub fn phase(&self) -> Phase {
        self.phase.unwrap_or(Phase::Unsaid)
    }

    /// Whether a new path has the location matched again.
    pub fn reroutes(&self) -> bool {
        self.reroute != Some(false)
    }

    /// Whether filters see bodies of responses decoded; `None` is that nothing is said.
    pub fn decode(&self) -> Option<bool> {
        self.decode
    }

    /// Whether `error_page` holds for what filters answer.
    pub fn intercept_errors(&self) -> bool {
        self.intercept_errors == Some(true)
    }

    pub(super) fn memory_limit(&self) -> usize {
        self.memory_limit.unwrap_or(DEFAULT_MEMORY_LIMIT)
    }
}
