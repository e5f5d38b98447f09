//! What must hold for a stream and its filters, whatever those do: no byte is lost, doubled, out of order, or past a filter that
//! holds it; nothing follows the end; nobody is asked twice, or about what he holds unseen; what was asked to go on goes on.
//!
//! Each byte of a stream is another one. The model has those that there are, from the first to the last that has come, with what
//! filters have made of them; and how many of them each filter has let go. It learns of that from what others are shown.

use std::ops::Range;

use ngx_wasm::flow::Fault;
use ngx_wasm::proxy_wasm::Action;

use super::Stop;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    Headers,
    Body,
    Trailers,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pause {
    #[default]
    None,
    /// Everything, without being shown it.
    All,
    /// Headers and what it was shown.
    Headers,
    Body,
    /// All that it was shown, and headers if it had them.
    Trailers {
        with_headers: bool,
    },
}

#[derive(Default)]
struct Filter {
    wants_body: bool,
    wants_trailers: bool,
    is_skipped: bool,
    is_asked: bool,
    pause: Pause,
    /// It was asked to go on, and is not known to have done so.
    is_pending: bool,
    /// So many bytes it has let go, and so many it has been shown.
    gone: usize,
    seen: usize,
    /// It has been shown the end, or trailers.
    is_at_end: bool,
    /// What it is shown cannot be read.
    is_broken: bool,
}

impl Filter {
    /// It has let go what it was shown.
    fn settle(&mut self) {
        self.pause = Pause::None;
        self.is_pending = false;
        self.gone = self.seen;
    }

    fn settle_pending(&mut self) {
        if self.is_pending {
            self.settle();
        }
    }

    /// It was asked to let go what it was shown, or trailers have made it.
    fn settle_released(&mut self, has_trailers: bool) {
        if self.is_pending || (has_trailers && !self.wants_trailers && self.pause == Pause::Body) {
            self.settle();
        }
    }

    fn holds_headers(&self) -> bool {
        matches!(self.pause, Pause::All | Pause::Headers | Pause::Trailers { with_headers: true })
    }
}

pub struct Model {
    filters: Vec<Filter>,
    bytes: Vec<u8>,
    /// So many of them have left the last stage.
    out: usize,
    /// The next byte that there has not been.
    next: u8,
    broken: Vec<u8>,
    /// The end has come.
    pub ended: bool,
    has_trailers: bool,
    /// It has left the last stage.
    is_out: bool,
    pub headers_are_late: bool,
    headers_passed: usize,
    pub answered: bool,
    /// Why the flow must end the stream now.
    fault: Option<Fault>,
    /// Why it must do so before that filter lets anything go.
    spoiled: Option<(usize, Fault)>,
    is_stopped: bool,
}

impl Model {
    pub fn new(wants: &[[bool; 3]]) -> Model {
        // One that ignores headers is never to be asked about them.
        let filter = |[wants_body, wants_trailers, wants_headers]: [bool; 3]| Filter {
            wants_body,
            wants_trailers,
            is_asked: !wants_headers,
            ..Filter::default()
        };
        Model {
            filters: wants.iter().copied().map(filter).collect(),
            bytes: Vec::new(),
            out: 0,
            next: 0,
            broken: Vec::new(),
            ended: false,
            has_trailers: false,
            is_out: false,
            headers_are_late: false,
            headers_passed: 0,
            answered: false,
            fault: None,
            spoiled: None,
            is_stopped: false,
        }
    }

    fn fresh(&mut self, size: usize) -> Vec<u8> {
        let first = self.next;
        self.next = first.saturating_add(size as u8);
        (first..self.next).collect()
    }

    /// A piece comes.
    pub fn bring(&mut self, size: usize, is_broken: bool) -> Vec<u8> {
        let bytes = self.fresh(size);
        self.bytes.extend_from_slice(&bytes);
        if is_broken {
            self.broken.extend_from_slice(&bytes);
        }
        bytes
    }

    pub fn trailers_come(&mut self) {
        self.has_trailers = true;
    }

    pub fn ask(&mut self, run: usize) {
        if let Some(filter) = self.filters.get_mut(run) {
            filter.is_pending |= filter.pause != Pause::None;
        }
    }

    pub fn skip(&mut self, run: usize) {
        self.ask(run);
        if let Some(filter) = self.filters.get_mut(run) {
            filter.is_skipped = true;
        }
    }

    /// The flow went on wherever it was asked to.
    pub fn all_settled(&mut self) {
        assert_eq!(self.spoiled, None, "a body that could not be changed went on");
        self.filters.iter_mut().for_each(Filter::settle_pending);
    }

    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    fn check_runs(&self) {
        assert!(!self.is_stopped && !self.answered && self.fault.is_none(), "something follows the end of a stream");
    }

    pub fn headers(&mut self, run: usize) {
        self.check_runs();
        for before in &mut self.filters[..run] {
            if before.holds_headers() {
                before.settle_pending();
            }
            assert!(before.is_asked || before.is_skipped, "headers past a filter that was not asked");
            assert!(!before.holds_headers(), "headers past a filter that holds them");
        }
        let filter = &mut self.filters[run];
        assert!(
            !filter.is_skipped && !std::mem::replace(&mut filter.is_asked, true),
            "headers shown twice, or in vain"
        );
    }

    pub fn body(&mut self, run: usize, size: usize, view: Option<Vec<u8>>, end: bool) {
        self.check_runs();
        let filter = &mut self.filters[run];
        assert!(filter.wants_body && !filter.is_skipped && !filter.is_at_end, "filter {run} is shown a body in vain");
        assert!(size > 0 || end, "filter {run} is asked about nothing");
        filter.settle_pending();
        assert!(
            matches!(filter.pause, Pause::None | Pause::Headers | Pause::Body),
            "filter {run} is shown what it holds unseen"
        );
        let shown = filter.gone..filter.gone + size;
        assert!(shown.end >= filter.seen, "filter {run} is not shown all that it holds");
        assert!(shown.end <= self.bytes.len(), "filter {run} is shown more than there is");
        filter.is_broken = view.is_none();
        if let Some(view) = view {
            assert_eq!(view, self.bytes[shown.clone()], "what filter {run} is shown");
        }
        filter.seen = shown.end;
        filter.is_at_end = end;
        assert!(!end || (self.ended && shown.end == self.bytes.len()), "filter {run} is shown an end that is none");
        self.check_gone(run, shown.end);
    }

    pub fn trailers(&mut self, run: usize) {
        self.check_runs();
        let all = self.bytes.len();
        let filter = &mut self.filters[run];
        assert!(filter.wants_trailers && !filter.is_skipped && !filter.is_at_end, "trailers in vain");
        filter.settle_pending();
        assert!(matches!(filter.pause, Pause::None | Pause::Headers | Pause::Body), "trailers are held, and shown");
        assert!(!filter.wants_body || filter.seen == all, "trailers before the body");
        filter.is_at_end = true;
        if !filter.wants_body {
            (filter.gone, filter.seen) = (all, all);
        }
        self.check_gone(run, all);
        assert!(self.has_trailers, "trailers that have not come");
        for before in &mut self.filters[..run] {
            before.settle_released(true);
            assert_eq!(before.pause, Pause::None, "trailers past a filter that holds something");
        }
    }

    /// The filters before number `run` have let so many bytes go.
    fn check_gone(&mut self, run: usize, bytes: usize) {
        let has_trailers = self.has_trailers;
        for (n, before) in self.filters[..run].iter_mut().enumerate() {
            if let Some((spoiler, _)) = self.spoiled {
                assert!(spoiler != n || bytes <= before.gone, "a body that could not be changed goes on");
            }
            if bytes > before.gone || before.holds_headers() {
                before.settle_released(has_trailers);
            }
            assert!(!before.holds_headers(), "a body past filter {n}, which holds headers");
            let is_seen = before.is_skipped || !before.wants_body;
            assert!(before.pause != Pause::None || is_seen || bytes <= before.gone, "filter {n} was not shown a body");
            assert!(
                before.pause == Pause::None || bytes <= before.gone,
                "a body past filter {n}, which holds it in {:?}",
                before.pause
            );
        }
    }

    /// What a filter has answered.
    pub fn answer(&mut self, run: usize, on: On, action: Action, asked: bool, shows_body: bool) {
        if on != On::Headers
            && let Some((_, fault)) = self.spoiled
        {
            self.fault = Some(fault);
            return;
        }
        let filter = &mut self.filters[run];
        filter.is_pending = false;
        let pauses = match (on, action) {
            (_, Action::Continue) | (On::Body, Action::PauseHeaders) => false,
            _ => !asked,
        };
        if !pauses {
            filter.settle();
            return;
        }
        match on {
            On::Headers if shows_body && filter.wants_body && !filter.is_skipped => filter.pause = Pause::Headers,
            On::Headers => filter.pause = Pause::All,
            On::Trailers => filter.pause = Pause::Trailers { with_headers: filter.pause == Pause::Headers },
            On::Body => {
                if filter.pause == Pause::None {
                    filter.pause = Pause::Body;
                }
                if action == Action::PauseAndDrop {
                    if filter.is_broken {
                        self.fault = Some(Fault::Unreadable);
                    }
                    self.replace(run, Vec::new());
                }
            }
        }
    }

    /// Puts other bytes in the place of those that a filter looks at.
    fn replace(&mut self, run: usize, bytes: Vec<u8>) {
        let Range { start, end } = self.looked_at(run);
        let now = start + bytes.len();
        self.bytes.splice(start..end, bytes);
        for before in &mut self.filters[..run] {
            // What the next one has been shown, this one has let go.
            for count in [&mut before.gone, &mut before.seen] {
                if *count >= end {
                    *count = *count - end + now;
                }
            }
        }
        self.filters[run].seen = now;
    }

    fn looked_at(&self, run: usize) -> Range<usize> {
        self.filters[run].gone..self.filters[run].seen
    }

    /// Bytes for a filter to put in, if it looks at so many; and whether it can read those.
    pub fn new_bytes(&mut self, run: usize, len: usize, wanted: usize) -> Option<(Vec<u8>, bool)> {
        let range = self.looked_at(run);
        if range.len() != len || self.filters[run].is_pending {
            return None;
        }
        let is_readable = !self.is_broken(range);
        Some((self.fresh(wanted), is_readable))
    }

    fn is_broken(&self, range: Range<usize>) -> bool {
        self.bytes[range].iter().any(|byte| self.broken.contains(byte))
    }

    /// A filter changes what it looks at. Answers what that is then.
    pub fn change(&mut self, run: usize, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = self.bytes[self.looked_at(run)].to_vec();
        change(&mut bytes);
        self.replace(run, bytes.clone());
        bytes
    }

    /// A filter could not change what it looks at.
    pub fn spoil(&mut self, run: usize, fault: Fault) {
        self.spoiled = Some((run, fault));
    }

    /// What a filter holds and can look at: `None` where that cannot be told.
    pub fn held(&self, run: usize) -> Option<Option<usize>> {
        let filter = &self.filters[run];
        let is_released = self.has_trailers && !filter.wants_trailers;
        match filter.pause {
            _ if filter.is_pending || filter.is_skipped || is_released => None,
            Pause::None | Pause::All => Some(None),
            Pause::Headers | Pause::Body | Pause::Trailers { .. } => Some(Some(filter.seen - filter.gone)),
        }
    }

    pub fn may_hold(&mut self, run: usize, bytes: usize, limit: usize) -> bool {
        self.check_runs();
        let filter = &mut self.filters[run];
        assert!(filter.pause != Pause::None && !filter.is_pending, "filter {run} holds what it need not");
        let held = filter.gone..filter.gone + bytes;
        assert!(held.end <= self.bytes.len(), "filter {run} holds more than there is");
        if bytes > limit {
            self.fault = Some(Fault::TooLarge);
        } else if self.is_broken(held) {
            self.fault = Some(Fault::Unreadable);
        }
        bytes <= limit
    }

    pub fn headers_passed(&mut self) {
        self.check_runs();
        assert!(self.headers_are_late, "headers that nobody held");
        self.headers_passed += 1;
    }

    pub fn pass(&mut self, bytes: &[u8], is_last: bool) {
        self.check_runs();
        assert!(!self.is_out, "something follows the end");
        assert_eq!(self.headers_passed, usize::from(self.headers_are_late), "a body before the headers, or after two");
        let end = self.out + bytes.len();
        assert_eq!(self.bytes.get(self.out..end), Some(bytes), "what leaves the last stage");
        self.out = end;
        self.check_gone(self.filters.len(), end);
        if is_last {
            assert!(self.ended && end == self.bytes.len(), "an end before the body");
            self.is_out = true;
            for filter in &mut self.filters {
                filter.settle_released(self.has_trailers);
                assert_eq!(filter.pause, Pause::None, "the end past a filter that holds something");
            }
        }
    }

    /// Whether this is how the flow had to come back from what it was asked to do.
    pub fn check_result(&self, result: &Result<(), Stop>) {
        match result {
            Ok(()) => assert!(!self.answered && self.fault.is_none(), "a stream goes on in spite of {:?}", self.fault),
            Err(Stop::Answered) => assert!(self.answered, "nobody has answered"),
            Err(Stop::Fault(fault)) => {
                let reasons = [self.fault, self.spoiled.map(|(_, fault)| fault)];
                assert!(!self.answered && reasons.contains(&Some(*fault)), "{fault:?} for no reason");
            }
        }
    }

    /// All has come, and all has been let go.
    pub fn check_whole(&self, ends_with_headers: bool) {
        assert_eq!(self.headers_passed, usize::from(self.headers_are_late), "headers did not pass once");
        assert!(self.filters.iter().all(|filter| filter.is_asked || filter.is_skipped), "headers passed by a filter");
        if ends_with_headers {
            return;
        }
        assert!(self.is_out && self.out == self.bytes.len(), "{} bytes of {} came out", self.out, self.bytes.len());
        for (n, filter) in self.filters.iter().enumerate() {
            let wants_end = if self.has_trailers { filter.wants_trailers } else { filter.wants_body };
            assert!(filter.is_at_end || filter.is_skipped || !wants_end, "filter {n} has not seen the end");
        }
    }
}
