//! Programs that answer requests by themselves, as those of CGI do: what they run on ([`Threads`]), what they see of a request and
//! what becomes of their output ([`Run`]), how they start ([`Start`]) and end ([`Ending`]). `ngx_module` hands in a [`Job`] for each
//! request, and moves bytes between nginx and the run.

mod bell;
mod ending;
mod environment;
mod function;
mod grants;
mod head;
mod instances;
mod module;
mod path;
mod perform;
mod place;
mod query;
mod run;
mod start;
mod threads;
mod world;

pub use bell::Bell;
pub use ending::Ending;
pub use environment::Facts;
pub use function::{FunctionJob, FunctionRequest, Mode};
pub use grants::Grants;
pub use head::{Head, HeadError, HeadParser, Location, Parsed};
pub use instances::Instances;
pub use module::{INITIALIZE, Module, ModuleError, START, functions};
pub use path::SplitPathInfo;
pub use perform::Job;
pub use place::Place;
pub use query::search_words;
pub use run::{Line, News, ROOM, Run, Usage};
pub use start::{NoStart, Start, Surroundings};
pub use threads::{Limits, Load, Refused, Spawn, Task, Threads};
pub use world::{Input, Piece};
