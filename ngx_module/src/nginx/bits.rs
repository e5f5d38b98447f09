//! Getters and setters of the bits that nginx's structures have, for handles.

/// Makes a method for each row, of a handle that has `as_ptr`: `get NAME: NGINX_NAME;` or `set NAME: NGINX_NAME;`.
macro_rules! bits {
    ($($(#[$doc:meta])* $kind:ident $name:ident: $nginx:ident;)*) => {$(bits! { @ $(#[$doc])* $kind $name: $nginx })*};
    (@ $(#[$doc:meta])* get $name:ident: $nginx:ident) => {
        $(#[$doc])*
        pub fn $name(self) -> bool {
            // SAFETY: what the handle leads to is live.
            unsafe { (*self.as_ptr()).$nginx() != 0 }
        }
    };
    (@ $(#[$doc:meta])* set $name:ident: $nginx:ident) => {
        $(#[$doc])*
        pub fn $name(self, on: bool) {
            // SAFETY: what the handle leads to is live.
            unsafe { (*self.as_ptr()).$nginx(on.into()) }
        }
    };
}
pub(crate) use bits;
