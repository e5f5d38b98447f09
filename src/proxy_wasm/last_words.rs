//! What a guest has logged and printed last before its start failed: the reason is mostly there, and the log may not show it, for its
//! level. `ngx_module` collects it while a filter starts, and puts it behind the error.

use std::collections::VecDeque;

use super::types::LogLevel;

/// So many bytes are kept, the last ones.
const MOST: usize = 1024;

/// What the reports of runtimes begin with, and the reason is in their first line; the functions that ran follow.
const REPORTS: [&[u8]; 3] = [b"panic: ", b"fatal error: ", b"thread '"];

/// The last lines of a guest.
#[derive(Debug, Default)]
pub struct LastWords {
    lines: VecDeque<Vec<u8>>,
    len: usize,
}

impl LastWords {
    /// Takes a line. Those about each step that it makes are not about its end.
    pub fn hear(&mut self, level: LogLevel, line: &[u8]) {
        if level < LogLevel::Info || line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        let line = &line[..line.len().min(MOST)];
        self.lines.push_back(line.to_vec());
        self.len += line.len();
        while self.len > MOST && self.lines.len() > 1 {
            // The beginning of a report stays, as long as it has room.
            let place = usize::from(self.lines.len() > 2 && is_report(&self.lines[0]));
            self.len -= self.lines.remove(place).map_or(0, |line| line.len());
        }
    }

    /// What it has said that `reason` does not say: "; it said last: ...", or nothing.
    pub fn behind(&self, reason: &str) -> String {
        let lines = self.lines.iter().map(|line| String::from_utf8_lossy(line));
        let lines: Vec<_> =
            lines.map(|line| line.trim().to_owned()).filter(|line| !reason.contains(line.as_str())).collect();
        if lines.is_empty() { String::new() } else { format!("; it said last: {}", lines.join(" | ")) }
    }
}

fn is_report(line: &[u8]) -> bool {
    REPORTS.iter().any(|begin| line.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(lines: &[&str]) -> LastWords {
        let mut words = LastWords::default();
        lines.iter().for_each(|line| words.hear(LogLevel::Error, line.as_bytes()));
        words
    }

    #[test]
    fn all_lines_are_told_in_their_order_and_none_when_there_are_none() {
        assert_eq!(after(&["one", "", "  ", "\ttwo"]).behind("a reason"), "; it said last: one | two");
        assert_eq!(after(&[]).behind("a reason"), "");
    }

    #[test]
    fn what_the_reason_says_is_not_said_twice() {
        assert_eq!(
            after(&["abort: no key at a.ts:1:2", "more"]).behind("trapped: abort: no key at a.ts:1:2"),
            "; it said last: more"
        );
        assert_eq!(after(&["no key"]).behind("trapped: no key"), "");
    }

    #[test]
    fn lines_below_info_are_not_kept() {
        let mut words = LastWords::default();
        words.hear(LogLevel::Debug, b"step");
        words.hear(LogLevel::Info, b"news");
        assert_eq!(words.behind(""), "; it said last: news");
    }

    #[test]
    fn the_last_lines_are_kept_and_not_more_than_a_bound() {
        let long = "x".repeat(300);
        let lines: Vec<_> = (0..50).map(|n| format!("{n} {long}")).collect();
        let words = after(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(words.behind(""), format!("; it said last: 47 {long} | 48 {long} | 49 {long}"));
        assert_eq!(after(&[&"y".repeat(5000)]).behind("").len(), "; it said last: ".len() + MOST);
    }

    #[test]
    fn the_first_line_of_a_report_stays() {
        let frames: Vec<_> =
            (0..30).map(|n| format!("main.function{n}(...) /src/a/rather/long/path/main.go:{n}")).collect();
        let mut lines = vec!["before", "panic: no realm"];
        lines.extend(frames.iter().map(String::as_str));
        let said = after(&lines).behind("");
        assert!(said.starts_with("; it said last: panic: no realm | main.function"), "{said}");
        assert!(said.ends_with("main.go:29"), "{said}");
        assert!(said.len() < MOST + 100);
    }
}
