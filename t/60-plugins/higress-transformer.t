# A published plugin as it is: Higress' transformer, configured by JSON. It is written in Go, carries the ABI marker
# 0_2_100, and works on request headers, query arguments and response headers.

use TestWasm 'no_plan';

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module transformer $TEST_NGINX_GUESTS/higress-transformer.wasm; }');
    my $rules = $block->rules;
    chomp $rules;
    $block->set_value(http_config => <<'CONF');
server {
    listen 127.0.0.1:$TEST_NGINX_PORT_1;
    location / {
        add_header X-Old 1;
        add_header X-Gone 1;
        return 200 "remove=[$http_x_remove] replace=[$http_x_replace] add=[$http_x_add] uri=$request_uri\n";
    }
}
CONF
    $block->set_value(config => <<"CONF");
location /t {
    proxy_wasm transformer '$rules';
    proxy_pass http://127.0.0.1:\$TEST_NGINX_PORT_1;
}
CONF
});

run_tests();

__DATA__

=== TEST 1: request headers are removed, replaced and added
--- rules
{"reqRules": [
    {"operate": "remove", "headers": [{"key": "X-remove"}]},
    {"operate": "replace", "headers": [{"key": "X-replace", "newValue": "replaced"}]},
    {"operate": "add", "headers": [{"key": "X-add", "value": "one"}]}
]}
--- request
GET /t?a=1
--- more_headers
X-Remove: 1
X-Replace: old
--- response_body
remove=[] replace=[replaced] add=[one] uri=/t?a=1



=== TEST 2: a query argument is added
--- rules
{"reqRules": [{"operate": "add", "querys": [{"key": "k3", "value": "v3"}]}]}
--- request
GET /t?a=1
--- response_body_like
uri=/t\?(?:a=1&k3=v3|k3=v3&a=1)$



=== TEST 3: response headers are added, replaced and removed
--- rules
{"respRules": [
    {"operate": "add", "headers": [{"key": "X-Resp", "value": "yes"}]},
    {"operate": "replace", "headers": [{"key": "X-Old", "newValue": "new"}]},
    {"operate": "remove", "headers": [{"key": "X-Gone"}]}
]}
--- request
GET /t
--- response_headers
X-Resp: yes
X-Old: new
!X-Gone



=== TEST 4: many requests on one connection
--- rules
{"reqRules": [{"operate": "add", "headers": [{"key": "X-add", "value": "one"}]}],
 "respRules": [{"operate": "add", "headers": [{"key": "X-Resp", "value": "yes"}]}]}
--- pipelined_requests eval
[("GET /t") x 10]
--- response_headers eval
[("X-Resp: yes") x 10]
--- response_body eval
[("remove=[] replace=[] add=[one] uri=/t\n") x 10]



=== TEST 5: a configuration that it does not like keeps nginx from starting
--- rules
{"reqRules": [
--- must_die
--- error_log eval
qr/\[emerg\] .*filter "transformer" does not start: proxy_on_configure returned false: .* in \S+nginx\.conf:\d+$/
