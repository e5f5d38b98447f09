# A module that was built for another nginx is refused by nginx itself, with its own words. One that fits is not refused because nginx
# lacks what it was built without.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $root = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $ours = $ENV{TEST_WASM_MODULE};

sub refused_like {
    my ($pattern, $what, %options) = @_;
    my $nginx = NginxProcess->new('other-nginx', %options);
    $nginx->configure;
    my ($ok, $output) = $nginx->test;
    ok(!$ok, "$what: nginx -t fails");
    like($output, $pattern, "$what: nginx says why");
    return;
}

# Another version: of the installed nginx and the one that is built here, the one that is not under test.
my $other = $ENV{TEST_WASM_NGINX} eq 'vendored' ? 'installed' : 'vendored';
SKIP: {
    my $tree = qx('$root/tools/nginx-tree.sh' $other 2>&1);
    skip "no $other nginx: $tree", 2 if $? != 0;
    my ($binary)        = $tree =~ /^nginx_binary=(\S+)$/m;
    my ($other_version) = $tree =~ /^nginx_version=(\S+)$/m;
    my ($our_version)   = qx($ENV{TEST_NGINX_BINARY} -v 2>&1) =~ m{/([0-9.]+)};
    skip "both are nginx $our_version", 2 if $our_version eq $other_version;

    my ($built, $running) = map { sprintf '%d%03d%03d', split /\./ } $our_version, $other_version;
    refused_like(
        qr/\[emerg\] .*module "\Q$ours\E" version $built instead of $running in .*nginx\.conf:1/,
        "version $our_version in $other_version",
        binary  => $binary,
        modules => [$ours],
    );
}

# The same version, built with other options: the options are a string in each module, so a copy of ours with one of
# them changed is such a module.
{
    open my $in, '<:raw', $ours or die "cannot read $ours: $!\n";
    my $content = do { local $/; <$in> };
    my $changed = $content =~ s/(\d,\d,\d,[01]{20})([01])/$1 . (1 - $2)/ge;
    is($changed, 1, 'the module carries one signature');

    my $copy = "$root/build/t/other-options.so";
    open my $out, '>:raw', $copy or die "cannot write $copy: $!\n";
    print $out $content;
    close $out or die "cannot write $copy: $!\n";
    refused_like(
        qr/\[emerg\] .*module "\Q$copy\E" is not binary compatible in .*nginx\.conf:1/,
        'other options',
        modules => [$copy],
    );
    unlink $copy;
}

# OpenResty has the version and the options of the nginx that it is made of, and other structures: what its programs have is in
# this one, too.
SKIP: {
    skip 'AddressSanitizer wants to be loaded first', 2 if $ENV{TEST_WASM_NGINX} eq 'asan';
    my $agent = "$root/build/t/agent.so";
    open my $out, '>', "$root/build/t/agent.c" or die "cannot write agent.c: $!\n";
    print $out "unsigned long ngx_is_privileged_agent;\n";
    close $out;
    system('cc', '-shared', '-fPIC', '-o', $agent, "$root/build/t/agent.c") == 0 or skip 'no C compiler', 2;
    local $ENV{LD_PRELOAD} = $agent;
    refused_like(
        qr/\[emerg\] .*this module was built for nginx, and this is OpenResty, .*docs\/openresty\.md/,
        'the same version, with the patches of OpenResty',
        modules => [$ours],
    );
    unlink $agent, "$root/build/t/agent.c";
}

# An nginx without TLS, HTTP/2 or TCP streams lacks their symbols, and would not load a module that needs one: what the module wants
# of them it looks up when it is used.
{
    my @needed = map { /\bU (\S+)$/ ? $1 : () } qx(nm -D --undefined-only '$ours');
    ok((grep { $_ eq 'ngx_http_core_module' } @needed), 'the module needs symbols of nginx');
    my @optional = grep {/^(?:ngx_(?:\w*_)?(?:ssl|v2|v3|quic|stream|mail)_|SSL_|X509_|OPENSSL_)/} @needed;
    is_deeply(\@optional, [], 'it needs none that only some builds of nginx have');
}

done_testing;
