//! One request and its filters: the only room that knows both nginx's phases and VMs.

pub mod body_limit;
pub mod chain;
pub mod filter_state;
pub mod flow;
pub mod for_filters;
pub mod host;
pub mod local_response;
pub mod phases;
pub mod properties;
pub mod report;
pub mod request;
pub mod seat;
pub mod tokens;
pub mod upstream_choice;
