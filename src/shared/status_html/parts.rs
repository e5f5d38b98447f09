//! What all parts of the page have.

use super::markup::Html;
use super::units::{ago, count, date, duration, machine_date};
use super::view::View;
use crate::shared::histogram::Histogram;

/// What is shown of filters, programs and their like, each; of more the page says how many they are.
pub const MOST_ROWS: usize = 1000;

/// A part of the page, with its heading.
pub fn section(html: &mut Html, title: &'static str, write: impl FnOnce(&mut Html)) {
    html.raw("<section>\n<h2>").raw(title).raw("</h2>\n");
    write(html);
    html.raw("</section>\n");
}

/// Says how many are not shown.
pub fn rest(html: &mut Html, all: usize, remedy: &'static str) {
    if let Some(more) = all.checked_sub(MOST_ROWS).filter(|more| *more > 0) {
        html.raw("<p class=\"dim\">").put(format_args!("{} more are not shown. ", count(more as u64)));
        html.raw(remedy).raw("</p>\n");
    }
}

/// How long ago something was.
pub fn age(html: &mut Html, view: &View<'_>, time: u64) {
    html.raw("<time datetime=\"").put(machine_date(time)).raw("\" title=\"").put(date(time)).raw("\">");
    html.put(ago(view.now, time)).raw("</time>");
}

/// In place of what there is none of.
pub fn none(html: &mut Html) {
    html.raw("<span class=\"dim\">none</span>");
}

/// The average, and what nearly all did not exceed.
pub fn times(html: &mut Html, histogram: &Histogram) {
    let (Some(mean), Some(bound)) = (histogram.mean(), histogram.quantile(0.99)) else { return none(html) };
    html.put(duration(mean)).raw("<small>");
    if bound.is_finite() {
        html.raw("99% ≤ ").put(duration(bound));
    } else {
        html.raw("99%: above all bounds");
    }
    html.raw("</small>");
}
