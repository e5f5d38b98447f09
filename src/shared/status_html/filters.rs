//! Filters and programs: those first that somebody should look at.

use super::markup::{Column, Html, Row};
use super::parts::{MOST_ROWS, age, none, rest, section, times};
use super::units::{count, duration, several, size};
use super::view::{FilterRow, Place, ProgramRow, View};
use crate::shared::filter_status::{Event, Summary};
use crate::shared::histogram::Histogram;
use crate::shared::latency::Kind;

/// For so many seconds after an error a filter is said to be failing.
const LATELY: u64 = 300;

/// How a filter, or a program, is. What is worse comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// All requests have to do without it.
    Down,
    /// Those of some workers have to.
    Partly,
    /// It has had an error lately.
    Failing,
    /// None of these.
    Up,
}

impl State {
    /// That of a filter.
    pub fn of_filter(row: &FilterRow<'_>, view: &View<'_>) -> State {
        let down = absent(row.summary);
        // Workers that leave have said what they are without, too.
        match down {
            0 => State::by_error(row.summary, view),
            _ if down >= (view.workers + view.leaving) as u64 => State::Down,
            _ => State::Partly,
        }
    }

    /// That of a program, which begins anew with each request.
    pub fn of_program(row: &ProgramRow<'_>, view: &View<'_>) -> State {
        State::by_error(row.summary, view)
    }

    fn by_error(summary: &Summary, view: &View<'_>) -> State {
        let is_late = |(_, time): &(Vec<u8>, u64)| view.now.saturating_sub(*time) < LATELY;
        if summary.last_error.as_ref().is_some_and(is_late) { State::Failing } else { State::Up }
    }

    /// How the style knows it.
    pub fn class(self) -> &'static str {
        match self {
            State::Down | State::Partly => "down",
            State::Failing => "failing",
            State::Up => "up",
        }
    }

    fn name(self) -> &'static str {
        match self {
            State::Down => "down",
            State::Partly => "partly down",
            State::Failing => "failing",
            State::Up => "up",
        }
    }
}

fn absent(summary: &Summary) -> u64 {
    summary.stopped.saturating_add(summary.waiting)
}

/// The same rows, those first that are worse, and of these the ones first whose error is later.
fn by_state<R>(rows: &[R], state: impl Fn(&R) -> State, summary: impl Fn(&R) -> &Summary) -> Vec<(State, &R)> {
    let mut sorted: Vec<_> = rows.iter().map(|row| (state(row), row)).collect();
    sorted.sort_by_key(|(state, row)| {
        let time = summary(row).last_error.as_ref().map_or(0, |(_, time)| *time);
        (*state, std::cmp::Reverse(if *state == State::Up { 0 } else { time }))
    });
    sorted
}

/// Filters.
pub fn filters(html: &mut Html, view: &View<'_>) {
    const MEASURED: &[Column] = &[
        Column::text("Filter"),
        Column::text("Place"),
        Column::text("State"),
        Column::number("Requests"),
        Column::number("Failed"),
        Column::number("Latency"),
        Column::text("Memory"),
        Column::text("Last error"),
    ];
    const PLAIN: &[Column] = &[
        Column::text("Filter"),
        Column::text("Place"),
        Column::text("State"),
        Column::number("Requests"),
        Column::number("Failed"),
        Column::text("Memory"),
        Column::text("Last error"),
    ];
    section(html, "Filters", |html| {
        if view.filters.is_empty() {
            html.raw("<p class=\"dim\">None. The directive <code>proxy_wasm</code> adds one.</p>\n");
            return;
        }
        let rows = by_state(&view.filters, |row| State::of_filter(row, view), |row| row.summary);
        html.table("Filters", if view.is_measured { MEASURED } else { PLAIN }, |table| {
            for (state, row) in rows.into_iter().take(MOST_ROWS) {
                table.row(state.class(), |cells| filter(cells, row, state, view));
            }
        });
        rest(
            html,
            view.filters.len(),
            "<code>wasm_status;</code> has all of them. Those that are down or failing come first.",
        );
    });
}

fn filter(cells: &mut Row<'_>, row: &FilterRow<'_>, state: State, view: &View<'_>) {
    let summary = row.summary;
    cells.cell(|html| {
        html.bytes(row.name).raw("<small>");
        if !row.root_id.is_empty() {
            html.raw("root id ").bytes(row.root_id).raw("<br>");
        }
        html.raw("on error: ").put(row.policy).raw("<br>isolation: ").put(row.isolation).raw("</small>");
    });
    cells.cell(|html| place(html, &row.place));
    cells.cell(|html| {
        pill(html, state);
        let all = view.workers + view.leaving;
        let told = [(summary.stopped, "until a reload"), (summary.waiting, "until it is started again")];
        details(html, told.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("in {n} of {all} workers {what}")));
    });
    cells.cell(|html| {
        html.put(count(summary.get(Event::Request)));
        details(html, (summary.paused > 0).then(|| format!("{} waiting", count(summary.paused))).into_iter());
    });
    cells.cell(|html| failed(html, summary));
    if view.is_measured {
        cells.cell(|html| callbacks(html, row.latency));
    }
    cells.cell(|html| memory(html, row));
    cells.cell(|html| last_error(html, summary, view));
}

/// Programs.
pub fn programs(html: &mut Html, view: &View<'_>) {
    const COLUMNS: &[Column] = &[
        Column::text("Program"),
        Column::text("Place"),
        Column::text("State"),
        Column::number("Requests"),
        Column::number("Failed"),
        Column::number("Latency"),
        Column::text("Last error"),
    ];
    if view.programs.is_empty() {
        return;
    }
    section(html, "Programs and functions", |html| {
        let rows = by_state(&view.programs, |row| State::of_program(row, view), |row| row.summary);
        html.table("Programs and functions", COLUMNS, |table| {
            for (state, row) in rows.into_iter().take(MOST_ROWS) {
                table.row(state.class(), |cells| {
                    cells.cell(|html| {
                        html.bytes(row.name).raw("<small>").put(row.directive).raw("</small>");
                    });
                    cells.cell(|html| place(html, &row.place));
                    cells.cell(|html| pill(html, state));
                    cells.text(count(row.summary.get(Event::Request)));
                    cells.cell(|html| failed(html, row.summary));
                    cells.cell(|html| match row.latency {
                        Some(histogram) => times(html, histogram),
                        None if view.is_measured => none(html),
                        None => {
                            html.raw("<span class=\"dim\">not measured</span>");
                        }
                    });
                    cells.cell(|html| last_error(html, row.summary, view));
                });
            }
        });
        rest(html, view.programs.len(), "<code>wasm_status;</code> has all of them.");
    });
}

fn place(html: &mut Html, place: &Place<'_>) {
    if place.index.parse::<usize>().is_err() {
        html.raw("Lua");
        return;
    }
    let level = [place.server, place.location];
    for (n, part) in level.into_iter().filter(|part| !part.is_empty()).enumerate() {
        html.raw(if n > 0 { "<br>" } else { "" }).raw("<code>").bytes(part).raw("</code> ");
    }
    html.raw("<span class=\"dim\">#").put(&place.index).raw("</span><small>").put(&place.position).raw("</small>");
}

fn pill(html: &mut Html, state: State) {
    html.raw("<span class=\"state ").raw(state.class()).raw("\"><i class=\"mark ").raw(state.class());
    html.raw("\"></i> ").raw(state.name()).raw("</span>");
}

/// What stands smaller below something, if there is any.
fn details(html: &mut Html, details: impl Iterator<Item = String>) {
    let details: Vec<_> = details.collect();
    if !details.is_empty() {
        html.raw("<small>").put(details.join(", ")).raw("</small>");
    }
}

/// Requests that failed, and what happened.
fn failed(html: &mut Html, summary: &Summary) {
    html.put(count(summary.get(Event::Closed)));
    let happened = [
        (Event::Open, "went on without it", "went on without it"),
        (Event::Trap, "trap", "traps"),
        (Event::Timeout, "time-out", "time-outs"),
        (Event::OutOfFuel, "out of fuel", "out of fuel"),
        (Event::StartFailure, "failed start", "failed starts"),
        (Event::NoThread, "without a thread", "without a thread"),
        (Event::Denied, "call refused", "calls refused"),
    ];
    let happened = happened.map(|(event, one, many)| (summary.get(event), one, many));
    details(html, happened.into_iter().filter(|(n, ..)| *n > 0).map(|(n, one, many)| several(n, one, many)));
}

/// How long callbacks took, those of starts left out, which requests seldom wait for.
fn callbacks(html: &mut Html, latency: &[(Kind, Histogram)]) {
    let mut kinds = latency.iter().filter(|(kind, histogram)| *kind != Kind::Start && histogram.count() > 0);
    let Some((first, histogram)) = kinds.next() else { return none(html) };
    let (mut all, mut slowest) = (histogram.clone(), (*first, histogram.mean()));
    for (kind, histogram) in kinds {
        all.add(histogram);
        if histogram.mean() > slowest.1 {
            slowest = (*kind, histogram.mean());
        }
    }
    times(html, &all);
    if let (kind, Some(mean)) = slowest {
        html.raw("<small>").put(kind.name()).raw(": ").put(duration(mean)).raw("</small>");
    }
}

fn memory(html: &mut Html, row: &FilterRow<'_>) {
    let Summary { instances, memory, .. } = *row.summary;
    let limit = size(row.memory_limit);
    if instances == 0 {
        html.raw("<span class=\"dim\">no instance</span><small>limit ").put(limit).raw("</small>");
        return;
    }
    let each = memory / instances;
    html.raw("<span class=\"whole\">").put(format_args!("{} of {limit}", size(each))).raw("</span>");
    html.bar(each, row.memory_limit);
    let refused = row.summary.get(Event::RefusedGrowth);
    let average = format!("{}, {}", several(instances, "instance", "instances"), size(memory));
    let average = if instances > 1 { format!("average of {average}") } else { several(1, "instance", "instances") };
    let refused = (refused > 0).then(|| format!("refused more {}", several(refused, "time", "times")));
    details(html, [average].into_iter().chain(refused));
}

fn last_error(html: &mut Html, summary: &Summary, view: &View<'_>) {
    match &summary.last_error {
        Some((text, time)) => {
            age(html, view, *time);
            html.raw("<small class=\"error\">").bytes(text).raw("</small>");
        }
        None => none(html),
    }
}
