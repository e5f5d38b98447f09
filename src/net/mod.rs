//! What calls to other services need that knows nothing of nginx.

pub mod head;
pub mod target;
pub mod verbatim;
