//! Tests of `queues.rs`.

use std::sync::Arc;

use super::*;
use crate::shared::memory::Heap;

const ANY: &dyn Fn(usize) -> bool = &|_| true;

fn queues() -> Queues {
    Queues::new(QueueZone::new(Heap::boxed(1 << 16)))
}

fn next(queues: &Queues, id: u32) -> Result<String, DequeueError> {
    let mut out = Vec::new();
    queues.dequeue(id, &mut out).map(|()| String::from_utf8(out).unwrap())
}

#[test]
fn messages_leave_in_the_order_in_which_they_came() {
    let queues = queues();
    let id = queues.register(b"vm", b"q").unwrap();
    assert_eq!(next(&queues, id), Err(DequeueError::Empty));
    for message in ["one", "", &"x".repeat(1000)] {
        queues.enqueue(id, message.as_bytes()).unwrap();
    }
    assert_eq!(next(&queues, id).unwrap(), "one");
    queues.enqueue(id, b"last").unwrap();
    assert_eq!(next(&queues, id).unwrap(), "");
    assert_eq!(next(&queues, id).unwrap(), "x".repeat(1000));
    assert_eq!(next(&queues, id).unwrap(), "last");
    assert_eq!(next(&queues, id), Err(DequeueError::Empty));
}

#[test]
fn a_queue_has_one_number_for_a_vm_id_and_a_name() {
    let queues = queues();
    assert_eq!(queues.resolve(b"vm", b"q"), None);
    let id = queues.register(b"vm", b"q").unwrap();
    assert_eq!(queues.register(b"vm", b"q"), Some(id));
    assert_eq!(queues.resolve(b"vm", b"q"), Some(id));
    assert_eq!(queues.resolve(b"v", b"mq"), None);
    assert_eq!(queues.resolve(b"", b"q"), None);
    assert_eq!(queues.resolve(b"vm", &vec![0; 1 << 16]), None);
    assert_eq!(queues.register(b"vm", &vec![0; 1 << 16]), None);
    let other = queues.register(b"other", b"q").unwrap();
    assert_ne!(other, id);
    queues.enqueue(other, b"x").unwrap();
    assert_eq!(next(&queues, id), Err(DequeueError::Empty));
}

#[test]
fn numbers_that_nobody_has_are_unknown() {
    let queues = queues();
    let id = queues.register(b"vm", b"q").unwrap();
    queues.enqueue(id, &[0xff; 1000]).unwrap();
    for wrong in [0, id + 1, id + 2, id + 5, 1 << 24, 1 << 24 | id, u32::MAX] {
        assert_eq!(queues.enqueue(wrong, b"x"), Err(EnqueueError::Unknown), "{wrong}");
        assert_eq!(next(&queues, wrong), Err(DequeueError::Unknown), "{wrong}");
    }
}

#[test]
fn a_full_queue_refuses_and_goes_on_when_it_has_room() {
    let queues = queues();
    let id = queues.register(b"vm", b"q").unwrap();
    let mut count = 0;
    while queues.enqueue(id, format!("{count}").as_bytes()).is_ok() {
        count += 1;
    }
    assert!((300..600).contains(&count), "{count}");
    assert_eq!(queues.enqueue(id, b"x"), Err(EnqueueError::Full));
    assert_eq!(queues.register(b"vm", b"more"), None);
    assert_eq!(next(&queues, id).unwrap(), "0");
    queues.enqueue(id, b"x").unwrap();
    for n in 1..count {
        assert_eq!(next(&queues, id).unwrap(), format!("{n}"));
    }
    assert_eq!(next(&queues, id).unwrap(), "x");
    assert_eq!(queues.enqueue(id, &vec![0; 1 << 16]), Err(EnqueueError::Full));
}

#[test]
fn a_name_may_have_a_memory_of_its_own() {
    let mut queues = queues();
    assert!(queues.add(b"own", QueueZone::new(Heap::boxed(1 << 14))));
    let id = queues.register(b"vm", b"q").unwrap();
    let own = queues.register(b"vm", b"own").unwrap();
    assert_ne!(id, own);
    while queues.enqueue(own, b"x").is_ok() {}
    queues.enqueue(id, b"y").unwrap();
    assert_eq!(queues.resolve(b"vm", b"own"), Some(own));
    assert_eq!(next(&queues, own).unwrap(), "x");
}

#[test]
fn one_worker_is_told_of_each_message() {
    let queues = queues();
    let id = queues.register(b"vm", b"q").unwrap();
    assert!(!queues.add_worker(id, 3, ANY));
    assert!(!queues.add_worker(id, 200, ANY));
    queues.enqueue(id, b"x").unwrap();
    assert_eq!(queues.choose(id, 200, ANY), Some(200));
    queues.enqueue(id, b"y").unwrap();
    assert_eq!(queues.choose(id, 3, ANY), Some(200), "it has not looked yet, and gets all");
    assert!(queues.waiting_for(3).is_empty());
    assert_eq!(queues.waiting_for(200), [id]);
    assert!(!queues.acknowledge(id, 3));
    assert!(queues.acknowledge(id, 200));
    assert!(queues.acknowledge(id, 200));
    assert!(!queues.acknowledge(id, 200));
    assert!(queues.waiting_for(200).is_empty());
}

#[test]
fn a_worker_without_the_queue_tells_one_that_has_it() {
    let queues = queues();
    let id = queues.register(b"vm", b"q").unwrap();
    queues.add_worker(id, 70, ANY);
    queues.enqueue(id, b"x").unwrap();
    assert_eq!(queues.choose(id, 1, ANY), Some(70));
}

#[test]
fn a_worker_that_is_gone_is_not_told() {
    let queues = queues();
    let id = queues.register(b"vm", b"q").unwrap();
    queues.add_worker(id, 1, ANY);
    queues.add_worker(id, 2, ANY);
    queues.enqueue(id, b"x").unwrap();
    assert_eq!(queues.choose(id, 9, ANY), Some(1));
    // It died without having looked.
    queues.enqueue(id, b"y").unwrap();
    assert_eq!(queues.choose(id, 9, &|worker| worker != 1), Some(2));
    assert!(queues.acknowledge(id, 2) && queues.acknowledge(id, 2) && !queues.acknowledge(id, 2));
}

#[test]
fn a_worker_that_leaves_hands_over_what_it_was_told() {
    let queues = queues();
    let id = queues.register(b"vm", b"q").unwrap();
    queues.add_worker(id, 1, ANY);
    queues.enqueue(id, b"x").unwrap();
    assert_eq!(queues.choose(id, 1, ANY), Some(1));
    assert_eq!(queues.remove_worker(id, 1, ANY), None);
    assert_eq!(queues.choose(id, 1, ANY), None);
    assert!(queues.add_worker(id, 4, ANY), "whoever comes next is told");
    assert!(!queues.add_worker(id, 5, ANY));
    assert_eq!(queues.remove_worker(id, 4, ANY), Some(5));
    assert!(queues.acknowledge(id, 5));
}

#[test]
fn a_worker_that_ends_leaves_all_queues() {
    let mut queues = queues();
    queues.add(b"own", QueueZone::new(Heap::boxed(1 << 14)));
    let ids = [&b"a"[..], b"b", b"own"].map(|name| queues.register(b"vm", name).unwrap());
    for id in ids {
        queues.add_worker(id, 1, ANY);
        queues.enqueue(id, b"x").unwrap();
        queues.choose(id, 1, ANY);
    }
    queues.add_worker(ids[0], 7, ANY);
    queues.add_worker(ids[2], 7, ANY);
    assert_eq!(queues.leave(1, ANY), [7]);
    assert!(queues.waiting_for(1).is_empty());
    assert_eq!(queues.waiting_for(7), [ids[0], ids[2]]);
    assert!(queues.add_worker(ids[1], 8, ANY));
}

#[test]
fn nobody_is_told_of_a_message_that_is_gone() {
    let queues = queues();
    let id = queues.register(b"vm", b"q").unwrap();
    queues.add_worker(id, 1, ANY);
    queues.enqueue(id, b"x").unwrap();
    queues.choose(id, 1, ANY);
    next(&queues, id).unwrap();
    assert!(!queues.acknowledge(id, 1));
    assert!(queues.waiting_for(1).is_empty());
}

#[test]
fn each_message_goes_to_one_of_many_at_the_same_time() {
    let heap = Arc::new(Heap::new(1 << 16));
    let taken = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (heap, taken) = (&heap, &taken);
            scope.spawn(move || {
                let queues = Queues::new(QueueZone::new(Box::new(heap.clone())));
                let id = queues.register(b"vm", b"q").unwrap();
                for n in 0..1000 {
                    queues.enqueue(id, format!("{thread} {n}").as_bytes()).unwrap();
                    let message = next(&queues, id).unwrap();
                    taken.lock().unwrap().push(message);
                }
            });
        }
    });
    let mut taken = taken.into_inner().unwrap();
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 3000);
}

#[test]
fn depths_are_those_of_the_first_queues_and_of_all_others_together() {
    let mut queues = queues();
    assert!(queues.add(b"own", QueueZone::new(Heap::boxed(1 << 16))));
    assert_eq!(queues.depths(2), (vec![], None));
    let long = [b'x'; 300];
    for (name, messages) in [(&b"a"[..], 1), (b"own", 2), (&long, 0), (b"b", 4)] {
        let id = queues.register(b"vm", name).unwrap();
        (0..messages).for_each(|_| queues.enqueue(id, b"message").unwrap());
    }
    let depth = |name: &[u8], messages| Depth { vm_id: b"vm".to_vec(), name: name.to_vec(), messages };
    assert_eq!(queues.depths(2), (vec![depth(b"a", 1), depth(&[b'x'; 256], 0)], Some(6)));
    let all = vec![depth(b"a", 1), depth(&[b'x'; 256], 0), depth(b"b", 4), depth(b"own", 2)];
    assert_eq!(queues.depths(10), (all, None));
}

#[test]
fn a_zone_says_how_full_it_is_and_what_found_no_room() {
    let queues = queues();
    let usage = || queues.zones().next().unwrap().1.usage().unwrap();
    let empty = usage();
    assert_eq!((empty.size, empty.evictions, empty.refusals), (1 << 16, None, 0));
    let id = queues.register(b"vm", b"q").unwrap();
    while queues.enqueue(id, &[b'x'; 1000]).is_ok() {}
    let full = usage();
    assert_eq!((full.refusals, full.size - full.used < 1200), (1, true), "{full:?}");
    while queues.dequeue(id, &mut Vec::new()).is_ok() {}
    assert_eq!(usage().used, empty.used + 128);
}
