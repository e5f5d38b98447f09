//! Guest `files`: does with Rust's own library what statements say about files, and answers with what came of each. The
//! grammar is in t/guests/README.md.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::OnceLock;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

/// What the statements of the configuration gave.
static AT_START: OnceLock<String> = OnceLock::new();

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        let report = run(&String::from_utf8_lossy(&text));
        let _ = hostcalls::log(LogLevel::Info, &format!("at start: {report}"));
        AT_START.get_or_init(|| report);
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream))
    }

    fn get_type(&self) -> Option<proxy_wasm::types::ContextType> {
        Some(proxy_wasm::types::ContextType::HttpContext)
    }
}

struct Stream;

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let report = match self.get_http_request_header("x-files") {
            Some(statements) => run(&statements),
            None => AT_START.get().cloned().unwrap_or_default(),
        };
        self.send_http_response(200, vec![], Some(report.as_bytes()));
        Action::Pause
    }
}

/// A line for each statement: its verb, and the result or the error.
fn run(statements: &str) -> String {
    let statements = statements.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    statements
        .map(|statement| {
            let words: Vec<&str> = statement.splitn(3, ' ').collect();
            let result = act(&words).unwrap_or_else(|err| match err.raw_os_error() {
                Some(number) => format!("error {number} {err}"),
                None => format!("error {err}"),
            });
            format!("{}: {result}\n", words[0])
        })
        .collect()
}

fn act(words: &[&str]) -> io::Result<String> {
    match *words {
        ["read", path] => {
            let mut text = Vec::new();
            File::open(path)?.read_to_end(&mut text)?;
            Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
        }
        ["size", path] => Ok(fs::read(path)?.len().to_string()),
        ["from", start, path] => {
            let mut file = File::open(path)?;
            let at = file.seek(SeekFrom::Start(start.parse().unwrap_or_default()))?;
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            Ok(format!("{at} {} {}", file.stream_position()?, text.trim_end()))
        }
        ["list", path] => {
            let mut names = Vec::new();
            for entry in fs::read_dir(path)? {
                let entry = entry?;
                let end = if entry.file_type()?.is_dir() { "/" } else { "" };
                names.push(entry.file_name().to_string_lossy().into_owned() + end);
            }
            names.sort();
            Ok(names.join(" "))
        }
        ["count", path] => {
            let mut count = 0;
            for entry in fs::read_dir(path)? {
                entry?;
                count += 1;
            }
            Ok(count.to_string())
        }
        ["stat", path] => {
            let known = fs::metadata(path)?;
            let kind = if known.is_dir() { "directory" } else if known.is_file() { "file" } else { "other" };
            let is_dated = known.modified()? > std::time::UNIX_EPOCH;
            Ok(if known.is_file() { format!("{kind} {} {is_dated}", known.len()) } else { kind.to_owned() })
        }
        ["target", path] => Ok(fs::read_link(path)?.display().to_string()),
        ["write", path, text] => done(fs::write(path, text)),
        ["append", path, text] => {
            done(OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes()))
        }
        ["new", path] => done(File::create_new(path)),
        ["cut", path, size] => {
            done(OpenOptions::new().write(true).open(path)?.set_len(size.parse().unwrap_or_default()))
        }
        ["update", path] => done(OpenOptions::new().read(true).write(true).open(path)),
        ["sync", path] => done(OpenOptions::new().write(true).open(path)?.sync_all()),
        ["mkdir", path] => done(fs::create_dir(path)),
        ["rmdir", path] => done(fs::remove_dir(path)),
        ["remove", path] => done(fs::remove_file(path)),
        ["rename", from, to] => done(fs::rename(from, to)),
        ["link", from, to] => done(fs::hard_link(from, to)),
        // How many times a file can be open at once.
        ["hold", most, path] => {
            let mut open = Vec::new();
            for _ in 0..most.parse().unwrap_or(0) {
                match File::open(path) {
                    Ok(file) => open.push(file),
                    Err(err) => return Ok(format!("{} error {:?}", open.len(), err.raw_os_error())),
                }
            }
            Ok(open.len().to_string())
        }
        ["env", name] => Ok(std::env::var(name).map_err(io::Error::other)?),
        _ => Ok("unknown statement".to_owned()),
    }
}

fn done<T>(result: io::Result<T>) -> io::Result<String> {
    result.map(|_| "done".to_owned())
}
