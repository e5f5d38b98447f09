# A published plugin as it is: Higress' ai-proxy, which makes requests for models those of a provider. It holds the headers of
# requests until it has seen the body (answer 1 under the marker 0_2_100), writes path, authority and a token, and asks for room for
# bodies of 100 MB.

use strict;
use warnings;

use HTTP::Tiny;
use NginxProcess;
use Test::More;
use Upstream;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx    = NginxProcess->new('higress-ai-proxy');
my $provider = $nginx->port + 1;
my $echo     = $nginx->port + 2;
my $upstream = Upstream->start($echo);
my $conf     = qq({"provider": {"type": "openai", "apiTokens": ["secret"], "openaiCustomUrl": "http://models.example/v1"}});

$nginx->configure(
    main => "wasm { module ai-proxy $root/build/guests/higress-ai-proxy.wasm; }",
    # The provider says what it has seen, and gives the body back.
    http => <<"CONF",
client_max_body_size 4m;
server {
    listen 127.0.0.1:$provider;
    add_header x-seen "\$request_method \$request_uri \$http_host \$http_authorization" always;
    location = /v1/chat/completions { proxy_pass http://127.0.0.1:$echo/body; }
    location / { return 404; }
}
CONF
    server => <<"CONF",
wasm_timeout 10s;
wasm_pause_timeout 30s;
location / { proxy_wasm ai-proxy '$conf'; proxy_set_header Host \$http_host; proxy_pass http://127.0.0.1:$provider; }
location /small {
    proxy_wasm_body_buffer_max 1k;
    proxy_wasm_request_body_buffer 1k;
    proxy_wasm ai-proxy '$conf';
    return 200 "not asked\\n";
}
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub post {
    my ($path, $size) = @_;
    my $body = '{"model": "gpt-x", "messages": [{"role": "user", "content": "' . 'q' x $size . '"}]}';
    return HTTP::Tiny->new(timeout => 120)->post('http://127.0.0.1:' . $nginx->port . $path, {
        headers => { 'content-type' => 'application/json' }, content => $body
    });
}

for my $size (100, 2_000_000) {
    my $response = post('/v1/chat/completions', $size);
    is($response->{status}, 200, "a question of $size bytes is answered");
    is($response->{headers}{'x-seen'}, 'POST /v1/chat/completions models.example Bearer secret', '... by the provider, with its token');
    my ($question) = $response->{content} =~ /"content":\s*"(q+)"/;
    is(length($question // ''), $size, '... which has got all of it');
    like(substr($response->{content}, 0, 2000) . substr($response->{content}, -2000), qr/"model":\s*"gpt-x"/, '... with the model');
}
is(post('/small/v1/chat/completions', 4000)->{status}, 413, 'the configuration has the last word on how much');
like($nginx->log, qr/holds a request body, or made one, of more than 1024 bytes \(proxy_wasm_body_buffer_max\)/, 'the log says so');
unlike($nginx->log, qr/\[(?:crit|alert|emerg)\]/, 'nothing else went wrong');
done_testing();
