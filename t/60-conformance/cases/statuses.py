"""Statuses: bad pointers, unknown numbers, calls at the wrong time."""

from cases import scripted

CASES = [
    *scripted(
        "statuses: unknown maps",
        """get 8 x; get 100 x; get -1 x; pairs 8; size 8; size 100; add 8 x 1; replace 9 x 1; remove 8 x;
        set-pairs 8 x=1""",
        protocols=("h1",),
    ),
    *scripted(
        "statuses: unknown buffers",
        """buffer 9 0 1; buffer 100 0 1; buffer -1 0 1; buffer-status 100; buffer-status -1;
        set-buffer 100 0 0 x; set-buffer -1 0 0 x""",
        protocols=("h1",),
    ),
    *scripted(
        "statuses: buffers that are not there",
        """buffer 0 0 10; buffer 1 0 10; buffer 2 0 10; buffer 3 0 10; buffer 4 0 10;
        buffer 5 0 10; buffer 8 0 10; buffer-status 0; buffer-status 1; buffer-status 2; buffer-status 4; buffer-status 8""",
        protocols=("h1",),
    ),
    *scripted(
        "statuses: writing to buffers that are not there",
        """set-buffer 0 0 0 x; set-buffer 1 0 0 x; set-buffer 2 0 0 x;
        set-buffer 4 0 0 x; set-buffer 5 0 0 x; set-buffer 6 0 0 x; set-buffer 7 0 0 x; set-buffer 8 0 0 x""",
        protocols=("h1",),
    ),
    *scripted(
        "statuses: the plugin's configuration in a request",
        "buffer 7 0 6; buffer 7 5 1; buffer 7 1000 1; buffer 7 0 0; "
        "buffer 6 0 10; buffer-status 7; buffer-status 6; buffer 7 4294967295 4294967295",
        protocols=("h1",),
    ),
    *scripted(
        "statuses: pointers outside of the memory, reading maps",
        """raw get_header_map_value 0 mem 1 out out2;
        raw get_header_map_value 0 str:x-a mem out; raw get_header_map_value 0 str:x-a out mem;
        raw get_header_map_value 0 mem-1 2 out out2; raw get_header_map_value 0 str::path mem-2 out;
        raw get_header_map_pairs 0 mem out; raw get_header_map_pairs 0 out mem; raw get_header_map_size 0 mem;
        raw get_header_map_size 0 mem-3; raw get_header_map_value 0 str:x-missing mem out""",
        protocols=("h1",),
    ),
    *scripted(
        "statuses: pointers outside of the memory, writing maps",
        """raw add_header_map_value 0 mem 1 str:v;
        raw add_header_map_value 0 str:x mem 1; raw replace_header_map_value 0 mem 1 str:v; raw replace_header_map_value 0 str:x -1 -1;
        raw remove_header_map_value 0 mem 1; raw set_header_map_pairs 0 mem 1; raw add_header_map_value 0 str:x buf -1""",
        protocols=("h1",),
    ),
    *scripted(
        "statuses: pointers outside of the memory, buffers",
        """raw get_buffer_bytes 7 0 1 mem out; raw get_buffer_bytes 7 0 1 out mem;
        raw get_buffer_status 7 mem out; raw get_buffer_status 7 out mem; raw set_buffer_bytes 0 0 0 mem 1;
        @request-body-first raw set_buffer_bytes 0 0 0 mem 1; @request-body-first raw get_buffer_bytes 0 0 9 mem out""",
        protocols=("h1",),
        method="POST",
        pieces=[b"body"],
    ),
    *scripted(
        "statuses: pointers outside of the memory, properties",
        """raw get_property mem 1 out out2; raw get_property str:plugin_name mem out;
        raw get_property str:plugin_name out mem; raw set_property mem 1 str:v; raw set_property str:p mem 1;
        raw get_property str:no_such_property mem out""",
        protocols=("h1",),
    ),
    *scripted(
        "statuses: pointers outside of the memory, others",
        """raw log 2 mem 1; raw get_log_level mem;
        raw get_current_time_nanoseconds mem; raw get_current_time_nanoseconds mem-7; raw get_status mem out out2;
        raw get_status out mem out2""",
        protocols=("h1",),
    ),
    *scripted(
        "statuses: pointers outside of the memory, local response",
        """raw send_local_response 200 mem 1 0 0 0 0 -1;
        raw send_local_response 200 0 0 mem 1 0 0 -1; raw send_local_response 200 0 0 0 0 mem 1 -1; get request :path""",
        protocols=("h1",),
        expect={"status": 200},
    ),
    *scripted(
        "statuses: malformed pairs of a local response",
        """raw send_local_response 200 0 0 0 0 hex:ffffffff -1""",
        protocols=("h1",),
    ),
    *scripted(
        "statuses: malformed pairs",
        "raw set_header_map_pairs 0 hex:05000000; raw set_header_map_pairs 0 hex:010000000100; " "get request :path",
        protocols=("h1",),
    ),
    *scripted("statuses: log levels", "log trace t; log 5 c; log 6 x; log -1 x; log 100 x; level", protocols=("h1",)),
    *scripted("statuses: unknown streams", "continue 4; continue -1; close 4; close 100", protocols=("h1",)),
    *scripted("statuses: streams of TCP", "continue 2; continue 3; close 2; close 3", protocols=("h1",)),
    *scripted(
        "statuses: proxy_done when nothing waits for it", "end; @response-headers end; @log end", protocols=("h1",)
    ),
    *scripted(
        "statuses: effective contexts",
        "effective 0; effective $id; get request :path; effective $root; get request :path; "
        "effective $id; get request :path; effective 999999; effective -1; get request :path",
        protocols=("h1",),
    ),
    *scripted("statuses: status of a call", "raw get_status out out2 out2", protocols=("h1",)),
    *scripted("statuses: a tick period in a request", "raw set_tick_period_milliseconds 10", protocols=("h1",)),
    # Not continue_stream for what is not paused: Envoy sends the request twice, or crashes.
    *scripted(
        "statuses: properties that are not there",
        "property no; property request; property request|no; property a|b|c; "
        "raw get_property 0 0 out out2; set-property own value; property own; property request|headers|x-no",
        protocols=("h1",),
    ),
    *scripted(
        "statuses: setting what Envoy has",
        "set-property request|path /x; property request|path; set-property source|address x; "
        "set-property plugin_name x",
        protocols=("h1",),
    ),
]
