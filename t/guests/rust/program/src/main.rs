//! Guest `program`: a program with `main`, as a CGI host runs it. What it does stands in the first part of PATH_INFO, or else
//! in its first argument; details in QUERY_STRING. All of it is in t/guests/README.md.

mod answers;
mod bodies;
mod failures;
mod files;
mod request;
mod state;

use std::io;
use std::process::ExitCode;

use request::Request;

fn main() -> ExitCode {
    let request = Request::from_environment();
    match act(&request) {
        Ok(code) => code,
        Err(err) => {
            eprintln!("{}: {err}", request.action);
            ExitCode::from(9)
        }
    }
}

fn act(request: &Request) -> io::Result<ExitCode> {
    match request.action.as_str() {
        "exit" => return failures::exit(request),
        "exit-late" => return failures::exit_late(request),
        "hello" => answers::hello(),
        "say" => answers::say(request),
        "say-slowly" => answers::say_slowly(request),
        "env" => answers::environment(request),
        "args" => answers::arguments(),
        "status" => answers::status(request),
        "cookies" => answers::cookies(),
        "redirect-local" => answers::redirect(request, "/"),
        "redirect-absolute" => answers::redirect(request, "http://example.com/"),
        "headers-only" => answers::headers_only(),
        "no-headers" => answers::no_headers(),
        "broken-header" => answers::broken_header(),
        "big-header" => answers::big_header(request),
        "crlf" => answers::crlf(),
        "rubbish" => answers::rubbish(),
        "close" => Ok(()),
        "echo" => bodies::echo(),
        "count" => bodies::count(),
        "upper" => bodies::upper(),
        "large" => bodies::large(request),
        "drip" => bodies::drip(request),
        "short" => bodies::wrong_length(100, 10),
        "long" => bodies::wrong_length(10, 100),
        "never-read" => bodies::never_read(),
        "late-read" => bodies::late_read(request),
        "trap" => failures::trap(),
        "trap-late" => failures::trap_late(),
        "panic" => failures::panic(),
        "loop" => failures::run_on(),
        "loop-late" => failures::run_on_late(),
        "recurse" => failures::recurse(),
        "grow" => failures::grow(),
        "stderr" => failures::standard_error(),
        "sleep" => failures::sleep(request),
        "files" => files::files(request),
        "write" => files::write(request),
        "time" => state::time(),
        "random" => state::random(),
        "counter" => state::counter(),
        other => answers::unknown(other),
    }?;
    Ok(ExitCode::SUCCESS)
}
