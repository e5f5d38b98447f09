//! Programs that answer requests, as CGI has it: what a program is told about a request ([`environment`]), and what it says
//! before its body ([`head`]). The content handler of the adapter is the caller.

pub mod environment;
pub mod head;
