//! Files: what the program finds in the directories that it was given.

use std::fs::{self, File};
use std::io::{self, Write};

use crate::answers::{TEXT, put};
use crate::request::Request;

/// Does what the query says, in its order: `read`, `list`, `stat`, `create`, `remove`, each with a path. A line for each.
pub fn files(request: &Request) -> io::Result<()> {
    let mut text = TEXT.as_bytes().to_vec();
    for (verb, path) in request.options() {
        match deed(verb, path) {
            Ok(result) => writeln!(text, "{verb}: {result}")?,
            Err(err) => writeln!(text, "{verb}: {}", reason(&err))?,
        }
    }
    put(&text)
}

fn deed(verb: &str, path: &str) -> io::Result<String> {
    match verb {
        "read" => Ok(fs::read_to_string(path)?.trim_end().to_owned()),
        "list" => {
            let mut names = Vec::new();
            for entry in fs::read_dir(path)? {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort();
            Ok(names.join(" "))
        }
        "stat" => {
            let known = fs::metadata(path)?;
            Ok(if known.is_dir() { "a folder".to_owned() } else { format!("{} bytes", known.len()) })
        }
        "create" => {
            File::create(path)?.write_all(b"created\n")?;
            Ok("done".to_owned())
        }
        "remove" => fs::remove_file(path).map(|()| "done".to_owned()),
        _ => Ok("unknown".to_owned()),
    }
}

/// A word for what went wrong: whether it is not there, or may not be had.
fn reason(err: &io::Error) -> String {
    match (err.kind(), err.raw_os_error()) {
        // ENOTCAPABLE: out of the directory, or more than was granted. (ROFS is the same, of those who say so.)
        (_, Some(69 | 76)) => "refused".to_owned(),
        (io::ErrorKind::NotFound, _) => "not found".to_owned(),
        (io::ErrorKind::PermissionDenied, _) => "refused".to_owned(),
        // Rust's library when no directory leads to a path.
        (_, None) => "no directory".to_owned(),
        (_, Some(number)) => format!("error {number}"),
    }
}

/// Keeps the request's body as the file `path`.
pub fn write(request: &Request) -> io::Result<()> {
    let path = request.option("path").unwrap_or("/rw/new");
    let count = io::copy(&mut io::stdin().lock(), &mut File::create(path)?)?;
    put(format!("Status: 201 Created\n{TEXT}{count} bytes\n").as_bytes())
}
