# The Coraza WAF with the OWASP Core Rule Set, as docs/coraza.md has it: attacks in queries and bodies are refused before
# the upstream sees them, all else passes as it was.

use strict;
use warnings;

use EchoServer;
use HTTP::Tiny;
use IO::Socket::INET;
use NginxProcess;
use Test::More;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx    = NginxProcess->new('coraza');
my $port     = $nginx->port + 1;
my $upstream = EchoServer->new($port);

# What docs/coraza.md shows, word for word.
open my $page, '<', "$root/docs/coraza.md" or die "cannot read docs/coraza.md: $!\n";
my ($shown) = do { local $/; <$page> } =~ /(proxy_wasm coraza '.*?';)/s or die "docs/coraza.md has no proxy_wasm coraza\n";

$nginx->configure(
    main   => "wasm { module coraza $root/build/guests/coraza.wasm; }",
    server => <<"CONF",
wasm_timeout 30s;
location /metrics { wasm_metrics; }
location / {
    $shown
    proxy_pass http://127.0.0.1:$port;
}
location /own {
    proxy_wasm coraza '{
        "directives_map": {
            "strict": [
                "Include \@recommended-conf", "SecRuleEngine On",
                "SecRequestBodyInMemoryLimit 1000", "SecRequestBodyLimit 1000",
                "SecAuditEngine RelevantOnly", "SecAuditLogRelevantStatus 451",
                "SecRule RESPONSE_HEADERS:x-got-length \\\\"\@streq 13\\\\" \\\\"id:1002,phase:3,deny,status:451,log\\\\"",
                "SecRule REQUEST_HEADERS:x-early \\\\"\@streq bad\\\\" \\\\"id:1003,phase:2,deny,status:409,log\\\\"",
                "SecRule &ARGS_POST \\\\"\@eq 0\\\\" \\\\"id:1004,phase:2,deny,status:410,log,chain\\\\"",
                "SecRule REQUEST_HEADERS:x-late \\\\"\@streq bad\\\\"",
                "SecRule REQUEST_HEADERS:x-moved \\\\"\@streq yes\\\\" \\\\"id:1005,phase:1,redirect:https://example.com/,log\\\\"",
                "SecRule REQUEST_HEADERS:x-drop \\\\"\@streq yes\\\\" \\\\"id:1006,phase:1,drop,log\\\\""
            ],
            "none": ["SecRuleEngine Off"]
        },
        "default_directives": "strict",
        "per_authority_directives": {"trusted.example:@{[ $nginx->port ]}": "none"}
    }';
    proxy_pass http://127.0.0.1:$port;
}
CONF
);
$nginx->start or die("nginx does not start: $nginx->{output}");

my $form     = { 'content-type' => 'application/x-www-form-urlencoded' };
my $json     = { 'content-type' => 'application/json' };
my $attack   = q{1' OR '1'='1};
my $attacked = '1%27%20OR%20%271%27=%271';

# [method, target, headers, body, rules that refuse it and have to be in the log]
my @refused = (
    ['GET',  "/query?id=$attacked",                          {},    undef,                 942100, 949111],
    ['POST', '/form',                                        $form, "a=1&id=$attacked",    942100, 949110],
    ['POST', '/json',                                        $json, qq({"id": "$attack"}), 942100, 949110],
    ['GET',  '/query?a=%3Cscript%3Ealert(1)%3C/script%3E',   {},    undef,                 941100, 949111],
    ['GET',  '/query?file=../../../etc/passwd',              {},    undef,                 930110, 949111],
    ['GET',  '/scanner', { 'user-agent' => 'sqlmap/1.0' },          undef,                 913100, 949111],
);
for my $case (@refused) {
    my ($method, $target, $headers, $body, @rules) = @$case;
    my $before   = length $nginx->log;
    my $response = $nginx->request($method, $target, $headers, $body);
    is($response->{status}, 403, "$method $target is refused");
    my $log = substr $nginx->log, $before;
    for my $rule (@rules) {
        like($log, qr/\[crit\] .*wasm "coraza": \[client "127\.0\.0\.1"\] Coraza: .*\[id "$rule"\]/, "rule $rule is in the log");
    }
}

# Forms of requests that name no host, or have no headers at all. Those of HTTP/0.9 get the body of an answer only, which is
# empty here.
sub raw {
    my $client = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->port) or die "connect: $!\n";
    print $client shift;
    local $/;
    return <$client> // '';
}
for my $case (
    ['HTTP/1.0 without a host', "GET /query?id=$attacked HTTP/1.0\r\n\r\n",               qr{\AHTTP/1\.1 403 }],
    ['a whole URL, HTTP/1.0',   "GET http://a/query?id=$attacked HTTP/1.0\r\n\r\n",       qr{\AHTTP/1\.1 403 }],
    ['HTTP/0.9',                "GET /query?id=$attacked\r\n",                              qr{\A\z}],
) {
    my ($name, $bytes, $wanted) = @$case;
    my $before = length $nginx->log;
    like(raw($bytes), $wanted, "$name: an attack is refused");
    $nginx->wait_for("the rule: $name", sub { substr($nginx->log, $before) =~ /\[id "942100"\]/ });
}
is_deeply([$upstream->seen], [], 'and the upstream saw none of them');
like(raw("GET /page?id=17 HTTP/1.0\r\n\r\n"), qr{\AHTTP/1\.1 403 }, 'the Core Rule Set refuses whatever has an empty host');
like($nginx->log, qr/\[id "920290"\]/, 'by a rule of its own');
like(raw("GET /own HTTP/1.0\r\n\r\n"), qr{\AHTTP/1\.1 200 .*\r\n\r\n\z}s, 'other rules let pass what is harmless');
is(raw("GET /own\r\n"), '', 'also of HTTP/0.9, which gets a body only');
is_deeply([$upstream->seen], ['GET /own 0', 'GET /own 0'], 'to the upstream');

# What is harmless passes, and what the filter read of a body goes to the upstream as it came.
my $long = join '&', map {"field$_=value+number+$_"} 1 .. 150;
my @passing = (
    ['GET',  '/page?id=17&name=nobody', {},    undef],
    ['HEAD', '/page',                   {},    undef],
    ['POST', '/form',                   $form, 'a=1&b=hello+world'],
    ['POST', '/json',                   $json, '{"id": 17, "name": "nobody", "list": [1, "two", null]}'],
    ['POST', '/form',                   $form, $long],
);
for my $case (@passing) {
    my ($method, $target, $headers, $body) = @$case;
    my $length = length($body // '');
    my $response = $nginx->request($method, $target, $headers, $body);
    is($response->{status}, 200, "$method $target with $length bytes passes");
    is($response->{content} // '', $body // '', 'with its body');
    is(($upstream->seen)[-1], "$method $target $length", 'to the upstream');
}

my @pieces = ('a=1&b=', 'in+', 'pieces');
is($nginx->request('POST', '/form', $form, sub { shift @pieces })->{content}, 'a=1&b=in+pieces', 'also a chunked body');
@pieces = ('a=1&id=1%27%20OR', '%20%271%27=%271');
is($nginx->request('POST', '/form', $form, sub { shift @pieces })->{status}, 403, 'an attack across two chunks is seen');

# SecRequestBodyLimit of the recommended configuration: 131072, and what is longer is refused.
my $seen = () = $upstream->seen;
is($nginx->request('POST', '/form', $form, 'a=' . 'b' x 140_000)->{status}, 413, 'a body that is too long to look at is refused');
is(scalar(() = $upstream->seen), $seen, 'before the upstream sees it');

# Rules of one's own.
is($nginx->get('/page', { 'x-mood' => 'bad' })->{status},  403, 'a rule of one\'s own refuses a request by its headers');
is($nginx->get('/page', { 'x-mood' => 'good' })->{status}, 200, 'and others not');
is($nginx->request('POST', '/own', $form, 'a=13+bytes+ab')->{status}, 451, 'one refuses a response by its headers');
$nginx->wait_for('the audit log', sub { grep { /^audit: \{/ } $nginx->said('coraza') });
my ($audit) = map { /^audit: (\{.*)/ ? $1 : () } $nginx->said('coraza');
like($audit, qr{"uri":"/own"}, 'which the audit log has');
is($nginx->request('POST', '/own', $form, 'a=' . 'b' x 1000)->{status}, 413, 'a body limit of one\'s own');
is($nginx->request('POST', '/own', $form, 'a=' . 'b' x 900)->{status},  200, 'refuses longer bodies only');
my $trusted = HTTP::Tiny->new->post("http://trusted.example:@{[ $nginx->port ]}/own",
    { peer => '127.0.0.1', headers => $form, content => 'a=' . 'b' x 1000 });
is($trusted->{status}, 200, 'and has no say about a host with other rules');

# A request without a body: rules of phase 2 that need no body run in phase 1, the others when the upstream has answered.
$seen = () = $upstream->seen;
is($nginx->get('/own', { 'x-early' => 'bad' })->{status}, 409, 'a rule of phase 2 about a header refuses a request without a body');
is(scalar(() = $upstream->seen), $seen, 'before the upstream sees it');
is($nginx->get('/own', { 'x-late' => 'bad' })->{status}, 410, 'so does a chain of phase 2');
is(scalar(() = $upstream->seen), $seen + 1, 'but behind the upstream');
$seen = () = $upstream->seen;
is($nginx->request('POST', '/own', $json, '{}')->{status}, 200, 'JSON passes');
is($nginx->request('POST', '/own', { %$json, 'x-late' => 'bad' }, '{}')->{status}, 410, 'the chain refuses a request with a body');
is(scalar(() = $upstream->seen), $seen + 1, 'before the upstream sees it');

# What docs/coraza.md says of other ends: no Location, no closed connection.
my $moved = HTTP::Tiny->new(max_redirect => 0)->get('http://127.0.0.1:' . $nginx->port . '/own', { headers => { 'x-moved' => 'yes' } });
is($moved->{status}, 302, '"redirect" answers with its status');
is($moved->{headers}{location}, undef, 'and says not where to');
is($nginx->get('/own', { 'x-drop' => 'yes' })->{status}, 403, '"drop" answers with 403');

# Responses: the headers are on their way when the body is looked at; Coraza blanks it then.
is($nginx->get('/page', { 'x-answer' => 'all is well' })->{content}, 'all is well', 'the body of a response passes');
my $leak = 'You have an error in your SQL syntax; check the manual that corresponds to your MySQL server version';
my $blanked = $nginx->get('/page', { 'x-answer' => $leak });
is($blanked->{status}, 200, 'a response that leaks has its status');
ok($blanked->{content} eq "\0" x length $leak, 'and no word of its body');
like($nginx->log, qr/Transaction interrupted .*phase="http_response_body"/, 'the log tells');

# Metrics: the requests that it saw, and those that it refused by rule and phase.
my $metrics = $nginx->get('/metrics')->{content};
my ($all) = $metrics =~ /^waf_filter_tx_total\{name="waf_filter\.tx\.total"\} (\d+)$/m;
my $answered = () = $nginx->read('logs/access.log') =~ m{"[A-Z]+ (?!/metrics)}g;
is($all, $answered, 'a counter has the requests');
like($metrics, qr/^\w+\{name="waf_filter\.tx\.interruptions_ruleid=949110_phase=http_request_body"\} 3$/m,
    'another those that were refused for their bodies');
like($metrics, qr/^\w+\{name="waf_filter\.tx\.interruptions_ruleid=1002_phase=http_response_headers"\} 1$/m,
    'and one that was for its response\'s headers');

unlike($nginx->log, qr/failed to call function|trapped|\[alert\]/, 'the filter never failed');

done_testing();
