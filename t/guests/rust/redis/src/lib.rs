//! Guest `redis`: sends the commands of the request header `x-redis` to Redis servers, by the functions that Higress'
//! plugins use, and answers with the replies. The grammar is in t/guests/README.md. The SDK does not know these functions.

use std::cell::RefCell;
use std::collections::HashMap;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

mod host {
    #[link(wasm_import_module = "env")]
    unsafe extern "C" {
        pub fn proxy_redis_init(
            target: *const u8,
            target_size: usize,
            user: *const u8,
            user_size: usize,
            password: *const u8,
            password_size: usize,
            timeout: u32,
        ) -> u32;
        pub fn proxy_redis_call(
            target: *const u8,
            target_size: usize,
            query: *const u8,
            query_size: usize,
            token: *mut u32,
        ) -> u32;
        pub fn proxy_get_buffer_bytes(
            buffer: u32,
            start: usize,
            size: usize,
            bytes: *mut *mut u8,
            bytes_size: *mut usize,
        ) -> u32;
    }
}

const REDIS_REPLY: u32 = 9;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

thread_local! {
    static REQUESTS: RefCell<HashMap<u32, Request>> = RefCell::default();
    /// The context and the line that wait for a reply.
    static WAITING: RefCell<HashMap<u32, (u32, usize)>> = RefCell::default();
}

/// What is left to be done for a request, and what came.
struct Request {
    commands: Vec<String>,
    lines: Vec<String>,
    open: usize,
}

impl Request {
    /// Runs commands up to the next `then`, or answers.
    fn run(&mut self, context: u32) {
        while self.open == 0 && !self.commands.is_empty() {
            while !self.commands.is_empty() {
                let command = self.commands.remove(0);
                if command == "then" {
                    break;
                }
                self.run_one(context, &command);
            }
        }
        if self.open == 0 {
            let text = self.lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            hostcalls::send_http_response(200, vec![], Some(text.as_bytes())).unwrap();
        }
    }

    fn run_one(&mut self, context: u32, command: &str) {
        let words: Vec<_> = command.split_whitespace().map(decoded).collect();
        let target = &words[1];
        let line = self.lines.len();
        self.lines.push(String::new());
        let query = match words[0].as_slice() {
            b"init" => {
                let name = |word: &Vec<u8>| if word == b"-" { Vec::new() } else { word.clone() };
                let (user, password) = (name(&words[2]), name(&words[3]));
                let timeout = String::from_utf8_lossy(&words[4]).parse().unwrap();
                // SAFETY: the pointers are those of the vectors.
                let status = unsafe {
                    host::proxy_redis_init(
                        target.as_ptr(),
                        target.len(),
                        user.as_ptr(),
                        user.len(),
                        password.as_ptr(),
                        password.len(),
                        timeout,
                    )
                };
                self.lines[line] = format!("init {status}");
                return;
            }
            b"raw" => words[2].clone(),
            _ => {
                let mut query = format!("*{}\r\n", words.len() - 2).into_bytes();
                for word in &words[2..] {
                    query.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                    query.extend_from_slice(word);
                    query.extend_from_slice(b"\r\n");
                }
                query
            }
        };
        let mut token = 0;
        // SAFETY: as above.
        let status = unsafe {
            host::proxy_redis_call(target.as_ptr(), target.len(), query.as_ptr(), query.len(), &mut token)
        };
        if status == 0 {
            let before = WAITING.with_borrow_mut(|waiting| waiting.insert(token, (context, line)));
            assert!(before.is_none(), "the number {token} was given twice");
            self.open += 1;
        } else {
            self.lines[line] = format!("refused {status}");
        }
    }
}

/// With `%XX` as that byte.
fn decoded(word: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = word.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    out
}

#[unsafe(no_mangle)]
extern "C" fn proxy_on_redis_call_response(_root: u32, token: u32, status: u32, size: usize) {
    let waiting = WAITING.with_borrow_mut(|waiting| waiting.remove(&token));
    let (context, line) = waiting.unwrap_or_else(|| panic!("{token} has ended twice, or never begun"));
    let mut bytes = std::ptr::null_mut();
    let mut bytes_size = 0;
    // SAFETY: the host allocates what it returns with the allocator of the SDK, which is that of vectors.
    let reply = unsafe {
        let found = host::proxy_get_buffer_bytes(REDIS_REPLY, 0, size, &mut bytes, &mut bytes_size);
        if found != 0 || bytes.is_null() { Vec::new() } else { Vec::from_raw_parts(bytes, bytes_size, bytes_size) }
    };
    assert_eq!(reply.len(), size, "the reply is not as large as the callback says");
    REQUESTS.with_borrow_mut(|requests| {
        // Of one that has gone nobody wants to know.
        let Some(request) = requests.get_mut(&context) else { return };
        hostcalls::set_effective_context(context).unwrap();
        request.lines[line] = format!("{status} {}", reply.escape_ascii());
        request.open -= 1;
        if request.open == 0 {
            request.run(context);
        }
    });
}

struct Root;

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream(context)))
    }
}

struct Stream(u32);

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let text = self.get_http_request_header("x-redis").unwrap_or_default();
        let commands = text.split(';').map(str::trim).filter(|command| !command.is_empty()).map(str::to_owned).collect();
        let mut request = Request { commands, lines: Vec::new(), open: 0 };
        request.run(self.0);
        REQUESTS.with_borrow_mut(|requests| requests.insert(self.0, request));
        Action::Pause
    }

    fn on_log(&mut self) {
        REQUESTS.with_borrow_mut(|requests| requests.remove(&self.0));
    }
}
