//! The requests that a response is made of, as handles. Subrequests lie in the pool of the main request, and so do the links of the
//! lists in which nginx keeps them: what has been taken from a list stays where it is.

use std::{iter, ptr};

use nginx_sys::{ngx_http_posted_request_t, ngx_http_postponed_request_t};

use super::request::HttpRequest;

impl<'r> HttpRequest<'r> {
    /// The request that made this one. The main request has none.
    pub fn parent(self) -> Option<HttpRequest<'r>> {
        // SAFETY: the request is live.
        let parent = unsafe { (*self.as_ptr()).parent };
        // SAFETY: whoever made a request is in the same tree.
        (!parent.is_null()).then(|| unsafe { HttpRequest::from_ptr(parent) })
    }

    /// The request, whoever made it, and so on up to the main request.
    pub fn ancestry(self) -> impl Iterator<Item = HttpRequest<'r>> {
        iter::successors(Some(self), |request| request.parent())
    }

    /// The requests of the tree that nginx is to run when it is done with what it does.
    pub fn posted(self) -> impl Iterator<Item = HttpRequest<'r>> {
        // SAFETY: the main request is live.
        let mut link: *mut ngx_http_posted_request_t = unsafe { (*self.main().as_ptr()).posted_requests };
        iter::from_fn(move || {
            // SAFETY: null ends the list, whose links stay.
            let posted = *unsafe { link.as_ref() }?;
            link = posted.next;
            // SAFETY: a request that is to run is one of the tree.
            Some(unsafe { HttpRequest::from_ptr(posted.request) })
        })
    }

    /// The subrequests of the request that send when it is their turn. Between them may be what the request itself has sent.
    pub fn postponed(self) -> impl Iterator<Item = HttpRequest<'r>> {
        // SAFETY: the request is live.
        let mut link: *mut ngx_http_postponed_request_t = unsafe { (*self.as_ptr()).postponed };
        let all = iter::from_fn(move || {
            // SAFETY: null ends the list, whose links stay.
            let postponed = *unsafe { link.as_ref() }?;
            link = postponed.next;
            Some(postponed.request)
        });
        // SAFETY: a subrequest is one of the tree.
        all.filter(|request| !request.is_null()).map(|request| unsafe { HttpRequest::from_ptr(request) })
    }

    /// What it sends is for its maker, in memory.
    pub fn is_in_memory(self) -> bool {
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).subrequest_in_memory() != 0 }
    }

    /// Whether something waits for subrequests.
    pub fn has_postponed(self) -> bool {
        // SAFETY: the request is live.
        unsafe { !(*self.as_ptr()).postponed.is_null() }
    }

    /// The request that may send to the client now.
    pub fn active(self) -> HttpRequest<'r> {
        // SAFETY: the data of a client's connection is such a request (src/http/ngx_http_request.c).
        unsafe { HttpRequest::from_ptr((*self.connection().as_ptr()).data.cast()) }
    }

    /// Has nginx call the handler of the request when it is done with what it does.
    pub fn post(self) {
        // SAFETY: the request is live; nginx allocates what it needs from its pool.
        unsafe { nginx_sys::ngx_http_post_request(self.as_ptr(), ptr::null_mut()) };
    }
}
