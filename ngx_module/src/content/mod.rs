//! What a location answers by itself: status, metrics, programs.

pub mod html_page;
pub mod metrics_page;
mod overview;
pub mod program;
pub mod status_page;
pub mod text_page;
