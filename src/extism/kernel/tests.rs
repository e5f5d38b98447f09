use super::*;

const LIMIT: usize = 1 << 20;

fn kernel() -> Kernel {
    Kernel::new(LIMIT)
}

#[test]
fn what_is_stored_is_loaded() {
    let mut kernel = kernel();
    let at = kernel.alloc(20);
    assert_eq!(kernel.length(at), 20);
    kernel.store(at + 3, &0x0102_0304_0506_0708_u64.to_le_bytes());
    kernel.store(at, &[9]);
    assert_eq!(kernel.load_u64(at + 3), 0x0102_0304_0506_0708);
    assert_eq!((kernel.load_u8(at), kernel.load_u8(at + 3), kernel.load_u8(at + 10)), (9, 8, 1));
}

#[test]
fn loads_from_outside_are_zero_and_stores_to_outside_are_dropped() {
    let mut kernel = kernel();
    let at = kernel.put(&[7; 64]).unwrap();
    let end = kernel.size();
    for outside in [0, 1, at - 1, end, end + 1, u64::from(u32::MAX), u64::MAX - 7, u64::MAX] {
        assert_eq!((kernel.load_u8(outside), kernel.load_u64(outside)), (0, 0), "{outside:#x}");
        kernel.store(outside, &[1]);
        kernel.store(outside, &[1; 8]);
    }
    for across in [at - 7, at - 1, end - 7, end - 1] {
        assert_eq!(kernel.load_u64(across), 0, "{across:#x}");
        kernel.store(across, &[1; 8]);
    }
    assert_eq!(kernel.bytes(Part { at, len: 64 }), Some(&[7; 64][..]));
    assert_eq!(kernel.size(), end);
}

#[test]
fn nothing_and_too_much_have_the_handle_0() {
    let mut kernel = kernel();
    for len in [0, LIMIT as u64, u64::MAX, u64::MAX - 100] {
        assert_eq!(kernel.alloc(len), 0, "{len}");
    }
    assert_eq!(kernel.size(), 0);
    let all = LIMIT as u64 - START;
    let at = kernel.alloc(all);
    assert_ne!(at, 0);
    assert_eq!((kernel.alloc(1), kernel.put(b"x"), kernel.put(b"")), (0, None, Some(0)));
    kernel.free(at);
    assert_eq!(kernel.alloc(all), at);
    assert!(kernel.bytes.capacity() <= LIMIT);
}

#[test]
fn many_small_blocks_come_to_an_end() {
    let mut kernel = kernel();
    let count = (0..).take_while(|_| kernel.alloc(1) != 0).count();
    assert_eq!(count, (LIMIT - START as usize) / 64);
}

#[test]
fn a_block_is_taken_once_and_by_its_own_handle() {
    let mut kernel = kernel();
    let at = kernel.put(b"text").unwrap();
    for wrong in [at + 1, at - 1, 1, u64::MAX] {
        assert_eq!((kernel.take(wrong), kernel.length(wrong)), (None, 0));
        kernel.free(wrong);
    }
    assert_eq!(kernel.take(at).as_deref(), Some(&b"text"[..]));
    assert_eq!((kernel.take(at), kernel.length(at)), (None, 0));
    assert_eq!(kernel.take(0).as_deref(), Some(&b""[..]));
}

#[test]
fn the_output_is_any_part() {
    let mut kernel = kernel();
    let at = kernel.put(b"some output").unwrap();
    assert!(kernel.set_output(Part { at: at + 5, len: 6 }));
    kernel.store(at + 5, b"O");
    kernel.free(at);
    assert_eq!(kernel.output_bytes(), b"Output");
    for (at, len) in [(at, kernel.size()), (0, 1), (u64::MAX, 2), (at, u64::MAX)] {
        assert!(!kernel.set_output(Part { at, len }));
    }
    assert_eq!(kernel.output_bytes(), b"Output");
    assert!(kernel.set_output(Part { at: 0, len: 0 }));
    assert_eq!(kernel.output_bytes(), b"");
}

#[test]
fn the_input_ends_where_it_ends() {
    let mut kernel = kernel();
    let at = kernel.put(b"0123456789").unwrap();
    assert!(kernel.set_input(Part { at, len: 10 }));
    assert_eq!(kernel.input_from(2, 8), Some(Part { at: at + 2, len: 8 }));
    for (offset, len) in [(3, 8), (10, 1), (u64::MAX, 8), (u64::MAX - 7, 8)] {
        assert_eq!(kernel.input_from(offset, len), None);
    }
    kernel.free(at);
    assert_eq!(kernel.input_from(0, 1), None);
}

#[test]
fn an_error_is_a_block_or_none() {
    let mut kernel = kernel();
    let at = kernel.put(b"wrong").unwrap();
    assert!(!kernel.set_error(at + 1));
    assert_eq!((kernel.error(), kernel.error_bytes()), (0, None));
    assert!(kernel.set_error(at));
    assert_eq!((kernel.error(), kernel.error_bytes()), (at, Some(&b"wrong"[..])));
    assert!(kernel.set_error(0));
    assert_eq!(kernel.error_bytes(), None);
}

#[test]
fn nothing_is_left_behind_a_reset() {
    let mut kernel = kernel();
    let secret = [0x5a; 3000];
    let at = kernel.put(&secret).unwrap();
    let part = Part { at, len: 3000 };
    assert!(kernel.set_input(part) && kernel.set_output(part) && kernel.set_error(at));
    kernel.reset();
    assert_eq!(
        (kernel.size(), kernel.input(), kernel.output(), kernel.error()),
        (0, Part::default(), Part::default(), 0)
    );
    assert_eq!((kernel.length(at), kernel.load_u64(at)), (0, 0));
    let again = kernel.alloc(5000);
    assert_eq!(again, at);
    assert_eq!(kernel.bytes(Part { at, len: 5000 }), Some(&[0; 5000][..]));
}

#[test]
fn much_memory_is_given_back_with_a_reset() {
    let mut kernel = Kernel::new(64 << 20);
    assert_ne!(kernel.alloc(32 << 20), 0);
    kernel.reset();
    assert!(kernel.bytes.capacity() <= KEPT);
}
