//! What calls to other services need that knows nothing of nginx.

pub mod target;
