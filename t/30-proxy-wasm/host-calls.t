# Host calls with arguments that a sound guest would not pass: addresses outside of its memory, numbers that mean nothing,
# functions that this host does not have yet. All get a status, and nothing else happens.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; }') unless $block->main_config;
    return if $block->config;
    # One statement in a line, each with the status that it should get.
    my $statuses = $block->statuses;
    my @lines    = grep {/\S/} split /\n/, $statuses;
    my @calls    = map { (split / -> /)[0] } @lines;
    my $conf     = join '; ', @calls, 'report';
    $block->set_value(config  => "location /t { proxy_wasm probe '$conf'; return 200; }");
    $block->set_value(request => "GET /t\n");
    $block->set_value(more_headers => "x-one: 1\n");
    $block->set_value(response_body => join '', map {"$_\n"} @lines);
});

run_tests();

__DATA__

=== TEST 1: a result that cannot be written: the word begins outside, or reaches over the end
--- statuses
raw get_log_level mem -> 6
raw get_log_level mem-3 -> 6
raw get_log_level mem-4 -> 0
raw get_log_level 0xffffffff -> 6
raw get_log_level 0xfffffffd -> 6
raw get_current_time_nanoseconds mem -> 6
raw get_current_time_nanoseconds mem-7 -> 6
raw get_current_time_nanoseconds 0xfffffffc -> 6



=== TEST 2: proxy_log: text outside of the memory
--- statuses
raw log 2 mem 1 -> 6
raw log 2 mem-1 2 -> 6
raw log 2 0 0xffffffff -> 6
raw log 2 0xffffffff 0xffffffff -> 6
raw log 2 0xffffffff 2 -> 6
raw log 2 mem 0 -> 0
raw log 2 mem-1 1 -> 0



=== TEST 3: proxy_get_header_map_value
--- statuses
raw get_header_map_value 0 mem 1 out out2 -> 6 0 0
raw get_header_map_value 0 buf 0xffffffff out out2 -> 6 0 0
raw get_header_map_value 0 str:x-one mem out -> 6 0 0
raw get_header_map_value 0 str:x-one out mem-3 -> 6 0 0
raw get_header_map_value 0 str:x-one 0xfffffffe out -> 6 0 0



=== TEST 4: proxy_get_header_map_pairs and _size
--- statuses
raw get_header_map_pairs 0 mem out -> 6 0 0
raw get_header_map_pairs 0 out mem -> 6 0 0
raw get_header_map_pairs 0 mem-3 out -> 6 0 0
raw get_header_map_size 0 mem -> 6
raw get_header_map_size 0 0xffffffff -> 6



=== TEST 5: proxy_set_header_map_pairs
--- statuses
raw set_header_map_pairs 0 mem 4 -> 6
raw set_header_map_pairs 0 buf 0xffffffff -> 6
raw set_header_map_pairs 0 mem-1 2 -> 6



=== TEST 6: proxy_set_header_map_pairs: pairs that are malformed, and change nothing
--- statuses
raw set_header_map_pairs 0 buf 1 -> 2
raw set_header_map_pairs 0 buf 3 -> 2
raw set_header_map_pairs 0 buf 4 -> 2
raw set_header_map_pairs 0 buf 4096 -> 2
get request x-one -> 0 1



=== TEST 7: proxy_add_, proxy_replace_ and proxy_remove_header_map_value
--- statuses
raw add_header_map_value 0 mem 1 str:v -> 6
raw add_header_map_value 0 str:x-two mem 1 -> 6
raw add_header_map_value 0 str:x-two buf 0xffffffff -> 6
raw replace_header_map_value 0 mem 1 str:v -> 6
raw replace_header_map_value 0 str:x-two mem-1 2 -> 6
raw remove_header_map_value 0 mem 1 -> 6
raw remove_header_map_value 0 buf 0xffffffff -> 6
get request x-two -> 1
get request x-one -> 0 1



=== TEST 8: proxy_get_property and proxy_set_property
--- statuses
raw get_property mem 1 out out2 -> 6 0 0
raw get_property str:plugin_name mem out -> 6 0 0
raw get_property str:plugin_name out mem -> 6 0 0
raw get_property buf 0xffffffff out out2 -> 6 0 0
raw set_property mem 1 str:v -> 6
raw set_property str:args mem 1 -> 6



=== TEST 9: proxy_get_buffer_bytes and _status
--- statuses
raw get_buffer_bytes 7 0 100 mem out -> 6 0 0
raw get_buffer_bytes 7 0 100 out mem -> 6 0 0
raw get_buffer_bytes 6 0 100 0xffffffff out -> 6 0 0
raw get_buffer_status 7 mem out -> 6 0 0
raw get_buffer_status 7 buf mem-2 -> 6



=== TEST 10: proxy_set_buffer_bytes
--- statuses
raw set_buffer_bytes 0 0 0 mem 1 -> 6
raw set_buffer_bytes 1 0 0 buf 0xffffffff -> 6



=== TEST 11: proxy_send_local_response: details, body and headers
--- statuses
raw send_local_response 200 mem 1 0 0 0 0 -1 -> 6
raw send_local_response 200 0 0 mem 1 0 0 -1 -> 6
raw send_local_response 200 0 0 0 0 mem 4 -1 -> 6
raw send_local_response 200 0 0 0 0xffffffff 0 0 -1 -> 6
raw send_local_response 200 0xffffffff 0xffffffff 0 0 0 0 -1 -> 6



=== TEST 12: unknown numbers: log levels
--- statuses
raw log 6 str:text -> 2
raw log -1 str:text -> 2
raw log 0xffffffff str:text -> 2



=== TEST 13: unknown numbers: maps
--- statuses
get 8 x-one -> 2
get -1 x-one -> 2
pairs 8 -> 2
size 99 -> 2 0
add 8 x-one 1 -> 2
replace 8 x-one 1 -> 2
remove 8 x-one -> 2
set-pairs 8 x-one=1 -> 2



=== TEST 14: unknown numbers: buffers
--- statuses
buffer 10 0 100 -> 2
buffer -1 0 100 -> 2
raw get_buffer_status 10 out out2 -> 2 0 0
raw set_buffer_bytes 10 0 0 str:text -> 2



=== TEST 15: unknown numbers: streams
--- statuses
raw continue_stream 4 -> 2
raw continue_stream -1 -> 2
raw close_stream 4 -> 2



=== TEST 16: streams that HTTP filters do not have
--- statuses
raw continue_stream 2 -> 2
raw continue_stream 3 -> 2
raw close_stream 2 -> 2
raw close_stream 3 -> 2



=== TEST 17: contexts that are not there
--- statuses
raw set_effective_context 0 -> 2
raw set_effective_context 77 -> 2
raw set_effective_context -1 -> 2
get request x-one -> 0 1



=== TEST 18: buffers that are not there now: NotFound; those that nobody may write: BadArgument
--- statuses
buffer 0 0 100 -> 1
buffer 1 0 100 -> 1
buffer 4 0 100 -> 1
buffer 5 0 100 -> 1
buffer 8 0 100 -> 1
raw get_buffer_status 0 out out2 -> 1 0 0
raw set_buffer_bytes 0 0 0 str:text -> 1
raw set_buffer_bytes 1 0 0 str:text -> 1
raw set_buffer_bytes 6 0 0 str:text -> 2
raw set_buffer_bytes 7 0 0 str:text -> 2



=== TEST 19: parts of a configuration: any start and size
--- statuses
buffer 7 0 6 -> 0 buffer
buffer 7 2 4 -> 0 ffer
buffer 7 0 0 -> 0
buffer 7 100000 10 -> 0
buffer 7 0xffffffff 0xffffffff -> 0
buffer 6 0 100 -> 0



=== TEST 20: a whole configuration, when more is asked for
--- config
location /t {
    proxy_wasm probe 'buffer 7 0 0xffffffff; report';
    return 200;
}
--- request
GET /t
--- response_body
buffer 7 0 0xffffffff -> 0 buffer 7 0 0xffffffff; report



=== TEST 21: the effective context: the root has no request, and afterwards all is as before
--- config
location /t {
    proxy_wasm probe 'raw set_effective_context 1; get request x-one; property plugin_name; property request|path; add request x-two 2; respond 200 wrong; config; raw set_effective_context 2; get request x-one; report';
    return 200;
}
--- request
GET /t
--- more_headers
x-one: 1
--- response_body_like
^raw set_effective_context 1 -> 0
get request x-one -> 1
property plugin_name -> 0 probe
property request\|path -> 1
add request x-two 2 -> 2
respond 200 wrong -> 0
config -> 0 raw set_effective.*
raw set_effective_context 2 -> 0
get request x-one -> 0 1$



=== TEST 22: the effective context is the callback's own again in the next callback
--- config
location /t {
    proxy_wasm probe 'raw set_effective_context 1; @response get request x-one';
    return 200;
}
--- request
GET /t
--- more_headers
x-one: 1
--- response_headers
x-probe-result: get request x-one -> 0 1



=== TEST 23: close_stream ends the connection: nothing is answered
--- config
location /t {
    proxy_wasm probe 'raw close_stream 0';
    return 200 "ok\n";
}
--- raw_request eval
"GET /t HTTP/1.1\r\nHost: a\r\n\r\n"
--- ignore_response
--- raw_response_headers_unlike: HTTP
--- access_log
"GET /t HTTP/1.1" 444
