# Metrics: what filters get for their calls, and the location that shows the values to operators.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module shared $TEST_NGINX_GUESTS/rust-shared.wasm; }')
        unless defined $block->main_config;
    $block->set_value(config => "location /t { proxy_wasm shared; }\nlocation /metrics { wasm_metrics; }")
        unless defined $block->config;
});

run_tests();

__DATA__

=== TEST 1: counters, gauges and histograms
--- request
GET /t
--- more_headers
x-shared: define counter c; add c 3; add c 4; add c 0; get c; add c -1; record c 5; get c; define gauge g; record g 10; add g -12; get g; define histogram h; record h 5; get h; add h 1
--- response_body
define counter c -> 1
add c 3 -> ()
add c 4 -> ()
add c 0 -> ()
get c -> 7
add c -1 -> BadArgument
record c 5 -> ()
get c -> 12
define gauge g -> 2
record g 10 -> ()
add g -12 -> ()
get g -> 18446744073709551614
define histogram h -> 3
record h 5 -> ()
get h -> BadArgument
add h 1 -> BadArgument



=== TEST 2: a name has one number, and a number that nobody has is not found
--- request
GET /t
--- more_headers
x-shared: define counter a; define counter b; define counter a; get 3; add 0 1; record 4000000000 1; add 77 1
--- response_body
define counter a -> 1
define counter b -> 2
define counter a -> 1
get 3 -> NotFound
add 0 1 -> NotFound
record 4000000000 1 -> NotFound
add 77 1 -> NotFound



=== TEST 3: another type for a name is a mistake, which ends guests of this SDK
--- request
GET /t
--- more_headers
x-shared: define counter a; define gauge a
--- error_code: 503
--- error_log
the metric "a" has no name, or another type where it was defined first
wasm "shared": panicked at
--- expects_crit
wasm "shared": panicked at
wasm filter "shared": failed to call function: proxy_on_request_headers



=== TEST 4: nginx -t finds that in the configuration
--- main_config
wasm { module shared $TEST_NGINX_GUESTS/rust-shared.wasm; }
--- config
location /a { proxy_wasm shared 'define counter a'; }
location /b { proxy_wasm shared 'define gauge a'; }
--- must_die
--- error_log eval
[qr/\[emerg\] .*filter "shared" does not start: .* in .*nginx\.conf:\d+/]
--- expects_crit
wasm "shared": panicked at



=== TEST 5: filters share metrics, whatever their module
--- main_config
wasm {
    module one $TEST_NGINX_GUESTS/rust-shared.wasm;
    module two $TEST_NGINX_GUESTS/rust-shared.wasm;
}
--- config
location /t { proxy_wasm one 'define counter a; add a 4'; proxy_wasm two; }
--- request
GET /t
--- more_headers
x-shared: define counter a; get a
--- response_body
define counter a -> 1
get a -> 4



=== TEST 6: metrics as text for Prometheus
--- config
location /t {
    proxy_wasm shared 'define counter requests.total; add requests.total 2; define gauge open; add open -3; define histogram size; record size 1; record size 3; define counter 9"; define counter requests_total';
    wasm_metrics;
}
--- request
GET /t
--- response_headers
Content-Type: text/plain; version=0.0.4; charset=utf-8
Vary: Accept
--- response_body_filters eval
# What follows is about filters and the host: t/35-limits/metrics.t.
sub { $_[0] =~ s/^# HELP wasm_build_info .*//smr }
--- response_body
# HELP _9_ Metric _9_ of a filter.
# TYPE _9_ counter
_9_{name="9\""} 0
# HELP open Metric open of a filter.
# TYPE open gauge
open -3
# HELP requests_total Metric requests_total of a filter.
# TYPE requests_total counter
requests_total{name="requests.total"} 2
requests_total 0
# HELP size Metric size of a filter.
# TYPE size histogram
size_bucket{le="1"} 1
size_bucket{le="2"} 1
size_bucket{le="4"} 2
size_bucket{le="+Inf"} 2
size_sum 4
size_count 2



=== TEST 7: without filters there is the version to show
--- main_config
--- config
location /t { wasm_metrics; }
--- request
GET /t
--- response_body_like eval
my $engine = Engine::name();
qr/\A# HELP wasm_build_info .*
# TYPE wasm_build_info gauge
wasm_build_info\{version="[\d.]+",nginx="[\d.]+",engine="$engine"\} 1
/
--- response_body_unlike
wasm_(?:filter|program)



=== TEST 8: HEAD has the length alone
--- config
location /t { proxy_wasm shared 'define counter c'; wasm_metrics; }
--- request
HEAD /t
--- response_headers_like
Content-Length: \d{3,}
--- response_body



=== TEST 9: other methods are not allowed
--- request
POST /metrics
x
--- error_code: 405



=== TEST 10: a metric without room keeps nothing, and the filter goes on
--- main_config
wasm {
    module shared $TEST_NGINX_GUESTS/rust-shared.wasm;
    metrics { max_metric_name_length 60000; slab_size 15k; }
}
--- request
GET /t
--- more_headers
x-shared: define-long 20000; define counter c; add c 1; get c; define-long 30000; add long 5; get long; record long 1; add long -1
--- response_body
define-long 20000 -> 1
define counter c -> 2
add c 1 -> ()
get c -> 1
define-long 30000 -> 4294967295
add long 5 -> ()
get long -> 0
record long 1 -> ()
add long -1 -> BadArgument
--- error_log eval
qr/\[error\] .*no room for the metric "n{100}", so its values are lost; enlarge "slab_size" in "wasm \{ metrics \{ \} \}"/



=== TEST 11: a name that is too long
--- main_config
wasm {
    module shared $TEST_NGINX_GUESTS/rust-shared.wasm;
    metrics { max_metric_name_length 10; }
}
--- request
GET /t
--- more_headers
x-shared: define counter 0123456789; define counter 0123456789a; define-long 500000
--- response_body
define counter 0123456789 -> 1
define counter 0123456789a -> 4294967295
define-long 500000 -> 4294967295
--- error_log
the name of the metric "0123456789a..." has 11 bytes, more than 10, so its values are lost; enlarge "max_metric_name_length"



=== TEST 12: the complaint comes once a minute
--- main_config
wasm {
    module shared $TEST_NGINX_GUESTS/rust-shared.wasm;
    metrics { max_metric_name_length 10; }
}
--- request
GET /t
--- more_headers
x-shared: define-long 11; define-long 12; define-long 13
--- response_body
define-long 11 -> 4294967295
define-long 12 -> 4294967295
define-long 13 -> 4294967295
--- error_log
has 11 bytes
--- no_error_log
has 12 bytes
