package Engine;

# Which engine filters run on in tests ('t/run --engine'), for TestWasm and NginxProcess; engine.py is the same for the suites in Python.

use strict;
use warnings;

# 'wasmtime', 'pulley' or 'wasmedge'.
sub name { return $ENV{TEST_ENGINE} || 'wasmtime' }

# WasmEdge compiles so slowly that all tests share a cache, but for those that are about one. What takes longest has one to itself: a cache
# keeps 128 modules (cache_dir), and small ones are many.
our $shares_cache = 1;
my $slow = qr/\b(?:go|template|higress)-[\w-]+\.wasm|\bcoraza\.wasm/;

# A configuration that says nothing of the engine, for the one of this run. Lines stay where they are, since messages have their numbers.
sub choose {
    my ($conf) = @_;
    return $conf if name eq 'wasmtime' || $conf =~ /\bwasm_vm\b/ || $conf !~ /load_module .*ngx_http_wasm_module/;
    $conf =~ s/^(\s*http\s*\{)/$1 wasm_vm @{[ name ]};/m or return $conf;
    return $conf unless name eq 'wasmedge' && $shares_cache;
    my $kind = $conf =~ $slow ? '-slow' : '';
    my $cache = "cache_dir $ENV{TEST_WASM_ROOT}/build/t/cache-@{[ name ]}$kind;";
    return $conf if $conf =~ /\bcache_dir\b/ || $conf =~ s/(\bwasm\s*\{)/$1 $cache/;
    $conf =~ s/^(\s*http\s*\{)/wasm { $cache } $1/m if $conf =~ /_by_lua/;
    return $conf;
}

# What not every engine can do, by the words that tests have for it; docs/engines.md says it to users.
my %cannot = (
    wasmtime => {},
    pulley   => { map { $_ => 1 } 'machine code', 'wasmtime' },
    wasmedge => { map { $_ => 1 } 'instance_pool', 'put back', 'programs', 'exact fuel', 'full backtraces', 'wasmtime',
        'little address space', 'no thread' },
);

# What it says whenever it starts, which is no news.
sub says { return name eq 'wasmedge' ? 'the engine is WasmEdge, which is for guests that you trust' : () }

# A log without it.
sub without_what_it_says {
    my ($log) = @_;
    my ($says) = says or return $log;
    return $log =~ s/^.*\Q$says\E.*\n//mgr;
}

# A pattern of the error log that means no line must have it, so that it does not mean that one.
sub but_what_it_says {
    my ($pattern) = @_;
    my ($says) = says or return $pattern;
    return ref $pattern ? $pattern : qr/^(?!.*\Q$says\E).*\Q$pattern\E/m;
}

# Whether the engine of this run can do it; undef when nobody knows what that is.
sub can_do {
    my ($what) = @_;
    return unless grep { $_->{$what} } values %cannot;
    return !$cannot{ name() }{$what};
}

1;
