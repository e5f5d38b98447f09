# What users begin with: the projects in templates/, built by the commands of their READMEs (tools/guests/build.sh), do in nginx what
# docs/first-filter.md says: the page's nginx.conf, its requests with their responses, and its messages.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $root   = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $guests = "$root/build/guests";
my $port   = $ENV{TEST_NGINX_PORT};
my ($hello, $service, $nobody) = map { $port + $_ } 1 .. 3;

sub slurp {
    my $path = shift;
    open my $in, '<', $path or die "cannot read $path: $!\n";
    local $/;
    return <$in>;
}

my @all = qw( rust go assemblyscript cpp );
my @languages = grep { -e "$guests/template-$_.wasm" && -e "$guests/template-$_-call.wasm" } @all;
for my $language (@all) {
SKIP: {
        skip "$language: not built; run tools/guests/build.sh template-$language", 1 unless grep { $_ eq $language } @languages;
        pass("$language: built");
    }
}
plan skip_all => 'none of them is built' unless @languages;

# Go's modules take their time: each is compiled once.
my $cache = "cache_dir $root/build/t/templates-cache;";

# As its README says it.
my %configuration = map {
    my ($text) = slurp("$root/templates/$_/README.md") =~ /^ *proxy_wasm my_filter (.*);$/m
        or die "templates/$_/README.md has no 'proxy_wasm my_filter'\n";
    $_ => $text
} @languages;

my $nginx = NginxProcess->new('templates');
$nginx->configure(
    main => join("\n", 'wasm {', $cache,
        (map {"module $_ $guests/template-$_.wasm;\nmodule $_-call $guests/template-$_-call.wasm;"} @languages), "}\n"),
    http => <<"CONF",
server {
    listen 127.0.0.1:$hello;
    access_log logs/upstream.log;
    location / { return 200 "hello\\n"; }
}
upstream auth { server 127.0.0.1:$service; }
server {
    listen 127.0.0.1:$service;
    location = /check {
        if (\$http_x_api_key = gone) { return 444; }
        if (\$http_x_api_key = open-sesame) { return 200; }
        return 401;
    }
}
CONF
    server => join("\n", 'location = /metrics { wasm_metrics; }', map {
        my $language = $_;
        "location /$language/ { proxy_wasm $language $configuration{$language}; proxy_pass http://127.0.0.1:$hello; }\n"
            . "location /$language-call/ { proxy_wasm $language-call; proxy_pass http://127.0.0.1:$hello; }\n"
    } @languages),
);
$nginx->start or die("nginx does not start: $nginx->{output}");

sub counter {
    my ($value) = $nginx->get('/metrics')->{content} =~ /^my_filter_refused (\d+)$/m;
    return $value // 0;
}

# Of the upstream.
sub asked { return scalar(() = $nginx->read('logs/upstream.log') =~ /^.*"GET/mg) }

for my $language (@languages) {
    my ($count, $asked) = (counter(), asked());
    for my $headers ({}, { 'x-api-key' => 'open' }) {
        my $given    = $headers->{'x-api-key'} // 'none';
        my $response = $nginx->get("/$language/", $headers);
        is("$response->{status} $response->{content}", "403 no key\n", "$language: a request is refused whose key is $given");
    }
    is(counter() - $count, 2, "$language: and counted");
    my $response = $nginx->get("/$language/", { 'x-api-key' => 'open-sesame' });
    is("$response->{status} $response->{content}", "200 hello\n", "$language: one with the right key goes on");
    is($response->{headers}{'x-tag'}, 'blue', "$language: its response has the header");
    $nginx->wait_for('the access log', sub { asked() > $asked });
    is(asked() - $asked, 1, "$language: the upstream has seen that one alone");
    is_deeply([$nginx->said($language)], [('refused: no key, or a wrong one') x 2], "$language: the log says why");

    # The variant that asks a service.
    my %answer = ('open-sesame' => "200 hello\n", open => "403 a bad key\n", gone => '503');
    for my $key (sort keys %answer) {
        $response = $nginx->get("/$language-call/", { 'x-api-key' => $key });
        like("$response->{status} $response->{content}", qr/^\Q$answer{$key}\E/, "$language: the service is asked about the key $key");
    }
}
$nginx->stop;
unlike($nginx->log, qr/\[(?:crit|alert|emerg)\]/, 'nothing has failed');

for my $language (@languages) {
    my $bad = NginxProcess->new("templates-bad-$language");
    $bad->configure(
        main   => "wasm {\n$cache\nmodule my_filter $guests/template-$language.wasm;\n}\n",
        server => "location / { proxy_wasm my_filter 'tag=blue'; proxy_pass http://127.0.0.1:$hello; }\n",
    );
    my ($ok, $output) = $bad->test;
    ok(!$ok, "$language: with a bad configuration nginx does not start");
    like($output, qr/^.*\[error\] .*wasm "my_filter": bad configuration: \S/m, "$language: the filter says what is wrong");
    like($output, qr/^.*\[emerg\] .*filter "my_filter" does not start: proxy_on_configure returned false: .* in \S+nginx\.conf:\d+$/m,
        "$language: the module which filter, and where");
}

# The page.

my $page = slurp("$root/docs/first-filter.md");

# nginx.conf as it stands there, with the paths and ports of this machine.
sub nginx_as_shown {
    my ($conf) = $page =~ /^```nginx\n(load_module .*?)^```$/ms or die "the page has no nginx.conf\n";
    my $shown = NginxProcess->new('templates-page');
    my $load  = join '', map {"load_module $_;\n"} @{ $shown->{modules} };
    my $temp  = join '', map {"    ${_}_temp_path temp/$_;\n"} qw( client_body proxy fastcgi uwsgi scgi );
    $conf =~ s/^load_module .*\n/$load/m or die "it has no load_module\n";
    $conf =~ s/^http \{\n/http {\n$temp/m or die "it has no http\n";
    $conf =~ s/^wasm \{\n/wasm {\n    $cache\n/m or die "it has no wasm\n";
    $conf =~ s{^( *module my_filter ).*;}{$1$guests/template-rust.wasm;}m or die "it has no module my_filter\n";
    $conf =~ s/\b8080\b/$port/g;
    $conf =~ s/\b9000\b/$hello/g;
    $conf = "user root;\n$conf" if $> == 0;
    $shown->write('nginx.conf', $conf);
    return $shown;
}

# What differs from machine to machine, and what from one call to the next.
sub plain {
    my $text = shift;
    $text =~ s/\r//g;
    $text =~ s/^Date: .*/Date: NOW/m;
    $text =~ s{^Server: nginx/.*}{Server: nginx}m;
    return $text;
}

SKIP: {
    skip 'the page shows the filter in Rust', 1 unless -e "$guests/template-rust.wasm";
    my $shown = nginx_as_shown();
    ok($shown->start, 'the nginx.conf of the page') or diag($shown->{output});
    my @calls = $page =~ /^```console\n(\$ curl .*?)^```$/msg;
    cmp_ok(scalar @calls, '>=', 3, 'the page shows requests');
    for my $call (@calls) {
        my ($command, $expected) = $call =~ /^\$ (curl .*)\n((?s).*)$/m;
        my $what = $command;
        $command =~ s/\b8080\b/$port/;
        is(plain(scalar qx(( $command ) 2>/dev/null)), plain($expected), "the page: $what");
    }
    $shown->stop;
}

# Messages: how each is provoked, by what the page says of it.

my $filter = '(memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1"))';
my $malloc = '(func (export "malloc") (param i32) (result i32) i32.const 1024)';
my %provoked = (
    'is not terminated by ";"'                  => { use => q(my_filter {"key": "open-sesame"}) },
    'unexpected "k"'                            => { use => q(my_filter "{"key": "open-sesame"}") },
    'unexpected "tag=blue" in "proxy_wasm"'     => { use => q(my_filter key=open-sesame tag=blue) },
    'unknown module "my-filter" in "proxy_wasm"' => { use => 'my-filter' },
    'cannot read it: No such file or directory' => {},
    'neither the binary format nor WAT text'    => { file => "\x7fELF\xff" },
    'a component, and not a module'             => { file => "\0asm\x0d\0\x01\0" },
    'truncated WebAssembly module'              => { file => "\0asm\x01\0\0\0\x01\x10" },
    'it exports no "proxy_abi_version_X_Y_Z"'   => { wat => "(memory (export \"memory\") 1) $malloc" },
    'it exports no memory named "memory"'       => { wat => "(func (export \"proxy_abi_version_0_2_1\")) $malloc" },
    'it exports no allocator'                   => { wat => $filter },
    'unknown import "env.__cxa_allocate_exception"' =>
        { wat => "(import \"env\" \"__cxa_allocate_exception\" (func (param i32) (result i32))) $filter $malloc" },
    'its _start called proc_exit(0)' => {
        wat => '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))' . " $filter $malloc "
            . '(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) i32.const 0)'
            . '(func (export "_start") (call $exit (i32.const 0)))',
    },
);

my ($table) = $page =~ /^### At `nginx -t`\n[^#]*?^\| --- \|[^\n]*\n((?:\|[^\n]*\n)+)/m or die "the page has no table of messages\n";
for my $row (split /\n/, $table) {
    my ($message) = $row =~ /^\| `([^`]+)`/ or die "no message in the row: $row\n";
    my ($key) = grep { index($message, $_) >= 0 } sort keys %provoked;
    if (!defined $key) {
        fail("nothing here provokes the message: $message");
        next;
    }
    my %way = %{ delete $provoked{$key} };
    my $wrong = NginxProcess->new('templates-wrong');
    $wrong->write('f.wasm', $way{wat} ? "(module $way{wat})" : $way{file}) if $way{wat} || $way{file};
    # That of the page is a filter, where its file is not what is wrong.
    my $module = $way{use} ? "$guests/template-$languages[0].wasm" : $wrong->prefix . '/f.wasm';
    my $use = $way{use} // 'my_filter';
    $wrong->configure(
        main   => "wasm {\n$cache\nmodule my_filter $module;\n}\n",
        server => "location / { proxy_wasm $use; proxy_pass http://127.0.0.1:$hello; }\n",
    );
    my ($ok, $output) = $wrong->test;
    ok(!$ok, "nginx -t fails: $message");
    # Three dots stand for the rest.
    my $pattern = join '.*', map {quotemeta} split / ?… ?/, $message;
    like($output, qr/\[emerg\] .*$pattern/, 'and says so');
}
is_deeply([sort keys %provoked], [], 'the page has each message that is known here');

done_testing;
