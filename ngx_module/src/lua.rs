//! The way in from Lua.
