//! Variables of nginx, read and written: `ngx.<name>`.

use std::cell::Cell;

use ngx_wasm::proxy_wasm::Status;
use smallvec::SmallVec;

use crate::nginx::request::HttpRequest;
use crate::nginx::variables::{self, Unassigned};

/// How many bytes filters can assign in a request, all in all: a value takes memory of the request, also when another one
/// takes its place. Nginx has room for the length of one of so many.
const MOST_ASSIGNED: usize = 1 << 20;

/// How many there were; in the pool of the request.
#[derive(Default)]
struct Assigned(Cell<usize>);

type Name = SmallVec<[u8; 64]>;

/// Names of variables are in lower case.
fn lower(name: &[u8]) -> Name {
    let mut name = Name::from_slice(name);
    name.make_ascii_lowercase();
    name
}

/// Appends the value of a variable; false when there is none, or it has none now.
pub fn get(r: HttpRequest<'_>, name: &[u8], value: &mut Vec<u8>) -> bool {
    !name.is_empty() && variables::get(r, &lower(name), value)
}

/// Sets a variable that the configuration allows to change, as `set` of the rewrite module does.
pub fn set(r: HttpRequest<'_>, name: &[u8], value: &[u8]) -> Result<(), Status> {
    let variable = variables::find(r, &lower(name)).ok_or(Status::NotFound)?;
    if !variable.is_changeable() {
        return Err(Status::BadArgument);
    }
    count(r, value.len())?;
    variable.assign(r, value).map_err(|why| match why {
        Unassigned::NoMemory => Status::InternalFailure,
        Unassigned::Fixed => Status::BadArgument,
    })
}

/// Counts what is assigned; refuses what is too much.
fn count(r: HttpRequest<'_>, len: usize) -> Result<(), Status> {
    let pool = r.pool();
    let known = pool.find::<Assigned>(|_| true).or_else(|| pool.own(Assigned::default()));
    let Assigned(assigned) = known.ok_or(Status::InternalFailure)?.in_pool(pool);
    let sum = assigned.get().saturating_add(len);
    if sum > MOST_ASSIGNED {
        return Err(Status::BadArgument);
    }
    assigned.set(sum);
    Ok(())
}
