# Filters with Higress' ABI marker, 0_2_100: the answer 1 to headers holds them and shows the body, as the gateway has it, and what
# a filter answers to the body decides on both. Answer 4 hides the body. Small guests, of which each answers with one number.

use strict;
use warnings;

use NginxProcess;
use RawClient;
use Test::More;
use Upstream;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $up       = $ENV{TEST_NGINX_PORT} + 1;
my $upstream = Upstream->start($up);
my $nginx    = NginxProcess->new('higress-pause');

# A guest: its marker, and the functions that it has. Both callbacks about a body hold it until its end; with REFUSE they refuse
# it then.
sub guest {
    my ($name, $abi, %callbacks) = @_;
    my $functions = join "\n", map {
        my $answer = $callbacks{$_};
        qq[(func (export "proxy_on_$_") (param i32 i32 i32) (result i32) $answer)]
    } sort keys %callbacks;
    $nginx->write("$name.wat", <<"WAT");
(module
  (import "env" "proxy_send_local_response"
    (func \$respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (global \$top (mut i32) (i32.const 4096))
  (func (export "proxy_abi_version_$abi"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32)
    (global.get \$top) (global.set \$top (i32.add (global.get \$top) (local.get 0))))
  $functions)
WAT
    return "module $name @{[ $nginx->prefix ]}/$name.wat;";
}
my $stop      = '(i32.const 1)';
my $until_end = '(i32.eqz (local.get 2))';
my $refuse    = '(if (local.get 2) (then (drop (call $respond (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0)
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))))) (i32.const 1)';
my %holds = (request_headers => $stop, request_body => $until_end);
my @modules = (
    guest(higress => '0_2_100', %holds),
    guest(polite => '0_2_100', request_headers => $until_end, request_body => $until_end),
    guest(envoy => '0_2_1', %holds),
    guest(all => '0_2_100', %holds, request_headers => '(i32.const 4)'),
    guest(refuses => '0_2_100', %holds, request_body => $refuse),
    guest(blind => '0_2_100', request_headers => $stop),
    guest(response => '0_2_100', response_headers => $stop, response_body => $until_end),
    guest(response_all => '0_2_100', response_headers => '(i32.const 3)', response_body => $until_end),
    guest(response_refuses => '0_2_100', response_headers => $stop, response_body => $refuse),
    guest(response_blind => '0_2_100', response_headers => $stop),
);
my $locations = join '', map {
    my ($path, $filter, $rest) = @$_;
    "location /$path { proxy_wasm $filter; @{[ $rest // '' ]} proxy_pass http://127.0.0.1:$up/echo; }\n"
} (
    [higress => 'higress'], [polite => 'polite'], [envoy => 'envoy'], [all => 'all'], [refuses => 'refuses'], [blind => 'blind'],
    ['off', 'higress', 'proxy_wasm_headers_stop_iteration off;'], ['on', 'envoy', 'proxy_wasm_headers_stop_iteration on;'],
    ['blind-on', 'blind', 'proxy_wasm_headers_stop_iteration on;'],
    [response => 'response'], ['response-all', 'response_all'], ['response-refuses', 'response_refuses'],
    ['response-blind', 'response_blind'], ['streamed', 'refuses', 'proxy_request_buffering off;'],
);
$nginx->configure(
    main   => "wasm { @modules }",
    http   => 'lingering_timeout 200ms;',
    server => "wasm_pause_timeout 300ms; $locations",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# What a request gets: with a body, or without.
sub is_status {
    my ($path, $body, $status, $name) = @_;
    my $client = RawClient->new($nginx->port);
    my $length = defined $body ? 'Content-Length: ' . length($body) . "\r\n" : '';
    my $method = defined $body ? 'POST' : 'GET';
    $client->send("$method /$path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n$length\r\n", $body // '');
    my $response = $client->response;
    is($response->{status}, $status, $name);
    return $response->{body};
}

my $big = 'x' x 300_000;
for my $body ('body', $big) {
    my $size = length $body;
    like(is_status('higress', $body, 200, "$size bytes: the body is shown, and lets the headers go"),
        qr/\n\n\Q$body\E\n?\z/, '... with the body');
    is_status('on', $body, 200, "$size bytes: the same with Envoy's marker and the directive");
    is_status('envoy', $body, 504, "$size bytes: Envoy's marker alone hides the body");
    is_status('off', $body, 504, "$size bytes: the directive can say no to Higress' marker, too");
    is_status('all', $body, 504, "$size bytes: answer 4 hides the body");
    unlike(is_status('refuses', $body, 403, "$size bytes: refused by the body"), qr/POST/, '... and the upstream is not asked');
    is_status('streamed', $body, 403, "$size bytes: the same where the handler would stream it");
}
is_status('polite', undef, 200, 'a request without a body, of a filter that looks at the end of the stream');
is_status('higress', undef, 504, 'a request without a body, of one that does not: nothing lets it go');
is_status('blind', 'body', 504, 'a filter without a callback about the body: the body does not let the headers go');
is_status('blind-on', 'body', 504, '... nor with the directive');

like(is_status('response', 'body', 200, 'a response: the body is shown'), qr/body\n?\z/, '... and goes on with the headers');
is_status('response-all', 'body', 504, 'a response: answer 3 hides the body');
unlike(is_status('response-refuses', 'body', 403, 'a response is refused by its body'), qr/body\n?\z/, '... of which nothing goes out');
is_status('response-blind', 'body', 504, 'a response whose filter has no callback about the body');

done_testing();
