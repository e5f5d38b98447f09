//! The way of a stream through its filters: a sequence of pieces, ends, trailers and resumes, in which filters answer anything
//! at any time. `model.rs` knows what must not happen.

mod model;

use std::cell::{Cell, RefCell};

use ngx_wasm::flow::{Exit, Fault, Flow, Marks, Piece, Stage, Unreadable};
use ngx_wasm::proxy_wasm::{Action, splice};

use model::{Model, On};

const STAGES: usize = 5;
const STEPS: usize = 64;

/// What happens is read from the input; behind its end come zeros, which stand for what is usual.
struct Input<'a>(Cell<&'a [u8]>);

impl Input<'_> {
    fn next(&self) -> u8 {
        let [first, rest @ ..] = self.0.get() else { return 0 };
        self.0.set(rest);
        *first
    }

    fn below(&self, bound: usize) -> usize {
        usize::from(self.next()) % bound.max(1)
    }
}

#[derive(Debug)]
enum Part {
    Bytes(Vec<u8>),
    /// Nobody can read it. The bytes are for the model alone.
    Broken(Vec<u8>),
}

impl From<Vec<u8>> for Part {
    fn from(bytes: Vec<u8>) -> Part {
        Part::Bytes(bytes)
    }
}

impl Piece for Part {
    fn len(&self) -> usize {
        let (Part::Bytes(bytes) | Part::Broken(bytes)) = self;
        bytes.len()
    }

    fn read(&self, start: usize, len: usize, out: &mut Vec<u8>) -> Result<(), Unreadable> {
        match self {
            Part::Bytes(bytes) => bytes.read(start, len, out),
            Part::Broken(_) => Err(Unreadable),
        }
    }

    fn into_bytes(self) -> Result<Vec<u8>, Unreadable> {
        match self {
            Part::Bytes(bytes) => Ok(bytes),
            Part::Broken(_) => Err(Unreadable),
        }
    }
}

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

struct Play<'a> {
    flow: Flow<Part>,
    input: Input<'a>,
    model: RefCell<Model>,
    limit: usize,
    ends_with_headers: bool,
    shows_body: bool,
}

/// Sends a stream through filters that do what the input says.
pub fn flow(data: &[u8]) {
    let input = Input(Cell::new(data));
    let (stages, kind) = (input.below(STAGES), input.next());
    let wants: Vec<[bool; 3]> = (0..stages)
        .map(|_| {
            let wants = input.next();
            [wants % 4 != 3, wants / 4 % 4 != 3, wants / 16 % 4 != 3]
        })
        .collect();
    let play = Play {
        flow: Flow::new(),
        model: RefCell::new(Model::new(&wants)),
        limit: if kind & 3 == 3 { input.below(16) } else { usize::MAX },
        ends_with_headers: kind & 0x1c == 0x1c,
        shows_body: kind & 0x20 != 0,
        input,
    };
    play.flow.add_behind(wants.iter().enumerate().map(|(run, [body, trailers, headers])| {
        let stage = Stage::new(run, *body, *trailers);
        if *headers { stage } else { stage.ignoring_headers() }
    }));
    match play.run() {
        Ok(()) => play.model.borrow().check_whole(play.ends_with_headers),
        Err(_) => {
            play.flow.drop_held();
            play.model.borrow_mut().stop();
            for run in 0..stages {
                play.flow.ask_to_go_on(run);
            }
            // Nothing is there to go on, and the model would complain of any callback.
            let _ = play.flow.resume(&play);
            assert!(!play.flow.is_held() && !play.flow.waits_for_filter());
        }
    }
}

impl Play<'_> {
    /// Brings everything, and lets everything go in the end.
    fn run(&self) -> Result<(), Stop> {
        self.driven(self.flow.headers(self))?;
        self.model.borrow_mut().headers_are_late = !self.flow.headers_passed();
        for _ in 0..STEPS {
            if self.input.0.get().is_empty() {
                break;
            }
            self.step()?;
        }
        if !self.model.borrow().ended {
            self.end()?;
        }
        let mut turns = 0;
        while self.flow.is_held() {
            (0..self.count()).for_each(|run| self.ask(run));
            self.resume()?;
            turns += 1;
            assert!(turns <= 4 * STAGES + STEPS, "a filter holds what it was told to let go");
        }
        // What has been let go in a callback of another filter.
        self.resume()
    }

    fn step(&self) -> Result<(), Stop> {
        match self.input.next() % 16 {
            0..=5 => self.bring(),
            6 => self.end(),
            7..=9 => {
                self.ask(self.input.below(self.count()));
                self.resume()
            }
            // Its event comes later.
            10 | 11 => {
                self.ask(self.input.below(self.count()));
                Ok(())
            }
            12 => {
                // Nobody is to see them who has, or whom somebody keeps from it.
                self.driven(self.flow.headers(self))?;
                self.resume()
            }
            13 => {
                self.skip(self.input.below(self.count()));
                Ok(())
            }
            14 => {
                self.change(self.input.below(self.count()));
                Ok(())
            }
            _ => {
                self.ask(self.input.below(self.count()));
                self.bring()
            }
        }
    }

    fn count(&self) -> usize {
        self.flow.len()
    }

    /// The next piece, which may be the last.
    fn bring(&self) -> Result<(), Stop> {
        if self.model.borrow().ended || self.ends_with_headers {
            return Ok(());
        }
        let (size, kind) = (self.input.below(8), self.input.next());
        let (is_last, is_broken) = (kind & 0x1f == 0x1f, kind & 0xe0 == 0xe0);
        let bytes = self.model.borrow_mut().bring(size, is_broken);
        self.model.borrow_mut().ended |= is_last;
        let piece = if is_broken && !bytes.is_empty() { Part::Broken(bytes) } else { Part::Bytes(bytes) };
        let marks = Marks { last: is_last, flush: kind & 0x20 != 0, recycled: kind & 0x40 != 0 };
        self.driven(self.flow.data(self, 0, piece, marks))
    }

    /// The end, alone or by trailers.
    fn end(&self) -> Result<(), Stop> {
        if self.model.borrow().ended {
            return Ok(());
        }
        self.model.borrow_mut().ended = true;
        if self.ends_with_headers {
            return Ok(());
        }
        let result = if self.input.next() & 1 == 0 {
            self.flow.data(self, 0, Part::Bytes(Vec::new()), Marks { last: true, ..Marks::default() })
        } else {
            self.model.borrow_mut().trailers_come();
            self.flow.trailers(self, 0)
        };
        self.driven(result)
    }

    fn ask(&self, run: usize) {
        self.flow.ask_to_go_on(run);
        self.model.borrow_mut().ask(run);
    }

    fn skip(&self, run: usize) {
        self.flow.skip(run);
        self.model.borrow_mut().skip(run);
    }

    fn resume(&self) -> Result<(), Stop> {
        self.driven(self.flow.resume(self))?;
        // Filters may let go what others hold, whose turn has been.
        while self.flow.is_resumed() {
            self.driven(self.flow.resume(self))?;
        }
        self.model.borrow_mut().all_settled();
        Ok(())
    }

    /// The flow has done what it was asked to.
    fn driven(&self, result: Result<(), Stop>) -> Result<(), Stop> {
        let model = self.model.borrow();
        model.check_result(&result);
        result?;
        let flow = &self.flow;
        assert_eq!(flow.is_held(), flow.holder().is_some());
        assert!(!model.ended || !flow.is_held() || flow.waits_for_filter(), "it waits for what does not come");
        drop(model);
        self.check_held(None);
        Ok(())
    }

    /// Filters look at what they hold, and at nothing else, but for the one whose callback runs.
    fn check_held(&self, running: Option<usize>) {
        for run in (0..self.count()).filter(|run| Some(*run) != running) {
            if let Some(size) = self.model.borrow().held(run) {
                assert_eq!(self.flow.body_len(run), size, "what filter {run} holds");
            }
        }
    }

    /// A filter changes what it looks at, or what it holds.
    fn change(&self, run: usize) {
        let Some(len) = self.flow.body_len(run).filter(|len| *len > 0) else { return };
        let (start, size) = (self.input.below(len + 2), self.input.below(len + 2));
        let Some((bytes, is_readable)) = self.model.borrow_mut().new_bytes(run, len, self.input.below(6)) else {
            return;
        };
        let limit = if self.input.next() & 3 == 3 { 0 } else { self.limit };
        let replaced = len.saturating_sub(start).min(size);
        let result = self.flow.change(run, start as u32, size as u32, &bytes, limit);
        let mut model = self.model.borrow_mut();
        if len - replaced + bytes.len() > limit.max(len) {
            assert_eq!(result, Some(Err(Fault::TooLarge)));
            model.spoil(run, Fault::TooLarge);
        } else if !is_readable {
            assert_eq!(result, Some(Err(Fault::Unreadable)));
            model.spoil(run, Fault::Unreadable);
        } else {
            assert_eq!(result, Some(Ok(())));
            let now = model.change(run, |body| splice(body, start as u32, size as u32, &bytes));
            assert_eq!(self.view(run), Some(Ok(now)));
        }
    }

    /// What a filter can look at.
    fn view(&self, run: usize) -> Option<Result<Vec<u8>, Unreadable>> {
        let mut bytes = Vec::new();
        Some(self.flow.read(run, 0, usize::MAX, &mut bytes)?.map(|()| bytes))
    }

    /// What a filter does in its callback.
    fn call(&self, run: usize, on: On) -> Result<Action, Stop> {
        self.check_held(Some(run));
        let (choice, deeds) = (self.input.next(), self.input.next());
        let mut action = match choice {
            0..128 => Action::Continue,
            128..176 => Action::Pause,
            176..208 => Action::PauseHeaders,
            208..224 => Action::PauseAll,
            224..250 => Action::PauseAndDrop,
            250.. => {
                self.model.borrow_mut().answered = true;
                return Err(Stop::Answered);
            }
        };
        let mut goes_on = false;
        if deeds & 7 == 7 {
            self.flow.ask_to_go_on(run);
            goes_on = true;
        }
        let other = self.input.below(self.count());
        if deeds & 0x18 == 0x18 && other != run {
            if deeds & 0x20 == 0 {
                self.ask(other)
            } else {
                self.skip(other)
            };
        }
        if deeds & 0x40 != 0 {
            self.change(run);
        }
        if deeds & 0x8c == 0x88 {
            self.flow.skip(run);
            action = Action::Continue;
            self.model.borrow_mut().skip(run);
        }
        self.model.borrow_mut().answer(run, on, action, goes_on, self.shows_body && !self.ends_with_headers);
        Ok(action)
    }
}

impl Exit for Play<'_> {
    type Piece = Part;
    type Stop = Stop;

    fn ends_with_headers(&self) -> bool {
        self.ends_with_headers
    }

    fn on_headers(&self, run: usize, end: bool) -> Result<Action, Stop> {
        assert_eq!(end, self.ends_with_headers);
        self.model.borrow_mut().headers(run);
        self.call(run, On::Headers)
    }

    fn on_body(&self, run: usize, size: usize, end: bool) -> Result<Action, Stop> {
        assert_eq!(self.flow.body_len(run), Some(size), "the size that filter {run} is told");
        let view = self.view(run).expect("a filter looks at what it is shown");
        self.model.borrow_mut().body(run, size, view.ok(), end);
        self.call(run, On::Body)
    }

    fn on_trailers(&self, run: usize) -> Result<Action, Stop> {
        self.model.borrow_mut().trailers(run);
        self.call(run, On::Trailers)
    }

    fn shows_body(&self, _: Action) -> bool {
        self.shows_body
    }

    fn may_hold(&self, run: usize, bytes: usize) -> bool {
        self.model.borrow_mut().may_hold(run, bytes, self.limit)
    }

    fn headers_passed(&self) -> Result<(), Stop> {
        assert!(self.flow.headers_passed());
        self.model.borrow_mut().headers_passed();
        Ok(())
    }

    fn pass(&self, piece: Part, marks: Marks) -> Result<(), Stop> {
        assert!(self.flow.headers_passed(), "a body before the headers");
        let (Part::Bytes(bytes) | Part::Broken(bytes)) = piece;
        self.model.borrow_mut().pass(&bytes, marks.last);
        Ok(())
    }
}
