//! The rules of the table, over the heap, with processes that live until a test kills them.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::*;
use crate::shared::memory::Heap;

const NOW: u64 = 1000;

/// A machine, with processes that live until they are killed.
struct Machine {
    heap: Arc<Heap>,
    shape: Shape,
    alive: RefCell<Vec<Process>>,
}

impl Machine {
    fn new(filters: usize, workers: usize) -> Machine {
        let shape = Shape::of(filters, workers);
        Machine { heap: Arc::new(Heap::new(shape.size())), shape, alive: RefCell::default() }
    }

    /// The table as the master has it for a configuration with filters of these keys.
    fn configure(&self, keys: &[&str]) -> (StatusTable, Vec<Option<Slot>>) {
        let table = self.table();
        table.begin();
        let slots = keys.iter().map(|key| table.declare(&[key.as_bytes()], b"", &|it| self.is_alive(it))).collect();
        (table, slots)
    }

    fn table(&self) -> StatusTable {
        StatusTable::new(Box::new(self.heap.clone()), self.shape)
    }

    /// What a worker has that is forked now.
    fn fork(&self, master: &StatusTable, pid: u64) -> StatusTable {
        let worker = self.table();
        worker.0.inherit(&master.0);
        let process = Process { pid, started: 1 };
        self.alive.borrow_mut().push(process);
        worker.enter(process, &|it| self.is_alive(it));
        worker
    }

    fn kill(&self, pid: u64) {
        self.alive.borrow_mut().retain(|process| process.pid != pid);
    }

    fn is_alive(&self, process: Process) -> bool {
        self.alive.borrow().contains(&process)
    }

    fn snapshot(&self, table: &StatusTable) -> Snapshot {
        table.snapshot(NOW, &|it| self.is_alive(it))
    }

    fn calls(&self, table: &StatusTable, slot: Option<Slot>) -> u64 {
        self.snapshot(table).get(slot.unwrap()).counters[Event::Call as usize]
    }
}

#[test]
fn what_workers_count_is_summed() {
    let machine = Machine::new(2, 2);
    let (master, slots) = machine.configure(&["a", "b"]);
    let (a, b) = (slots[0].unwrap(), slots[1].unwrap());
    let workers = [machine.fork(&master, 1), machine.fork(&master, 2)];
    for worker in &workers {
        worker.add(a, Event::Call, 3);
        worker.add(b, Event::DroppedLine, 1);
        worker.set_instances(a, 2, 100);
    }
    workers[0].set_instances(a, 1, 50);
    let snapshot = machine.snapshot(&workers[0]);
    assert_eq!((snapshot.workers, snapshot.leaving), (2, 0));
    let summary = snapshot.get(a);
    assert_eq!((summary.counters[Event::Call as usize], summary.instances, summary.memory), (6, 3, 150));
    assert_eq!(summary.counters.iter().sum::<u64>(), 6);
    assert_eq!(snapshot.get(b).counters[Event::DroppedLine as usize], 2);
    assert_eq!(snapshot.get(b).last_error, None);
}

#[test]
fn counters_of_a_worker_that_ends_stay_and_its_instances_go() {
    let machine = Machine::new(1, 2);
    let (master, slots) = machine.configure(&["a"]);
    let slot = slots[0].unwrap();
    let worker = machine.fork(&master, 1);
    worker.add(slot, Event::Call, 5);
    worker.set_instances(slot, 1, 70);
    worker.leave();
    // What is counted while the rest of it is dropped has no place any more.
    worker.add(slot, Event::Call, 5);
    worker.set_instances(slot, 1, 70);
    let snapshot = machine.snapshot(&master);
    assert_eq!((snapshot.workers, snapshot.get(slot).instances, snapshot.get(slot).memory), (0, 0, 0));
    assert_eq!(machine.calls(&master, slots[0]), 5);
    let next = machine.fork(&master, 2);
    next.add(slot, Event::Call, 1);
    assert_eq!(machine.calls(&next, slots[0]), 6);
}

#[test]
fn a_worker_that_was_killed_is_found_dead_and_another_process_with_its_number_is_not_taken_for_it() {
    let machine = Machine::new(1, 2);
    let (master, slots) = machine.configure(&["a"]);
    let slot = slots[0].unwrap();
    let killed = machine.fork(&master, 1);
    killed.add(slot, Event::Trap, 5);
    killed.set_instances(slot, 1, 70);
    machine.kill(1);
    machine.alive.borrow_mut().push(Process { pid: 1, started: 2 });
    let snapshot = machine.snapshot(&master);
    assert_eq!((snapshot.workers, snapshot.get(slot).instances), (0, 0));
    assert_eq!(snapshot.get(slot).counters[Event::Trap as usize], 5);
    assert_eq!(machine.snapshot(&master).get(slot).counters[Event::Trap as usize], 5);
}

#[test]
fn workers_without_a_row_of_their_own_count_together() {
    let machine = Machine::new(1, 1);
    let (master, slots) = machine.configure(&["a"]);
    let slot = slots[0].unwrap();
    let workers: Vec<_> = (1..=20).map(|pid| machine.fork(&master, pid)).collect();
    for worker in &workers {
        worker.add(slot, Event::Call, 2);
        worker.set_instances(slot, 1, 1);
    }
    assert_eq!(machine.calls(&master, slots[0]), 40);
    assert_eq!(machine.snapshot(&master).get(slot).instances, 16);
    workers.iter().for_each(StatusTable::leave);
    assert_eq!(machine.calls(&master, slots[0]), 40);
}

#[test]
fn a_new_configuration_keeps_the_counters_of_filters_that_it_has_too() {
    let machine = Machine::new(2, 1);
    let (first, slots) = machine.configure(&["a", "b"]);
    let old = machine.fork(&first, 1);
    old.add(slots[0].unwrap(), Event::Call, 1);
    old.add(slots[1].unwrap(), Event::Call, 2);
    let (second, again) = machine.configure(&["b", "c"]);
    assert_eq!(again[0], slots[1]);
    let new = machine.fork(&second, 2);
    new.add(again[0].unwrap(), Event::Call, 10);
    old.add(slots[1].unwrap(), Event::Call, 1);
    let snapshot = machine.snapshot(&new);
    assert_eq!((snapshot.workers, snapshot.leaving), (1, 1));
    assert_eq!([machine.calls(&new, again[0]), machine.calls(&new, again[1])], [13, 0]);
    old.leave();
    assert_eq!(machine.calls(&new, again[0]), 13);
    // It comes back.
    let (third, again) = machine.configure(&["a"]);
    assert_eq!(machine.calls(&third, again[0]), 1);
}

#[test]
fn entries_of_filters_that_are_gone_are_used_again_but_not_while_a_worker_has_them() {
    let machine = Machine::new(0, 1);
    let names: Vec<String> = (0..machine.shape.filters()).map(|n| format!("old {n}")).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let (first, slots) = machine.configure(&keys);
    assert!(slots.iter().all(Option::is_some));
    let old = machine.fork(&first, 1);
    slots.iter().for_each(|slot| old.add(slot.unwrap(), Event::Call, 1));
    let (_, none) = machine.configure(&["new", "old 3"]);
    assert_eq!(none, [None, slots[3]]);
    machine.kill(1);
    let (third, some) = machine.configure(&["new", "old 3"]);
    assert!(some[0].is_some() && some[0] != some[1]);
    assert_eq!([machine.calls(&third, some[0]), machine.calls(&third, some[1])], [0, 1]);
}

#[test]
fn the_last_error_is_kept_and_a_long_one_cut() {
    let machine = Machine::new(1, 1);
    let (master, slots) = machine.configure(&["a"]);
    let slot = slots[0].unwrap();
    let worker = machine.fork(&master, 1);
    worker.set_error(slot, b"the first", 10);
    worker.set_error(slot, b"second", 11);
    assert_eq!(machine.snapshot(&worker).get(slot).last_error, Some((b"second".to_vec(), 11)));
    worker.set_error(slot, &[b'x'; 1000], 12);
    worker.leave();
    assert_eq!(machine.snapshot(&master).get(slot).last_error, Some((vec![b'x'; 256], 12)));
}

#[test]
fn a_long_error_ends_with_a_whole_character() {
    let machine = Machine::new(1, 1);
    let (master, slots) = machine.configure(&["a"]);
    let slot = slots[0].unwrap();
    let worker = machine.fork(&master, 1);
    let kept = |text: &[u8]| {
        worker.set_error(slot, text, 1);
        machine.snapshot(&worker).get(slot).last_error.unwrap().0
    };
    for character in ["é", "€", "🦀"] {
        for before in 0..character.len() {
            let text = ["x".repeat(before).as_bytes(), character.repeat(200).as_bytes()].concat();
            let kept = String::from_utf8(kept(&text)).unwrap();
            assert!(text.starts_with(kept.as_bytes()) && kept.len() > 256 - character.len(), "{} bytes", kept.len());
        }
    }
    // What is no UTF-8 is cut anywhere.
    assert_eq!(kept(&[0x80; 1000]), [0x80; 256]);
    assert_eq!(kept("é".repeat(128).as_bytes()).len(), 256);
}

#[test]
fn filters_with_names_are_those_of_the_configuration() {
    let machine = Machine::new(0, 1);
    let (first, _) = machine.configure(&["a"]);
    let old = machine.fork(&first, 1);
    let is_alive = |it| machine.is_alive(it);
    let plugin = old.declare(&[b"lua", b"plugin"], b"plugin", &is_alive).unwrap();
    old.add(plugin, Event::Call, 1);
    old.declare(&[b"lua", b"gone"], &[b'g'; 200], &is_alive).unwrap();
    let names = |table: &StatusTable| -> Vec<_> {
        machine.snapshot(table).named.into_iter().map(|it| (it.name, it.summary.counters[0])).collect()
    };
    assert_eq!(names(&old), [(b"plugin".to_vec(), 1), (vec![b'g'; 128], 0)]);
    let (second, _) = machine.configure(&["a"]);
    let new = machine.fork(&second, 2);
    assert_eq!(names(&new), []);
    assert_eq!(new.declare(&[b"lua", b"plugin"], b"plugin", &is_alive), Some(plugin));
    assert_eq!(names(&new), [(b"plugin".to_vec(), 1)]);
}

#[test]
fn a_process_that_goes_over_to_another_configuration_keeps_its_row() {
    let machine = Machine::new(1, 1);
    let (first, slots) = machine.configure(&["a"]);
    let before = machine.fork(&first, 1);
    before.add(slots[0].unwrap(), Event::Call, 1);
    let (second, again) = machine.configure(&["a"]);
    second.enter(Process { pid: 1, started: 1 }, &|it| machine.is_alive(it));
    second.add(again[0].unwrap(), Event::Call, 1);
    let snapshot = machine.snapshot(&second);
    assert_eq!((snapshot.workers, snapshot.leaving), (1, 0));
    assert_eq!(machine.calls(&second, again[0]), 2);
}

#[test]
fn what_was_so_in_a_process_by_the_configuration_before_is_forgotten() {
    let machine = Machine::new(1, 1);
    let (first, slots) = machine.configure(&["a"]);
    let before = machine.fork(&first, 1);
    before.add(slots[0].unwrap(), Event::Request, 1);
    before.change_paused(slots[0].unwrap(), true);
    before.set_instances(slots[0].unwrap(), 1, 70);
    before.set_down(slots[0].unwrap(), Down::ForGood);
    // Its request goes on, and nobody counts its end where the process is now.
    let (second, again) = machine.configure(&["a"]);
    second.enter(Process { pid: 1, started: 1 }, &|it| machine.is_alive(it));
    let summary = machine.snapshot(&second).get(again[0].unwrap());
    assert_eq!((summary.paused, summary.instances, summary.memory, summary.stopped), (0, 0, 0, 0));
    assert_eq!(summary.get(Event::Request), 1);
}

#[test]
fn a_memory_that_is_not_there_or_too_small_counts_nothing() {
    let shape = Shape::of(1, 1);
    for size in [0, shape.size() - 8] {
        let table = StatusTable::new(Heap::boxed(size), shape);
        table.begin();
        assert_eq!(table.declare(&[b"a"], b"", &|_| true), None);
        table.enter(Process { pid: 1, started: 1 }, &|_| true);
        table.add(Slot(0), Event::Call, 1);
        assert_eq!(table.snapshot(NOW, &|_| true).get(Slot(0)), Summary::default());
    }
}

#[test]
fn another_shape_begins_anew() {
    let small = Shape::of(1, 1);
    let heap = Arc::new(Heap::new(Shape::of(100, 1).size()));
    let table = StatusTable::new(Box::new(heap.clone()), small);
    let slot = table.declare(&[b"a"], b"", &|_| true).unwrap();
    table.enter(Process { pid: 1, started: 1 }, &|_| true);
    table.add(slot, Event::Call, 1);
    let other = StatusTable::new(Box::new(heap), Shape::of(100, 1));
    let slot = other.declare(&[b"a"], b"", &|_| true).unwrap();
    assert_eq!(other.snapshot(NOW, &|_| true).get(slot), Summary::default());
}

#[test]
fn wrong_numbers_in_the_memory_harm_nobody() {
    let machine = Machine::new(1, 1);
    let (master, slots) = machine.configure(&["a"]);
    let worker = machine.fork(&master, 1);
    let slot = slots[0].unwrap();
    let interesting = worker.0.interesting();
    for at in interesting {
        for wrong in [u64::MAX, 1 << 40, 7] {
            let before = machine.heap.words()[at].swap(wrong, Ordering::Relaxed);
            worker.add(slot, Event::Call, 1);
            worker.set_error(slot, b"x", 1);
            let _ = machine.snapshot(&worker);
            let _ = worker.declare(&[b"b"], b"name", &|it| machine.is_alive(it));
            machine.heap.words()[at].store(before, Ordering::Relaxed);
        }
    }
}

#[test]
fn every_event_has_its_name() {
    for (n, shown) in Event::ALL.iter().enumerate() {
        assert_eq!(shown.event as usize, n);
        assert!(!shown.name.is_empty());
        assert!([shown.of_filters, shown.of_programs].into_iter().flatten().all(|help| help.ends_with('.')));
    }
    for (n, (event, _)) in Event::ANSWERS.iter().enumerate() {
        assert_eq!(*event as usize, Event::ALL.len() + n);
    }
}

#[test]
fn answers_are_counted_by_the_class_of_their_status() {
    let names = [200, 299, 301, 404, 503, 100, 0, 600].map(|status| {
        let event = Event::of_answer(status);
        Event::ANSWERS.iter().find(|(known, _)| *known == event).unwrap().1
    });
    assert_eq!(names, ["2xx", "2xx", "3xx", "4xx", "5xx", "other", "other", "other"]);
}

#[test]
fn a_filter_is_down_in_the_workers_that_say_so_until_their_time_has_come() {
    let machine = Machine::new(1, 4);
    let (master, slots) = machine.configure(&["a"]);
    let slot = slots[0].unwrap();
    let workers: Vec<_> = (1..=4).map(|pid| machine.fork(&master, pid)).collect();
    let down = [Down::ForGood, Down::Until(NOW + 1), Down::Until(NOW), Down::No];
    workers.iter().zip(down).for_each(|(worker, down)| worker.set_down(slot, down));
    let seen = |machine: &Machine| {
        let summary = machine.snapshot(&master).get(slot);
        (summary.stopped, summary.waiting)
    };
    assert_eq!(seen(&machine), (1, 1));
    machine.kill(1);
    assert_eq!(seen(&machine), (0, 1));
    workers[1].set_down(slot, Down::Until(u64::MAX));
    assert_eq!(seen(&machine), (0, 1));
    workers[1].set_down(slot, Down::No);
    assert_eq!(seen(&machine), (0, 0));
}

#[test]
fn streams_that_wait_for_a_filter_are_those_of_workers_that_live() {
    let machine = Machine::new(1, 2);
    let (master, slots) = machine.configure(&["a"]);
    let slot = slots[0].unwrap();
    let workers = [machine.fork(&master, 1), machine.fork(&master, 2)];
    for worker in &workers {
        [true, true, false, true].into_iter().for_each(|is_more| worker.change_paused(slot, is_more));
    }
    assert_eq!(machine.snapshot(&master).get(slot).paused, 4);
    machine.kill(2);
    assert_eq!(machine.snapshot(&master).get(slot).paused, 2);
    (0..3).for_each(|_| workers[0].change_paused(slot, false));
    assert_eq!(machine.snapshot(&master).get(slot).paused, 0);
}
