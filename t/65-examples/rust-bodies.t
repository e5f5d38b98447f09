# The example http_body of the Rust SDK: responses with secrets are redacted.

use strict;
use warnings;

use EchoServer;
use NginxProcess;
use Test::More;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx    = NginxProcess->new('examples-rust-bodies');
my $port     = $nginx->port + 1;
my $upstream = EchoServer->new($port);

$nginx->configure(
    main   => "wasm { module body $root/build/guests/rust-example-http_body.wasm; }",
    server => "location / { proxy_wasm body; proxy_pass http://127.0.0.1:$port; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

is($nginx->get('/', { 'x-answer' => 'everyone may read this' })->{content}, 'everyone may read this', 'other bodies pass');
my $secret   = 'the Secret is in here';
my $response = $nginx->get('/', { 'x-answer' => $secret });
is($response->{status}, 200, 'a response with a secret keeps its status');
is($response->{content}, length($secret) . " bytes were here that are not for you\n", 'and is redacted');

my $long = ('x' x 300_000) . 'secret' . ('y' x 300_000);
is($nginx->request('POST', '/', {}, $long)->{content}, "600006 bytes were here that are not for you\n",
    'a secret in a long body, which comes in pieces, is found');
substr($long, 300_000, 6) = 'public';
ok($nginx->request('POST', '/', {}, $long)->{content} eq $long, 'a long body without one passes as it was');

done_testing();
