//! Answers each request with what a function of an Extism plugin makes of its body, as a program around Extism's own crate does.
//! `bench/run programs` measures it beside `wasm_function`.
//!
//!   extism-server PORT MODE PLUGIN FUNCTION
//!
//! MODE says where the plugin comes from:
//!
//!   plain     there is none, and the body is always the same: what the server itself costs
//!   locked    one plugin for all requests, behind a lock
//!   pool      the crate's own pool, with a plugin for each processor, which requests share
//!   compiled  a new plugin for each request, of code that was compiled once (`CompiledPlugin`)
//!   new       a new plugin for each request, from the file (`Plugin::new`); the crate's cache keeps the compiled code
//!
//! All else is as the crate has it by default. Functions run on the threads that serve connections, one for each processor: they
//! take some microseconds, and to hand them to other threads would cost as much again.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, process};

use extism::{CompiledPlugin, Error, Manifest, Plugin, PluginBuilder, Pool, Wasm};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Where the plugin of a request comes from.
enum Source {
    Plain,
    Locked(Mutex<Plugin>),
    Pool(Pool),
    Compiled(CompiledPlugin),
    New(Manifest),
}

impl Source {
    fn new(mode: &str, file: &str) -> Result<Self, Error> {
        let manifest = Manifest::new([Wasm::file(file)]);
        Ok(match mode {
            "plain" => Self::Plain,
            "locked" => Self::Locked(Mutex::new(Plugin::new(manifest, [], true)?)),
            "pool" => {
                let compiled = compile(manifest)?;
                Self::Pool(Pool::new(move || Plugin::new_from_compiled(&compiled)))
            }
            "compiled" => Self::Compiled(compile(manifest)?),
            "new" => Self::New(manifest),
            _ => return Err(Error::msg(format!("no mode '{mode}'"))),
        })
    }

    fn call(&self, function: &str, input: &[u8]) -> Result<Vec<u8>, Error> {
        match self {
            Self::Plain => Ok(b"Hello!".to_vec()),
            Self::Locked(plugin) => plugin.lock().map_err(|_| Error::msg("a call has panicked"))?.call(function, input),
            Self::Pool(pool) => pool
                .get(Duration::from_secs(10))?
                .ok_or_else(|| Error::msg("all plugins are busy"))?
                .call(function, input),
            Self::Compiled(compiled) => Plugin::new_from_compiled(compiled)?.call(function, input),
            Self::New(manifest) => Plugin::new(manifest, [], true)?.call(function, input),
        }
    }
}

fn compile(manifest: Manifest) -> Result<CompiledPlugin, Error> {
    PluginBuilder::new(manifest).with_wasi(true).compile()
}

async fn answer(source: &Source, function: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let output = match request.into_body().collect().await {
        Ok(input) => source.call(function, &input.to_bytes()),
        Err(error) => Err(error.into()),
    };
    let failed = output.is_err();
    let body = output.unwrap_or_else(|error| format!("{error:#}\n").into_bytes());
    let mut response = Response::new(Full::new(body.into()));
    if failed {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

async fn serve(port: u16, source: Arc<Source>, function: Arc<str>) -> Result<(), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let (source, function) = (source.clone(), function.clone());
        tokio::spawn(async move {
            let service = service_fn(async |request| Ok::<_, Infallible>(answer(&source, &function, request).await));
            // A client that goes away is no news.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
        });
    }
}

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, mode, file, function] = arguments.as_slice() else {
        eprintln!("usage: extism-server PORT plain|locked|pool|compiled|new PLUGIN FUNCTION");
        process::exit(2);
    };
    let source = Source::new(mode, file)?;
    Runtime::new()?.block_on(serve(port.parse()?, Arc::new(source), function.as_str().into()))
}
