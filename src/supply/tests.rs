//! The compile cache and the supply over it, on folders of their own, with a real engine.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::proxy_wasm::Module;
use crate::vm::{EngineOptions, tests};

const ANOTHER_USER: u32 = 65534;

/// A folder that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ngx-wasm-supply-{}-{count}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        mode(&path, 0o755);
        Scratch(path)
    }

    fn cache(&self) -> PathBuf {
        self.0.join("cache")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Gives a file away, where tests may; answers whether they may.
fn give_away(path: &Path) -> bool {
    std::os::unix::fs::lchown(path, Some(ANOTHER_USER), None).is_ok()
}

fn engine() -> Arc<dyn Engine> {
    tests::engine(EngineOptions::default())
}

fn module(number: u32) -> Vec<u8> {
    format!(
        r#"(module (memory (export "memory") 1)
             (func (export "malloc") (param i32) (result i32) (i32.const {number}))
             (func (export "proxy_abi_version_0_2_1")))"#
    )
    .into_bytes()
}

/// Where a start of nginx would take the module from: nothing is in memory.
fn start(cache: &CodeCache, engine: &Arc<dyn Engine>, bytes: &[u8]) -> (Source, Vec<String>) {
    let supplied = Supply::<Module>::default()
        .module(engine, &Content::new(bytes), Some(cache), || ())
        .map_err(|err| err.to_string())
        .unwrap();
    (supplied.source, supplied.complaints)
}

fn open(path: &Path) -> CodeCache {
    let (cache, complaint) = CodeCache::open(path, me(), true).unwrap();
    assert_eq!(complaint, None);
    cache
}

fn refused(path: &Path, user: u32) -> String {
    CodeCache::open(path, user, true).err().map(|err| err.to_string()).unwrap_or_default()
}

fn code_files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|suffix| suffix == "code"));
    files.sort();
    files
}

/// A cache with the code of one module, and the file.
fn filled() -> (Scratch, CodeCache, PathBuf) {
    let scratch = Scratch::new();
    let cache = open(&scratch.cache());
    let (source, complaints) = start(&cache, &engine(), &module(1));
    assert!(matches!(source, Source::Compiler(_)));
    assert_eq!(complaints, [""; 0]);
    let [file] = <[_; 1]>::try_from(code_files(&scratch.cache())).unwrap();
    (scratch, cache, file)
}

/// The file is not used, the complaint says so and why, and the next start finds a right one.
fn not_used(cache: &CodeCache, file: &Path, why: &str) {
    let (source, complaints) = start(cache, &engine(), &module(1));
    assert!(matches!(source, Source::Compiler(_)), "{why}");
    let [complaint] = <[_; 1]>::try_from(complaints).unwrap();
    assert!(complaint.contains(file.to_str().unwrap()), "{complaint}");
    assert!(complaint.contains(why), "{complaint}");
    let (source, complaints) = start(cache, &engine(), &module(1));
    assert!(matches!(source, Source::Cache(_)), "after: {why}");
    assert_eq!(complaints, [""; 0]);
}

#[test]
fn the_second_start_compiles_nothing() {
    let (scratch, ..) = filled();
    let (source, complaints) = start(&open(&scratch.cache()), &engine(), &module(1));
    assert!(matches!(source, Source::Cache(_)));
    assert_eq!(complaints, [""; 0]);
}

#[test]
fn the_compiler_is_announced_before_it_begins_and_nothing_else_is() {
    let (_scratch, cache, _) = filled();
    let mut supply = Supply::<Module>::default();
    let mut announced = |bytes: &[u8], cache| {
        let mut count = 0;
        let supplied = supply.module(&engine(), &Content::new(bytes), cache, || count += 1).ok().unwrap();
        (count, matches!(supplied.source, Source::Compiler(_)))
    };
    assert_eq!(announced(&module(1), Some(&cache)), (0, false));
    assert_eq!(announced(&module(2), Some(&cache)), (1, true));
    assert_eq!(announced(&module(3), None), (1, true));
}

#[test]
fn long_compiling_is_told_in_seconds() {
    let compiled = |millis| Source::Compiler(Duration::from_millis(millis)).to_string();
    assert_eq!(compiled(7), "compiled in 7 ms");
    assert_eq!(compiled(999), "compiled in 999 ms");
    assert_eq!(compiled(1000), "compiled in 1.0 s");
    assert_eq!(compiled(18_231), "compiled in 18.2 s");
}

#[test]
fn another_module_is_compiled() {
    let (scratch, cache, _) = filled();
    let (source, _) = start(&cache, &engine(), &module(2));
    assert!(matches!(source, Source::Compiler(_)));
    assert_eq!(code_files(&scratch.cache()).len(), 2);
}

#[test]
fn what_is_in_use_is_not_compiled_again_and_not_kept_longer() {
    let options = EngineOptions { fuel: true, ..EngineOptions::default() };
    let other = tests::engine(options);
    let (mut supply, engine, third) = (Supply::<Module>::default(), engine(), engine());
    let mut supplied =
        |engine: &Arc<dyn Engine>, bytes: &[u8]| supply.module(engine, &Content::new(bytes), None, || ()).ok().unwrap();
    let first = supplied(&engine, &module(1));
    assert!(matches!(first.source, Source::Compiler(_)));
    let second = supplied(&engine, &module(1));
    assert_eq!(second.source, Source::Memory);
    assert!(Arc::ptr_eq(&first.module, &second.module));
    assert!(matches!(supplied(&engine, &module(2)).source, Source::Compiler(_)));
    assert!(matches!(supplied(&other, &module(1)).source, Source::Compiler(_)), "other options, other code");
    let same = supplied(&third, &module(1));
    assert_eq!(same.source, Source::Memory, "one that takes the code as it is");
    assert!(!Arc::ptr_eq(&first.module, &same.module));
    drop(same);
    let weak = Arc::downgrade(&first.module);
    drop((first, second));
    assert!(weak.upgrade().is_none());
    assert!(matches!(supplied(&engine, &module(1)).source, Source::Compiler(_)));
}

/// An engine that must not compile, and not look at the code of a module if `validates` says so.
struct OnlyLooks {
    engine: Arc<dyn Engine>,
    validates: bool,
}

impl Engine for OnlyLooks {
    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn compile(&self, _: &[u8]) -> Result<Arc<dyn vm::Module>, CompileError> {
        panic!("it compiles");
    }

    fn validate(&self, bytes: &[u8]) -> Result<(), CompileError> {
        assert!(self.validates, "it validates");
        self.engine.validate(bytes)
    }

    fn outline(&self, bytes: &[u8]) -> Option<Outline> {
        self.engine.outline(bytes)
    }

    fn fingerprint(&self) -> Vec<u8> {
        self.engine.fingerprint()
    }

    fn load(&self, _: &crate::vm::TrustedCode) -> Result<Arc<dyn vm::Module>, CompileError> {
        panic!("it loads");
    }

    fn tick(&self) {}
}

#[test]
fn mistakes_are_found_before_anything_is_compiled() {
    let engine = engine();
    let looks: Arc<dyn Engine> = Arc::new(OnlyLooks { engine: engine.clone(), validates: true });
    let right = String::from_utf8(module(1)).unwrap();
    for (what, bytes) in [
        ("text", "no module".to_owned()),
        ("no filter", "(module)".to_owned()),
        ("unknown import", right.replacen("(module", "(module (import \"env\" \"fly\" (func))", 1)),
        ("no allocator", right.replace("malloc", "calloc")),
        ("wrong code", right.replace("i32.const", "i64.const")),
    ] {
        let content = Content::new(bytes.as_bytes());
        let found = Supply::<Module>::default().check(&looks, &content, None).unwrap_err().to_string();
        let compiled =
            Supply::<Module>::default().module(&engine, &content, None, || ()).map(drop).unwrap_err().to_string();
        // The compiler says where it was when it found it.
        if what == "wrong code" {
            assert!(found.contains("type mismatch") && compiled.contains("type mismatch"), "{found}");
        } else {
            assert_eq!(found, compiled, "{what}");
        }
    }
    assert!(Supply::<Module>::default().check(&looks, &Content::new(right.as_bytes()), None).is_ok());
}

#[test]
fn what_was_compiled_before_is_valid() {
    let (_scratch, cache, _) = filled();
    let looks: Arc<dyn Engine> = Arc::new(OnlyLooks { engine: engine(), validates: false });
    let bytes = module(1);
    let content = Content::new(&bytes[..]);
    assert!(Supply::<Module>::default().check(&looks, &content, Some(&cache)).is_ok());
    // But it may be something else.
    let found = Supply::<crate::programs::Module>::default().check(&looks, &content, Some(&cache));
    assert!(found.unwrap_err().to_string().starts_with("not a program"));
    let mut supply = Supply::<Module>::default();
    let supplied = supply.module(&engine(), &content, None, || ()).ok().unwrap();
    assert!(supply.check(&looks, &content, None).is_ok(), "it is in memory");
    drop(supplied);
}

#[test]
fn a_module_that_cannot_be_used_leaves_nothing() {
    let scratch = Scratch::new();
    let cache = open(&scratch.cache());
    for bytes in [b"no module".as_slice(), b"(module)"] {
        assert!(Supply::<Module>::default().module(&engine(), &Content::new(bytes), Some(&cache), || ()).is_err());
    }
    assert_eq!(code_files(&scratch.cache()).len(), 0);
}

#[test]
fn a_changed_file_is_not_used() {
    let (_scratch, cache, file) = filled();
    let content = fs::read(&file).unwrap();
    for at in [0, 8, 20, 50, 80, 90, 130, content.len() / 2, content.len() - 1] {
        let mut changed = content.clone();
        changed[at] ^= 0x10;
        fs::write(&file, changed).unwrap();
        not_used(&cache, &file, "it");
    }
}

#[test]
fn a_file_of_another_length_is_not_used() {
    let (_scratch, cache, file) = filled();
    let content = fs::read(&file).unwrap();
    for length in [0, 7, 100, content.len() - 1] {
        fs::write(&file, &content[..length]).unwrap();
        not_used(&cache, &file, "damaged");
    }
    fs::write(&file, [content.as_slice(), b"more"].concat()).unwrap();
    not_used(&cache, &file, "damaged");
}

#[test]
fn a_file_under_the_name_of_another_is_not_used() {
    let (scratch, cache, file) = filled();
    start(&cache, &engine(), &module(2));
    let other = code_files(&scratch.cache()).into_iter().find(|path| *path != file).unwrap();
    fs::copy(other, &file).unwrap();
    not_used(&cache, &file, "of another module");
}

#[test]
fn a_file_of_another_folder_is_not_used_although_all_it_says_is_right() {
    let (_scratch, cache, file) = filled();
    let (_scratch2, _, planted) = filled();
    assert_eq!(file.file_name(), planted.file_name());
    fs::copy(planted, &file).unwrap();
    not_used(&cache, &file, "keyed sum");
}

#[test]
fn a_file_that_others_can_reach_is_not_used() {
    let (_scratch, cache, file) = filled();
    for bits in [0o620, 0o602, 0o640, 0o604, 0o666] {
        mode(&file, bits);
        not_used(&cache, &file, &format!("its mode is {bits:04o}"));
    }
    if give_away(&file) {
        not_used(&cache, &file, "belongs to user 65534");
    }
}

#[test]
fn only_a_plain_file_with_one_name_is_used() {
    let (scratch, cache, file) = filled();
    let elsewhere = scratch.0.join("elsewhere");
    fs::rename(&file, &elsewhere).unwrap();
    symlink(&elsewhere, &file).unwrap();
    not_used(&cache, &file, "symbolic link");
    assert!(elsewhere.is_file(), "what the link led to is as it was");

    fs::remove_file(&elsewhere).unwrap();
    fs::hard_link(&file, &elsewhere).unwrap();
    not_used(&cache, &file, "2 names");

    fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    not_used(&cache, &file, "not a plain file");
}

#[test]
fn a_folder_in_place_of_a_file_is_told_and_compiles_each_time() {
    let (_scratch, cache, file) = filled();
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let (source, complaints) = start(&cache, &engine(), &module(1));
    assert!(matches!(source, Source::Compiler(_)));
    assert!(complaints[0].contains("not a plain file"), "{complaints:?}");
    assert!(complaints[1].contains("cannot write"), "{complaints:?}");
}

#[test]
fn the_folder_is_made_for_nobody_else() {
    let (scratch, _, file) = filled();
    let bits = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(bits(&scratch.cache()), 0o700);
    assert_eq!(bits(&file), 0o600);
    assert_eq!(bits(&scratch.cache().join("key")), 0o600);
    assert_eq!(fs::read_dir(scratch.cache()).unwrap().count(), 2, "no unfinished file is left");
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let (scratch, ..) = filled();
    let cache = scratch.cache();
    for bits in [0o770, 0o707, 0o722, 0o1777] {
        mode(&cache, bits);
        let message = refused(&cache, me());
        assert!(message.contains(&format!("has mode {:04o}", bits & 0o777)), "{message}");
        assert!(message.contains(cache.to_str().unwrap()), "{message}");
    }
    mode(&cache, 0o755);
    assert_eq!(refused(&cache, me()), "", "others may look");
}

#[test]
fn a_folder_inside_of_one_that_others_can_write_is_refused() {
    let (scratch, ..) = filled();
    mode(&scratch.0, 0o777);
    let message = refused(&scratch.cache(), me());
    assert!(message.contains(&format!("\"{}\" has mode 0777", scratch.0.display())), "{message}");
    mode(&scratch.0, 0o1777);
    assert_eq!(refused(&scratch.cache(), me()), "", "unless only the owners of files can move them");
}

#[test]
fn a_folder_of_another_user_is_refused() {
    let (scratch, ..) = filled();
    if give_away(&scratch.cache()) {
        let message = refused(&scratch.cache(), me());
        assert!(message.contains("belongs to user 65534"), "{message}");
        assert_eq!(refused(&scratch.cache(), ANOTHER_USER), "", "to its own user it is right");
        give_away(&scratch.0);
        std::os::unix::fs::chown(scratch.cache(), Some(0), None).unwrap();
        let message = refused(&scratch.cache(), me());
        assert!(message.contains(&format!("\"{}\" belongs to user 65534", scratch.0.display())), "{message}");
    }
}

#[test]
fn links_to_the_folder_are_followed_when_nobody_else_made_them() {
    let (scratch, ..) = filled();
    let link = scratch.0.join("link");
    symlink("./cache", &link).unwrap();
    let (source, _) = start(&open(&link), &engine(), &module(1));
    assert!(matches!(source, Source::Cache(_)));
    if give_away(&link) {
        assert!(refused(&link, me()).contains("link\" belongs to user 65534"));
    }
    let round = scratch.0.join("round");
    symlink("round", &round).unwrap();
    assert!(refused(&round, me()).contains("too many symbolic links"));
}

#[test]
fn what_is_no_folder_is_refused() {
    let scratch = Scratch::new();
    fs::write(scratch.cache(), "").unwrap();
    assert!(refused(&scratch.cache(), me()).ends_with("is not a folder"));
    assert!(refused(&scratch.0.join("a/b"), me()).contains("No such file or directory"));
}

#[test]
fn what_could_be_written_by_others_is_a_mistake_and_what_is_of_no_use_is_none() {
    let scratch = Scratch::new();
    let failed = |path: &Path, may_make| CodeCache::open(path, me(), may_make).err().unwrap();
    let missing = failed(&scratch.0.join("a/b"), true);
    assert!(missing.is_missing() && !missing.is_mistake(), "{missing}");
    fs::write(scratch.0.join("file"), "").unwrap();
    let file = failed(&scratch.0.join("file"), true);
    assert!(file.is_mistake() && !file.is_missing(), "{file}");
    // No room for a name like this.
    let long = failed(&scratch.0.join("x".repeat(5000)), true);
    assert!(!long.is_mistake() && !long.is_missing(), "{long}");
    fs::create_dir(scratch.cache()).unwrap();
    mode(&scratch.cache(), 0o722);
    assert!(failed(&scratch.cache(), true).is_mistake());
}

#[test]
fn a_folder_is_not_made_for_who_only_looks() {
    let scratch = Scratch::new();
    let missing = CodeCache::open(&scratch.cache(), me(), false).err().unwrap();
    assert!(missing.is_missing(), "{missing}");
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 0);
    drop(open(&scratch.cache()));
    assert!(CodeCache::open(&scratch.cache(), me(), false).is_ok());
}

#[test]
fn a_key_that_others_may_know_is_replaced_and_with_it_all_code() {
    for spoil in [
        (|key| mode(key, 0o640)) as fn(&Path),
        |key| fs::write(key, "short").unwrap(),
        |key| {
            let away = key.with_extension("away");
            fs::rename(key, &away).unwrap();
            symlink(away, key).unwrap();
        },
    ] {
        let (scratch, _, file) = filled();
        let key = scratch.cache().join("key");
        spoil(&key);
        let (cache, complaint) = CodeCache::open(&scratch.cache(), me(), true).unwrap();
        let complaint = complaint.unwrap();
        assert!(complaint.contains(key.to_str().unwrap()) && complaint.contains("is replaced"), "{complaint}");
        not_used(&cache, &file, "keyed sum");
        open(&scratch.cache());
    }
}

#[test]
fn what_was_not_used_for_long_goes_and_so_do_too_many() {
    let (scratch, cache, file) = filled();
    let age = |name: &str, days: u64| {
        let path = scratch.cache().join(name);
        let file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(days * 24 * 3600)).unwrap();
    };
    age("old.code", 31);
    age("young.code", 29);
    age(".new-0123", 1);
    age(".new-4567", 0);
    age("notes.txt", 99);
    assert_eq!(cache.prune().unwrap(), 2);
    let mut names: Vec<_> = fs::read_dir(scratch.cache()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 5, "{names:?}");
    for gone in ["old.code", ".new-0123"] {
        assert!(!names.iter().any(|name| name == gone), "{gone}");
    }

    (0..128).for_each(|n| age(&format!("{n}.code"), 2));
    assert_eq!(cache.prune().unwrap(), 2);
    assert!(file.exists(), "what was used last stays");
    assert!(!scratch.cache().join("young.code").exists());
    assert_eq!(code_files(&scratch.cache()).len(), 128);
}

#[test]
fn use_keeps_an_entry_young() {
    let (_scratch, cache, file) = filled();
    let old = std::time::SystemTime::now() - Duration::from_secs(90 * 24 * 3600);
    fs::OpenOptions::new().append(true).open(&file).unwrap().set_modified(old).unwrap();
    start(&cache, &engine(), &module(1));
    assert_eq!(cache.prune().unwrap(), 0);
    assert!(file.exists());
}

#[test]
fn sums_are_those_of_sha256sum() {
    assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn a_module_comes_with_the_sum_of_its_content() {
    let (engine, mut supply) = (engine(), Supply::<Module>::default());
    for _ in ["compiled", "kept in memory"] {
        let supplied = supply.module(&engine, &Content::new(module(1)), None, || ()).ok().unwrap();
        assert_eq!(supplied.sum, sha256_hex(&module(1)));
    }
}

#[test]
fn two_forms_of_a_module_took_the_time_of_both() {
    let time = Duration::from_millis;
    let both = |a: Source, b: Source| {
        assert_eq!(a.and(b), b.and(a));
        a.and(b)
    };
    assert_eq!(both(Source::Compiler(time(3)), Source::Compiler(time(4))), Source::Compiler(time(7)));
    assert_eq!(both(Source::Compiler(time(3)), Source::Cache(time(1))), Source::Compiler(time(4)));
    assert_eq!(both(Source::Cache(time(3)), Source::Memory), Source::Cache(time(3)));
    assert_eq!(both(Source::Memory, Source::Memory), Source::Memory);
}
