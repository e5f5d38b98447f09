//! Has programs and plugins start in a worker before there is a request for them, on the thread that the first request gets: what they
//! start as is made, and an instance of it. `module.rs` calls this when a worker begins its work. Whatever fails here is told, and the first
//! request tries it again.

use ngx_wasm::programs::Task;

use super::{environment, left, served};
use crate::config::conf::MainConf;
use crate::config::program_conf::Work;
use crate::nginx::cycle;
use crate::programs::worker;

/// Begins with it, and does not wait.
pub fn prepare(main: &MainConf) {
    let (mut tasks, mut expected) = (Vec::new(), Vec::new());
    for location in &main.programs {
        let Some(work) = location.work.clone() else { continue };
        // Without a pipe or a place in the table requests are told why they cannot be served.
        let Some((token, run)) = served::new_run_of_nobody() else { break };
        let task: Task = match work {
            Work::Program(job) => Box::new(move |place, run| job.prepare(place, run)),
            Work::Function(job) => {
                let level = environment::lowest_level(location.lines.lowest(cycle::log()));
                Box::new(move |place, run| job.prepare(place, run, level))
            }
        };
        expected.push((token, run.clone(), location));
        tasks.push((run, task));
    }
    // The loop hears of them later, on this thread.
    let is_begun = worker::prepare(tasks);
    for (token, run, location) in expected {
        if is_begun {
            left::expect(token, run, location);
        } else {
            served::forget_run_of_nobody(token);
        }
    }
}
