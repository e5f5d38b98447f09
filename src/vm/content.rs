//! What the bytes of a module are, before an engine looks at them: a module in its binary form, one in text, or something else, which
//! is told by how it begins. Engines ask here when they compile, so that all say the same.

use std::borrow::Cow;

use super::CompileError;

/// What a module in its binary form begins with; the version, and that it is no component, follow.
const MAGIC: &[u8] = b"\0asm";
const MODULE: &[u8] = &[1, 0, 0, 0];
const COMPONENT_LAYER: &[u8] = &[1, 0];
const HEAD: usize = 8;

/// How much is shown of what a file begins with.
const SHOWN: usize = 40;

/// The module in its binary form. What is wrong inside of it, the engine has to find.
pub(super) fn binary(bytes: &[u8]) -> Result<Cow<'_, [u8]>, CompileError> {
    if bytes.starts_with(MAGIC) {
        check_binary(bytes)?;
        return Ok(bytes.into());
    }
    if let Some(kind) = kind(bytes) {
        return Err(CompileError::NotWasm(kind));
    }
    let Ok(text) = str::from_utf8(bytes) else {
        return Err(CompileError::NotWasm(format!("it begins with \"{}\"", beginning(bytes))));
    };
    let code = text.trim_ascii_start();
    if code.starts_with("(component") {
        return Err(CompileError::Component);
    }
    if !code.starts_with(['(', ';']) {
        let begins = beginning(code.as_bytes());
        return Err(CompileError::NotWasm(format!("it is text, and begins with \"{begins}\", where WAT has a \"(\"")));
    }
    let binary = wat::parse_str(text).map_err(|err| CompileError::NotWasm(mistake(text, &err.to_string())))?;
    Ok(binary.into())
}

fn check_binary(bytes: &[u8]) -> Result<(), CompileError> {
    let Some(head) = bytes.get(MAGIC.len()..HEAD) else {
        return Err(cut(bytes, HEAD as u64));
    };
    if &head[2..] == COMPONENT_LAYER {
        return Err(CompileError::Component);
    }
    match (head == MODULE).then(|| end(bytes)).flatten() {
        Some(end) if end > bytes.len() as u64 => Err(cut(bytes, end)),
        _ => Ok(()),
    }
}

fn cut(bytes: &[u8], end: u64) -> CompileError {
    let len = bytes.len();
    CompileError::Truncated(format!(
        "it has {len} bytes, and goes on to byte {end} at least; copy, download or build it again"
    ))
}

/// Where the last section ends that begins in these bytes. `None`: the numbers are none, which the engine says better.
fn end(bytes: &[u8]) -> Option<u64> {
    let mut at = HEAD;
    while at < bytes.len() {
        let Some((size, content)) = number(bytes, at + 1)? else { return Some(bytes.len() as u64 + 1) };
        let end = content as u64 + u64::from(size);
        match usize::try_from(end) {
            Ok(next) if next <= bytes.len() => at = next,
            _ => return Some(end),
        }
    }
    Some(at as u64)
}

/// A number at this place, as WebAssembly writes it, and the place behind it; nothing inside when the bytes end before it does.
fn number(bytes: &[u8], mut at: usize) -> Option<Option<(u32, usize)>> {
    let mut number = 0u64;
    for shift in [0, 7, 14, 21, 28] {
        let Some(byte) = bytes.get(at) else { return Some(None) };
        number |= u64::from(byte & 0x7f) << shift;
        at += 1;
        if byte & 0x80 == 0 {
            return u32::try_from(number).ok().map(|number| Some((number, at)));
        }
    }
    None
}

/// What a file is that is no module, if it begins as one of those that are often taken for one.
fn kind(bytes: &[u8]) -> Option<String> {
    const TAR: usize = 257;
    const AS_WASM: &str =
        "Rust with --target wasm32-wasip1, Go with GOOS=wasip1 GOARCH=wasm, C and C++ with --target=wasm32-wasi";
    let packed = |tool: &str, unpack: &str| format!("it is packed by {tool}: unpack it first, with {unpack}");
    let begins = |with: &[u8]| bytes.starts_with(with);
    let text = bytes.trim_ascii_start();
    let is_tag = |tag: &[u8]| text.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    Some(match bytes {
        [] => "the file is empty".into(),
        [0x1f, 0x8b, ..] => packed("gzip", "gunzip (or tar -xzf, if it is an archive)"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => packed("zstd", "unzstd"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => packed("xz", "unxz"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => packed("bzip2", "bunzip2"),
        [b'P', b'K', 3, 4, ..] => packed("zip", "unzip"),
        [0x7f, b'E', b'L', b'F', ..] | [0xcf, 0xfa, 0xed, 0xfe, ..] | [b'M', b'Z', ..] => {
            format!("it is a program or library of this or another machine: build it for WebAssembly, {AS_WASM}")
        }
        [b'B', b'C', 0xc0, 0xde, ..] => format!("it is LLVM's bitcode: have it compiled and linked for WebAssembly, {AS_WASM}"),
        _ if begins(b"!<arch>\n") => {
            "it is a static library: link it, in Rust with crate-type = [\"cdylib\"] instead of \"staticlib\" or \"rlib\"".into()
        }
        _ if begins(b"version https://git-lfs") => "it is a pointer of Git LFS: get the file that it stands for, with git lfs pull".into(),
        _ if bytes.get(TAR..).is_some_and(|rest| rest.starts_with(b"ustar")) => {
            "it is a tar archive, as images of containers are: take the module out of it (in an image it is in a layer, mostly as \
             plugin.wasm)"
                .into()
        }
        _ if is_tag(b"<!doctype html") || is_tag(b"<html") => format!(
            "it is a page of HTML, such as a download gets that has failed or wants a login; it begins with \"{}\"",
            beginning(text)
        ),
        _ if is_tag(b"<?xml") => format!("it is XML; it begins with \"{}\"", beginning(text)),
        [b'{' | b'[', ..] => format!(
            "it is JSON, such as a registry or an interface answers with in the place of a file; it begins with \"{}\"",
            beginning(text)
        ),
        _ => return None,
    })
}

/// The beginning of a file, up to the end of its first line.
fn beginning(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let end = line.len().min(SHOWN);
    let more = if end < line.len() { "..." } else { "" };
    format!("{}{more}", line[..end].escape_ascii())
}

/// A mistake in WAT, with its place: the parser's message shows it as a picture of several lines.
fn mistake(text: &str, message: &str) -> String {
    const PLACE: &str = "--> <anon>:";
    let found = message.split_once(PLACE).and_then(|(reason, rest)| {
        let mut numbers = rest.split(|letter: char| !letter.is_ascii_digit()).map(str::parse::<usize>);
        let (line, column) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
        let shown: String = text.lines().nth(line.checked_sub(1)?)?.trim().chars().take(80).collect();
        Some(format!("line {line}, column {column}: {} in \"{shown}\"", on_one_line(reason)))
    });
    found.unwrap_or_else(|| on_one_line(message))
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(bytes: &[u8]) -> String {
        binary(bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_module_is_taken_as_it_is_and_text_is_translated() {
        let module = b"\0asm\x01\0\0\0";
        assert_eq!(*binary(module).unwrap(), module[..]);
        for text in ["(module)", " \n(module)", ";; a comment\n(module)", "(; another ;) (module)"] {
            assert_eq!(*binary(text.as_bytes()).unwrap(), module[..], "{text}");
        }
    }

    #[test]
    fn what_is_often_taken_for_a_module_is_named() {
        let tar = [&[b'a'; 257][..], b"ustar\0"].concat();
        for (bytes, wanted) in [
            (&b""[..], "the file is empty"),
            (b"\x1f\x8b\x08\0", "gunzip"),
            (b"\x28\xb5\x2f\xfd", "unzstd"),
            (b"\xfd7zXZ\0", "unxz"),
            (b"BZh91AY", "bunzip2"),
            (b"PK\x03\x04", "unzip"),
            (b"\x7fELF\x02", "--target wasm32-wasip1"),
            (b"BC\xc0\xde", "bitcode"),
            (b"!<arch>\n/ ", "crate-type = [\"cdylib\"]"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
            (&tar, "it is a tar archive"),
            (b"\n<!DOCTYPE html>\n<title>404</title>", "it is a page of HTML"),
            (b"<HTML><body>", "begins with \"<HTML><body>\""),
            (b"<?xml version=\"1.0\"?>", "it is XML"),
            (b"{\"errors\": []}", "it is JSON"),
        ] {
            let text = refusal(bytes);
            assert!(text.starts_with("not a WebAssembly module (neither the binary format nor WAT text): "), "{text}");
            assert!(text.contains(wanted), "{text}");
        }
    }

    #[test]
    fn of_other_files_the_beginning_is_shown() {
        let text = refusal("Dear reader, this is not a module,\nand has more lines".as_bytes());
        assert!(
            text.ends_with("it is text, and begins with \"Dear reader, this is not a module,\", where WAT has a \"(\""),
            "{text}"
        );
        let text = refusal(&[b"\xff\xfe\x01".as_slice(), &[b'x'; 100]].concat());
        assert!(text.ends_with(&format!("it begins with \"\\xff\\xfe\\x01{}...\"", "x".repeat(37))), "{text}");
    }

    #[test]
    fn a_mistake_in_text_has_its_line() {
        let text = refusal(b"(module\n  (func (export \"f\") (i32.cnst 1)))");
        assert!(text.contains(": line 2, column 23: "), "{text}");
        assert!(text.ends_with(" in \"(func (export \"f\") (i32.cnst 1)))\""), "{text}");
        let text = refusal(b"(module\n  (func");
        assert!(text.contains(": line 2, column "), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }

    #[test]
    fn a_component_is_told_from_a_module() {
        for component in [&b"\0asm\x0d\0\x01\0"[..], b"(component)", b"\n(component (core module))"] {
            let text = refusal(component);
            assert!(text.starts_with("a component, and not a module: "), "{text}");
            assert!(text.contains("wasm32-wasip1") && text.contains("wasm32-wasip2"), "{text}");
        }
    }

    #[test]
    fn a_file_that_ends_too_early_is_told_from_one_that_is_wrong() {
        let whole = wat::parse_str("(module (memory 1) (func (export \"f\") (result i32) (i32.const 7)))").unwrap();
        assert!(binary(&whole).is_ok());
        let mut places = vec![HEAD];
        while places[places.len() - 1] < whole.len() {
            let place = places[places.len() - 1];
            places.push(place + 2 + usize::from(whole[place + 1]));
        }
        for len in MAGIC.len()..whole.len() {
            let result = binary(&whole[..len]);
            if places.contains(&len) {
                // Nothing is missing from what is there: the engine may see that something else is.
                assert!(result.is_ok(), "{len}");
            } else {
                let text = result.unwrap_err().to_string();
                assert!(text.starts_with(&format!("truncated WebAssembly module: it has {len} bytes, ")), "{text}");
            }
        }
        for wrong in [&b"\0asm\x09\0\0\0"[..], b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\xff\x01"] {
            assert!(binary(wrong).is_ok(), "{wrong:?} is for the engine");
        }
        // A size that no file could have.
        assert!(refusal(b"\0asm\x01\0\0\0\x00\xff\xff\xff\xff\x0f").starts_with("truncated "));
    }
}
