# content-length of a filter where nginx knows none: it is sent, and a body that does not fit is cut off with the connection.
# And responses that have neither a length nor a body. As in framing.t, another request follows on the same connection.

use strict;
use warnings;

use IO::Socket::INET;
use NginxProcess;
use Test::More;
use Upstream;

my $root     = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $upstream = $ENV{TEST_NGINX_PORT} + 1;
Upstream->start($upstream);
my $nginx = NginxProcess->new('length');

# Three pieces of 4 bytes: in chunks, and up to the end of the connection.
my %pieces = (chunked => "http://127.0.0.1:$upstream/chunked/3/4", close => "http://127.0.0.1:$upstream/close/3/4");
my $locations = '';
for my $kind (sort keys %pieces) {
    for my $length (10, 12, 14) {
        for my $buffering (qw( on off )) {
            $locations .= "location = /$kind/$length/$buffering { proxy_buffering $buffering; proxy_wasm probe '\@response replace response content-length $length'; proxy_pass $pieces{$kind}; }\n";
        }
        # The filter looks at the body too, and leaves it, or changes it.
        $locations .= "location = /$kind/$length/seen { proxy_wasm bodies 'quiet; response-headers add response content-length $length'; proxy_pass $pieces{$kind}; }\n";
        $locations .= "location = /$kind/$length/upper { proxy_buffering off; proxy_wasm bodies 'quiet; response-headers add response content-length $length; response-body upper'; proxy_pass $pieces{$kind}; }\n";
        $locations .= "location = /$kind/$length/held { proxy_wasm bodies 'quiet; response-headers add response content-length $length; response-body hold-until-end'; proxy_pass $pieces{$kind}; }\n";
    }
}
my @bodiless = (204, 304);
for my $status (@bodiless) {
    $locations .= "location = /status/$status { proxy_wasm probe '\@response replace response :status $status; \@response replace response content-length 5'; proxy_pass http://127.0.0.1:$upstream/length/1/5; }\n";
    $locations .= "location = /after/$status { proxy_wasm probe '\@response replace response content-length 5; \@response replace response :status $status'; proxy_pass http://127.0.0.1:$upstream/chunked/1/5; }\n";
    $locations .= "location = /local/$status { proxy_wasm probe 'respond $status a_body'; return 200 ok; }\n";
    $locations .= "location = /instead/$status { proxy_wasm probe '\@response respond $status a_body'; proxy_pass http://127.0.0.1:$upstream/length/1/5; }\n";
}
# Who asks with HEAD is told of ranges what who asks with GET is told.
$locations .= "location = /ranges/body.txt { proxy_wasm bodies 'quiet'; try_files /body.txt =404; }\n";
$locations .= "location = /ranges/none { proxy_wasm probe ''; try_files /body.txt =404; }\n";
$nginx->write('body.txt', "the body\n");
$nginx->configure(
    main   => "wasm { module probe $root/build/guests/rust-probe.wasm; module bodies $root/build/guests/rust-bodies.wasm; }",
    server => "proxy_http_version 1.1; root @{[ $nginx->prefix ]};\n$locations\nlocation /next { return 200 next; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

# All that comes back on a connection with these two requests, as head and rest.
sub answers {
    my ($method, $path) = @_;
    my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $nginx->port) or die "connect: $!";
    print $socket "$method $path HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    local $/;
    my ($head, $rest) = split /\r\n\r\n/, <$socket> // '', 2;
    return ($head // '', $rest // '');
}

my $next = qr{HTTP/1\.1 200 [^\n]*\r\n(?:[^\r\n]+\r\n)*\r\nnext\z};
for my $kind (sort keys %pieces) {
    for my $way (qw( on off seen upper held )) {
        my $body = $way eq 'upper' ? 'AAAABBBBCCCC' : 'aaaabbbbcccc';
        for my $length (10, 12, 14) {
            my $from = length $nginx->log;
            my ($head, $rest) = answers('GET', "/$kind/$length/$way");
            my $what = "$kind, $way, $length of 12 bytes";
            unlike($head, qr/^transfer-encoding:/mi, "$what: no chunks");
            my $complaints = () = substr($nginx->log, $from) =~ /a wasm filter gave a response a content-length of $length, and its body has/g;
            if ($way eq 'held' || $length == 12) {
                # All of the body is there before the headers go.
                like($head, qr/^content-length: 12\r?$/mi, "$what: the length");
                like($rest, qr/\A$body$next/, "$what: the body, and the next response");
                is($complaints, 0, "$what: nothing in the log");
            } else {
                # When nginx has not sent the headers by then, they do not go either.
                ok($head eq '' || $head =~ /^content-length: $length\r?$/mi, "$what: the length") or diag $head;
                ok(length $rest < $length && index($body, $rest) == 0, "$what: the body is cut off, and nothing follows") or diag $rest;
                is($complaints, 1, "$what: one line in the log");
            }
        }
    }
    my ($head, $rest) = answers('HEAD', "/$kind/14/on");
    like($head, qr/^content-length: 14\r?$/mi, "$kind, HEAD: the length");
    like($rest, qr/\A$next/, "$kind, HEAD: no body");
}

for my $status (@bodiless) {
    for my $way (qw( status after local instead )) {
        for my $method (qw( GET HEAD )) {
            my ($head, $rest) = answers($method, "/$way/$status");
            like($head, qr{\AHTTP/1\.1 $status }, "$method /$way/$status");
            unlike($head, qr/^(?:content-length|transfer-encoding):/mi, "$method /$way/$status: no length") or diag $head;
            like($rest, qr/\A$next/, "$method /$way/$status: no body") or diag $rest;
        }
    }
}

for my $path ('/ranges/body.txt', '/ranges/none') {
    my %ranges = map {
        my ($head) = answers($_, $path);
        ($_ => join ',', $head =~ /^accept-ranges: (\S+)/mi)
    } qw( GET HEAD );
    is($ranges{GET}, $path =~ /none/ ? 'bytes' : '', "$path: Accept-Ranges");
    is($ranges{HEAD}, $ranges{GET}, "$path: the same for HEAD");
}

my @worse = grep { /\[(?:alert|emerg)\]/ } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
