# What happens around a request rather than in it: 'nginx -t', a reload that fails and one that succeeds, and nginx with
# this module loaded and unused, with and without the Lua module.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $guests = ($ENV{TEST_WASM_ROOT} // '') . '/build/guests';

# A filter that sets the response header 'x-version'.
sub version {
    my $version = shift;
    my $size    = length $version;
    return <<"WAT";
(module
  (import "env" "proxy_replace_header_map_value" (func \$replace (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "x-version$version")
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (call \$replace (i32.const 2) (i32.const 0) (i32.const 9) (i32.const 9) (i32.const $size))))
WAT
}

sub line_of {
    my ($nginx, $text) = @_;
    my @lines = split /\n/, $nginx->read('nginx.conf');
    my ($line) = grep { index($lines[$_ - 1], $text) >= 0 } 1 .. @lines;
    return $line;
}

# nginx -t
{
    my $nginx = NginxProcess->new('test');
    my $conf  = $nginx->prefix . '/nginx.conf';

    $nginx->write('version.wat', version('1'));
    $nginx->configure(
        main   => "wasm { module version version.wat; }",
        server => "location / { proxy_wasm version; return 200 ok; }",
    );
    my ($ok, $output) = $nginx->test;
    ok($ok, 'nginx -t accepts a configuration without mistakes') or diag $output;
    like($output, qr/configuration file \Q$conf\E test is successful/, 'nginx -t says so');

    $nginx->configure(
        main   => "wasm {\n    module version version.wat;\n    module gone gone.wasm;\n}",
        server => "location / { proxy_wasm version; return 200 ok; }",
    );
    ($ok, $output) = $nginx->test;
    my $line = line_of($nginx, 'gone.wasm');
    ok(!$ok, 'nginx -t refuses a mistake');
    like($output, qr/\[emerg\] .*module "gone" .*No such file.* in \Q$conf\E:$line$/m, 'with the line of the directive');
    like($output, qr/configuration file \Q$conf\E test failed/,                       'nginx -t says that the test failed');
    is(() = $output =~ /\[emerg\]/g, 1, 'there is one message');

    ok(!$nginx->start, 'nginx does not start either');
    like($nginx->{output}, qr/module "gone" .* in \Q$conf\E:$line$/m, 'it says the same');

    $nginx->configure(
        main   => "wasm { module probe $guests/rust-probe.wasm; }",
        server => "location / {\n    return 200 ok;\n    proxy_wasm probe '\@configure false';\n}",
    );
    ($ok, $output) = $nginx->test;
    $line = line_of($nginx, '@configure');
    ok(!$ok, 'nginx -t runs the start of the filters');
    like($output, qr/filter "probe" does not start: .* in \Q$conf\E:$line$/m, 'and names the line of the filter');
}

# Reload
{
    my $nginx = NginxProcess->new('reload');
    my $served = sub {
        my $response = $nginx->get('/');
        return ($response->{headers}{'x-version'} // 'none') . ' ' . $response->{content};
    };
    my $reload_fails = sub {
        my ($what, $pattern) = @_;
        my @workers = $nginx->workers;
        my $size    = length $nginx->log;
        $nginx->signal('HUP');
        $nginx->wait_for($what, sub { substr($nginx->log, $size) =~ $pattern });
        # The master reads its signals one after the other: when it answers this one, it is done with the reload.
        $size = length $nginx->log;
        $nginx->signal('USR1');
        $nginx->wait_for('the reopening of the logs', sub { substr($nginx->log, $size) =~ /reopening logs/ });
        is_deeply([sort $nginx->workers], [sort @workers], "$what: the workers are the same");
        return;
    };
    my $reload = sub {
        my %old = map { $_ => 1 } $nginx->workers;
        $nginx->signal('HUP');
        $nginx->wait_for('new workers', sub { my @workers = $nginx->workers; @workers && !grep { $old{$_} } @workers });
        return;
    };
    my $server = "location / { proxy_wasm version; return 200 one; }";

    $nginx->write('version.wat', version('1'));
    $nginx->configure(main => "wasm { module version version.wat; }", server => $server);
    ok($nginx->start, 'nginx starts') or die($nginx->{output});
    is($served->(), '1 one', 'the filter works');

    $nginx->write('version.wat', '(module');
    $reload_fails->('a broken module', qr/\[emerg\] .*module "version" .*not a WebAssembly module/);
    is($served->(), '1 one', 'after a failed reload the old filter works');

    # Somebody is copying it just now.
    open my $in, '<:raw', "$guests/rust-probe.wasm" or die("build the guests first: $!");
    my $whole = do { local $/; <$in> };
    for my $length (0, 4, 8, int(length($whole) / 2), length($whole) - 1) {
        $nginx->write('version.wat', substr $whole, 0, $length);
        $reload_fails->("$length bytes of a module", qr/\[emerg\] .*module "version" .*(?:invalid|truncated|not a) (?:WebAssembly|Proxy-Wasm) module/);
    }
    is($served->(), '1 one', 'after reloads with half a module the old filter works');

    $nginx->write('version.wat', version('2'));
    $nginx->configure(main => "wasm { module version version.wat; }", server => "location / { proxy_wasm typo; return 200 two; }");
    $reload_fails->('an unknown module', qr/\[emerg\] .*unknown module "typo"/);
    is($served->(), '1 one', 'after another failed reload the old filter works');

    $nginx->configure(
        main   => "wasm { module version version.wat; module probe $guests/rust-probe.wasm; }",
        server => "wasm_timeout 100ms; location / { proxy_wasm version; proxy_wasm probe '\@configure loop'; return 200 two; }",
    );
    $reload_fails->('a filter that loops', qr/\[emerg\] .*filter "probe" does not start: .*wasm_timeout/);
    is($served->(), '1 one', 'after a reload that looped the old filter works');

    $nginx->configure(
        main   => "wasm { module version version.wat; module probe $guests/rust-probe.wasm; }",
        server => "location / { proxy_wasm version; proxy_wasm probe '\@configure trap'; return 200 two; }",
    );
    $reload_fails->('a filter that traps', qr/\[emerg\] .*filter "probe" does not start: .*trapped/);
    is($served->(), '1 one', 'after a reload that trapped the old filter works');

    $nginx->configure(main => "wasm { module version version.wat; }", server => $server);
    $reload->();
    is($served->(), '2 one', 'a reload reads the file again');

    $nginx->configure(main => "wasm { module version version.wat; }", server => "location / { proxy_wasm version; return 200 two; }");
    $reload->();
    is($served->(), '2 two', 'a reload takes a new configuration');

    $nginx->configure(server => "location / { return 200 three; }");
    $reload->();
    is($served->(), 'none three', 'a reload can take all filters away');

    $nginx->configure(main => "wasm { module version version.wat; }", server => $server);
    $reload->();
    is($served->(), '2 one', 'and bring them back');

    # A file that goes away matters to nobody until the next reload.
    unlink $nginx->prefix . '/version.wat';
    my ($worker) = $nginx->workers;
    kill 'KILL', $worker;
    $nginx->wait_for('the worker that replaces the killed one', sub { my @workers = $nginx->workers; @workers && $workers[0] != $worker });
    is($served->(), '2 one', 'a worker that is started again needs no file');

    $nginx->stop;
    unlike($nginx->log, qr/\[alert\](?!.*exited on signal 9)|bug in the module/, 'nothing went wrong on the way');
}

# The module is loaded, and nothing asks for it.
my @modules = split ' ', $ENV{TEST_NGINX_LOAD_MODULES} // '';
my ($wasm) = grep {/wasm/} @modules;
for my $case ([ 'with the modules of this nginx', @modules ], [ 'alone', $wasm ], [ 'before the others', $wasm, grep { $_ ne $wasm } @modules ]) {
    my ($what, @list) = @$case;
    my $nginx = NginxProcess->new('loaded', modules => \@list);
    $nginx->configure(server => "location / { return 200 ok; }");
    ok($nginx->start, "the module loads $what, without any directive of it") or diag $nginx->{output};
    is($nginx->get('/')->{content}, 'ok', "$what: requests are served");
    $nginx->stop;

    $nginx->write('version.wat', version('1'));
    $nginx->configure(
        main   => "wasm { module version version.wat; }",
        server => "location / { proxy_wasm version; return 200 ok; }",
    );
    ok($nginx->start, "$what: it starts with a filter") or diag $nginx->{output};
    is($nginx->get('/')->{headers}{'x-version'}, '1', "$what: the filter works");
    $nginx->stop;
}

done_testing;
