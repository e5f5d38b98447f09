//! What WASI's functions find around a plugin: a process without arguments, environment and input, which prints to the log, and may
//! wait.

use std::thread;
use std::time::{Duration, Instant};

use super::printed::Printed;
use super::watch::CallWatch;
use super::world::{Level, World};
use crate::vm::{TICK, Watch};
use crate::wasi::{Errno, Outside, Process, Ready, Stream};

pub(super) struct Surroundings<'a> {
    pub world: &'a mut dyn World,
    pub printed: &'a mut Printed,
    pub watch: &'a CallWatch,
}

impl Outside for Surroundings<'_> {
    fn now(&self) -> u64 {
        self.world.now()
    }

    fn print(&mut self, to: Stream, line: &[u8]) {
        let level = match to {
            Stream::Out => Level::Info,
            Stream::Err => Level::Error,
        };
        self.world.log(level, line);
    }

    fn process(&mut self) -> Option<&mut dyn Process> {
        Some(self)
    }
}

impl Process for Surroundings<'_> {
    fn arguments(&self) -> &[Vec<u8>] {
        &[]
    }

    fn environment(&self) -> &[Vec<u8>] {
        &[]
    }

    fn read(&mut self, _: &mut [u8]) -> Result<usize, Errno> {
        Ok(0)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        self.printed.write(bytes, &mut |line| self.world.log(Level::Info, line));
        Ok(bytes.len())
    }

    /// Its input is at its end, and there is always room in the log: there is only a time to wait for.
    fn wait(&mut self, wanted: Ready, until: Option<Instant>) -> Result<Ready, Errno> {
        while wanted == Ready::default() {
            // Nobody else wakes it.
            if !self.watch.may_go_on() {
                return Err(Errno::Intr);
            }
            let left = until.map_or(TICK, |until| until.saturating_duration_since(Instant::now()));
            if left == Duration::ZERO {
                break;
            }
            thread::sleep(left.min(TICK));
        }
        Ok(wanted)
    }
}

// Plugins want an engine that lets them be watched.
#[cfg(feature = "wasmtime")]
#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::extism::tests::support::FakeWorld;

    /// Lets somebody go on as often as it says.
    struct Times(AtomicU32);

    impl Watch for Times {
        fn may_go_on(&self) -> bool {
            self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        }
    }

    fn wait(times: u32, wanted: Ready, until: Option<Instant>) -> Result<Ready, Errno> {
        let watch = CallWatch::new(Arc::new(Times(times.into())));
        let mut world = FakeWorld::default();
        let mut printed = Printed::default();
        Surroundings { world: &mut world, printed: &mut printed, watch: &watch }.wait(wanted, until)
    }

    #[test]
    fn a_plugin_may_wait_for_a_time() {
        let until = Instant::now() + 3 * TICK;
        assert_eq!(wait(u32::MAX, Ready::default(), Some(until)), Ok(Ready::default()));
        assert!(Instant::now() >= until);
    }

    #[test]
    fn the_standard_streams_need_not_be_waited_for() {
        for (input, output) in [(true, false), (false, true), (true, true)] {
            assert_eq!(wait(0, Ready { input, output }, None), Ok(Ready { input, output }));
        }
    }

    #[test]
    fn whoever_watches_ends_a_wait() {
        let far = Instant::now() + Duration::from_secs(3600);
        assert_eq!(wait(2, Ready::default(), Some(far)), Err(Errno::Intr));
        assert_eq!(wait(2, Ready::default(), None), Err(Errno::Intr));
    }

    #[test]
    fn the_input_is_at_its_end_and_what_is_printed_is_logged() {
        let watch = CallWatch::new(Arc::new(Times(0.into())));
        let (mut world, mut printed) = (FakeWorld::default(), Printed::default());
        let mut around = Surroundings { world: &mut world, printed: &mut printed, watch: &watch };
        assert_eq!(around.read(&mut [0; 10]), Ok(0));
        assert!(around.arguments().is_empty() && around.environment().is_empty());
        assert_eq!(around.write(b"one\ntwo"), Ok(7));
        around.print(Stream::Err, b"three");
        assert_eq!(world.logged(), [(Level::Info, "one".to_owned()), (Level::Error, "three".to_owned())]);
    }
}
