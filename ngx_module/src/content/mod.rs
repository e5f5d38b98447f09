//! What a location answers by itself: status, metrics.

pub mod directives;
pub mod metrics_page;
pub mod status_page;
pub mod text_page;
