//! What there is beside filters: modules, calls to other services, shared memory.

use super::markup::{Column, Html};
use super::parts::{MOST_ROWS, none, rest, section, times};
use super::units::{count, duration, size};
use super::view::{ModuleRow, View};
use crate::shared::filter_status::Event;
use crate::shared::host_status::{CallResult, OTHERS};

/// Modules.
pub fn modules(html: &mut Html, view: &View<'_>) {
    const COLUMNS: &[Column] = &[
        Column::text("Module"),
        Column::text("File"),
        Column::text("SHA-256"),
        Column::text("Compiled code"),
        Column::number("Requests"),
        Column::number("Failed"),
    ];
    if view.modules.is_empty() {
        return;
    }
    section(html, "Modules", |html| {
        html.table("Modules", COLUMNS, |table| {
            for row in view.modules.iter().take(MOST_ROWS) {
                table.row("", |cells| {
                    cells.bytes(row.name);
                    cells.cell(|html| file(html, row));
                    cells.cell(|html| match &row.origin {
                        Some(origin) => {
                            html.raw("<code class=\"sum\">").put(origin.sha256).raw("</code>");
                        }
                        None => none(html),
                    });
                    cells.cell(|html| code(html, row));
                    cells.text(count(row.summary.get(Event::Request)));
                    cells.text(count(row.summary.get(Event::Closed)));
                });
            }
        });
        rest(html, view.modules.len(), "<code>wasm_status;</code> has all of them.");
    });
}

fn file(html: &mut Html, row: &ModuleRow<'_>) {
    html.put(row.path);
    match row.origin.as_ref().map(|origin| origin.has_changed) {
        Some(Some(true)) => {
            html.raw("<small class=\"failing\"><i class=\"mark failing\"></i> the file on disk is newer</small>")
        }
        Some(None) => html.raw("<small>workers cannot see the file</small>"),
        Some(Some(false)) | None => html,
    };
}

fn code(html: &mut Html, row: &ModuleRow<'_>) {
    let Some(origin) = &row.origin else { return none(html) };
    match origin.source {
        "compiler" => html.raw("compiled"),
        "cache" => html.raw("from the cache"),
        "memory" => html.raw("already in memory"),
        other => html.put(other),
    };
    if !origin.time.is_zero() {
        html.raw("<small>took ").put(duration(origin.time.as_secs_f64())).raw("</small>");
    }
}

/// Calls to other services.
pub fn services(html: &mut Html, view: &View<'_>) {
    const COLUMNS: &[Column] = &[
        Column::text("Service"),
        Column::number("Answered"),
        Column::number("Client errors"),
        Column::number("Server errors"),
        Column::number("Time-outs"),
        Column::number("Failed"),
        Column::number("Cancelled"),
        Column::number("In flight"),
        Column::number("Latency"),
    ];
    if view.services.is_empty() {
        return;
    }
    section(html, "Calls to other services", |html| {
        html.table("Calls to other services", COLUMNS, |table| {
            for service in view.services {
                table.row("", |cells| {
                    cells.cell(|html| {
                        match &service.name {
                            Some(name) => html.bytes(name),
                            None => html.raw("all others"),
                        };
                        html.raw("<small>").put(service.kind.name()).raw("</small>");
                    });
                    for (result, _) in CallResult::ALL {
                        let number = service.results[result as usize];
                        let is_bad = number > 0 && result != CallResult::Answered && result != CallResult::Cancelled;
                        cells.cell(|html| {
                            html.raw(if is_bad { "<strong>" } else { "" }).put(count(number));
                            html.raw(if is_bad { "</strong>" } else { "" });
                        });
                    }
                    cells.text(count(service.in_flight));
                    cells.cell(|html| times(html, &service.latency));
                });
            }
        });
    });
}

/// Zones of shared memory.
pub fn zones(html: &mut Html, view: &View<'_>) {
    const COLUMNS: &[Column] =
        &[Column::text("Zone"), Column::text("Used"), Column::number("Made room"), Column::number("Found no room")];
    if view.zones.is_empty() {
        return;
    }
    section(html, "Shared memory", |html| {
        html.table("Shared memory", COLUMNS, |table| {
            for (name, usage) in view.zones.iter().take(MOST_ROWS) {
                table.row("", |cells| {
                    cells.bytes(name);
                    cells.cell(|html| {
                        html.put(format_args!("{} of {}", size(usage.used), size(usage.size)));
                        html.bar(usage.used, usage.size);
                    });
                    cells.text(usage.evictions.map_or_else(|| "never".into(), count));
                    cells.text(count(usage.refusals));
                });
            }
        });
        rest(html, view.zones.len(), "<code>wasm_status;</code> has all of them.");
    });
}

/// Shared queues.
pub fn queues(html: &mut Html, view: &View<'_>) {
    const COLUMNS: &[Column] = &[Column::text("Queue"), Column::text("VM id"), Column::number("Messages")];
    if view.queues.is_empty() {
        return;
    }
    section(html, "Shared queues", |html| {
        html.table("Shared queues", COLUMNS, |table| {
            for queue in &view.queues {
                table.row("", |cells| {
                    match queue.name {
                        Some((vm_id, name)) => cells.bytes(name).bytes(vm_id),
                        None => cells.text(OTHERS).cell(none),
                    };
                    cells.text(count(queue.messages));
                });
            }
        });
    });
}
