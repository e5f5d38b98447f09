# Filters that know consumers themselves, by a key or by a signed token, as Higress' key-auth and jwt-auth do. Those are in no
# registry that tests can have them from, so that a guest has their shape: their configuration, with rules for routes and hosts,
# and their answers, behind which they continue. t/guests/README.md says what it does. (Their ext-auth is here as published:
# higress-ext-auth.t.)

use strict;
use warnings;

use Digest::SHA qw( hmac_sha256 );
use MIME::Base64 qw( decode_base64url encode_base64url );
use NginxProcess;
use Peer;
use RawClient;
use Test::More;

Peer->needs('openssl');
my $root    = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx   = NginxProcess->new('higress-key-auth');
my $guarded = $nginx->port + 1;
my $dir     = $nginx->prefix;

# A key of RSA, and what a set of keys has of it.
sub output_of {
    my $command = shift;
    open my $pipe, '-|', "cd $dir && $command 2>openssl.log" or die "cannot run $command: $!\n";
    binmode $pipe;
    my $output = do { local $/; <$pipe> } // '';
    close $pipe or die "$command has failed: @{[ $nginx->read('openssl.log') ]}\n";
    return $output;
}
output_of("openssl genrsa -out $_.pem 2048") for qw( issuer stranger );
my ($modulus) = output_of('openssl rsa -in issuer.pem -noout -modulus') =~ /=([0-9A-F]+)/;
my $n = encode_base64url(pack 'H*', $modulus);
sub rs256 { my ($text, $key) = @_; $nginx->write('signed', $text); return output_of("openssl dgst -sha256 -sign $key.pem signed") }

my $secret = "\x00\xffsecret of alice's issuer, with any bytes\x80";
sub token {
    my ($head, $claims, $sign) = @_;
    my $text = join '.', map { encode_base64url($_) } $head, $claims;
    return "$text." . encode_base64url($sign->($text));
}
my $later = time + 3600;
my $hs256 = sub { hmac_sha256($_[0], $secret) };
sub alice { my ($more, $sign) = @_; return token('{"alg": "HS256"}', qq({"iss": "alice's", "exp": $later$more}), $sign // $hs256) }
sub bob {
    my ($key, $algorithm) = @_;
    return token(qq({"alg": "@{[ $algorithm // 'RS256' ]}", "kid": "one"}), qq({"iss": "bob's", "exp": $later}), sub { rs256($_[0], $key) });
}

my $consumers = '"consumers": [{"name": "alice", "credential": "key of alice"}, {"name": "bob", "credential": "b\u00fcb\"<>"}], "keys": ["apikey", "x-api-key"]';
my $rules     = '"_rules_": [{"_match_route_": ["/rules/alice"], "allow": ["alice"]}, {"_match_domain_": ["*.bob.example", "bob.*"], "allow": ["bob"]}]';
my $issuers   = <<"JSON" =~ s/\n/ /gr;
"consumers": [
  {"name": "alice", "issuer": "alice's", "jwks": {"keys": [{"kty": "oct", "k": "@{[ encode_base64url($secret) ]}"}]},
   "claims_to_headers": [{"claim": "role", "header": "x-role"}], "keep_token": false},
  {"name": "bob", "issuer": "bob's", "jwks": {"keys": [{"kty": "RSA", "kid": "one", "n": "$n", "e": "AQAB"}]}}]
JSON
my $location = sub {
    my ($path, $conf) = @_;
    my $quoted = $conf =~ s/(['\\])/\\$1/gr;
    return "location $path { proxy_wasm auth '{$quoted}'; proxy_set_header Host \$http_host; proxy_pass http://127.0.0.1:$guarded; }\n";
};
$nginx->configure(
    main => "wasm { module auth $root/build/guests/go-auth.wasm; }",
    http => <<"CONF",
large_client_header_buffers 4 64k;
server {
    listen 127.0.0.1:$guarded;
    location / {
        access_log $dir/logs/passed.log;
        return 200 "guarded for=\$http_x_mse_consumer role=\$http_x_role admin=\$http_x_admin token=\$http_authorization\n";
    }
}
CONF
    server => join('',
        $location->('/header', "$consumers, \"in_header\": true"),
        $location->('/query', "$consumers, \"in_query\": true"),
        $location->('/both', "$consumers, \"in_query\": true, \"in_header\": true, \"global_auth\": false, $rules"),
        map({ $location->($_, "$consumers, \"in_header\": true, $rules") } '/rules', '/rules/alice'),
        $location->('/all', "$consumers, \"in_header\": true, \"global_auth\": true, $rules"),
        $location->('/token', $issuers),
    ),
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# A request with these lines; the same name may come twice.
sub lines_of {
    my ($method, $target, $body, @headers) = @_;
    unshift @headers, Host => 'a' unless grep { $_ eq 'Host' } @headers;
    push @headers, 'Content-Length' => length $body if defined $body;
    my $lines = '';
    while (my ($name, $value) = splice @headers, 0, 2) { $lines .= "$name: $value\r\n" }
    return "$method $target HTTP/1.1\r\n$lines\r\n" . ($body // '');
}
sub said {
    my $response = shift;
    my ($guarded) = $response->{body} =~ /^(?:guarded )(.*)/;
    return "$response->{status} " . ($guarded // $response->{body} =~ s/\n//r);
}
sub get { return said(RawClient->new($nginx->port)->send(lines_of('GET', shift, undef, @_, Connection => 'close'))->response) }
sub passes { my $who = shift; return "200 for=$who role= admin= token=" }

# Keys.
my $refused = RawClient->new($nginx->port)->send(lines_of('GET', '/header', undef))->response;
is_deeply([$refused->{status}, $refused->{headers}{'www-authenticate'}, $refused->{body}], [401, 'Key realm=MSE Gateway', "no key\n"], 'no key');
is(get('/header', apikey => 'key of alice'), passes('alice'), 'a key in a header');
is(get('/header', 'X-Api-Key' => 'key of alice', 'X-Mse-Consumer' => 'bob', 'x-mse-consumer' => 'root'), passes('alice'), 'in the other, and who says to be somebody is not');
is(get('/header', apikey => "b\xc3\xbcb\"<>"), passes('bob'), 'with odd bytes');
is(get('/header', apikey => ''), '401 no key', 'an empty one is none');
is(get('/header', apikey => "key of alice$_"), '401 invalid key', sprintf 'with 0x%02x behind it', ord) for "\x01", "\x7f", '"', "\xff", 'x';
is(get('/header', apikey => 'key of alice', 'x-api-key' => 'key of alice'), '401 more than one key', 'two headers');
isnt(get('/header', apikey => 'wrong', apikey => 'key of alice'), passes('alice'), 'one header twice');
is(get('/header?apikey=key+of+alice'), '401 no key', 'a query is no header');
is(get('/query?apikey=key+of%20%61lice'), passes('alice'), 'a key in the query');
is(get('/query?apikey=b%C3%BCb"<>'), passes('bob'), 'with odd bytes');
is(get("/query?x=1&apikey=b\xc3\xbcb%22%3c%3E&y=z"), passes('bob'), 'as they are');
is(get('/query', apikey => 'key of alice'), '401 no key', 'a header is no query');
is(get('/query?apikey=a&apikey=key+of+alice'), '401 more than one key', 'two arguments');
is(get('/query?apikey=%zz'), '401 the query cannot be read', 'what is no query');
is(get('/query?apikey=key+of+alice;x'), '401 the query cannot be read', 'nor this');

# Rules.
is(get('/rules'), passes(''), 'where no rule is for, nobody is asked');
is(get('/rules', 'x-mse-consumer' => 'root'), passes(''), 'nor can one say to be somebody');
is(get('/rules/alice', apikey => 'key of alice'), passes('alice'), 'the rule of a route');
is(get('/rules/alice', apikey => "b\xc3\xbcb\"<>"), '403 unauthorized consumer', 'is for some');
is(get('/rules/alice'), '401 no key', 'who are known');
for my $host ('x.bob.example', 'x.bob.example:80', 'bob.x') {
    is(get('/rules', Host => $host, apikey => "b\xc3\xbcb\"<>"), passes('bob'), "the rule of a host, $host");
    is(get('/rules', Host => $host, apikey => 'key of alice'), '403 unauthorized consumer', '... is for some');
}
is(get('/both', Host => 'bob.x'), '401 no key', 'global_auth off: with a rule');
is(get('/both', Host => 'x'), passes(''), '... and without');
is(get('/both?x-api-key=key+of+alice', Host => 'bob.x', apikey => 'key of alice'), '401 more than one key', '... in both places');
is(get('/all', Host => 'x'), '401 no key', 'global_auth on: without a rule');
is(get('/all', Host => 'x', apikey => 'key of alice'), passes('alice'), '... for all');
is(get('/all', Host => 'bob.x', apikey => 'key of alice'), '403 unauthorized consumer', '... with a rule, for some');

# What follows a refusal on its connection, and what it leaves unread.
my $client = RawClient->new($nginx->port);
$client->send(lines_of('POST', '/header', 'body') . lines_of('GET', '/header', undef, apikey => 'key of alice')
    . lines_of('POST', '/header', 'x' x 100_000, apikey => 'key of alice') . lines_of('HEAD', '/header', undef) . lines_of('GET', '/header', undef));
is_deeply([map { said($client->response(no_body => $_ == 3)) } 0 .. 4], ['401 no key', (passes('alice')) x 2, '401 ', '401 no key'], 'requests behind each other');

# Tokens.
my $with = sub { my ($path, $token, @more) = @_; return get($path, Authorization => "Bearer $token", @more) };
is(get('/token'), '401 no token', 'no token');
is(get('/token', Authorization => 'Basic ' . alice('')), '401 no token', 'nor this');
is($with->('/token', alice('')), passes('alice'), 'a token by HS256, which is not passed on');
is($with->('/token', alice(', "role": "reader"'), 'x-role' => 'admin'), '200 for=alice role=reader admin= token=', 'with a claim as a header');
is($with->('/token', alice(''), 'x-role' => 'admin'), passes('alice'), 'which the client cannot say itself');
my $bob = bob('issuer');
is($with->('/token', $bob), '200 for=bob role= admin= token=Bearer ' . $bob, 'a token by RS256');
is($with->('/token', bob('stranger')), '401 invalid token', 'of a stranger');
is($with->('/token', bob('issuer', 'none')), '401 invalid token', 'by no algorithm');
is($with->('/token', token('{"alg": "HS256"}', qq({"iss": "bob's", "exp": $later}), sub { hmac_sha256($_[0], decode_base64url($n)) })),
    '401 invalid token', 'a public key is no secret');
is($with->('/token', token('{"alg": "HS256"}', qq({"iss": "bob's", "exp": $later}), $hs256)), '401 invalid token', 'nor is that of another');
is($with->('/token', alice('', sub { hmac_sha256($_[0], 'guessed') })), '401 invalid token', 'a wrong signature');
is($with->('/token', alice('') =~ s/.{4}\z//r), '401 invalid token', 'half of one');
is($with->('/token', alice(', "exp": ' . (time - 120))), '401 the token is too old, or too new', 'an old token');
is($with->('/token', alice(', "nbf": ' . (time + 120))), '401 the token is too old, or too new', 'one for later');
is($with->('/token', alice(', "nbf": ' . (time + 30))), passes('alice'), 'clocks may differ');
is($with->('/token', $_), '401 this is no token', 'what is none') for 'x', 'a.b', '....';
is($with->('/token', "a.b.\x01\""), '401 the token cannot be read', 'what cannot be read');
for my $break ('\r\nx-admin: 1', '\nx-admin: 1', '\u0000x') {
    like($with->('/token', alice(qq(, "role": "a$break"))), qr/\A503 /, "a claim with $break is no header, and the request is refused");
}
is($with->('/token', alice(', "role": "' . 'r' x 20_000 . '"')) =~ s/r{20000}/LONG/r, '200 for=alice role=LONG admin= token=', 'a long claim, in a long token')
    or diag(substr $nginx->log, -2000);

my @passed = $nginx->read('logs/passed.log') =~ /"([A-Z]+ [^" ?]*)/g;
is(scalar(grep { !m{^(?:GET /(?:header|query|rules|rules/alice|both|all|token)|POST /header)$} } @passed), 0, 'what was refused has not been asked for');
is(scalar(grep {/^POST/} @passed), 1, '... nor its body');
unlike($nginx->log, qr/\[(?:crit|alert|emerg)\]/, 'nothing else went wrong');
done_testing();
