//! What is kept of a request that a program answers, and who moves bytes between nginx and the run. It is called when the run has news,
//! when the client takes more, and when the program has given no sign of life for too long.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use nginx_sys::{NGX_LOG_INFO, ngx_http_request_t, ngx_int_t, ngx_msec_t};
use ngx_wasm::programs::{Ending, HeadParser, Input, Line, News, ROOM, Run, Task, Usage};
use ngx_wasm::proxy_wasm::StreamToken;
use ngx_wasm::shared::latency::Kind;
use ngx_wasm::tokens::Tokens;

use super::failure::Failure;
use super::output::{self, Next};
use super::{call, environment, input, left};
use crate::config::conf::MainConf;
use crate::config::loc_conf::LocConf;
use crate::config::program_conf::{AnswererKind, ProgramConf, ProgramLocation, Work};
use crate::http::report;
use crate::nginx::after::After;
use crate::nginx::callback::callback;
use crate::nginx::chain::Chain;
use crate::nginx::event::{AboutRequest, Event};
use crate::nginx::output::Output;
use crate::nginx::pool::Kept;
use crate::nginx::request::{HttpRequest, KeptRequest};
use crate::nginx::{filters, log, rc};
use crate::process::status::{self, FilterStatus};
use crate::programs::worker;

/// So many pieces are moved before others have their turn: a fast program and a fast client would keep the loop for themselves.
pub const AT_ONCE: usize = 16;

/// What has become of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its headers have not gone.
    Head,
    /// What comes is its body.
    Body,
    /// What comes is thrown away: it has no body.
    Discarded,
}

/// A request, its program, and the run of that.
pub struct Served {
    r: KeptRequest,
    pub main: &'static MainConf,
    number: usize,
    work: Work,
    token: Cell<StreamToken>,
    run: OnceCell<Arc<Run>>,
    event: OnceCell<Event<Served>>,
    is_over: Cell<bool>,
    /// The program goes on without the request.
    is_left: Cell<bool>,
    /// The body of the request is given to the program as it comes.
    pub is_fed: Cell<bool>,
    /// What there was no room for.
    pub waiting: Cell<Vec<u8>>,
    pub stage: Cell<Stage>,
    pub parser: RefCell<HeadParser>,
    /// How much of the body is still to come, if its length is known.
    pub left: Cell<Option<u64>>,
    /// How much the program has written.
    pub written: Cell<u64>,
    pub output: RefCell<Output>,
    /// The signs of life that there had been when the timer was set.
    signs: Cell<u64>,
    /// When the program was begun, if it is measured how long that takes.
    begin: Cell<Option<Instant>>,
    /// A call that a function waits for.
    call: RefCell<Option<async_task::Task<()>>>,
}

thread_local! {
    /// Nothing: it is a run that no request waits for.
    static TOKENS: RefCell<Tokens<Option<Kept<Served>>>> = const { RefCell::new(Tokens::new()) };
}

/// A run that no request waits for, and its token.
pub fn new_run_of_nobody() -> Option<(usize, Arc<Run>)> {
    let token = TOKENS.with_borrow_mut(|tokens| tokens.give(None))?.0;
    let run = worker::new_run(token, wake).inspect_err(|_| forget_run_of_nobody(token)).ok()?;
    Some((token, run))
}

/// Such a run has ended, or will not begin.
pub fn forget_run_of_nobody(token: usize) {
    TOKENS.with_borrow_mut(|tokens| tokens.take_back(StreamToken(token)));
}

/// The run of a token has news.
fn wake(token: usize) {
    let served = TOKENS.with_borrow(|tokens| tokens.get(StreamToken(token))).flatten();
    match served.filter(|served| !served.is_left.get()) {
        Some(served) => served.event.get().into_iter().for_each(Event::post),
        None => left::look(token),
    }
}

impl AboutRequest for Served {
    fn r(&self) -> HttpRequest<'_> {
        self.r.get()
    }
}

impl Drop for Served {
    /// The request ends. Nobody waits for the program any more.
    fn drop(&mut self) {
        if let Some(run) = self.run.get().filter(|_| !self.is_left.get()) {
            run.stop();
        }
        let _ = TOKENS.try_with(|tokens| tokens.borrow_mut().take_back(self.token.get()));
    }
}

callback! {
    /// The client takes more.
    fn on_writable(r: HttpRequest<'_> = *mut ngx_http_request_t), otherwise () => write_more
}

fn write_more(r: HttpRequest<'_>) -> After<'_> {
    match Served::of(r) {
        Some(served) => served.on_writable(),
        None => After::Nothing,
    }
}

fn on_event(served: &Served, is_timeout: bool) -> After<'_> {
    if served.is_over.get() {
        return After::Nothing;
    }
    if is_timeout { served.on_timeout() } else { served.go_on() }
}

impl Served {
    /// Keeps what is to be known of a request. `None`: there is no memory.
    pub fn create(r: HttpRequest<'_>, main: &'static MainConf, number: usize, work: Work) -> Option<Kept<Served>> {
        let parser = RefCell::new(Served::parser(&LocConf::of(r).programs));
        let served = r.pool().own(Served {
            r: r.keep(),
            main,
            number,
            work,
            token: Cell::new(StreamToken(0)),
            run: OnceCell::new(),
            event: OnceCell::new(),
            is_over: Cell::new(false),
            is_left: Cell::new(false),
            is_fed: Cell::new(false),
            waiting: Cell::default(),
            stage: Cell::new(Stage::Head),
            parser,
            left: Cell::new(None),
            written: Cell::new(0),
            output: RefCell::default(),
            signs: Cell::new(0),
            begin: Cell::new(None),
            call: RefCell::default(),
        })?;
        served.token.set(TOKENS.with_borrow_mut(|tokens| tokens.give(Some(served)))?);
        let _ = served.event.set(Event::new(served, on_event));
        Some(served)
    }

    /// What is kept of a request that a program answers.
    pub fn of(r: HttpRequest<'_>) -> Option<&Served> {
        let found = r.pool().find::<Served>(|served| served.r.get() == r && !served.is_over.get());
        found.map(|served| served.in_pool(r.pool()))
    }

    pub fn r(&self) -> HttpRequest<'_> {
        self.r.get()
    }

    pub fn run(&self) -> Option<&Arc<Run>> {
        self.run.get()
    }

    /// What the location says of programs.
    pub fn loc(&self) -> &ProgramConf {
        &LocConf::of(self.r()).programs
    }

    pub fn parser(loc: &ProgramConf) -> HeadParser {
        HeadParser::new(loc.header_limit())
    }

    fn location(&self) -> &ProgramLocation {
        &self.main.programs[self.number]
    }

    /// The status of a response when what was to make it has gone wrong.
    pub fn status_of_failure(&self) -> ngx_int_t {
        match self.location().kind {
            AnswererKind::Program => rc::BAD_GATEWAY,
            AnswererKind::Function { .. } => self.loc().function_error().status as ngx_int_t,
        }
    }

    fn status(&self) -> FilterStatus {
        self.main.status.filter(self.main.filters.len() + self.number)
    }

    /// Begins with the program. nginx has the body, or a first part of it.
    pub fn begin(&self) -> After<'_> {
        match self.hand_over() {
            Ok(()) => {}
            Err(failure) => return self.fail(failure),
        }
        let r = self.r();
        r.set_write_event_handler(Some(on_writable));
        self.arm();
        if !r.is_main() {
            return After::Nothing;
        }
        if self.is_fed.get() {
            r.set_read_event_handler(Some(input::on_readable));
            if let Err(code) = input::feed(self) {
                return self.finish(code);
            }
        } else {
            r.watch_client();
        }
        After::Nothing
    }

    fn hand_over(&self) -> Result<(), Failure> {
        let r = self.r();
        // nginx buffers a body all the same where something else wants it whole.
        let is_fed = r.is_main() && r.is_body_unbuffered();
        let input = if is_fed { Input::Streamed } else { input::whole(r).map_err(Failure::Other)? };
        let is_said = r.is_main() && r.has_content_length() && !r.is_body_chunked();
        let said = u64::try_from(r.body_length()).ok().filter(|_| is_said);
        let length =
            if is_fed { said } else { input.known_len().filter(|len| *len > 0).or(said.filter(|len| *len == 0)) };
        let task: Task = match self.work.clone() {
            Work::Program(job) => {
                let arguments = environment::arguments(r, &self.location().name).ok_or(Failure::NoMemory)?;
                let environment = environment::of_request(r, length).ok_or(Failure::NoMemory)?;
                Box::new(move |place, run| job.perform(place, run, &arguments, &environment, input))
            }
            Work::Function(job) => {
                let request =
                    environment::of_function(r, self.location().lines.lowest(r.log())).ok_or(Failure::NoMemory)?;
                Box::new(move |place, run| job.perform(place, run, &request, input))
            }
        };
        let run = worker::new_run(self.token.get().0, wake).map_err(Failure::Other)?;
        if self.main.measures_time {
            run.measure();
        }
        worker::run(self.main.program_threads(), run.clone(), task).map_err(Failure::NotBegun)?;
        let _ = self.run.set(run);
        self.is_fed.set(is_fed);
        self.status().count(status::Event::Request);
        self.begin.set(self.status().clock());
        Ok(())
    }

    /// Looks what the run has, and does what is to be done.
    fn go_on(&self) -> After<'_> {
        let Some(run) = self.run() else { return After::Nothing };
        for _ in 0..AT_ONCE {
            let is_busy = self.is_client_busy();
            let News { head, output, call, lines, ending, signs, .. } = run.look(!is_busy);
            lines.iter().for_each(|line| self.print(line));
            if let Some((number, request)) = call {
                let longest = self.loc().timeout();
                self.call.replace(Some(call::begin(self.location(), run.clone(), number, request, longest)));
            }
            if self.is_fed.get()
                && let Err(code) = input::feed(self)
            {
                return self.finish(code);
            }
            if signs != self.signs.get() || is_busy {
                self.signs.set(signs);
                self.arm();
            }
            let is_silent = output.is_empty() && head.is_none();
            if !is_silent {
                match output::take(self, head, output) {
                    Ok(Next::Go) => {}
                    Ok(Next::End(code)) => return self.finish(code),
                    Ok(Next::Redirect(redirect)) => {
                        self.leave();
                        return After::Redirect(self.r(), redirect);
                    }
                    Err(failure) => return self.fail(failure),
                }
            }
            if let Some(ending) = ending {
                return self.end(ending);
            }
            if self.is_complete() {
                return self.complete();
            }
            if is_silent || is_busy {
                return self.wait();
            }
        }
        self.go_on_later();
        After::Nothing
    }

    /// Goes on when nginx has looked after others.
    pub fn go_on_later(&self) {
        self.event.get().into_iter().for_each(Event::post_for_next_round);
    }

    /// Waits for news of the run, or for the client to take more.
    fn wait(&self) -> After<'_> {
        let r = self.r();
        if !self.is_client_busy() || r.is_background() {
            return After::Nothing;
        }
        // The write events of the connection are for the request whose turn it is, and a filter that holds a response wakes it up itself.
        let c = r.connection();
        if r.is_active() && c.is_busy() && !c.is_delayed() && c.wait_for_client(r).is_err() {
            return self.finish(rc::ERROR);
        }
        After::Nothing
    }

    /// Whether there is something that the client is to take before it gets more.
    fn is_client_busy(&self) -> bool {
        let r = self.r();
        if r.is_background() || self.stage.get() != Stage::Body {
            return false;
        }
        let mut output = self.output.borrow_mut();
        output.reclaim();
        !r.is_active() || r.connection().is_busy() || output.waiting() > ROOM
    }

    fn on_writable(&self) -> After<'_> {
        let r = self.r();
        let c = r.connection();
        if c.is_write_timed_out() {
            r.log().write(NGX_LOG_INFO, "wasm: the client takes nothing of what a program has written (send_timeout)");
            c.set_timed_out();
            return self.finish(nginx_sys::NGX_HTTP_REQUEST_TIME_OUT as ngx_int_t);
        }
        if c.is_delayed() {
            return self.wait();
        }
        // It has taken something, and has all of the time for the next piece.
        c.stop_write_timer();
        if r.buffered() != 0 || c.buffered() != 0 {
            let code = filters::output(r, Chain::EMPTY);
            if code == rc::ERROR {
                return self.finish(rc::ERROR);
            }
        }
        self.go_on()
    }

    /// The program has given no sign of life for some time.
    fn on_timeout(&self) -> After<'_> {
        // A program that waits for a slow client is not to blame, and is looked at when that has taken something.
        let is_calling = self.call.borrow().as_ref().is_some_and(|call| !call.is_finished());
        let signs = self.run().map(|run| run.signs());
        if is_calling || self.is_client_busy() || signs.is_some_and(|signs| signs != self.signs.get()) {
            self.signs.set(signs.unwrap_or_default());
            self.arm();
            return self.go_on();
        }
        self.fail(Failure::Silent)
    }

    /// Waits for a sign of life from now on.
    fn arm(&self) {
        if let Some(event) = self.event.get() {
            event.disarm();
            event.arm(self.loc().timeout().as_millis() as ngx_msec_t);
        }
    }

    /// The program has ended.
    fn end(&self, ending: Ending) -> After<'_> {
        if ending != Ending::Done {
            return self.fail(Failure::Ended(ending));
        }
        match output::end(self) {
            Ok(code) => self.finish(code),
            Err(failure) => self.fail(failure),
        }
    }

    /// Whether the client has, or will get, all of the response: what the program does behind it is its own business.
    fn is_complete(&self) -> bool {
        self.stage.get() == Stage::Discarded || (self.stage.get() == Stage::Body && self.left.get() == Some(0))
    }

    /// Ends the request, and lets the program go on.
    fn complete(&self) -> After<'_> {
        let code = output::end(self);
        if let Some(run) = self.run() {
            self.is_left.set(true);
            left::leave(self.token.get().0, run.clone(), self.location(), self.loc().timeout());
        }
        match code {
            Ok(code) => self.finish(code),
            Err(failure) => self.fail(failure),
        }
    }

    /// Nothing more happens about the request here.
    fn leave(&self) {
        if self.is_over.replace(true) {
            return;
        }
        if let Some(begin) = self.begin.take() {
            self.status().took(Kind::Program, begin.elapsed());
        }
        if let Some(run) = self.run() {
            let used = run.usage();
            self.status().add(status::Event::RefusedGrowth, used.refused_growth);
            report::note_program(self.r(), &self.location().name, None, used);
        }
        self.call.take();
        if let Some(event) = self.event.get() {
            event.disarm();
        }
        if let Some(run) = self.run().filter(|_| !self.is_left.get()) {
            run.stop();
        }
    }

    /// Ends the request with a code of nginx's. A status can stand for a response only before that has begun.
    pub fn finish(&self, code: ngx_int_t) -> After<'_> {
        self.leave();
        if code >= rc::SPECIAL_RESPONSE && self.stage.get() != Stage::Head {
            self.r().set_keepalive(false);
            return After::Finalize(self.r(), rc::ERROR);
        }
        After::Finalize(self.r(), code)
    }

    /// The program has failed: the client gets an answer that says so, or none, if it has seen the beginning of another one.
    fn fail(&self, failure: Failure) -> After<'_> {
        if let Some(run) = self.run() {
            // What it has said last may tell why.
            run.look(false).lines.iter().for_each(|line| self.print(line));
        }
        self.count(&failure);
        let (status, text) = failure.told(self);
        let r = self.r();
        if self.stage.get() == Stage::Head {
            self.complain(&text);
            if let Failure::Ended(Ending::Failed(message)) = &failure
                && self.loc().function_error().is_told
            {
                let code = output::tell(self, status, message).unwrap_or(rc::INTERNAL_SERVER_ERROR);
                return self.finish(code);
            }
            return self.finish(status);
        }
        if self.stage.get() == Stage::Discarded {
            self.complain(&format!("{text}, behind its response"));
            return self.finish(rc::OK);
        }
        self.complain(&format!("{text}; its response has begun, so the connection is closed"));
        r.set_keepalive(false);
        self.finish(rc::ERROR)
    }

    fn count(&self, failure: &Failure) {
        let status = self.status();
        failure.event().into_iter().chain([status::Event::Closed]).for_each(|event| status.count(event));
        status.error(&failure.told(self).1);
        report::note_program(self.r(), &self.location().name, Some(failure.word()), Usage::default());
    }

    /// Says something about the program in the log.
    pub fn complain(&self, what: &str) {
        let who = self.location().who();
        self.r().log().error(log::printable(&format!("{who}{what}")));
    }

    /// Logs a line that the program has printed.
    fn print(&self, line: &Line) {
        if !self.location().lines.guest(self.r().log(), environment::level(line.level), &line.text) {
            self.status().count(status::Event::DroppedLine);
        }
    }
}
