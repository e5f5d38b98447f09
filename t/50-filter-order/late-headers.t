# Filters of nginx that send the headers when they have seen the body: also the answer to HEAD needs one, whatever filters do.

use strict;
use warnings;

use File::Basename 'dirname';
use NginxProcess;
use RawClient;
use Test::More;

my $root    = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my @modules = split ' ', $ENV{TEST_NGINX_LOAD_MODULES};
my ($image) = grep {-f} map { dirname($_) . '/ngx_http_image_filter_module.so' } grep {/ngx_http_lua_module/} @modules;
plan skip_all => 'needs the image filter module of the installed nginx' unless $image;

my $nginx = NginxProcess->new('late-headers', modules => [$image, @modules]);
my %does = (
    'goes-on'      => '',
    'other-method' => 'request-headers set request :method GET',
    # The handler has ended without a body by the time the headers go on.
    'holds'        => 'tick 10; response-headers hold; response-headers at-tick resume',
    'holds-body'   => 'response-body hold-until-end',
);
my $locations = join '', map {
    "location = /$_ { proxy_wasm bodies 'quiet; $does{$_}'; empty_gif; image_filter test; }\n"
    . "location = /$_/size { proxy_wasm bodies 'quiet; $does{$_}'; empty_gif; image_filter size; }\n"
} sort keys %does;
$nginx->configure(
    main   => "wasm { module bodies $root/build/guests/rust-bodies.wasm; }",
    server => "$locations location = /plain { empty_gif; image_filter test; }",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub head {
    my $path   = shift;
    my $client = RawClient->new($nginx->port);
    $client->send("HEAD $path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    my $headers = $client->take(qr/HTTP.*?\r\n\r\n/s) // 'nothing';
    my ($status) = $headers =~ /^(.*?)\r\n/;
    my ($type)   = $headers =~ /^Content-Type: (.*?)\r\n/mi;
    return [$status // $headers, $type // 'no type', $client->at_end ? 'no body' : 'a body'];
}

is_deeply(head('/plain'), ['HTTP/1.1 200 OK', 'image/gif', 'no body'], 'without a filter');
is_deeply(head('/holds'), ['HTTP/1.1 415 Unsupported Media Type', 'text/html', 'no body'], 'headers that were held: an answer comes');
for my $name (grep { $_ ne 'holds' } sort keys %does) {
    is_deeply(head("/$name"), ['HTTP/1.1 200 OK', 'image/gif', 'no body'], "HEAD: $name");
    is_deeply(head("/$name/size"), ['HTTP/1.1 200 OK', 'application/json', 'no body'], "HEAD, with another body: $name");
}
unlike($nginx->log, qr/\[(?:error|crit|alert|emerg)\]/, 'the log has no errors');
$nginx->stop;

done_testing();
