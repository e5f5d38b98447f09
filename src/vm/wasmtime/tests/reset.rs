//! Images of instances: what is put back is byte for byte what it was, however the kernel is asked for pages, and what cannot be
//! put back is refused.

use super::*;
use crate::vm::wasmtime::page_map::Way;
use crate::vm::wasmtime::reset::tests::{asked, set_way};
use crate::vm::{Image, PoolOptions};

/// How instances can be put back: by what the kernel tells, in two ways, or without it.
fn ways() -> Vec<Result<Way, String>> {
    vec![Ok(Way::Scan), Ok(Way::Words), Err("the test says so".into())]
}

/// Four pages of memory with data in two of them, and globals of all kinds.
const GUEST: &str = r#"(module
    (import "h" "f" (func $f))
    (memory (export "memory") 3)
    (data (i32.const 100) "data") (data (i32.const 70000) "more data")
    (table 2 funcref) (elem (i32.const 0) $get_i32 $unused)
    (global $i32 (mut i32) (i32.const 7)) (global $fixed i32 (i32.const 1)) (global $i64 (export "own") (mut i64) (i64.const -7))
    (global $f32 (mut f32) (f32.const 1.5)) (global $f64 (mut f64) (f64.const nan:0x8000000000123))
    (global $v128 (mut v128) (v128.const i64x2 1 2))
    (func $unused (result i32) unreachable)
    (func $get_i32 (result i32) (global.get $i32))
    (func (export "look") (call $f))
    (func (export "poke") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
    (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
    (func (export "globals") (param i32)
        (global.set $i32 (local.get 0)) (global.set $i64 (i64.extend_i32_s (local.get 0)))
        (global.set $f32 (f32.convert_i32_s (local.get 0))) (global.set $f64 (f64.convert_i32_s (local.get 0)))
        (global.set $v128 (i32x4.splat (local.get 0))))
    (func (export "sum_of_globals") (result i32)
        (i32.add (call_indirect (result i32) (i32.const 0)) (i32.add (i32.wrap_i64 (global.get $i64))
            (i32.add (i32.reinterpret_f32 (global.get $f32)) (i32.add
                (i32.wrap_i64 (i64.rotl (i64.reinterpret_f64 (global.get $f64)) (i64.const 13)))
                (i32.add (i32x4.extract_lane 0 (global.get $v128)) (i32x4.extract_lane 3 (global.get $v128))))))))
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;

const EXPORTS: [&str; 7] = ["look", "poke", "fill", "globals", "sum_of_globals", "grow", "missing"];
const LOOK: usize = 0;
const POKE: usize = 1;
const FILL: usize = 2;
const GLOBALS: usize = 3;
const SUM: usize = 4;
const GROW: usize = 5;

/// An engine with a pool for four, and a program of it.
fn program_of(wat: &str) -> Arc<dyn Program> {
    program_with(Contents::Mapped, wat)
}

/// The same, with memories that get their first content in this way.
fn program_with(contents: Contents, wat: &str) -> Arc<dyn Program> {
    let pool = Some(PoolOptions { instances: 4, memory: 64 << 20 });
    let engine = WasmtimeEngine::with(target(), contents, EngineOptions { pool, ..EngineOptions::default() }).unwrap();
    let module = engine.compile(wat.as_bytes()).unwrap();
    module.link(&linked(module.imports()), &EXPORTS).unwrap()
}

fn limits(pooled: bool) -> InstanceLimits {
    InstanceLimits { memory: 32 << 20, pooled }
}

fn start(program: &Arc<dyn Program>, pooled: bool) -> Box<dyn Instance> {
    program.instantiate(limits(pooled), None, SECOND.into(), &mut recorder(|_, _| Ok(0))).unwrap()
}

fn again(program: &Arc<dyn Program>, image: &Image, pooled: bool) -> Box<dyn Instance> {
    program.instantiate_from(image, limits(pooled), SECOND.into()).unwrap()
}

fn call(instance: &mut dyn Instance, export: usize, args: &[u32]) -> u32 {
    instance.call(export, args, SECOND, &mut recorder(|_, _| Ok(0))).unwrap()
}

/// All that the guest has: its memory, and a sum of its globals.
fn all_of(instance: &mut dyn Instance) -> (Vec<u8>, u32) {
    let mut bytes = Vec::new();
    let size = instance.stats().memory as u32;
    let host = &mut recorder(|_, caller| {
        bytes = caller.memory().read(0, size).unwrap().to_vec();
        Ok(0)
    });
    instance.call(LOOK, &[], SECOND, host).unwrap();
    (bytes, call(instance, SUM, &[]))
}

/// Numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((self.0 >> 33) % u64::from(end)) as u32
    }
}

/// Writes here and there, at the edges too, and sets globals.
fn spoil(instance: &mut dyn Instance, numbers: &mut Numbers) {
    let size = instance.stats().memory as u32;
    for _ in 0..numbers.below(8) {
        call(instance, POKE, &[numbers.below(size), numbers.below(256)]);
    }
    for edge in [0, 4095, 4096, size - 4097, size - 1] {
        if numbers.below(2) == 0 {
            call(instance, POKE, &[edge, numbers.below(256)]);
        }
    }
    if numbers.below(4) == 0 {
        let start = numbers.below(size);
        call(instance, FILL, &[start, numbers.below(256), numbers.below(size - start)]);
    }
    if numbers.below(2) == 0 {
        call(instance, GLOBALS, &[numbers.below(1 << 30)]);
    }
}

#[test]
fn an_instance_that_is_put_back_is_byte_for_byte_what_the_image_was_of() {
    for (seed, way) in ways().into_iter().enumerate() {
        set_way(way.clone());
        let numbers = &mut Numbers(seed as u64);
        let kinds = [Contents::Mapped, Contents::Copied].into_iter().flat_map(|kind| [(kind, true), (kind, false)]);
        for (contents, pooled) in kinds {
            let program = program_with(contents, GUEST);
            let mut template = start(&program, pooled);
            spoil(template.as_mut(), numbers);
            let image = template.snapshot().unwrap();
            let wanted = all_of(template.as_mut());
            assert_eq!(image.memory(), 3 << 16);
            let mut instances = vec![again(&program, &image, pooled), again(&program, &image, !pooled)];
            // To look for pages word by word sees what was only read, so that template is of no more use.
            if way != Ok(Way::Words) {
                instances.push(template);
            }
            for _ in 0..100 {
                for instance in &mut instances {
                    spoil(instance.as_mut(), numbers);
                    instance.restore(&image).unwrap();
                    assert!(all_of(instance.as_mut()) == wanted, "{way:?}");
                }
            }
        }
    }
}

#[test]
fn the_kernel_is_asked_for_pages_again_after_a_page_fault_and_only_then() {
    // Faults are counted for the process.
    if !is_alone() {
        return;
    }
    for way in [Way::Scan, Way::Words] {
        set_way(Ok(way));
        let program = program_of(GUEST);
        let image = start(&program, true).snapshot().unwrap();
        let wanted = all_of(again(&program, &image, true).as_mut());
        for pooled in [true, false] {
            let mut instance = again(&program, &image, pooled);
            let mut poke = |place: u32| {
                let before = asked();
                call(instance.as_mut(), POKE, &[place, 9]);
                instance.restore(&image).unwrap();
                asked() - before
            };
            // The harness may have one now and then.
            assert!((0..100).any(|_| (0..10).all(|_| poke(5000) == 0)), "{way:?}");
            let places = [0, 3 * 4096 - 1, 65536, 70000, 100_000, 2 * 65536, 3 * 65536 - 1];
            assert!(places.iter().all(|place| poke(*place) == 1), "{way:?}");
            assert!((0..100).any(|_| places.iter().all(|place| poke(*place) == 0)), "{way:?}");
            assert!(all_of(instance.as_mut()) == wanted, "{way:?}");
        }
    }
}

#[test]
fn memory_that_is_put_back_has_no_huge_or_merged_pages_which_would_come_without_a_fault() {
    if !is_alone() {
        return;
    }
    // As with MemoryKSM= of systemd: all memory of the process may be merged. (Kernels before 6.4 do not know it.)
    const PR_SET_MEMORY_MERGE: libc::c_int = 67;
    // SAFETY: it is about how the kernel keeps memory, and not about what is in it.
    #[allow(unsafe_code)]
    unsafe {
        libc::prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0);
    }
    set_way(Ok(Way::Scan));
    let program = program_of(GUEST);
    let image = start(&program, true).snapshot().unwrap();
    for pooled in [true, false] {
        let mut instance = again(&program, &image, pooled);
        let mut range = 0..0;
        let host = &mut recorder(|_, caller| {
            let mut memory = caller.memory();
            let bytes = memory.bytes(0, 3 << 16).unwrap();
            range = bytes.as_ptr().addr()..bytes.as_ptr().addr() + bytes.len();
            Ok(0)
        });
        instance.call(LOOK, &[], SECOND, host).unwrap();
        // A line `START-END ...` begins a mapping, and a line `VmFlags: ...` ends it.
        let (mut is_inside, mut seen) = (false, 0);
        for line in std::fs::read_to_string("/proc/self/smaps").unwrap().lines() {
            let word = line.split(' ').next().unwrap();
            if let Some((start, end)) = word.split_once('-') {
                let number = |text| usize::from_str_radix(text, 16).unwrap();
                is_inside = number(start) < range.end && number(end) > range.start;
            } else if is_inside && word == "VmFlags:" {
                seen += 1;
                assert!(line.split(' ').any(|flag| flag == "nh"), "{line}");
                assert!(!line.split(' ').any(|flag| flag == "mg"), "{line}");
            }
        }
        assert!(seen > 0);
    }
}

#[test]
fn a_new_one_from_an_image_is_what_the_image_is_and_runs_nothing() {
    for way in ways() {
        set_way(way);
        let program = program_of(GUEST);
        let mut template = start(&program, true);
        assert_eq!(call(template.as_mut(), GROW, &[1]), 3);
        call(template.as_mut(), POKE, &[(4 << 16) - 1, 9]);
        call(template.as_mut(), FILL, &[98, 0, 4]);
        call(template.as_mut(), GLOBALS, &[77]);
        let image = template.snapshot().unwrap();
        drop(template);
        let mut instance = again(&program, &image, true);
        assert!(instance.stats().pooled);
        let (memory, sum) = all_of(instance.as_mut());
        assert_eq!(
            (memory.len(), memory[(4 << 16) - 1], &memory[98..104], &memory[70000..70009]),
            (4 << 16, 9, &b"\0\0\0\0ta"[..], &b"more data"[..])
        );
        assert_eq!(sum, all_of(again(&program, &image, false).as_mut()).1);
    }
}

#[test]
fn memory_that_has_grown_cannot_be_put_back() {
    for way in ways() {
        set_way(way);
        let program = program_of(GUEST);
        let image = start(&program, true).snapshot().unwrap();
        let mut instance = again(&program, &image, true);
        assert_eq!(call(instance.as_mut(), GROW, &[1]), 3);
        assert_eq!(instance.restore(&image).unwrap_err(), "its memory has grown");
    }
}

#[test]
fn an_instance_of_which_too_much_was_written_is_not_put_back() {
    set_way(Ok(Way::Scan));
    let program = program_of(&GUEST.replace("(memory (export \"memory\") 3)", "(memory (export \"memory\") 40)"));
    let image = start(&program, true).snapshot().unwrap();
    let mut instance = again(&program, &image, true);
    call(instance.as_mut(), FILL, &[0, 1, 2 << 20]);
    instance.restore(&image).unwrap();
    call(instance.as_mut(), POKE, &[2 << 20, 1]);
    assert_eq!(instance.restore(&image).unwrap_err(), "too much of its memory has been written to");
}

#[test]
fn an_image_is_for_instances_of_its_program_only() {
    set_way(Ok(Way::Scan));
    let image = start(&program_of(GUEST), false).snapshot().unwrap();
    let other = program_of(GUEST);
    assert_eq!(start(&other, false).restore(&image).unwrap_err(), "the image is of another program");
    assert!(other.instantiate_from(&image, limits(false), SECOND.into()).is_err());
}

#[test]
fn a_large_memory_has_no_image_where_nobody_tells_what_was_written_to() {
    set_way(Err("no such file".into()));
    let program = |pages: u32| program_of(&format!("(module (memory (export \"memory\") {pages}))"));
    assert!(start(&program(4), true).snapshot().is_ok());
    let Err(reason) = start(&program(5), true).snapshot() else { panic!("it has one") };
    assert_eq!(reason, "the system does not tell what was written to of its 320 KiB of memory (no such file)");
}

#[test]
fn a_template_whose_pages_were_all_read_is_not_put_back() {
    set_way(Ok(Way::Words));
    let mut template = start(&program_of(GUEST), true);
    let image = template.snapshot().unwrap();
    assert!(template.restore(&image).is_err());
}

#[test]
fn a_start_function_runs_again_and_leaves_nothing_but_must_not_call_the_host() {
    set_way(Ok(Way::Scan));
    let wat = |call: &str| {
        format!(
            "(module (import \"h\" \"f\" (func $f)) (memory (export \"memory\") 1) (global $g (mut i32) (i32.const 0))
                (func $go (i32.store (i32.const 8) (i32.const 1)) (global.set $g (i32.const 5)) {call}) (start $go)
                (func (export \"look\") (call $f)) (func (export \"poke\") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
                (func (export \"globals\") (param i32) (global.set $g (local.get 0)))
                (func (export \"sum_of_globals\") (result i32) (global.get $g)))"
        )
    };
    let program = program_of(&wat(""));
    let mut template = start(&program, true);
    call(template.as_mut(), POKE, &[8, 3]);
    call(template.as_mut(), GLOBALS, &[6]);
    let image = template.snapshot().unwrap();
    assert!(all_of(again(&program, &image, true).as_mut()) == all_of(template.as_mut()));

    let program = program_of(&wat("(call $f)"));
    let image = start(&program, true).snapshot().unwrap();
    let Err(trap) = program.instantiate_from(&image, limits(true), SECOND.into()) else { panic!("it started") };
    assert_eq!(trap.to_string(), "cannot instantiate: its start function calls the host");
}

#[test]
fn what_changes_more_than_memory_and_globals_has_no_image_and_the_module_says_why() {
    let code = |code: &str| {
        format!(
            "(module (memory (export \"memory\") 1) (table $t 2 funcref) (func $f) (elem $e func $f) (data $d \"x\") (func (export \"g\") {code}))"
        )
    };
    for (wat, reason) in [
        (code("(table.set (i32.const 0) (ref.func $f))"), "its code changes tables or segments (table.set)"),
        (code("(drop (table.grow (ref.null func) (i32.const 1)))"), "its code changes tables or segments (table.grow)"),
        (
            code("(table.fill (i32.const 0) (ref.null func) (i32.const 1))"),
            "its code changes tables or segments (table.fill)",
        ),
        (
            code("(table.copy (i32.const 0) (i32.const 1) (i32.const 1))"),
            "its code changes tables or segments (table.copy)",
        ),
        (
            code("(table.init $e (i32.const 0) (i32.const 0) (i32.const 1))"),
            "its code changes tables or segments (table.init)",
        ),
        (code("(elem.drop $e)"), "its code changes tables or segments (elem.drop)"),
        (code("(data.drop $d)"), "its code changes tables or segments (data.drop)"),
        ("(module (memory (export \"memory\") 1) (memory 1))".into(), "it has more than one memory"),
        ("(module (memory 1))".into(), "its memory is not exported as \"memory\""),
        ("(module (import \"a\" \"g\" (global (mut i32))))".into(), "it imports a global that can change"),
        ("(module (import \"a\" \"t\" (table 1 funcref)))".into(), "it imports a table"),
        ("(module (import \"a\" \"m\" (memory 1)))".into(), "it imports a memory"),
        (
            "(module (global (mut funcref) (ref.null func)))".into(),
            "it has a global that is a reference, and can change",
        ),
        (
            "(module (global (mut i32) (i32.const 1))(func (export \"ngx-wasm:mutable-global:0\")))".into(),
            "its export \"ngx-wasm:mutable-global:0\" has a name that this host gives",
        ),
        (
            format!("(module {})", "(global (mut i32) (i32.const 1))".repeat(257)),
            "it has more than 256 globals that can change",
        ),
    ] {
        let engine = engine_of_tests(EngineOptions::default());
        let module = engine.compile(wat.as_bytes()).unwrap();
        assert_eq!(module.reset_refusal(), Some(reason), "{wat}");
        // It is known after the compile cache, too.
        let again = engine.load(&crate::vm::TrustedCode::of_test(&module.serialize().unwrap())).unwrap();
        assert_eq!(again.reset_refusal(), Some(reason), "{wat}");
        // More than one memory is refused when an instance is made.
        if module.imports().is_empty() && !reason.contains("more than one memory") {
            let Err(said) = start(&module.link(&[], &[]).unwrap(), false).snapshot() else { panic!("{wat}") };
            assert_eq!(said, reason);
        }
    }
}

#[test]
fn what_leaves_tables_and_segments_alone_has_images() {
    for wat in [
        GUEST,
        "(module)",
        "(module (memory (export \"memory\") 1) (data $d \"x\")
            (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)) (memory.copy (i32.const 0) (i32.const 1) (i32.const 2))))",
        "(module (import \"a\" \"g\" (global i32)) (table 1 funcref) (func (drop (table.get (i32.const 0)) (drop (table.size)))))",
        "(module (global (mut i32) (i32.const 1)))",
        "(module (global (mut i32) (i32.const 1)) (func $f) (start $f) (data \"\"))",
    ] {
        let module = engine_of_tests(EngineOptions::default()).compile(wat.as_bytes()).unwrap();
        assert_eq!(module.reset_refusal(), None, "{wat}");
    }
}

#[test]
fn what_is_added_to_a_module_is_not_among_its_exports_also_after_the_compile_cache() {
    let engine = engine_of_tests(EngineOptions::default());
    let module = engine.compile(GUEST.as_bytes()).unwrap();
    let again = engine.load(&crate::vm::TrustedCode::of_test(&module.serialize().unwrap())).unwrap();
    for module in [module, again] {
        let names: Vec<_> = module.exports().into_iter().map(|export| export.name).collect();
        assert_eq!(names, ["memory", "own", "look", "poke", "fill", "globals", "sum_of_globals", "grow"]);
        let program = module.link(&linked(module.imports()), &EXPORTS).unwrap();
        let image = start(&program, false).snapshot().unwrap();
        let mut instance = start(&program, false);
        let sum = call(instance.as_mut(), SUM, &[]);
        call(instance.as_mut(), GLOBALS, &[3]);
        assert_ne!(call(instance.as_mut(), SUM, &[]), sum);
        instance.restore(&image).unwrap();
        assert_eq!(call(instance.as_mut(), SUM, &[]), sum);
    }
}
