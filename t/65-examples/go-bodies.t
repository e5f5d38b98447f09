# Examples of the Go SDK about bodies: http_body, http_body_chunk, json_validation.

use strict;
use warnings;

use EchoServer;
use NginxProcess;
use Test::More;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx    = NginxProcess->new('examples-go-bodies');
my $port     = $nginx->port + 1;
my $upstream = EchoServer->new($port);

$nginx->configure(
    main => <<"CONF",
wasm {
    module body  $root/build/guests/go-example-http_body.wasm;
    module chunk $root/build/guests/go-example-http_body_chunk.wasm;
    module json  $root/build/guests/go-example-json_validation.wasm;
}
CONF
    http => "client_max_body_size 8m;",
    server => <<"CONF",
location /body  { proxy_wasm body; proxy_pass http://127.0.0.1:$port; }
location /chunk { proxy_wasm chunk; proxy_pass http://127.0.0.1:$port; }
location /json  { proxy_wasm json '{"requiredKeys": ["id", "token"]}'; proxy_pass http://127.0.0.1:$port; }
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# http_body: the upstream sends back what it got, so an edited request shows in the answer; its length tells which it was.
my %edited = (prepend => 'front|initial body', append => 'initial body|back', replace => 'something else');
for my $operation (sort keys %edited) {
    my $response = $nginx->request('PUT', '/body', { 'buffer-operation' => $operation }, 'initial body');
    is($response->{content}, $edited{$operation}, "http_body: $operation at the request");
    is($response->{headers}{'x-got-length'}, length $edited{$operation}, 'and so the upstream got it');

    $response = $nginx->request('PUT', '/body',
        { 'buffer-operation' => $operation, 'buffer-replace-at' => 'response' }, 'initial body');
    is($response->{content}, $edited{$operation}, "http_body: $operation at the response");
    is($response->{headers}{'x-got-length'}, length 'initial body', 'and the upstream got the client\'s body');
}
is($nginx->request('PUT', '/body', {}, 'initial body')->{content}, 'initial body', 'without an operation nothing changes');
is($nginx->get('/body', { 'buffer-operation' => 'append' })->{headers}{'x-got-length'}, 0, 'no body, nothing to edit');

# http_body_chunk: a body that comes in pieces.
sub pieces {
    my (@pieces) = @_;
    return $nginx->request('POST', '/chunk', { 'content-type' => 'text/plain' }, sub { shift @pieces });
}

my $long = join '', map { sprintf "line %07d of a long text\n", $_ } 1 .. 25_000;
my $response = pieces($long, 'and the end');
is($response->{status}, 200, 'http_body_chunk: a body without the pattern passes');
ok($response->{content} eq "${long}and the end", 'as it was, whole');
my @read = map { /^piece \d+ has (\d+) bytes$/ ? $1 : () } $nginx->said('chunk');
my $sum = 0;
$sum += $_ for @read;
is($sum, length($long) + length('and the end'), 'its pieces were logged with their sizes');

my $before = () = $nginx->said('chunk');
$response = pieces($long, "here is the pattern\n");
is($response->{status}, 403, 'a body with the pattern is refused');
is($response->{headers}{'x-example'}, 'http_body_chunk', 'by the filter');
my @said = $nginx->said('chunk');
my ($last) = grep { /^piece/ } reverse @said[$before .. $#said];
my ($piece) = $last =~ /^piece (\d+)/;
is($response->{content}, "found in piece $piece\n", 'which tells the piece: the last that it read');
is(scalar(grep { /^POST \/chunk \d/ } $upstream->seen), 1, 'the upstream did not get this one');
is($nginx->request('POST', '/chunk', {}, 'a pattern at once')->{content}, "found in piece 1\n", 'a short body is one piece');

# json_validation
my @cases = (
    ['{"id": "xxx", "token": "xxx"}',            200],
    ['{"token": 1, "id": null, "more": [1, 2]}', 200],
    ['{"id": "xxx", "not_token": "xxx"}',        403],
    ['"required_keys_missing"',                  403],
    ['["id", "token"]',                          403],
    ['{"id": "xxx", "token": "xxx"',             403],
    ['null',                                     403],
    [undef,                                      403],
);
for my $case (@cases) {
    my ($body, $status) = @$case;
    my $response = $nginx->request('POST', '/json', { 'content-type' => 'application/json' }, $body);
    is($response->{status}, $status, 'json_validation: ' . ($body // 'no body') . ": $status");
    is($response->{content}, $status == 200 ? $body : "not the JSON that is wanted\n", 'with the right answer');
}

done_testing();
