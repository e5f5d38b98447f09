//! When a filter that has failed is started again: at once as a rule, and after ever longer waits when it keeps failing.
//! Whoever sends requests that make a filter fail must not be able to keep it from the requests of others, as long as some
//! of those are served in between. `ngx_module` keeps one [`Restarts`] for each filter in each worker, and another one for the
//! work that no request has asked for, such as ticks: when that fails, requests do not wait.

use std::time::{Duration, Instant};

/// The failures of one filter.
#[derive(Clone, Copy, Debug)]
pub struct Restarts {
    first: Duration,
    longest: Duration,
    /// So many failures in a row cost no wait.
    at_once: u32,
    /// Those that followed each other, with no request served in between.
    failures: u32,
    /// No start before this time.
    not_before: Option<Instant>,
}

impl Restarts {
    /// None yet. `first` and `longest` are the bounds of the waits, which begin after `at_once` failures in a row.
    pub fn new(first: Duration, longest: Duration, at_once: u32) -> Self {
        Restarts { first, longest, at_once, failures: 0, not_before: None }
    }

    /// A callback has failed, and the instance is gone. Answers how long the next start has to wait.
    pub fn failed(&mut self, now: Instant) -> Duration {
        self.fail(now, 0, random())
    }

    /// The filter did not start. There is nothing that could be different at once, so the next start waits even after the
    /// first time.
    pub fn start_failed(&mut self, now: Instant) -> Duration {
        self.fail(now, self.at_once.saturating_add(1), random())
    }

    /// The instance has served a request to its end, or has done what failed before.
    pub fn served(&mut self) {
        self.failures = 0;
        self.not_before = None;
    }

    /// How long the next start still has to wait.
    pub fn wait(&self, now: Instant) -> Duration {
        self.not_before.map_or(Duration::ZERO, |time| time.saturating_duration_since(now))
    }

    /// `least`: what this failure counts for at least. `random`: which part of the second half of the wait is added to the
    /// first half, so that workers that failed together do not start together.
    fn fail(&mut self, now: Instant, least: u32, random: u8) -> Duration {
        self.failures = self.failures.saturating_add(1).max(least);
        let delay = match self.failures.checked_sub(self.at_once.saturating_add(1)) {
            None => Duration::ZERO,
            Some(doublings) => {
                let whole =
                    self.first.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(self.longest);
                whole / 2 + whole / 2 * u32::from(random) / u32::from(u8::MAX)
            }
        };
        self.not_before = now.checked_add(delay);
        delay
    }
}

fn random() -> u8 {
    let mut byte = [u8::MAX];
    // Without randomness waits are merely the longest.
    let _ = getrandom::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(60);

    fn restarts() -> (Restarts, Instant) {
        (Restarts::new(FIRST, LONGEST, 1), Instant::now())
    }

    #[test]
    fn the_first_failure_costs_no_wait() {
        let (mut restarts, now) = restarts();
        assert_eq!(restarts.wait(now), Duration::ZERO);
        assert_eq!(restarts.failed(now), Duration::ZERO);
        assert_eq!(restarts.wait(now), Duration::ZERO);
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let (mut restarts, now) = restarts();
        let seconds: Vec<_> = (0..10).map(|_| restarts.fail(now, 0, u8::MAX).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        for _ in 0..100 {
            assert_eq!(restarts.fail(now, 0, u8::MAX), LONGEST);
        }
    }

    #[test]
    fn chance_takes_up_to_half_of_a_wait() {
        let (mut restarts, now) = restarts();
        restarts.failed(now);
        assert_eq!(restarts.fail(now, 0, 0), FIRST / 2);
        assert_eq!(restarts.fail(now, 0, 0), FIRST);
        for _ in 0..100 {
            let mut restarts = restarts;
            assert!((2 * FIRST..=4 * FIRST).contains(&restarts.failed(now)));
        }
    }

    #[test]
    fn a_wait_ends() {
        let (mut restarts, now) = restarts();
        restarts.fail(now, 2, u8::MAX);
        assert_eq!(restarts.wait(now), FIRST);
        assert_eq!(restarts.wait(now + FIRST / 4), FIRST * 3 / 4);
        assert_eq!(restarts.wait(now + 2 * FIRST), Duration::ZERO);
    }

    #[test]
    fn as_many_failures_as_one_likes_cost_no_wait() {
        let (_, now) = restarts();
        let mut restarts = Restarts::new(FIRST, LONGEST, 3);
        let seconds: Vec<_> = (0..6).map(|_| restarts.fail(now, 0, u8::MAX).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 0, 1, 2, 4]);
        let mut restarts = Restarts::new(FIRST, LONGEST, 0);
        assert_eq!(restarts.fail(now, 0, u8::MAX), FIRST);
        let mut restarts = Restarts::new(FIRST, LONGEST, u32::MAX);
        assert_eq!(restarts.fail(now, 0, u8::MAX), Duration::ZERO);
    }

    #[test]
    fn a_failed_start_waits_from_the_first_time_on() {
        let (mut restarts, now) = restarts();
        assert!((FIRST / 2..=FIRST).contains(&restarts.start_failed(now)));
        assert!((FIRST..=2 * FIRST).contains(&restarts.start_failed(now)));
    }

    #[test]
    fn a_request_that_was_served_makes_all_well() {
        let (mut restarts, now) = restarts();
        for _ in 0..5 {
            restarts.failed(now);
        }
        restarts.served();
        assert_eq!(restarts.wait(now), Duration::ZERO);
        assert_eq!(restarts.failed(now), Duration::ZERO);
    }
}
