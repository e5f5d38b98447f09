//! What is known about filters and programs, on a page for Prometheus.

use super::families;
use super::filter_status::{Event, Summary};
use super::histogram::Histogram;
use super::latency::Kind as CallbackKind;
use super::page::{Family, Kind, Labels, Page, Samples};

/// A filter, or a program.
pub struct Item {
    /// What tells it apart, also after an edit of nginx.conf.
    pub labels: Labels,
    /// What is known about it.
    pub summary: Summary,
    /// What nginx.conf says of it, and where that is.
    pub info: Labels,
    /// Bytes of memory that an instance may have, if that is known.
    pub memory_limit: Option<usize>,
    /// How long each kind of callback took, if that is measured.
    pub latency: Vec<(CallbackKind, Histogram)>,
}

/// Writes what is known about filters.
pub fn filters(page: &mut Page, items: &[Item]) {
    page.family(&families::FILTER_INFO, |samples| items.iter().for_each(|item| samples.add(&item.info, 1)));
    let all = Event::ALL.iter().filter_map(|shown| Some((shown, shown.of_filters?)));
    for (shown, help) in all {
        count(page, &families::of_filters(shown), help, items, shown.event);
    }
    page.family(&families::FILTER_ANSWERS, |samples| {
        for item in items {
            for (event, class) in Event::ANSWERS {
                samples.add(&item.labels.with("class", class.as_bytes()), item.summary.get(event));
            }
        }
    });
    let mut gauge = |family: &Family<'_>, value: &dyn Fn(&Summary) -> u64| {
        page.family(family, |samples| {
            items.iter().for_each(|item| samples.add(&item.labels, value(&item.summary)));
        });
    };
    gauge(&families::FILTER_INSTANCES, &|summary| summary.instances);
    gauge(&families::FILTER_MEMORY, &|summary| summary.memory);
    gauge(&families::FILTER_PAUSED, &|summary| summary.paused);
    page.family(&families::FILTER_DOWN, |samples| {
        for item in items {
            samples.add(&item.labels.with("why", b"stopped"), item.summary.stopped);
            samples.add(&item.labels.with("why", b"waiting"), item.summary.waiting);
        }
    });
    page.family(&families::FILTER_MEMORY_LIMIT, |samples| {
        let limits = items.iter().filter_map(|item| Some((&item.labels, item.memory_limit?)));
        limits.for_each(|(labels, limit)| samples.add(labels, limit));
    });
    page.family(&families::FILTER_LAST_ERROR, |samples| last_errors(samples, items));
    page.family(&families::FILTER_DURATION, |samples| {
        for item in items {
            for (kind, histogram) in &item.latency {
                let labels = item.labels.with("callback", kind.name().as_bytes());
                histogram.write(samples, &labels);
            }
        }
    });
}

/// Writes what is known about programs.
pub fn programs(page: &mut Page, items: &[Item]) {
    page.family(&families::PROGRAM_INFO, |samples| items.iter().for_each(|item| samples.add(&item.info, 1)));
    let all = Event::ALL.iter().filter_map(|shown| Some((shown, shown.of_programs?)));
    for (shown, help) in all {
        count(page, &families::of_programs(shown), help, items, shown.event);
    }
    page.family(&families::PROGRAM_LAST_ERROR, |samples| last_errors(samples, items));
    page.family(&families::PROGRAM_DURATION, |samples| {
        for item in items {
            item.latency.iter().for_each(|(_, histogram)| histogram.write(samples, &item.labels));
        }
    });
}

fn count(page: &mut Page, name: &str, help: &str, items: &[Item], event: Event) {
    page.family(&Family { name, kind: Kind::Counter, help, is_plain: false }, |samples| {
        items.iter().for_each(|item| samples.add(&item.labels, item.summary.get(event)));
    });
}

fn last_errors(samples: &mut Samples<'_>, items: &[Item]) {
    let known = items.iter().filter_map(|item| Some((&item.labels, item.summary.last_error.as_ref()?.1)));
    known.for_each(|(labels, time)| samples.add(labels, time));
}
