# A configuration with several mistakes: 'nginx -t' tells all of them, and those that can be found without compiling before it
# compiles anything.

use strict;
use warnings;

use File::Temp ();
use NginxProcess;
use Test::More;

plan skip_all => 'the engine runs no programs, and so has other mistakes' unless Engine::can_do('programs');
$ENV{VALGRIND_NO_CACHE} = 1;

# Not in the checkout, whose folders may belong to anybody.
my $scratch = File::Temp->newdir('wasm-mistakes-XXXXXX', TMPDIR => 1);
my $nginx   = NginxProcess->new('all-mistakes');
my $conf    = $nginx->prefix . '/nginx.conf';

# The inside of a filter, behind its imports.
my $filter = <<'WAT';
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_log") (param i32))
WAT
my %file = (
    right  => "(module $filter)",
    flying => "(module (import \"env\" \"fly\" (func)) $filter)",
    broken => "(module $filter (func (result i32) (i64.const 1)))",
    idle   => "(module (memory (export \"memory\") 1))",
    # Of these the start fails, in two ways, and the third is all right.
    refuses => "(module $filter (func (export \"proxy_on_configure\") (param i32 i32) (result i32) (i32.const 0)))",
    traps   => "(module $filter (func (export \"proxy_on_vm_start\") (param i32 i32) (result i32) unreachable))",
    program => '(module (memory (export "memory") 1) (func (export "_start")))',
    ends    => '(module (memory (export "memory") 1) (func (export "_start")) (func $s unreachable) (start $s))',
    plugin  => '(module (import "extism:host/env" "input_length" (func (result i64))) (memory (export "memory") 1) (func (export "f")))',
);
$nginx->write("$_.wat", $file{$_}) for keys %file;
$nginx->write('wrong.json', '{ "memory": 5 ');

sub compiled { my @files = glob "$scratch/cache/*.code"; return scalar @files }

# The lines of level emerg, without what is before the message.
sub mistakes {
    my (%part) = @_;
    $nginx->configure(%part);
    my ($ok, $output) = $nginx->test;
    ok(!$ok, 'the configuration is refused');
    my @lines = map {/\[emerg\] (?:\d+#\d+: )?(.*)/ ? $1 : ()} split /\n/, $output;
    return @lines;
}
# FILE:LINE of the first line of nginx.conf that has this.
sub at {
    my $text  = shift;
    my @lines = split /\n/, $nginx->read('nginx.conf');
    my ($n) = grep { index($lines[$_ - 1], $text) >= 0 } 1 .. @lines;
    return "$conf:$n";
}
# Each of these is told, with its place, and nothing else.
sub all_told {
    my ($what, $lines, @wanted) = @_;
    is(scalar @$lines, scalar @wanted, "$what: as many lines as mistakes") or diag explain $lines;
    for (@wanted) {
        my ($pattern, $directive) = @$_;
        my $end = defined $directive ? ' in ' . at($directive) : '';
        my @found = grep {/$pattern/ && /\Q$end\E\z/} @$lines;
        is(scalar @found, 1, "$what: $pattern, once" . (defined $directive ? ", at '$directive'" : '')) or diag explain $lines;
    }
}

my @found = mistakes(
    main => <<"CONF",
wasm {
    module right   right.wat;
    module gone    gone.wasm;
    module flying  flying.wat;
    module broken  broken.wat;
    module idle    idle.wat;
    module summed  right.wat sha256=${\('0' x 64)};
    module read    right.wat file=gone.vm;
    module program program.wat;
    module plugin  plugin.wat;
    cache_dir $scratch/cache;
}
CONF
    server => <<'CONF',
location /1 { proxy_wasm right; proxy_wasm nobody; }
location /2 { proxy_wasm right file=gone.conf; }
location /3 { proxy_wasm flying; }
location /4 { proxy_wasm program; }
location /5 { wasm_cgi right; }
location /6 { wasm_cgi program; wasm_entry other; }
location /7 { wasm_function plugin g; }
location /8 { wasm_function plugin f manifest=wrong.json; }
location /9 { wasm_cgi absent; }
location /10 { wasm_fuel filter=nobody_else 5; proxy_wasm right; }
location /11 { proxy_wasm_allow dir=gone; proxy_wasm right; return 204; }
location /12 { proxy_wasm_allow frobnicate; proxy_wasm right; }
CONF
);
all_told(
    'before compiling', \@found,
    [qr/^unknown module "nobody" in "proxy_wasm"; known are right, /,                     'proxy_wasm nobody'],
    [qr/^filter "right": cannot read its configuration from "\S+gone\.conf": No such/,    'file=gone.conf'],
    [qr/^module "read": cannot read its configuration from "\S+gone\.vm": No such/,       'file=gone.vm'],
    [qr/^module "gone" \(\S+\): cannot read it: No such file/,                            'gone.wasm'],
    [qr/^module "flying" \(\S+\): unknown import "env\.fly"/,                             'flying.wat'],
    [qr/^module "broken" \(\S+\): .*type mismatch/,                                       'broken.wat'],
    [qr/^module "idle" \(\S+\): not a Proxy-Wasm module/,                                 'idle.wat'],
    [qr/^module "summed" \(\S+\): its SHA-256 is /,                                       'module summed'],
    [qr/^module "program" \(\S+\): not a Proxy-Wasm module: .*"_start"/,                  'module program'],
    [qr/^module "right" \(\S+\): not a program, but a Proxy-Wasm filter/,                 'module right'],
    [qr/^program "plugin": it has no function "g"; it has "f"/,                           'plugin g'],
    [qr/^program "plugin": its manifest "\S+wrong\.json": it is no JSON/,                 'manifest=wrong.json'],
    [qr/^unknown module "absent" in "wasm_cgi"/,                                          'wasm_cgi absent'],
    [qr/^no "proxy_wasm nobody_else" for what is said of "filter=nobody_else"/,           'filter=nobody_else'],
    [qr/^filter "right" does not start: cannot open the directory "\S+gone": /,           'dir=gone'],
    [qr/^unknown word "frobnicate"/,                                                      'frobnicate'],
);
is(compiled(), 0, 'nothing was compiled');

# A program alone: what is wrong with it is not hidden by what is wrong with a filter.
@found = mistakes(
    main   => "wasm { module right right.wat; module program program.wat; cache_dir $scratch/cache; }",
    server => 'location /1 { wasm_cgi program; wasm_entry other; } location /2 { proxy_wasm nobody; }',
);
all_told(
    'a program', \@found,
    [qr/^program "program": it exports no function "other" .*: "_start"/, 'wasm_entry other'],
    [qr/^unknown module "nobody"/,                                        'proxy_wasm nobody'],
);
is(compiled(), 0, 'still nothing was compiled');

# What shows when it starts.
@found = mistakes(
    main   => "wasm { module right right.wat; module refuses refuses.wat; module traps traps.wat; module ends ends.wat;\n cache_dir $scratch/cache; }",
    server => <<'CONF',
location /1 { proxy_wasm right; proxy_wasm refuses a; }
location /2 { proxy_wasm refuses b; }
location /3 { proxy_wasm traps; }
location /4 { wasm_cgi ends; }
CONF
);
all_told(
    'starts', \@found,
    [qr/^filter "refuses" does not start: proxy_on_configure returned false/, 'refuses a'],
    [qr/^filter "refuses" does not start: proxy_on_configure returned false/, 'refuses b'],
    [qr/^filter "traps" does not start: proxy_on_vm_start trapped/,           'proxy_wasm traps'],
    [qr/^program "ends": it does not start: /,                                'wasm_cgi ends'],
);
is(compiled(), 4, 'all modules were compiled');

done_testing();
