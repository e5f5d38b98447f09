//! Bodies of requests to other services: all of it at once, or a stream that is fed while the call runs.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::HeaderMap;
use hyper::body::{Body, Bytes, Frame, SizeHint};

/// What follows the headers of a request.
pub enum Outgoing {
    /// A body, and the trailers behind it.
    Whole(Bytes, Option<HeaderMap>),
    /// Whatever its other end puts in.
    Stream(Rc<RefCell<Queue>>),
}

/// The queue of a stream.
#[derive(Default)]
pub struct Queue {
    pieces: VecDeque<Bytes>,
    is_ended: bool,
    is_given_up: bool,
    waker: Option<Waker>,
    /// Sizes of the pieces that have left the queue since somebody looked, who is woken when there are some.
    taken: Vec<usize>,
    watcher: Option<Waker>,
}

impl Queue {
    /// Puts a piece at the end.
    pub fn push(&mut self, piece: Bytes) {
        self.pieces.push_back(piece);
        self.wake();
    }

    /// Nothing follows.
    pub fn end(&mut self) {
        self.is_ended = true;
        self.wake();
    }

    /// The call has ended before its request: what is left of that is not sent, and the other end hears of it.
    pub fn give_up(&mut self) {
        self.is_given_up = true;
        self.pieces.clear();
        self.wake();
    }

    /// The sizes of what has been sent since the last time. The waker hears of the next ones.
    pub fn take_sent(&mut self, watcher: &Waker) -> Vec<usize> {
        if !self.watcher.as_ref().is_some_and(|known| known.will_wake(watcher)) {
            self.watcher = Some(watcher.clone());
        }
        std::mem::take(&mut self.taken)
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Outgoing {
    /// The same again, for another attempt; a stream has only one.
    pub fn again(&self) -> Option<Outgoing> {
        match self {
            Outgoing::Whole(bytes, trailers) => Some(Outgoing::Whole(bytes.clone(), trailers.clone())),
            Outgoing::Stream(_) => None,
        }
    }
}

/// A request whose call has ended before it.
#[derive(Debug)]
pub struct GivenUp;

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the call has ended before its request")
    }
}

impl std::error::Error for GivenUp {}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        match &mut *self {
            Outgoing::Whole(bytes, _) if !bytes.is_empty() => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Outgoing::Whole(_, trailers) => Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
            Outgoing::Stream(queue) => {
                let mut queue = queue.borrow_mut();
                match queue.pieces.pop_front() {
                    Some(piece) => {
                        queue.taken.push(piece.len());
                        if let Some(watcher) = queue.watcher.take() {
                            watcher.wake();
                        }
                        Poll::Ready(Some(Ok(Frame::data(piece))))
                    }
                    None if queue.is_ended => Poll::Ready(None),
                    None if queue.is_given_up => Poll::Ready(Some(Err(GivenUp))),
                    None => {
                        queue.waker = Some(cx.waker().clone());
                        Poll::Pending
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Outgoing::Whole(bytes, trailers) => bytes.is_empty() && trailers.is_none(),
            Outgoing::Stream(queue) => {
                let queue = queue.borrow();
                queue.is_ended && queue.pieces.is_empty()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            // With trailers the length stays open, so that HTTP/1.1 sends chunks, behind which they can stand.
            Outgoing::Whole(bytes, None) => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
