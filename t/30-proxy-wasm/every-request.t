# Every form of request that nginx serves, also those that it refuses while it reads them and whose page a location with
# filters makes: pseudo-headers and properties are there, empty where the client said nothing.

use strict;
use warnings;

use IO::Socket::INET;
use IO::Socket::UNIX;
use NginxProcess;
use Test::More;

my $root   = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx  = NginxProcess->new('every-request');
my $is_strict = $nginx->version >= 1_029_003;
my $port   = $nginx->port;
my $second = $port + 1;
my $socket = $nginx->prefix . '/s.sock';

my @pseudo = qw( :authority :path :method :scheme );
# What is always there.
my @properties = (
    map({"request|$_"} qw( path url_path query host scheme method protocol id time size headers headers_bytes total_size )),
    qw( source|address destination|address connection|id connection|mtls connection|requested_server_name route_name )
);
# What is there when the client said it, or when there is such a thing.
my @others = qw( request|referer request|useragent source|port destination|port cluster_name connection|tls_version );

my $reads = join '; ', map({"get request $_"} @pseudo, 'host'), map({"property $_"} @properties, @others);
my $logs  = join '; ', map {"\@log $_"} split /; /, $reads;
my $rest  = 'pairs request; add request x-added yes; get request x-added; remove request x-added; report';

$nginx->configure(
    main => "wasm {" . join('', map {" module $_ $root/build/guests/rust-$_.wasm;"} qw( probe headers lifecycle demanding bodies )) . " }",
    http => <<"CONF",
large_client_header_buffers 2 1k;
# Reads everything on the way in, and writes.
server {
    listen 127.0.0.1:$port default_server;
    listen unix:$socket;
    error_page 400 405 414 494 505 = /refused;
    proxy_wasm probe '$reads; $rest';
}
# Reads at the end, when the response has gone.
server {
    listen 127.0.0.1:$second;
    error_page 400 405 414 494 505 = /refused;
    proxy_wasm lifecycle;
    proxy_wasm probe 'pairs request; $logs';
    # Filters made with an SDK: one that panics when something is missing, and one that reads and writes back.
    proxy_wasm demanding;
    proxy_wasm headers 'request.replace :authority %{:authority}; request.replace :path %{:path}; request.replace :method %{:method}; request.add x-added yes; response.add x-host (%{host})';
    location / { return 200 "served\\n"; }
    location /up { proxy_pass http://127.0.0.1:@{[ $port + 2 ]}; }
    location = /refused { return 200 "refused\\n"; }
    location /held {
        proxy_wasm bodies 'quiet; response-headers hold; response-body hold-until-end; response-end append , and more';
        proxy_wasm_headers_stop_iteration on;
        proxy_pass http://127.0.0.1:@{[ $port + 2 ]};
    }
}
server {
    listen 127.0.0.1:@{[ $port + 2 ]};
    return 200 "\$request_uri \$http_x_added\\n";
}
CONF
);
# The server that configure() makes has no part in this.
my $conf = $nginx->read('nginx.conf');
$conf =~ s/listen 127\.0\.0\.1:$port;\n/listen unix:$socket.unused;\n/;
$nginx->write('nginx.conf', $conf);
$nginx->start or die("nginx does not start: $nginx->{output}");

# All that comes back.
sub ask {
    my ($bytes, $to) = @_;
    my $client = ref $to ? $$to : IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $to);
    die "connect: $!" unless $client;
    print $client $bytes;
    local $/;
    return <$client> // '';
}

sub socket_of { return IO::Socket::UNIX->new(Peer => $socket) || die "connect: $!" }

# Lines of a report, or of the log: statement => [status, value].
sub results {
    my %results;
    for my $line (split /\n/, shift) {
        $results{$1} //= [$2, $3] if $line =~ /^((?:get|property|pairs) .*?) -> (\d+) ?(.*)$/;
    }
    return \%results;
}

my $long = 'x' x 3000;

# [name, bytes, authority, path, method, protocol]
my @forms = (
    ['HTTP/1.1',                    "GET /t?q=1 HTTP/1.1\r\nHost: a.example:81\r\nConnection: close\r\n\r\n", 'a.example:81', '/t?q=1', 'GET', 'HTTP/1.1'],
    ['HTTP/1.0 with Host',          "GET /t HTTP/1.0\r\nHost: a.example\r\n\r\n",     'a.example',   '/t',       'GET',  'HTTP/1.0'],
    ['HTTP/1.0 without Host',       "GET /t?q HTTP/1.0\r\n\r\n",                      '',            '/t?q',     'GET',  'HTTP/1.0'],
    ['HTTP/1.0 without Host, HEAD', "HEAD /up HTTP/1.0\r\n\r\n",                      '',            '/up',      'HEAD', 'HTTP/1.0'],
    ['HTTP/1.0, POST',              "POST /t HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", '',           '/t',       'POST', 'HTTP/1.0'],
    ['HTTP/0.9',                    "GET /t?q=2\r\n",                                 '',            '/t?q=2',   'GET',  'HTTP/0.9'],
    ['HTTP/0.9, to an upstream',    "GET /up?q=2\r\n",                                '',            '/up?q=2',  'GET',  'HTTP/0.9'],
    ['a whole URL',                 "GET http://b.example/t HTTP/1.0\r\n\r\n",        'b.example',   '/t',       'GET',  'HTTP/1.0'],
    ['a whole URL, and Host',       "GET http://b.example:8/t?q HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 'b.example:8', '/t?q', 'GET', 'HTTP/1.1'],
    ['a whole URL without a path',  "GET http://b.example?q HTTP/1.0\r\n\r\n",        'b.example',   '/?q',      'GET',  'HTTP/1.0'],
    ['a method of its own',         "BREW /t HTTP/1.0\r\n\r\n",                       '',            '/t',       'BREW', 'HTTP/1.0'],
    ['OPTIONS',                     "OPTIONS /t HTTP/1.0\r\n\r\n",                    '',            '/t',       'OPTIONS', 'HTTP/1.0'],
    # Those below get the page of an error, which is asked for with GET.
    ['OPTIONS *',                   "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",          '',            '/refused', 'GET',  'HTTP/1.0'],
    ['CONNECT',                     "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",  undef,         '/refused', 'GET',  undef],
    # Newer versions read no further than this.
    ['CONNECT with a path',         "CONNECT /t HTTP/1.1\r\nHost: a\r\n\r\n",         $is_strict ? ('', '/refused', 'GET', 'HTTP/1.0') : ('a', '/refused', 'GET', 'HTTP/1.1')],
    ['TRACE',                       "TRACE /t HTTP/1.1\r\nHost: a\r\n\r\n",           'a',           '/refused', 'GET',  'HTTP/1.1'],
    ['no request',                  "\x01\x02\r\n\r\n",                               '',            '/refused', 'GET',  'HTTP/1.0'],
    ['no path',                     "GET\r\n\r\n",                                    '',            '/refused', 'GET',  'HTTP/1.0'],
    ['HTTP/9.9',                    "GET /t HTTP/9.9\r\n\r\n",                        '',            '/refused', 'GET',  'HTTP/1.0'],
    ['HTTP/1.1 without Host',       "GET /t HTTP/1.1\r\n\r\n",                        '',            '/refused', 'GET',  'HTTP/1.1'],
    ['two hosts',                   "GET /t HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",  'a',           '/refused', 'GET',  'HTTP/1.1'],
    ['a host that is none',         "GET /t HTTP/1.1\r\nHost: a/b\r\n\r\n",           undef,         '/refused', 'GET',  'HTTP/1.1'],
    ['a path that leads out',       "GET /../t HTTP/1.1\r\nHost: a\r\n\r\n",          '',            '/refused', 'GET',  'HTTP/1.1'],
    ['a line that is too long',     "GET /$long HTTP/1.1\r\nHost: a\r\n\r\n",         '',            '/refused', 'GET',  'HTTP/1.0'],
    ['a port that is too long',     "GET http://b.example:" . '0' x 3000 . " HTTP/1.1\r\n\r\n", '', '/refused', 'GET', 'HTTP/1.0'],
    ['a header that is too long',   "GET /t HTTP/1.1\r\nHost: a\r\nX: $long\r\n\r\n", 'a',           '/refused', 'GET',  'HTTP/1.1'],
    ['two lengths',                 "GET /t HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 'a', '/refused', 'GET', 'HTTP/1.1'],
);

# What filters read, in one form.
sub check {
    my ($what, $results, $form) = @_;
    my ($name, undef, $authority, $path, $method, $protocol) = @$form;
    my $value = sub { return join ' ', grep {defined} @{ $results->{ $_[0] } // ['nothing'] } };
    my @missing = grep { ($results->{$_}[0] // 'none') ne '0' } map({"get request $_"} @pseudo, 'host'), map({"property $_"} @properties);
    is_deeply(\@missing, [], "$name: $what: pseudo-headers and properties are there");
    is($value->('get request :authority'),  "0 $authority", "$name: $what: :authority") if defined $authority;
    is($value->('property request|host'),   $value->('get request :authority'), "$name: $what: request.host is the same");
    is($value->('get request host'),        $value->('get request :authority'), "$name: $what: host, too");
    is($value->('get request :path'),       "0 $path",   "$name: $what: :path");
    is($value->('property request|path'),   "0 $path",   "$name: $what: request.path");
    is($value->('get request :method'),     "0 $method", "$name: $what: :method");
    is($value->('property request|method'), "0 $method", "$name: $what: request.method");
    is($value->('get request :scheme'),     '0 http',    "$name: $what: :scheme");
    is($value->('property request|protocol'), "0 $protocol", "$name: $what: request.protocol") if defined $protocol;
    my ($url_path, $query) = split /\?/, $path;
    is($value->('property request|url_path'), "0 $url_path", "$name: $what: request.url_path");
    is($value->('property request|query'), '0 ' . ($query // ''), "$name: $what: request.query");
    return;
}

for my $form (@forms) {
    my ($name, $bytes, undef, undef, $method, $protocol) = @$form;

    # On the way in. The answer is all that was read; to HTTP/0.9 it has no headers.
    my $answer = ask($bytes, $port);
    my $has_headers = $answer =~ s/\A(HTTP.*?)\r\n\r\n//s ? $1 : '';
    is($has_headers ne '', ($protocol // '') ne 'HTTP/0.9', "$name: headers of the answer");
    if ($method ne 'HEAD') {
        check('request', results($answer), $form);
        like($answer, qr/^get request x-added -> 0 yes$/m, "$name: a header can be added");
        like($answer, qr/^remove request x-added -> 0$/m,  "$name: and removed");
    }

    # At the end, behind a filter that has written back what it read, and added a header.
    my $position = length $nginx->log;
    $answer = ask($bytes, $second);
    my $log = '';
    $nginx->wait_for("the log of $name", sub { ($log = substr $nginx->log, $position) =~ /wasm "demanding": log: / });
    check('log', results(join '', map {"$_\n"} $log =~ /wasm "probe": probe: (.*?)(?: while |, client: )/g), $form);
    my ($count) = $log =~ /on_request_headers \d+ n (\d+)/;
    my ($pairs) = $log =~ /probe: pairs request -> 0 (.*?), client: /;
    is($count, scalar(() = $pairs =~ /(?:^|,):?[\w-]+=/g), "$name: as many pairs as filters are told");
    like($log, qr/wasm "demanding": $_: \Q$method\E /, "$name: the SDK finds everything: $_") for qw( request response log );
    unlike($log, qr/\[(?:error|crit|alert|emerg)\]/, "$name: nothing went wrong");
    like($answer, $form->[3] =~ m{^/up(\?.*)?$} ? qr{/up\S* yes\n\z} : qr/(?:served|refused)\n\z/, "$name: is served")
        unless $method eq 'HEAD';
    unlike($answer, qr/x-host/, "$name: no headers") if ($protocol // '') eq 'HTTP/0.9';
}

# To HTTP/0.9 goes a body without headers, also one that a filter holds and changes.
is(ask("GET /held\r\n", $second), "/held \n, and more", 'HTTP/0.9: a body that is held and changed');

# A client and a server on a Unix socket: addresses and no ports.
for my $form (@forms[0, 2, 5]) {
    my $client  = socket_of();
    my $results = results(ask($form->[1], \$client));
    check('Unix socket', $results, ["$form->[0], Unix socket", @$form[1 .. 5]]);
    is_deeply($results->{'property source|address'},      ['0', ''],      "$form->[0]: the client has no path");
    is_deeply($results->{'property destination|address'}, ['0', $socket], "$form->[0]: the server has one");
    is($results->{"property $_|port"}[0], '1', "$form->[0]: no port of the $_") for qw( source destination );
}

$nginx->stop;
unlike($nginx->log, qr/exited on signal/, 'no worker crashed');

done_testing;
