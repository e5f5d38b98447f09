# All imports of the ABI link, with all their types, and none answers Unimplemented (12).

use TestWasm 'no_plan';

# Every function of the ABI with the types under which it may be imported.
our %Functions = (
    env => {
        proxy_log                            => ['iii>i'],
        proxy_get_log_level                  => ['i>i'],
        proxy_get_current_time_nanoseconds   => ['i>i'],
        proxy_set_tick_period_milliseconds   => ['i>i'],
        proxy_get_buffer_bytes               => ['iiiii>i'],
        proxy_get_buffer_status              => ['iii>i'],
        proxy_set_buffer_bytes               => ['iiiii>i'],
        proxy_get_header_map_size            => ['ii>i'],
        proxy_get_header_map_pairs           => ['iii>i'],
        proxy_set_header_map_pairs           => ['iii>i'],
        proxy_get_header_map_value           => ['iiiii>i'],
        proxy_add_header_map_value           => ['iiiii>i'],
        proxy_replace_header_map_value       => ['iiiii>i'],
        proxy_remove_header_map_value        => ['iii>i'],
        proxy_continue_stream                => ['i>i'],
        proxy_close_stream                   => ['i>i'],
        proxy_get_status                     => ['iii>i'],
        proxy_send_local_response            => ['iiiiiiii>i'],
        proxy_send_http_response             => ['iiiiiiii>i'],
        proxy_http_call                      => ['iiiiiiiiii>i'],
        proxy_dispatch_http_call             => ['iiiiiiiiii>i'],
        proxy_grpc_call                      => ['iiiiiiiiiiii>i', 'iiiiiiiiii>i'],
        proxy_grpc_stream                    => ['iiiiiiiii>i', 'iiiiiii>i'],
        proxy_grpc_send                      => ['iiii>i'],
        proxy_grpc_cancel                    => ['i>i'],
        proxy_grpc_close                     => ['i>i'],
        proxy_set_shared_data                => ['iiiii>i'],
        proxy_get_shared_data                => ['iiiii>i'],
        proxy_register_shared_queue          => ['iii>i'],
        proxy_resolve_shared_queue           => ['iiiii>i'],
        proxy_enqueue_shared_queue           => ['iii>i'],
        proxy_dequeue_shared_queue           => ['iii>i'],
        proxy_define_metric                  => ['iiii>i'],
        proxy_increment_metric               => ['iI>i'],
        proxy_record_metric                  => ['iI>i'],
        proxy_get_metric                     => ['ii>i'],
        proxy_get_property                   => ['iiii>i'],
        proxy_set_property                   => ['iiii>i'],
        proxy_call_foreign_function          => ['iiiiii>i'],
        proxy_set_effective_context          => ['i>i'],
        proxy_done                           => ['>i'],
        proxy_get_configuration              => ['ii>i'],
        proxy_continue_request               => ['>i', '>'],
        proxy_continue_response              => ['>i', '>'],
        proxy_clear_route_cache              => ['>i', '>'],
        proxy_redis_init                     => ['iiiiiii>i'],
        proxy_redis_call                     => ['iiiii>i'],
        emscripten_notify_memory_growth      => ['i>'],
        pthread_equal                        => ['ii>i'],
        abort                                => ['iiii>'],
    },
    wasi_snapshot_preview1 => {
        args_get            => ['ii>i'],
        args_sizes_get      => ['ii>i'],
        clock_res_get       => ['ii>i'],
        clock_time_get      => ['iIi>i'],
        environ_get         => ['ii>i'],
        environ_sizes_get   => ['ii>i'],
        fd_close            => ['i>i'],
        fd_fdstat_get       => ['ii>i'],
        fd_fdstat_set_flags => ['ii>i'],
        fd_filestat_get     => ['ii>i'],
        fd_prestat_dir_name => ['iii>i'],
        fd_prestat_get      => ['ii>i'],
        fd_read             => ['iiii>i'],
        fd_seek             => ['iIii>i'],
        fd_write            => ['iiii>i'],
        path_filestat_get   => ['iiiii>i'],
        path_open           => ['iiiiiIIii>i'],
        poll_oneoff         => ['iiii>i'],
        proc_exit           => ['i>'],
        random_get          => ['ii>i'],
        sched_yield         => ['>i'],
    },
);
$Functions{wasi_unstable} = $Functions{wasi_snapshot_preview1};

# Functions that do no harm when they are called with zeros, and what they answer then. (The SDK of Rust ends a guest that
# gets another status than its own list for a function has.)
our %Statuses = (
    proxy_get_status         => '00',
    proxy_http_call          => '02',
    proxy_dispatch_http_call => '02',
    proxy_grpc_call          => '04',
    proxy_grpc_stream        => '04',
    proxy_grpc_send          => '01',
    proxy_grpc_cancel        => '01',
    proxy_grpc_close         => '01',
    proxy_redis_init         => '02',
    proxy_redis_call         => '02',
);
our @Names = sort keys %Statuses;

sub type {
    my ($params, $results) = split />/, $_[0], -1;
    my $words = sub { join ' ', map { $_ eq 'I' ? 'i64' : 'i32' } split //, shift };
    return '(param ' . $words->($params) . ')' . ($results ? ' (result ' . $words->($results) . ')' : '');
}

our $Parts = <<'WAT';
(memory (export "memory") 1)
(data (i32.const 0) "??")
(func (export "malloc") (param i32) (result i32) (i32.const 1024))
(func (export "proxy_abi_version_0_2_1"))
WAT

# A module that imports everything, each function with its first type or with its last one.
sub importing_all {
    my $which = shift;
    my @imports;
    for my $module (sort keys %Functions) {
        for my $name (sort keys %{ $Functions{$module} }) {
            push @imports, qq{(import "$module" "$name" (func @{[ type($Functions{$module}{$name}[$which]) ]}))};
        }
    }
    return [['m.wat', "(module\n" . join("\n", @imports) . "\n$Parts(func (export \"proxy_on_log\") (param i32)))\n"]];
}

# The type with a result, the first or the last of those.
sub answering {
    my ($which, $name) = @_;
    return (grep {/>i/} @{ $Functions{env}{$name} })[$which];
}

# A module that calls these functions with zeros, twice in each request, and logs each status as two digits.
sub calling {
    my $which = shift;
    my ($imports, $calls) = ('', '');
    my $n = 0;
    for my $name (@_) {
        my $type = answering($which, $name);
        my ($params) = split />/, $type;
        my $zeros = join ' ', map { $_ eq 'I' ? '(i64.const 0)' : '(i32.const 0)' } split //, $params;
        $imports .= qq{(import "env" "$name" (func \$f$n @{[ type($type) ]}))\n};
        $calls   .= "(call \$say (call \$f$n $zeros))\n" x 2;
        $n++;
    }
    return [['m.wat', <<"WAT"]];
(module
  $imports
  (import "env" "proxy_log" (func \$log (param i32 i32 i32) (result i32)))
  $Parts
  (func \$say (param i32)
    (i32.store8 (i32.const 0) (i32.add (i32.const 48) (i32.div_u (local.get 0) (i32.const 10))))
    (i32.store8 (i32.const 1) (i32.add (i32.const 48) (i32.rem_u (local.get 0) (i32.const 10))))
    (drop (call \$log (i32.const 2) (i32.const 0) (i32.const 2))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    $calls
    (i32.const 0)))
WAT
}

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module m $TEST_NGINX_HTML_DIR/m.wat; }');
    $block->set_value(config      => 'location /t { proxy_wasm m; return 200 "ok\n"; }');
    $block->set_value(request     => "GET /t\n");
    $block->set_value(response_body => "ok\n");
});

run_tests();

__DATA__

=== TEST 1: a module that imports everything links and starts
--- user_files eval
main::importing_all(0)



=== TEST 2: so does one with the other types of the same functions
--- user_files eval
main::importing_all(-1)



=== TEST 3: calls to other services, of nobody and nothing
--- user_files eval
main::calling(0, @::Names)
--- grep_error_log eval
qr/wasm "m": \d\d(?=,)/
--- grep_error_log_out eval
CORE::join '', map { "wasm \"m\": $::Statuses{$_}\n" x 2 } @::Names



=== TEST 4: and the same with the other types
--- user_files eval
main::calling(-1, @::Names)
--- grep_error_log eval
qr/wasm "m": \d\d(?=,)/
--- grep_error_log_out eval
CORE::join '', map { "wasm \"m\": $::Statuses{$_}\n" x 2 } @::Names

