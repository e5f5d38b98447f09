# Versions of the ABI, and the SDKs: guests of each marker run, and filters in three languages behave the same.

use TestWasm 'no_plan';

# A guest that answers with the status of reading a header that is not there, and what was written about its value.
our $Read = sub {
    my ($marker, $params) = @_;
    my $types = join ' ', ('i32') x $params;
    return [['m.wat', <<"WAT"]];
(module
  (import "env" "proxy_get_header_map_value" (func \$get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func \$log (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-none")
  (data (i32.const 16) "status ? size ?")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_$marker"))
  (func (export "proxy_on_request_headers") (param $types) (result i32)
    (i32.store (i32.const 64) (i32.const 7))
    (i32.store (i32.const 68) (i32.const 7))
    (i32.store8 (i32.const 23) (i32.add (i32.const 48)
      (call \$get (i32.const 0) (i32.const 0) (i32.const 6) (i32.const 64) (i32.const 68))))
    (i32.store8 (i32.const 30) (i32.add (i32.const 48) (i32.load (i32.const 68))))
    (drop (call \$log (i32.const 2) (i32.const 16) (i32.const 15)))
    (i32.const 0)))
WAT
};

add_block_preprocessor(sub {
    my $block = shift;
    return if $block->main_config;
    if (my $guest = $block->language) {
        chomp $guest;
        $block->set_value(main_config => "wasm { module headers \$TEST_NGINX_GUESTS/$guest-headers.wasm; }");
        return;
    }
    $block->set_value(main_config   => 'wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }');
    $block->set_value(config        => 'location /t { proxy_wasm m; return 200 "ok\n"; }');
    $block->set_value(request       => "GET /t\n");
    $block->set_value(response_body => "ok\n");
});

# Each language gets the same blocks.
my @data = do { local $/; split /(?==== )/, <DATA> };
my $text = '';
for my $block (@data) {
    if ($block =~ /^--- languages$/m) {
        for my $language (qw( rust go assemblyscript )) {
            (my $own = $block) =~ s/^--- languages$/--- language: $language/m;
            $own =~ s/LANGUAGE/$language/g;
            $text .= $own;
        }
        next;
    }
    $text .= $block;
}
my $number = 0;
$text =~ s/^=== TEST:/'=== TEST ' . ++$number . ':'/gme;
spec_string($text);

run_tests();

__DATA__
=== TEST: 0_1_0: request headers with two parameters; a missing header is Ok and empty
--- user_files eval
$::Read->('0_1_0', 2)
--- error_log
wasm "m": status 0 size 0



=== TEST: 0_1_0 with three parameters, as the AssemblyScript SDK has them
--- user_files eval
$::Read->('0_1_0', 3)
--- error_log
wasm "m": status 0 size 0



=== TEST: 0_2_0: a missing header is NotFound, and nothing is written
--- user_files eval
$::Read->('0_2_0', 3)
--- error_log
wasm "m": status 1 size 7



=== TEST: 0_2_1
--- user_files eval
$::Read->('0_2_1', 3)
--- error_log
wasm "m": status 1 size 7



=== TEST: 0_2_100 of Higress is 0_2_1
--- user_files eval
$::Read->('0_2_100', 3)
--- error_log
wasm "m": status 1 size 7



=== TEST: 0_2_0 with two parameters: the declared type counts
--- user_files eval
$::Read->('0_2_0', 2)
--- error_log
wasm "m": status 1 size 7



=== TEST: LANGUAGE: request headers
--- languages
--- config
location /t {
    proxy_wasm headers 'request.add x-one 2; request.replace x-two new; request.remove x-three; request.add x-path %{:path}';
    return 200 "$http_x_one|$http_x_two|$http_x_three|$http_x_path\n";
}
--- request
GET /t?a
--- more_headers
x-two: old
x-three: 3
--- response_body
2|new||/t?a



=== TEST: LANGUAGE: response headers
--- languages
--- config
location /t {
    proxy_wasm headers 'response.add x-one 1; response.replace content-type text/x-new; response.remove etag; response.add x-ua %{user-agent}';
    add_header etag '"a"';
    return 200 "ok\n";
}
--- request
GET /t
--- more_headers
User-Agent: me
--- response_headers
x-one: 1
Content-Type: text/x-new
x-ua: me



=== TEST: LANGUAGE: a local response
--- languages
--- config
location /u {
    proxy_wasm headers 'deny /t 403';
    return 200 "ok\n";
}
location /t {
    proxy_wasm headers 'deny /t 403';
    return 200 "ok\n";
}
--- request eval
["GET /t", "GET /u", "GET /t"]
--- error_code eval
[403, 200, 403]
--- response_body eval
["denied by LANGUAGE\n", "ok\n", "denied by LANGUAGE\n"]
--- response_headers eval
["x-denied-by: LANGUAGE", "!x-denied-by", "x-denied-by: LANGUAGE"]



=== TEST: LANGUAGE: log lines
--- languages
--- config
location /t {
    proxy_wasm headers 'log warn this; log error that';
    return 200 "ok\n";
}
--- request
GET /t
--- error_log eval
[qr/\[warn\] .*wasm "headers": this,/, qr/\[error\] .*wasm "headers": that,/]



=== TEST: LANGUAGE: many requests, one after the other
--- languages
--- config
location /t {
    proxy_wasm headers 'request.add x-one %{x-n}; response.add x-two %{x-one}';
    return 200 "$http_x_one\n";
}
--- pipelined_requests eval
[("GET /t") x 20]
--- more_headers
x-n: 7
--- response_body eval
[("7\n") x 20]
--- response_headers eval
[("x-two: 7") x 20]



=== TEST: filters in three languages in one chain
--- main_config
wasm {
    module rust $TEST_NGINX_GUESTS/rust-headers.wasm;
    module go   $TEST_NGINX_GUESTS/go-headers.wasm;
    module as   $TEST_NGINX_GUESTS/assemblyscript-headers.wasm;
}
--- config
location /t {
    proxy_wasm rust 'request.replace x-way %{x-way}r; response.add x-back r';
    proxy_wasm go   'request.replace x-way %{x-way}g; response.add x-back g';
    proxy_wasm as   'request.replace x-way %{x-way}a; response.add x-back a';
    return 200 "$http_x_way\n";
}
--- request
GET /t
--- response_body
rga
--- response_headers
x-back: a, g, r
