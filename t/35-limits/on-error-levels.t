# Which proxy_wasm_on_error a filter goes by: that of the level that declares it, first for its name, then for all; then
# that of the next level outwards. The same for the other directives about filters one by one.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $nginx = NginxProcess->new('on-error-levels');

# Each location: what stands in it beside the filters, and by which policy `one` (or the filter that is named) goes.
my @cases = (
    { name => 'server',          policy => 'open', what => 'the level of the server counts where the location says nothing' },
    { name => 'location',        says => 'proxy_wasm_on_error closed;', policy => 'closed', what => 'the location comes first' },
    { name => 'named',           says => 'proxy_wasm_on_error filter=one closed; proxy_wasm_on_error reload;', policy => 'closed',
        what => 'what is said for its name comes before what is said for all' },
    { name => 'named-after',     says => 'proxy_wasm_on_error reload; proxy_wasm_on_error filter=one closed;', policy => 'closed',
        what => 'in either order' },
    { name => 'other-name',      says => 'proxy_wasm_on_error filter=two closed;', policy => 'open', what => 'another name does not count' },
    { name => 'inner-for-all',   filter => 'two', says => 'proxy_wasm_on_error closed;', policy => 'closed',
        what => 'what an inner level says for all comes before what an outer says for the name' },
    { name => 'outer-named',     filter => 'two', policy => 'reload', what => 'the name counts at the outer level, too' },
    { name => 'outermost-named', filter => 'three', policy => 'open', what => 'for all at the server comes before for the name in http' },
    { name => 'prefix',          filter => 'onefold', says => 'proxy_wasm_on_error filter=one closed;', policy => 'open', what => 'names are whole' },
);
my $places = '';
for my $case (@cases) {
    my $filter = $case->{filter} // 'one';
    $places .= "location = /$case->{name} { @{[ $case->{says} // '' ]} proxy_wasm $filter 'name $case->{name}; \@response-headers tell'; return 200 ok; }\n";
}
my $port = $nginx->port;
$nginx->configure(
    main => "wasm { @{[ map {qq(module $_ $root/build/guests/rust-faulty.wasm;)} qw( one two three onefold ) ]} }",
    http => "
        proxy_wasm_on_error filter=three closed;
        server {
            listen 127.0.0.1:@{[ $port + 1 ]};
            location = /http-named { proxy_wasm three 'name http-named; \@response-headers tell'; return 200 ok; }
            location = /default { proxy_wasm one 'name default; \@response-headers tell'; return 200 ok; }
            location /nested {
                proxy_wasm_on_error open;
                location = /nested/inner { proxy_wasm one 'name nested-inner; \@response-headers tell'; return 200 ok; }
            }
        }
        server {
            listen 127.0.0.1:@{[ $port + 2 ]};
            proxy_wasm_on_error closed;
            proxy_wasm one 'name inherited; \@response-headers tell';
            # The filter belongs to the server.
            location = /inherited { proxy_wasm_on_error open; return 200 ok; }
        }
        server {
            listen 127.0.0.1:@{[ $port + 3 ]};
            location = /chain {
                proxy_wasm_on_error filter=one open;
                proxy_wasm_on_error filter=two closed;
                proxy_wasm one 'name chain-one; start:1 nth:2 abort; \@response-headers tell';
                proxy_wasm two 'name chain-two; start:1 nth:4 abort; \@response-headers tell';
                return 200 ok;
            }
        }",
    server => "proxy_wasm_on_error open;\nproxy_wasm_on_error filter=two reload;\n$places",
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub goes_by {
    my ($port, $path, $policy, $what) = @_;
    my $header = 'x-' . (substr($path, 1) =~ s{/}{-}gr);
    my @is;
    for my $says ('log info served', 'abort', 'log info served') {
        my $response = HTTP::Tiny->new->get("http://127.0.0.1:$port$path", { headers => { 'x-faulty' => $says } });
        push @is, $response->{status} . (defined $response->{headers}{$header} ? ' with' : '');
    }
    my %wanted = (closed => ['200 with', 503, 503], open => ['200 with', 200, 200], reload => ['200 with', 503, '200 with']);
    return is_deeply(\@is, $wanted{$policy}, "$path: $policy: $what");
}

goes_by($port, "/$_->{name}", @$_{qw( policy what )}) for @cases;
goes_by($port + 1, '/http-named',   'closed', 'http counts where no other level says anything');
goes_by($port + 1, '/default',      'reload', 'the default');
goes_by($port + 1, '/nested/inner', 'open',   'a location around the location');
goes_by($port + 2, '/inherited',    'closed', 'the level that declares the filter counts, not the one that inherits it');

# Two filters of one chain, each by its own.
sub chain {
    my $response = HTTP::Tiny->new->get("http://127.0.0.1:@{[ $port + 3 ]}/chain");
    return join ' ', $response->{status}, map { defined $response->{headers}{"x-chain-$_"} ? $_ : () } qw( one two );
}
is(chain(), '200 one two', 'a chain of two');
is(chain(), '200 two', 'the first one fails, which is open');
is(chain(), '200 two', 'for good');
is(chain(), 503, 'the second one fails, which is closed');
is(chain(), 503, 'for good');
is(() = $nginx->log =~ /failed to call function/g, @cases + 4 + 2, 'each failed once');

my @worse = grep { /\[(?:alert|emerg)\]/ || /panicked at/ && !/ wasm "\w+": / } split /\n/, $nginx->log;
is_deeply(\@worse, [], 'nothing worse in the log');
$nginx->stop;
done_testing;
