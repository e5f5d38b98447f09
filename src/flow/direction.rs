//! One direction of a stream: its stages in the order in which it passes them, and how far it has come.

use std::cell::{Cell, RefCell};

use smallvec::SmallVec;

use super::{Fault, Hold, Stage};

/// One direction of a stream. See the [module](super).
pub struct Flow<P> {
    /// In the order of the way. Borrowed for as long as a [`Stage`] is looked at, and never while anybody else is called.
    stages: RefCell<SmallVec<[Stage; 2]>>,
    /// The stages that have let the headers through.
    pub(super) headers: Cell<usize>,
    /// The stages that have seen a body that can be shown again.
    body: Cell<usize>,
    /// What the callback that runs can look at, and the number of its stage.
    pub(super) shown: Cell<Option<(usize, P)>>,
    pub(super) changed: Cell<bool>,
    /// Why a filter could not change the body, which does not go on as it was.
    pub(super) spoiled: Cell<Option<Fault>>,
}

impl<P> Default for Flow<P> {
    #[inline(always)]
    fn default() -> Self {
        Flow::new()
    }
}

impl<P> Flow<P> {
    /// A way without filters. It is made in its place, not moved there.
    #[inline(always)]
    pub fn new() -> Self {
        Flow {
            stages: RefCell::new(SmallVec::new()),
            headers: Cell::new(0),
            body: Cell::new(0),
            shown: Cell::new(None),
            changed: Cell::new(false),
            spoiled: Cell::new(None),
        }
    }

    /// Begins again, without filters.
    pub fn restart(&self) {
        self.stages.borrow_mut().clear();
        self.headers.set(0);
        self.body.set(0);
        self.shown.set(None);
        self.changed.set(false);
        self.spoiled.set(None);
    }

    /// Adds stages behind those that there are.
    pub fn add_behind(&self, stages: impl IntoIterator<Item = Stage>) {
        self.stages.borrow_mut().extend(stages);
    }

    /// Adds stages before those that there are.
    pub fn add_before(&self, stages: impl IntoIterator<Item = Stage>) {
        let mut all = self.stages.borrow_mut();
        stages.into_iter().enumerate().for_each(|(n, stage)| all.insert(n, stage));
    }

    /// How many stages there are.
    pub fn len(&self) -> usize {
        self.stages.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many stages have let the headers through.
    pub fn headers_seen(&self) -> usize {
        self.headers.get()
    }

    /// Whether all stages have let the headers through.
    pub fn headers_passed(&self) -> bool {
        self.headers.get() == self.len()
    }

    /// The stage that the headers have come to is done with them, whatever its filter said.
    pub fn pass_headers_by(&self) {
        self.headers.set(self.headers.get() + 1);
    }

    /// All stages are done with the headers: others take their place.
    pub fn end_headers(&self) {
        self.headers.set(self.len());
    }

    /// How many stages have seen a body that can be shown again, to those behind them.
    pub fn body_seen(&self) -> usize {
        self.body.get()
    }

    /// All stages that there are have seen the body.
    pub fn end_body(&self) {
        self.body.set(self.len());
    }

    /// Whether pieces of the body must go through the stages.
    pub fn wants_body(&self) -> bool {
        self.any(|stage| stage.wants_body.get())
    }

    /// Whether a filter looks at trailers.
    pub fn wants_trailers(&self) -> bool {
        self.any(|stage| stage.wants_trailers.get())
    }

    /// Whether a stage holds anything back.
    pub fn is_held(&self) -> bool {
        self.any(Stage::is_held)
    }

    /// Whether a stage holds headers back, and the body behind them without looking at it.
    pub fn holds_headers(&self) -> bool {
        self.any(|stage| stage.hold.get() == Hold::Headers)
    }

    /// Whether only a filter can make the stream go on: it holds the headers back, or the end of the body, or trailers.
    pub fn waits_for_filter(&self) -> bool {
        self.any(|stage| match stage.hold.get() {
            Hold::Open => false,
            Hold::Headers | Hold::Trailers => true,
            Hold::HeadersOnly | Hold::Body => stage.end.get() || stage.trailers.get(),
        })
    }

    /// The filter that the stream waits for.
    pub fn holder(&self) -> Option<usize> {
        self.stages.borrow().iter().find(|stage| stage.is_held()).map(|stage| stage.run)
    }

    /// What a filter holds back; nothing, when it is none of these.
    pub fn hold_of(&self, run: usize) -> Hold {
        self.of(run, |stage| stage.hold.get()).unwrap_or_default()
    }

    /// Whether a stage that holds something has been told to go on: [`Flow::resume`] has something to do.
    pub fn is_resumed(&self) -> bool {
        self.any(|stage| stage.resumed.get() && stage.is_held())
    }

    /// A filter asks to go on: at the end of its callback if one runs, with [`Flow::resume`] otherwise.
    pub fn ask_to_go_on(&self, run: usize) {
        self.of(run, |stage| stage.resumed.set(true));
    }

    /// Does without a filter from now on. What it holds goes on, as if it had asked for that.
    pub fn skip(&self, run: usize) {
        self.of(run, Stage::skip);
    }

    /// Does without the filters whose numbers are larger.
    pub fn skip_behind(&self, run: usize) {
        self.stages.borrow().iter().filter(|stage| stage.run > run).for_each(Stage::skip);
    }

    /// Whether the stream does without a filter.
    pub fn is_skipped(&self, run: usize) -> bool {
        self.of(run, |stage| stage.is_skipped.get()).unwrap_or_default()
    }

    /// Throws away what the stages hold, which are open after that.
    pub fn drop_held(&self) {
        self.stages.borrow().iter().for_each(|stage| drop(stage.release()));
    }

    /// Whether a filter has changed the body.
    pub fn is_changed(&self) -> bool {
        self.changed.get()
    }

    /// The body is shown once more, as it was.
    pub fn forget_changes(&self) {
        self.changed.set(false);
    }

    /// The number of a filter's stage.
    pub(super) fn stage_of(&self, run: usize) -> Option<usize> {
        self.stages.borrow().iter().position(|stage| stage.run == run)
    }

    /// Looks at a stage, by its number.
    pub(super) fn at<T>(&self, n: usize, look: impl FnOnce(&Stage) -> T) -> Option<T> {
        self.stages.borrow().get(n).map(look)
    }

    fn of<T>(&self, run: usize, look: impl FnOnce(&Stage) -> T) -> Option<T> {
        self.stages.borrow().iter().find(|stage| stage.run == run).map(look)
    }

    fn any(&self, is: impl Fn(&Stage) -> bool) -> bool {
        self.stages.borrow().iter().any(is)
    }
}
