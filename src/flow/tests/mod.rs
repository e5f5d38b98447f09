//! A stream whose filters do what a test says, and that writes down what they are asked and what leaves them.

mod body;
mod changes;
mod headers;
mod limits;
mod resume;
mod skip;
mod stop;
mod trailers;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};

use super::{Exit, Fault, Flow, Marks, Piece, Stage, Unreadable};
use crate::proxy_wasm::Action;

/// A piece: a buffer of the network, or bytes of the flow's.
#[derive(Debug)]
enum Part {
    Buffer(&'static str),
    Own(Vec<u8>),
    /// Three bytes that nobody can read.
    Broken,
}

impl From<Vec<u8>> for Part {
    fn from(bytes: Vec<u8>) -> Part {
        Part::Own(bytes)
    }
}

impl Piece for Part {
    fn len(&self) -> usize {
        match self {
            Part::Buffer(text) => text.len(),
            Part::Own(bytes) => bytes.len(),
            Part::Broken => 3,
        }
    }

    fn read(&self, start: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        match self {
            Part::Buffer(text) => text.as_bytes().to_vec().read(start, len, out),
            Part::Own(bytes) => bytes.read(start, len, out),
            Part::Broken => Err(Unreadable),
        }
    }

    fn into_bytes(self) -> Result<Vec<u8>, Unreadable> {
        match self {
            Part::Buffer(text) => Ok(text.as_bytes().to_vec()),
            Part::Own(bytes) => Ok(bytes),
            Part::Broken => Err(Unreadable),
        }
    }
}

/// Why a stream of a test does not go on.
#[derive(Debug, PartialEq, Eq)]
enum Stop {
    Answered,
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum On {
    Headers,
    Body,
    Trailers,
}

type Callback = Box<dyn FnOnce(&Stream) -> Result<Action, Stop>>;

/// A stream whose filters go on, unless a test says otherwise.
struct Stream {
    flow: Flow<Part>,
    /// What the filters do in their next callbacks.
    script: RefCell<BTreeMap<(usize, On), VecDeque<Callback>>>,
    log: RefCell<Vec<String>>,
    ends_with_headers: Cell<bool>,
    shows_body: Cell<bool>,
    limit: Cell<usize>,
}

impl Stream {
    /// So many filters, all of which look at everything.
    fn new(filters: usize) -> Stream {
        Stream::of((0..filters).map(|run| Stage::new(run, true, true)))
    }

    fn of(stages: impl IntoIterator<Item = Stage>) -> Stream {
        let flow = Flow::new();
        flow.add_behind(stages);
        Stream {
            flow,
            script: RefCell::default(),
            log: RefCell::default(),
            ends_with_headers: Cell::new(false),
            shows_body: Cell::new(false),
            limit: Cell::new(1000),
        }
    }

    /// What a filter does in its next callback of a kind.
    fn does(&self, run: usize, on: On, callback: impl FnOnce(&Stream) -> Result<Action, Stop> + 'static) {
        self.script.borrow_mut().entry((run, on)).or_default().push_back(Box::new(callback));
    }

    /// What a filter answers in its next callbacks of a kind.
    fn answers(&self, run: usize, on: On, actions: impl IntoIterator<Item = Action>) {
        for action in actions {
            self.does(run, on, move |_| Ok(action));
        }
    }

    fn headers(&self) {
        assert_eq!(self.flow.headers(self), Ok(()));
    }

    fn data(&self, text: &'static str) {
        assert_eq!(self.try_data(text), Ok(()));
    }

    fn try_data(&self, text: &'static str) -> Result<(), Stop> {
        self.flow.data(self, 0, Part::Buffer(text), Marks::default())
    }

    fn end(&self, text: &'static str) {
        let marks = Marks { last: true, ..Marks::default() };
        assert_eq!(self.flow.data(self, 0, Part::Buffer(text), marks), Ok(()));
    }

    fn trailers(&self) {
        assert_eq!(self.flow.trailers(self, 0), Ok(()));
    }

    /// A filter asks to go on while none of its callbacks runs, and the flow does.
    fn resume(&self, run: usize) {
        self.flow.ask_to_go_on(run);
        assert_eq!(self.flow.resume(self), Ok(()));
    }

    /// What a filter sees of the body now.
    fn body(&self, run: usize) -> Option<String> {
        let len = self.flow.body_len(run)?;
        let mut bytes = Vec::new();
        assert_eq!(self.flow.read(run, 0, usize::MAX, &mut bytes), Some(Ok(())));
        assert_eq!(bytes.len(), len);
        Some(String::from_utf8(bytes).unwrap())
    }

    fn note(&self, what: String) {
        self.log.borrow_mut().push(what);
    }

    /// What happened since this was asked before, separated by commas.
    fn seen(&self) -> String {
        self.log.take().join(", ")
    }

    fn run(&self, run: usize, on: On) -> Result<Action, Stop> {
        let callback = self.script.borrow_mut().get_mut(&(run, on)).and_then(VecDeque::pop_front);
        callback.map_or(Ok(Action::Continue), |callback| callback(self))
    }
}

impl Exit for Stream {
    type Piece = Part;
    type Stop = Stop;

    fn ends_with_headers(&self) -> bool {
        self.ends_with_headers.get()
    }

    fn on_headers(&self, run: usize, end: bool) -> Result<Action, Stop> {
        self.note(format!("{run} headers{}", if end { " end" } else { "" }));
        self.run(run, On::Headers)
    }

    fn headers_go_by(&self, run: usize) -> Result<(), Stop> {
        self.run(run, On::Headers).map(|_| ())
    }

    fn on_body(&self, run: usize, size: usize, end: bool) -> Result<Action, Stop> {
        assert_eq!(self.flow.body_len(run), Some(size));
        let body = self.flow.read(run, 0, 0, &mut Vec::new()).and_then(Result::ok).and_then(|()| self.body(run));
        self.note(format!("{run} {:?}{}", body.unwrap_or_default(), if end { " end" } else { "" }));
        self.run(run, On::Body)
    }

    fn on_trailers(&self, run: usize) -> Result<Action, Stop> {
        self.note(format!("{run} trailers"));
        self.run(run, On::Trailers)
    }

    fn shows_body(&self, action: Action) -> bool {
        assert_ne!(action, Action::Continue);
        self.shows_body.get()
    }

    fn may_hold(&self, _: usize, bytes: usize) -> bool {
        bytes <= self.limit.get()
    }

    fn headers_passed(&self) -> Result<(), Stop> {
        assert!(self.flow.headers_passed());
        self.note("passed".to_owned());
        Ok(())
    }

    fn pass(&self, piece: Part, marks: Marks) -> Result<(), Stop> {
        let text = match piece {
            Part::Buffer(text) => format!("buffer {text:?}"),
            Part::Own(bytes) => format!("{:?}", String::from_utf8(bytes).unwrap()),
            Part::Broken => "broken".to_owned(),
        };
        let flush = if marks.flush { " flush" } else { "" };
        self.note(format!("out {text}{flush}{}", if marks.last { " end" } else { "" }));
        Ok(())
    }
}
