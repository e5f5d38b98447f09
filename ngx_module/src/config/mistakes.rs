//! Mistakes of a configuration that nginx has read: each gets its line, none two, and the first one does not hide the others. Start-up
//! (`startup.rs`) makes one of these for each configuration.

use nginx_sys::NGX_LOG_EMERG;

use crate::nginx::conf_position::ConfPosition;
use crate::nginx::log::{self, Log};

/// What was found wrong, and told.
pub struct Mistakes<'l> {
    log: Log<'l>,
    told: Vec<String>,
}

impl<'l> Mistakes<'l> {
    /// None so far.
    pub fn new(log: Log<'l>) -> Self {
        Mistakes { log, told: Vec::new() }
    }

    /// Whether there are any: nginx does not go over to the configuration then.
    pub fn any(&self) -> bool {
        !self.told.is_empty()
    }

    /// Tells a mistake that was made at `place`.
    pub fn add(&mut self, place: &ConfPosition, reason: &str) {
        // What is cut is the reason, not the place.
        self.tell(format!("{} in {place}", log::printable(reason)));
    }

    /// Tells one that is the same wherever it is found, at the first place.
    pub fn add_once(&mut self, place: &ConfPosition, reason: &str) {
        let reason = log::printable(reason);
        let is_it = |line: &String| line.strip_prefix(&reason).is_some_and(|rest| rest.starts_with(" in "));
        if !self.told.iter().any(is_it) {
            self.tell(format!("{reason} in {place}"));
        }
    }

    /// Tells one whose place is in the text already, or that has none.
    pub fn add_told(&mut self, reason: &str) {
        self.tell(log::printable(reason));
    }

    /// What one line says can be wrong on many levels.
    fn tell(&mut self, line: String) {
        if !self.told.contains(&line) {
            self.log.write(NGX_LOG_EMERG, &line);
            self.told.push(line);
        }
    }

    /// The log for everything else.
    pub fn log(&self) -> Log<'l> {
        self.log
    }
}
