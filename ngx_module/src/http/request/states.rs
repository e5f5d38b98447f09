//! How far a request has come, and its response.

use super::Request;

/// Where a request is on its way to the handler of the location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Request headers have not gone through the chain.
    New,
    /// A filter holds the headers.
    Waiting,
    /// The body is being read, or a filter holds it.
    Reading,
    /// The filters are done with it, or see the body while the handler reads it.
    Passed,
}

/// How far the response has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Response {
    /// There is none.
    None,
    /// There is one, whose headers filters can look at.
    Started,
    /// The filters of the location have begun to look at it.
    Shown,
    /// Nginx has its headers.
    Gone,
}

/// When filters see the body of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// While it is read for them, before the request goes on.
    Held,
    /// When all phases that may refuse the request have let it pass, it is to be read for them; if somebody else reads it before
    /// that, then.
    Due,
    /// When somebody else reads it: the handler of the location, or a module of an earlier phase.
    Streamed,
}

impl Request {
    /// Whether the response has come so far.
    pub fn has_reached(&self, response: Response) -> bool {
        self.response.get() >= response
    }

    /// The response has come so far; it does not go back. Answers whether it had before.
    pub fn reach(&self, response: Response) -> bool {
        let before = self.response.get();
        self.response.set(before.max(response));
        before >= response
    }

    /// Whether filters see the body of the request when somebody else reads it.
    pub fn streams_body(&self) -> bool {
        self.sight.get() != Sight::Held
    }

    /// Filters see nothing more of a body that somebody else reads. Answers whether they did.
    pub fn stop_streaming(&self) -> bool {
        self.sight.replace(Sight::Held) != Sight::Held
    }

    /// The body is not to be read for the filters any more, unless somebody else reads it. Answers whether it was to be.
    pub fn put_off_no_longer(&self) -> bool {
        let was_due = self.sight.get() == Sight::Due;
        if was_due {
            self.sight.set(Sight::Streamed);
        }
        was_due
    }
}
