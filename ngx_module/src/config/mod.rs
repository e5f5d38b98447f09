//! What nginx.conf says: data, and the directives that fill it. Nothing runs here.

pub mod calls;
pub mod chains;
#[allow(unsafe_code)]
pub mod conf;
pub mod configuration_file;
pub mod direction;
pub mod directives;
pub mod filter_conf;
mod inherit;
pub mod level;
pub mod loc_conf;
#[allow(unsafe_code)]
pub mod location;
pub mod mistakes;
#[allow(unsafe_code)]
pub mod modules;
pub mod phase_notes;
pub mod program_conf;
pub mod programs;
pub mod rule_notes;
pub mod rules;
