//! What modules and instances have of their engine.

use std::sync::Arc;

use super::deadline::Deadlines;
use super::executor::Nothing;
use super::library::Library;
use super::setup::Setup;
use crate::vm::Activity;

/// The library, and what is one for all of an engine.
pub struct Shared {
    pub library: &'static Library,
    pub setup: Setup,
    pub nothing: Arc<Nothing>,
    pub deadlines: Deadlines,
    pub activity: Arc<Activity>,
}
