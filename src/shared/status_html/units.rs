//! Numbers as people read them.

/// A count, with a comma before each three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A count with what it counts.
pub fn several(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Bytes. A number and its unit stay on one line, here and below.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes}\u{a0}B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let shown = format!("{value:.1}");
    format!("{}\u{a0}{}", shown.strip_suffix(".0").unwrap_or(&shown), UNITS[unit])
}

/// How long something took, of so many seconds.
pub fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        _ if seconds < 999.5e-9 => (seconds * 1e9, "ns"),
        _ if seconds < 999.5e-6 => (seconds * 1e6, "µs"),
        _ if seconds < 999.5e-3 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    if value < 9.95 { format!("{value:.1}\u{a0}{unit}") } else { format!("{value:.0}\u{a0}{unit}") }
}

/// How long ago something was.
pub fn ago(now: u64, time: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match now.saturating_sub(time) {
        0 => "just now".into(),
        seconds @ 1..MINUTE => format!("{seconds} s ago"),
        seconds @ MINUTE..HOUR => format!("{} min ago", seconds / MINUTE),
        seconds @ HOUR..DAY => format!("{} h ago", seconds / HOUR),
        seconds => format!("{} ago", several(seconds / DAY, "day", "days")),
    }
}

/// A time in Unix seconds as a date.
pub fn date(time: u64) -> String {
    let (year, month, day, second) = calendar(time);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60)
}

/// The same for programs.
pub fn machine_date(time: u64) -> String {
    date(time).replace(' ', "T").replace("TUTC", "Z")
}

/// Year, month, day, and seconds of the day.
fn calendar(time: u64) -> (u64, usize, u64, u64) {
    /// The last second of the year 9999: there is no reason to count on.
    const LAST: u64 = 253_402_300_799;
    let time = time.min(LAST);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let (mut year, mut days) = (1970, time / 86_400);
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1, time % 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        let shown = [0, 7, 999, 1000, 1_234_567, u64::MAX].map(count);
        assert_eq!(shown, ["0", "7", "999", "1,000", "1,234,567", "18,446,744,073,709,551,615"]);
        assert_eq!([several(1, "trap", "traps"), several(2000, "trap", "traps")], ["1 trap", "2,000 traps"]);
    }

    #[test]
    fn sizes_have_the_unit_that_keeps_them_short() {
        let shown = [0, 1023, 1024, 1536, 1_048_575, 1 << 20, 128 << 20, 5_000_000_000, u64::MAX]
            .map(size)
            .map(|it| it.replace('\u{a0}', " "));
        assert_eq!(shown, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "1 MiB", "1 MiB", "128 MiB", "4.7 GiB", "16 EiB"]);
    }

    #[test]
    fn durations_have_the_unit_that_keeps_them_short() {
        let shown = [0.0, 40e-9, 999.6e-9, 5e-6, 12.34e-6, 999.4e-6, 0.001, 0.25, 0.9996, 3.0, 61.0]
            .map(duration)
            .map(|it| it.replace('\u{a0}', " "));
        let wanted =
            ["0.0 ns", "40 ns", "1.0 µs", "5.0 µs", "12 µs", "999 µs", "1.0 ms", "250 ms", "1.0 s", "3.0 s", "61 s"];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn ages_are_rounded_down_and_never_negative() {
        let shown = [0, 1, 59, 60, 3599, 3600, 86_399, 86_400, 200_000].map(|age| ago(1_000_000, 1_000_000 - age));
        let wanted = [
            "just now",
            "1 s ago",
            "59 s ago",
            "1 min ago",
            "59 min ago",
            "1 h ago",
            "23 h ago",
            "1 day ago",
            "2 days ago",
        ];
        assert_eq!(shown, wanted);
        assert_eq!(ago(5, 10), "just now");
    }

    #[test]
    fn dates_know_leap_years_and_end_somewhere() {
        let shown =
            [0, 68_169_599, 68_169_600, 951_782_400, 951_868_800, 1_798_761_599, 4_107_542_400, u64::MAX].map(date);
        let wanted = [
            "1970-01-01 00:00:00 UTC",
            "1972-02-28 23:59:59 UTC",
            "1972-02-29 00:00:00 UTC",
            "2000-02-29 00:00:00 UTC",
            "2000-03-01 00:00:00 UTC",
            "2026-12-31 23:59:59 UTC",
            "2100-03-01 00:00:00 UTC",
            "9999-12-31 23:59:59 UTC",
        ];
        assert_eq!(shown, wanted);
        assert_eq!(machine_date(951_782_400), "2000-02-29T00:00:00Z");
    }
}
