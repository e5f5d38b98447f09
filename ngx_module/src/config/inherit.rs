//! How a level takes over what the level around it says.

/// Has the fields of one level that say nothing say what those of the outer level do.
macro_rules! inherit {
    ($own:expr, $outer:expr => $($field:ident),+) => {
        $($own.$field = $own.$field.or($outer.$field);)+
    };
}

pub(super) use inherit;
