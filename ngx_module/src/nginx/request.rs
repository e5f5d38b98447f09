//! A request of nginx, as a handle. nginx re-enters this module and shares the structure with it, so nobody here has a reference
//! to it: each getter and setter looks at one field, and that is all.
//!
//! Handles come from [`callback!`](super::callback), which nginx calls with a live request. What nginx frees with a request ends
//! the callback, and so does what calls that: see `after.rs`.

use std::cell::Cell;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use nginx_sys::{
    NGX_HTTP_GET, NGX_HTTP_HEAD, ngx_http_event_handler_pt, ngx_http_handler_pt, ngx_http_post_subrequest_t,
    ngx_http_request_t, ngx_int_t, ngx_msec_t, ngx_str_t, ngx_uint_t, off_t,
};

use super::bits::{bits, fields, texts};
use super::connection::Connection;
use super::log::Log;
use super::module::ngx_http_wasm_module;
use super::pool::{Kept, Pool};
use super::rc;
use super::request_body::RequestBody;
use super::upstream::Upstream;

/// A live request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpRequest<'r>(NonNull<ngx_http_request_t>, PhantomData<&'r Cell<()>>);

/// A request, kept by something that lies in its pool or in that of its main request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptRequest(NonNull<ngx_http_request_t>);

/// What this module keeps of a request, in its place among the contexts of all modules.
///
/// # Safety
/// One type has it.
pub unsafe trait Context {}

/// What this module makes for each location (`create_loc_conf`).
///
/// # Safety
/// One type has it.
pub unsafe trait LocationConf {}

/// Whom nginx tells that a subrequest has its response.
pub struct PostSubrequest(NonNull<ngx_http_post_subrequest_t>);

impl KeptRequest {
    /// The request.
    pub fn get(&self) -> HttpRequest<'_> {
        HttpRequest(self.0, PhantomData)
    }
}

/// # Safety
/// The string is there for as long as the caller says.
pub(super) unsafe fn bytes<'a>(text: ngx_str_t) -> &'a [u8] {
    if text.data.is_null() {
        return &[];
    }
    // SAFETY: a string of nginx has so many bytes, for as long as the caller says.
    unsafe { std::slice::from_raw_parts(text.data, text.len) }
}

impl<'r> HttpRequest<'r> {
    /// # Safety
    /// `r` is a live request, and stays so for `'r`.
    pub unsafe fn from_ptr(r: *mut ngx_http_request_t) -> HttpRequest<'r> {
        // SAFETY: a live request is not null.
        HttpRequest(unsafe { NonNull::new_unchecked(r) }, PhantomData)
    }

    /// For functions of nginx.
    pub fn as_ptr(self) -> *mut ngx_http_request_t {
        self.0.as_ptr()
    }

    /// To be kept in the pool of the request, or in that of its main request.
    pub fn keep(self) -> KeptRequest {
        KeptRequest(self.0)
    }

    /// The request of the client, which this one is, or is a part of.
    pub fn main(self) -> HttpRequest<'r> {
        // SAFETY: the main request outlives its subrequests.
        unsafe { HttpRequest::from_ptr((*self.as_ptr()).main) }
    }

    /// Whether the client sent it.
    pub fn is_main(self) -> bool {
        self == self.main()
    }

    /// The pool of the request; subrequests share that of the main request.
    pub fn pool(self) -> Pool<'r> {
        // SAFETY: a live request has a pool.
        unsafe { Pool::from_ptr((*self.as_ptr()).pool) }
    }

    /// The connection of the client.
    pub fn connection(self) -> Connection<'r> {
        // SAFETY: a live request has a connection.
        unsafe { Connection::from_ptr((*self.as_ptr()).connection) }
    }

    /// Whether the Lua module has made it up, for a timer or the like: such a request has no list of headers, as those of clients
    /// with HTTP/0.9, and its connection has no socket (ngx_http_lua_create_fake_connection of its ngx_http_lua_util.c).
    pub fn is_made_up(self) -> bool {
        // SAFETY: the request is live, and its connection with it.
        unsafe { (*self.as_ptr()).headers_in.headers.last.is_null() && (*self.connection().as_ptr()).fd < 0 }
    }

    /// The log of the connection.
    pub fn log(self) -> Log<'r> {
        self.connection().log()
    }

    /// What this module keeps of the request.
    pub fn context<T: Context>(self) -> Option<&'r T> {
        // SAFETY: nginx keeps an array for all HTTP modules, and only `set_context` writes to this place.
        let kept = unsafe { Kept::from_ptr((*self.context_place()).cast::<T>()) };
        kept.map(|kept| kept.in_pool(self.pool()))
    }

    /// Puts what this module keeps of the request in its place.
    pub fn set_context<T: Context>(self, kept: Kept<T>) {
        // SAFETY: the place is this module's, and what is kept there lies in the pool of the request.
        unsafe { *self.context_place() = kept.as_ptr().cast() }
    }

    fn context_place(self) -> *mut *mut c_void {
        // SAFETY: nginx keeps an array for all HTTP modules, and gave this one its index before there were requests.
        unsafe { self.contexts().add(ngx_http_wasm_module.ctx_index) }
    }

    /// What this module knows of the location that the request is in.
    pub fn loc_conf<T: LocationConf>(self) -> &'r T {
        // SAFETY: nginx has had this module make one for each location, and keeps it as long as the cycle, which outlives its
        // requests.
        unsafe { &*(*self.location_confs().add(ngx_http_wasm_module.ctx_index)).cast::<T>() }
    }

    bits! {
        /// nginx has redirected it, or made it.
        get is_internal: internal;
        /// A filter has put a page of its own in the place of the response.
        get is_filter_finalized: filter_finalize;
        get is_header_only: header_only;
        set set_header_only: set_header_only;
        get is_header_sent: header_sent;
        /// Nothing of its response goes to the client.
        get is_background: background;
        get is_done: done;
        get has_error_page: error_page;
        set set_error_page: set_error_page;
        get is_expect_tested: expect_tested;
        set set_expect_tested: set_expect_tested;
        get discards_body: discard_body;
        get is_post_action: post_action;
        get is_cached: cached;
        get is_chunked: chunked;
        get is_aio: aio;
        set set_keepalive: set_keepalive;
        set set_lingering_close: set_lingering_close;
        set set_allow_ranges: set_allow_ranges;
        set set_filter_need_in_memory: set_filter_need_in_memory;
        get expects_trailers: expect_trailers;
        set set_expect_trailers: set_expect_trailers;
        set set_preserve_body: set_preserve_body;
        set set_disable_not_modified: set_disable_not_modified;
        get is_body_unbuffered: request_body_no_buffering;
        set set_body_unbuffered: set_request_body_no_buffering;
        /// Not all of its body has been read.
        get reads_body: reading_body;
        get is_body_in_file_only: request_body_in_file_only;
        set set_request_body_in_file_only: set_request_body_in_file_only;
        get is_body_in_persistent_file: request_body_in_persistent_file;
        set set_request_body_in_persistent_file: set_request_body_in_persistent_file;
        get is_body_in_clean_file: request_body_in_clean_file;
        set set_request_body_in_clean_file: set_request_body_in_clean_file;
        get is_body_file_group_access: request_body_file_group_access;
        set set_request_body_file_group_access: set_request_body_file_group_access;
        get is_valid_location: valid_location;
        set set_valid_location: set_valid_location;
        get is_valid_unparsed_uri: valid_unparsed_uri;
        set set_valid_unparsed_uri: set_valid_unparsed_uri;
        set set_uri_changed: set_uri_changed;
        get is_complex_uri: complex_uri;
        set set_complex_uri: set_complex_uri;
        get is_quoted_uri: quoted_uri;
        set set_quoted_uri: set_quoted_uri;
        get has_plus_in_uri: plus_in_uri;
        set set_plus_in_uri: set_plus_in_uri;
        get is_path_empty_in_uri: empty_path_in_uri;
        set set_empty_path_in_uri: set_empty_path_in_uri;
    }

    fields! {
        /// Bits of nginx's methods.
        pub get method: ngx_uint_t = method;
        pub set set_method: ngx_uint_t = method;
        /// The number of the phase handler that runs.
        pub get phase_handler: ngx_int_t = phase_handler;
        pub set set_phase_handler: ngx_int_t = phase_handler;
        pub get status: ngx_uint_t = headers_out.status;
        pub set set_status: ngx_uint_t = headers_out.status;
        /// -1: nobody knows.
        pub get content_length: off_t = headers_out.content_length_n;
        pub set set_content_length: off_t = headers_out.content_length_n;
        /// Of the body of the request; -1: the client has not said.
        pub get body_length: off_t = headers_in.content_length_n;
        pub set set_body_length: off_t = headers_in.content_length_n;
        /// -1: there is none, or it is in a line.
        pub get last_modified_time: nginx_sys::time_t = headers_out.last_modified_time;
        pub set set_last_modified_time: nginx_sys::time_t = headers_out.last_modified_time;
        /// What nginx calls when the client sends, or closes.
        pub get read_event_handler: ngx_http_event_handler_pt = read_event_handler;
        pub set set_read_event_handler: ngx_http_event_handler_pt = read_event_handler;
        /// What nginx calls when the client takes more, and when the request is to go on.
        pub get write_event_handler: ngx_http_event_handler_pt = write_event_handler;
        pub set set_write_event_handler: ngx_http_event_handler_pt = write_event_handler;
        /// Bytes of the headers that nginx has sent.
        pub get header_size: usize = header_size;
        /// Nginx's number of a version: 9, 1000, 1001, 2000.
        pub get http_version: ngx_uint_t = http_version;
        get start_sec: nginx_sys::time_t = start_sec;
        get start_msec: ngx_msec_t = start_msec;
        get content_handler: ngx_http_handler_pt = content_handler;
        pub(super) get main_conf: *mut *mut c_void = main_conf;
        pub(super) get srv_conf: *mut *mut c_void = srv_conf;
        /// The configurations of all HTTP modules for the location, as long there as the cycle.
        pub(super) get location_confs: *mut *mut c_void = loc_conf;
        pub(super) set set_location_confs: *mut *mut c_void = loc_conf;
        pub(super) get contexts: *mut *mut c_void = ctx;
    }

    texts! { 'r:
        /// The path, decoded and without arguments.
        uri: uri;
        args: args;
        /// As the client sent it.
        unparsed_uri: unparsed_uri;
        method_name: method_name;
        /// The host, without its port.
        server: headers_in.server;
    }

    /// When it began: seconds and milliseconds since 1970.
    pub fn start_time(self) -> (i64, i64) {
        (self.start_sec(), self.start_msec() as i64)
    }

    /// The client asked with GET, or a filter or nginx made that of it.
    pub fn is_get(self) -> bool {
        self.method() == NGX_HTTP_GET as ngx_uint_t
    }

    /// The client asked with HEAD, or a filter made that of it.
    pub fn is_head(self) -> bool {
        self.method() == NGX_HTTP_HEAD as ngx_uint_t
    }

    /// Bits by which modules say that the request has more to send.
    pub fn buffered(self) -> u32 {
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).buffered() }
    }

    pub fn set_buffered(self, bits: u32) {
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).set_buffered(bits) }
    }

    /// Whether its handler has ended, and nginx's writer has the rest to do.
    pub fn is_writing(self) -> bool {
        // SAFETY: the request is live.
        let state = unsafe { (*self.as_ptr()).http_state() };
        state == nginx_sys::ngx_http_state_e_NGX_HTTP_WRITING_REQUEST_STATE
    }

    /// Its handler is to go on: nginx's writer has nothing to do with it yet.
    pub fn go_back_to_handler(self) {
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).set_http_state(nginx_sys::ngx_http_state_e_NGX_HTTP_PROCESS_REQUEST_STATE) }
    }

    /// Whether threads work for it, so that it must not be freed.
    pub fn is_blocked(self) -> bool {
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).blocked() != 0 }
    }

    /// How many redirects and rewrites there may be still.
    pub fn uri_changes(self) -> u32 {
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).uri_changes() }
    }

    pub fn set_uri_changes(self, changes: u32) {
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).set_uri_changes(changes) }
    }

    /// Gives back a use of the request that nginx has counted, and that nobody waits for any more. Who calls this has another one.
    pub fn drop_count(self) {
        let main = self.main();
        if main.count() > 1 {
            main.set_count(main.count() - 1);
        }
    }

    /// Ends this use of the request, as nginx does where something else goes on with it. Who calls this has another one.
    pub fn release(self) {
        if self.main().count() > 1 {
            // SAFETY: with another use, this frees nothing (src/http/ngx_http_request.c, ngx_http_finalize_connection).
            unsafe { nginx_sys::ngx_http_finalize_request(self.as_ptr(), rc::DONE) };
        }
    }

    /// Adds a use of the request, so that it is not freed when another one ends.
    pub fn add_count(self) {
        let main = self.main();
        main.set_count(main.count() + 1);
    }

    /// How many uses a main request has.
    fn count(self) -> u32 {
        // SAFETY: the request is live.
        unsafe { (*self.as_ptr()).count() }
    }

    fn set_count(self, count: u32) {
        // SAFETY: the request is live; the callers leave it at least one use.
        unsafe { (*self.as_ptr()).set_count(count) }
    }

    /// Has nothing happen when the client sends: the body has been read, or nobody reads it. Subrequests begin with the second of
    /// these (src/http/ngx_http_core_module.c, ngx_http_subrequest).
    pub fn block_reading(self) {
        let idle = nginx_sys::ngx_http_request_empty_handler;
        self.set_read_event_handler(Some(if self.is_main() { nginx_sys::ngx_http_block_reading } else { idle }));
    }

    /// Has nginx end the request when the client closes (src/http/ngx_http_request.c, ngx_http_test_reading).
    pub fn watch_client(self) {
        self.set_read_event_handler(Some(nginx_sys::ngx_http_test_reading));
    }

    /// Whether what it sends goes to the client now, and does not wait for other requests of the same page.
    pub fn is_active(self) -> bool {
        // SAFETY: the connection of a request has the active request as its data (src/http/ngx_http_request.c).
        unsafe { (*self.connection().as_ptr()).data == self.as_ptr().cast() }
    }

    /// Whether nginx calls this when the client takes more.
    pub fn is_written_by(self, handler: unsafe extern "C" fn(*mut ngx_http_request_t)) -> bool {
        self.write_event_handler().is_some_and(|other| ptr::fn_addr_eq(other, handler))
    }

    /// Has the request go on with its phases when it is called again.
    pub fn run_phases_when_called(self) {
        self.set_write_event_handler(Some(nginx_sys::ngx_http_core_run_phases));
    }

    /// Over HTTP/2 nginx takes what comes of a body whether or not the request reads it, and ends the request when it is more than
    /// the headers say: that would be a second end, in the middle of what the request does now (`post_action`, an error page).
    /// So it skips what comes, as it does when it refuses a body itself (src/http/v2/ngx_http_v2.c, ngx_http_v2_state_read_data).
    pub fn skip_frames(self) {
        #[cfg(ngx_feature = "http_v2")]
        // SAFETY: a stream lives as long as its request; null means that it has none.
        if let Some(stream) = unsafe { (*self.as_ptr()).stream.as_mut() } {
            stream.set_skip_data(1);
        }
    }

    /// nginx's modules look at no range that the client has asked for. The lines stay among the headers.
    pub fn forget_range(self) {
        // SAFETY: the request is live, and nobody has a reference to its headers.
        let headers = unsafe { &mut (*self.as_ptr()).headers_in };
        // Null means that there is no such line.
        (headers.range, headers.if_range) = (ptr::null_mut(), ptr::null_mut());
    }

    /// Whether nginx has something left to send for it.
    pub fn has_unsent(self) -> bool {
        // SAFETY: the request is live.
        unsafe { !(*self.as_ptr()).out.is_null() }
    }

    /// The body of the request, when somebody has begun to read it.
    pub fn request_body(self) -> Option<RequestBody<'r>> {
        // SAFETY: the request is live; its body lies in its pool.
        unsafe { RequestBody::from_ptr((*self.as_ptr()).request_body) }
    }

    /// The upstream that answers it.
    pub fn upstream(self) -> Option<Upstream<'r>> {
        // SAFETY: the request is live; its upstream lies in its pool.
        unsafe { Upstream::from_ptr((*self.as_ptr()).upstream) }
    }

    /// The connection that the request's stream of HTTP/2 has, together with others. `None`: it has no stream.
    #[cfg(ngx_feature = "http_v2")]
    pub fn shared_connection(self) -> Option<Connection<'r>> {
        // SAFETY: a stream lives as long as its request; null means that it has none.
        let stream = unsafe { (*self.as_ptr()).stream.as_ref() }?;
        // SAFETY: the connection lives longer than its streams.
        Some(unsafe { Connection::from_ptr((*stream.connection).connection) })
    }

    #[cfg(not(ngx_feature = "http_v2"))]
    pub fn shared_connection(self) -> Option<Connection<'r>> {
        None
    }

    /// Whether the client has ended its stream of HTTP/2; `None`: it has none.
    pub fn is_stream_closed(self) -> Option<bool> {
        #[cfg(ngx_feature = "http_v2")]
        // SAFETY: the request is live, and so is its stream.
        return unsafe { (*self.as_ptr()).stream.as_ref().map(|stream| stream.in_closed() != 0) };
        #[cfg(not(ngx_feature = "http_v2"))]
        None
    }

    /// Whether the handler of the location is known, and is a function of its own.
    pub fn has_content_handler(self) -> bool {
        self.content_handler().is_some()
    }

    /// Takes away whom nginx tells that the subrequest has its response.
    pub fn take_post_subrequest(self) -> Option<PostSubrequest> {
        // SAFETY: the request is live; null means that nobody is told (src/http/ngx_http_request.c, ngx_http_finalize_request).
        let post = unsafe { ptr::replace(&raw mut (*self.as_ptr()).post_subrequest, ptr::null_mut()) };
        NonNull::new(post).map(PostSubrequest)
    }

    /// Puts it back.
    pub fn set_post_subrequest(self, post: PostSubrequest) {
        // SAFETY: the request is live, and this was that of a request of the same pool.
        unsafe { (*self.as_ptr()).post_subrequest = post.0.as_ptr() }
    }

    /// Takes back all that has been said of its response in headers.
    pub fn clean_header(self) {
        // SAFETY: the request is live; what the headers have led to stays in its pool.
        unsafe { nginx_sys::ngx_http_clean_header(self.as_ptr()) }
    }
}
