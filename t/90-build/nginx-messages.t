# What nginx itself says about mistakes in loading the module, in its blocks and in quotes is as docs/errors.md has it, in nginx's
# words: each line there comes of some mistake here, and of each mistake here there is a line.

use strict;
use warnings;

use NginxProcess;
use Test::More;

my $root  = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";
my $ours  = $ENV{TEST_WASM_MODULE};
my $nginx = NginxProcess->new('nginx-messages');
$nginx->write('a.wat', NginxProcess::TINY_FILTER);
$nginx->write('in-http.conf', "wasm { module a a.wat; }\n");
$nginx->write('short.so', 'x');

# The lines of these sections, as patterns.
my %line;
{
    open my $in, '<', "$root/docs/errors.md" or die "cannot read docs/errors.md: $!\n";
    my $text = do { local $/; <$in> };
    for my $section ('Loading the module', 'Blocks, quotes and semicolons') {
        my ($rows) = $text =~ /^## \Q$section\E\n(.*?)^## /ms or die "docs/errors.md has no section '$section'\n";
        for my $cell ($rows =~ /^\| (`.*?) \| /mg) {
            $line{$1} = 1 while $cell =~ /`([^`]+)`/g;
        }
    }
}
cmp_ok(scalar keys %line, '>', 20, 'docs/errors.md has lines');
sub pattern {
    # An ellipsis is anything; single capitals are numbers.
    my $pattern = join '.*', map {quotemeta} split /\xe2\x80\xa6/, $_[0], -1;
    $pattern =~ s/\bN\b|\bM\b/\\d+/g;
    return qr/\[emerg\] \d+#\d+: $pattern(?: in |\s)/;
}

# A file that is no module of this nginx: compiled, since that is what nginx looks into.
sub other_module {
    my ($name, $source) = @_;
    my $path = $nginx->prefix . "/$name.so";
    open my $cc, '|-', 'cc', '-shared', '-fPIC', '-w', '-o', $path, '-x', 'c', '-' or die "cannot run cc: $!\n";
    print $cc $source;
    close $cc or die "cc fails on $name\n";
    return $path;
}
my $version = $nginx->version;
my $fields  = 'void *ngx_modules[] = { module, 0 }; char *ngx_module_names[] = { "x", 0 };';
my $older   = other_module('older', qq(long module[40] = { -1, -1, 0, 0, 0, $version - 1, (long) "8,4,8" }; $fields));
my $unlike  = other_module('unlike', qq(long module[40] = { -1, -1, 0, 0, 0, $version, (long) "8,4,8,no" }; $fields));
my $lost    = other_module('lost', 'extern int ngx_of_another_nginx; int *address = &ngx_of_another_nginx;');

my %met;
my $load = "load_module $ours;\nevents {}\n";
sub in_server { return "${load}wasm { module a a.wat; }\nhttp { server { listen 127.0.0.1:@{[ $nginx->port ]}; $_[0] } }\n" }
for my $case (
    ['the module is not loaded',          "events {}\nwasm { }\n"],
    ['the same with a filter',            "events {}\nhttp { server { proxy_wasm a; } }\n"],
    ['load_module behind a block',        "events {}\nload_module $ours;\n"],
    ['load_module twice',                 "load_module $ours;\n$load"],
    ['a module that is not there',        "load_module gone.so;\nevents {}\n"],
    ['a filter as module',                'load_module ' . $nginx->prefix . "/a.wat;\nevents {}\n"],
    ['an end of a module',                'load_module ' . $nginx->prefix . "/short.so;\nevents {}\n"],
    ['a module that wants another nginx', "load_module $lost;\nevents {}\n"],
    ['one with other options',            "load_module $unlike;\nevents {}\n"],
    ['one for another version',           "load_module $older;\nevents {}\n"],
    ['wasm in http',                      "${load}http { wasm { module a a.wat; } }\n"],
    ['wasm in a file that http includes', "${load}http { include in-http.conf; }\n"],
    ['module at the top level',           "${load}module a a.wat;\n"],
    ['proxy_wasm at the top level',       "${load}proxy_wasm a;\n"],
    ['proxy_wasm in wasm',                "${load}wasm { module a a.wat; proxy_wasm a; }\n"],
    ['proxy_wasm in if',                  in_server('location / { if ($arg_x) { proxy_wasm a; } }')],
    ['proxy_wasm in limit_except',        in_server('location / { limit_except GET { proxy_wasm a; } }')],
    ['an open block',                     "${load}wasm { module a a.wat;\nhttp { }\n"],
    ['JSON without quotes',               in_server('proxy_wasm a {"a": 1};')],
    ['JSON in its own quotes',            in_server('proxy_wasm a "{"a": 1}";')],
    ['an apostrophe between apostrophes', in_server(q(proxy_wasm a '{"a": "it's"}';))],
    ['no semicolon',                      in_server(q(proxy_wasm a '{"a": 1}'))],
    ['an open quote',                     in_server(q(proxy_wasm a '{"a": 1};))],
    ['an open quote and much behind it',  in_server(q(proxy_wasm a '{"a": 1};) . "\n# more" x 1000)],
    ['a long argument',                   in_server("proxy_wasm a " . 'x' x 5000 . ';')],
    ['no name',                           in_server('proxy_wasm;')],
    ['no path',                           "${load}wasm { module a; }\n"],
    ['wasm without a block',              "${load}wasm module a a.wat;\n"],
    ['a misspelt directive',              "${load}wasm { modul a a.wat; }\n"],
) {
    my ($what, $configuration) = @$case;
    $nginx->write('nginx.conf', "pid nginx.pid;\nerror_log stderr;\n" x ($configuration !~ /^load_module/) . $configuration);
    my ($ok, $output) = $nginx->test;
    ok(!$ok, "$what: nginx refuses it");
    my @lines = grep { $output =~ pattern($_) } keys %line;
    ok(scalar @lines, "$what: docs/errors.md has what it says") or diag($output);
    $met{$_} = 1 for @lines;
}
is_deeply([grep { !$met{$_} } sort keys %line], [], 'and each line there is what nginx says of some mistake');

# What is accepted, as the page has it.
$nginx->write('nginx.conf', "load_module $ours;\npid nginx.pid;\nerror_log stderr;\n" . in_server(q(proxy_wasm a '{"a": "it\'s"}';)) =~ s/^load_module.*\n//r);
my ($ok, $output) = $nginx->test;
ok($ok, 'an apostrophe behind a backslash is part of the argument') or diag($output);

done_testing();
