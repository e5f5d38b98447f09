//! Tests of `host_status.rs`.

use std::cell::Cell;
use std::sync::Arc;

use super::*;
use crate::shared::memory::Heap;

const ALIVE: IsAlive<'_> = &|_| true;

/// As the master has it, and a worker of it.
fn status(heap: &Arc<Heap>) -> HostStatus {
    let status = HostStatus::new(Box::new(heap.clone()), 2);
    status.begin(100);
    status
}

fn worker(heap: &Arc<Heap>, master: &HostStatus, pid: u64) -> HostStatus {
    let worker = HostStatus::new(Box::new(heap.clone()), 2);
    worker.0.inherit(&master.0);
    worker.enter(Process { pid, started: 1 }, ALIVE);
    worker
}

fn heap() -> Arc<Heap> {
    Arc::new(Heap::new(HostStatus::size(2)))
}

fn shown(status: &HostStatus) -> Vec<(CallKind, Option<String>, u64, u64)> {
    let name = |service: &Service| service.name.as_ref().map(|name| String::from_utf8_lossy(name).into_owned());
    let services = status.snapshot(ALIVE).services;
    services.iter().map(|it| (it.kind, name(it), it.results.iter().sum(), it.in_flight)).collect()
}

#[test]
fn calls_of_all_workers_are_counted_by_service_and_result() {
    let heap = heap();
    let master = status(&heap);
    let workers = [worker(&heap, &master, 1), worker(&heap, &master, 2)];
    for worker in &workers {
        let slot = worker.service(CallKind::Http, b"backend", ALIVE).unwrap();
        (0..3).for_each(|_| worker.began(slot));
        worker.ended(slot, CallResult::Answered, Duration::from_millis(3));
        worker.ended(slot, CallResult::Timeout, Duration::from_secs(20));
    }
    let redis = workers[0].service(CallKind::Redis, b"backend", ALIVE).unwrap();
    workers[0].began(redis);
    assert_eq!(
        shown(&master),
        [(CallKind::Http, Some("backend".into()), 4, 2), (CallKind::Redis, Some("backend".into()), 0, 1)]
    );
    let service = &master.snapshot(ALIVE).services[0];
    assert_eq!(service.results, [2, 0, 0, 2, 0, 0]);
    assert_eq!((service.latency.count(), service.latency.quantile(0.5)), (4, Some(0.005)));
}

#[test]
fn calls_of_a_worker_that_has_gone_are_not_in_flight() {
    let heap = heap();
    let master = status(&heap);
    let gone = worker(&heap, &master, 1);
    let slot = gone.service(CallKind::Http, b"backend", ALIVE).unwrap();
    gone.began(slot);
    gone.began(slot);
    gone.ended(slot, CallResult::Failed, Duration::ZERO);
    let services = master.snapshot(&|process| process.pid != 1).services;
    assert_eq!((services[0].in_flight, services[0].results[CallResult::Failed as usize]), (0, 1));
}

#[test]
fn services_for_which_there_is_no_room_are_counted_together() {
    let heap = heap();
    let master = status(&heap);
    let worker = worker(&heap, &master, 1);
    let call = |name: &[u8]| {
        let slot = worker.service(CallKind::Grpc, name, ALIVE).unwrap();
        worker.began(slot);
        worker.ended(slot, CallResult::Answered, Duration::ZERO);
    };
    (0..200).for_each(|n| call(format!("service-{n:03}").as_bytes()));
    call(&[b'x'; 129]);
    call(b"");
    let shown = shown(&master);
    assert_eq!(shown.len(), 129);
    assert_eq!(shown[0], (CallKind::Grpc, None, 74, 0));
    assert!(shown[1..].iter().all(|(_, name, calls, _)| name.is_some() && *calls == 1));
}

#[test]
fn the_next_configuration_has_room_for_what_it_calls() {
    let heap = heap();
    let first = status(&heap);
    let old = worker(&heap, &first, 1);
    for n in 0..200 {
        old.service(CallKind::Http, format!("old-{n}").as_bytes(), ALIVE).unwrap();
    }
    let second = status(&heap);
    let new = worker(&heap, &second, 2);
    let slot = |is_alive| new.service(CallKind::Http, b"new", is_alive);
    let rest = new.declare_rest(CallKind::Http, ALIVE);
    assert_eq!(slot(ALIVE), rest);
    assert_ne!(slot(&|process| process.pid == 2), rest);
    // The rest has its place nevertheless.
    assert_eq!(new.declare_rest(CallKind::Http, ALIVE), rest);
}

#[test]
fn services_without_room_do_not_ask_which_processes_live() {
    let heap = heap();
    let worker = worker(&heap, &status(&heap), 1);
    for n in 0..200 {
        worker.service(CallKind::Http, format!("service-{n}").as_bytes(), ALIVE).unwrap();
    }
    let asked = Cell::new(0);
    let count = |_| {
        asked.set(asked.get() + 1);
        true
    };
    assert_eq!(worker.service(CallKind::Http, b"one more", &count), worker.declare_rest(CallKind::Http, ALIVE));
    assert_eq!(asked.get(), 0);
}

#[test]
fn services_whose_names_are_no_text_are_counted_together() {
    let heap = heap();
    let master = status(&heap);
    let worker = worker(&heap, &master, 1);
    for name in [&b"a\xffb"[..], b"a\0b", b"a\nb", "a\u{9b}b".as_bytes()] {
        let slot = worker.service(CallKind::Http, name, ALIVE).unwrap();
        worker.ended(slot, CallResult::Failed, Duration::ZERO);
    }
    let slot = worker.service(CallKind::Http, "caf\u{e9} \\xff".as_bytes(), ALIVE).unwrap();
    worker.ended(slot, CallResult::Failed, Duration::ZERO);
    assert_eq!(shown(&master), [(CallKind::Http, None, 4, 0), (CallKind::Http, Some("caf\u{e9} \\xff".into()), 1, 0)]);
}

#[test]
fn reloads_are_counted_by_whether_nginx_went_over_to_them() {
    let heap = heap();
    let status = status(&heap);
    let reloads = || status.snapshot(ALIVE).reloads;
    assert_eq!(reloads(), Reloads { begun: 1, begun_at: 100, ..Reloads::default() });
    status.refuse(200);
    let refused = Reloads { begun: 1, begun_at: 100, refused: 1, refused_at: 200, is_refused: true };
    assert_eq!(reloads(), refused);
    status.begin(300);
    assert_eq!(reloads(), Reloads { begun: 2, begun_at: 300, is_refused: false, ..refused });
}

#[test]
fn threads_are_those_of_all_workers_that_there_are() {
    let heap = heap();
    let master = status(&heap);
    for pid in 1..=2 {
        worker(&heap, &master, pid).set_threads(ThreadCounts { threads: 3, busy: 2, queued: pid });
    }
    assert_eq!(master.snapshot(ALIVE).threads, ThreadCounts { threads: 6, busy: 4, queued: 3 });
    let alive = master.snapshot(&|process| process.pid == 2).threads;
    assert_eq!(alive, ThreadCounts { threads: 3, busy: 2, queued: 2 });
}

#[test]
fn a_memory_that_is_not_there_counts_nothing() {
    let status = HostStatus::new(Heap::boxed(0), 1);
    status.begin(1);
    status.refuse(1);
    status.enter(Process { pid: 1, started: 1 }, ALIVE);
    assert_eq!(status.service(CallKind::Http, b"x", ALIVE), None);
    status.began(Slot(0));
    status.ended(Slot(0), CallResult::Answered, Duration::ZERO);
    status.set_threads(ThreadCounts { threads: 1, busy: 1, queued: 1 });
    let snapshot = status.snapshot(ALIVE);
    assert!(snapshot.services.is_empty());
    assert_eq!((snapshot.reloads, snapshot.threads), (Reloads::default(), ThreadCounts::default()));
}

#[test]
fn results_stand_in_their_order() {
    for (n, (result, name)) in CallResult::ALL.iter().enumerate() {
        assert_eq!(*result as usize, n);
        assert!(!name.is_empty());
    }
}
