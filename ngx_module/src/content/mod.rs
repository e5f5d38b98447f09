//! What a location answers by itself: status, metrics.

pub mod metrics_page;
pub mod status_page;
pub mod text_page;
