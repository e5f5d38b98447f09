# Foreign functions (proxy_call_foreign_function): each one of Envoy's through a real request, and filter state, which
# filters share.

use TestWasm 'no_plan';

use File::Temp ();

# A field of a protobuf message: bytes, or a number.
sub field {
    my ($number, $value) = @_;
    return varint($number << 3 | 2) . varint(length $value) . $value;
}

sub flag {
    my ($number, $value) = @_;
    return varint($number << 3) . varint($value);
}

sub varint {
    my $number = shift;
    my $bytes  = '';
    while ($number > 0x7f) {
        $bytes .= chr($number & 0x7f | 0x80);
        $number >>= 7;
    }
    return $bytes . chr $number;
}

# The same as hexadecimal digits, for the guest.
sub hex_of { return CORE::join '', map { unpack 'H*', $_ } @_ }

sub number { return unpack 'H*', pack 'q<', shift }

sub filter_state {
    my ($key, $value, $span) = @_;
    return 'foreign set_envoy_filter_state ' . hex_of(field(1, $key), field(2, $value), flag(3, $span // 0));
}

# name, read-only, type, span
sub declared {
    my ($name, $readonly, $type, $span) = @_;
    return 'foreign declare_property ' . hex_of(field(1, $name), flag(2, $readonly), flag(3, $type), flag(5, $span));
}

# A new pair of keys, as PEM.
sub keys_of {
    my @options = @_;
    my $file    = File::Temp->new;
    system('openssl', 'genpkey', '-quiet', @options, '-out', "$file") == 0
        or system("openssl genpkey @options -out $file 2>/dev/null") == 0
        or die "openssl makes no key\n";
    my $public = `openssl pkey -in $file -pubout`;
    open my $in, '<', "$file" or die $!;
    return (do { local $/; <$in> }, $public);
}

our ($RsaPrivate, $RsaPublic) = keys_of(qw(-algorithm RSA -pkeyopt rsa_keygen_bits:2048));
our ($EcPrivate, $EcPublic)   = keys_of(qw(-algorithm EC -pkeyopt ec_paramgen_curve:P-256));

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => 'wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; }');
    $block->set_value(request => "GET /t\n") unless $block->request;
});

run_tests();

__DATA__

=== TEST 1: compress and uncompress, there and back
--- config
location /t {
    proxy_wasm probe 'foreign compress text:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; foreign uncompress last; report';
    return 200;
}
--- response_body_like eval
qr/^foreign compress text:a{40} -> 0 789c[0-9a-f]{10,40}
foreign uncompress last -> 0 (?:61){40}
$/



=== TEST 2: uncompress reads what zlib has made; what is no zlib stream is a serialization failure
--- config
location /t {
    proxy_wasm probe 'foreign uncompress 789ccb48cdc9c95728cf2fca4901001a0b045d; foreign uncompress 789ccb48; foreign uncompress text:nothing; report';
    return 200;
}
--- response_body
foreign uncompress 789ccb48cdc9c95728cf2fca4901001a0b045d -> 0 68656c6c6f20776f726c64
foreign uncompress 789ccb48 -> 3
foreign uncompress text:nothing -> 3



=== TEST 3: an unknown function is not found
--- config
location /t {
    proxy_wasm probe 'foreign nothing 00; report';
    return 200;
}
--- response_body
foreign nothing 00 -> 1



=== TEST 4: clear_route_cache, as a foreign function and as a host call
--- config
location /t {
    proxy_wasm probe 'foreign clear_route_cache; raw clear_route_cache; report';
    return 200;
}
--- response_body
foreign clear_route_cache -> 0
raw clear_route_cache -> 0



=== TEST 5: expressions over properties of the request
--- config
location /t {
    proxy_wasm probe 'foreign expr_create text:request.headers["x-user"] == "anna" && request.size > 2; foreign expr_evaluate last; foreign expr_create text:request.headers["x-user"] + "@" + request.method; foreign expr_evaluate last; foreign expr_create text:request.size * 2; foreign expr_evaluate last; report';
    return 200;
}
--- request
POST /t
four
--- more_headers
X-User: anna
--- response_body eval
q{foreign expr_create text:request.headers["x-user"] == "anna" && request.size > 2 -> 0 00000000
foreign expr_evaluate last -> 0 01
foreign expr_create text:request.headers["x-user"] + "@" + request.method -> 0 01000000
foreign expr_evaluate last -> 0 } . main::hex_of('anna@POST') . q{
foreign expr_create text:request.size * 2 -> 0 02000000
foreign expr_evaluate last -> 0 } . main::number(8) . "\n"



=== TEST 6: an expression belongs to the filter, and is used in many requests
--- config
location /t {
    proxy_wasm probe '@configure foreign expr_create text:request.headers.exists(name, name == "x-secret"); foreign expr_evaluate 00000000; report';
    return 200;
}
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
["X-Secret: 1\nX-Other: 2", "X-Other: 2"]
--- response_body eval
["foreign expr_evaluate 00000000 -> 0 01\n", "foreign expr_evaluate 00000000 -> 0 00\n"]



=== TEST 7: expressions that are wrong, fail, or are not there
--- config
location /t {
    proxy_wasm probe 'foreign expr_create text:request.; foreign expr_create text:1 / 0; foreign expr_evaluate last; foreign expr_delete 00000000; foreign expr_evaluate 00000000; foreign expr_delete 00; foreign expr_create text:response.code == 200; foreign expr_evaluate last; report';
    return 200;
}
--- response_body
foreign expr_create text:request. -> 2
foreign expr_create text:1 / 0 -> 0 00000000
foreign expr_evaluate last -> 10
foreign expr_delete 00000000 -> 0
foreign expr_evaluate 00000000 -> 1
foreign expr_delete 00 -> 2
foreign expr_create text:response.code == 200 -> 0 01000000
foreign expr_evaluate last -> 10
--- error_log
expr_create: ERROR



=== TEST 8: an expression that would run for ever is refused, and the worker goes on
--- config
location /t {
    proxy_wasm probe 'foreign expr_create text:[1,2,3,4,5,6,7,8].all(a, [1,2,3,4,5,6,7,8].all(b, [1,2,3,4,5,6,7,8].all(c, [1,2,3,4,5,6,7,8].all(d, [1,2,3,4,5,6,7,8].all(e, [1,2,3,4,5,6,7,8].all(f, [1,2,3,4,5,6,7,8].all(g, [1,2,3,4,5,6,7,8].all(h, [1,2,3,4,5,6,7,8].all(i, true))))))))); foreign expr_evaluate last; foreign expr_create text:1; report';
    return 200;
}
--- response_body_like
-> 0 00000000
foreign expr_evaluate last -> 10
foreign expr_create text:1 -> 0 01000000



=== TEST 9: sign and verify_signature, with an RSA key of OpenSSL
--- config
location /t {
    proxy_wasm probe report;
    return 200;
}
--- request eval
["GET /t", "GET /t"]
--- more_headers eval
my $sign   = 'X-Probe: foreign sign ' . main::hex_of(main::field(1, 'sha256'), main::field(3, 'a text'), main::field(4, $::RsaPrivate));
my $verify = main::hex_of(main::field(1, 'sha256'), main::field(4, 'a text'), main::field(5, $::RsaPublic));
my $other  = main::hex_of(main::field(1, 'sha256'), main::field(4, 'a test'), main::field(5, $::RsaPublic));
["$sign; foreign verify_signature $verify 1a last+3", "$sign; foreign verify_signature $other 1a last+3"]
--- response_body_like eval
my $failed = unpack 'H*', 'Failed to verify digest.';
[
    qr/^foreign sign \S+ -> 0 0801128002[0-9a-f]{512}\nforeign verify_signature \S+ 1a last\+3 -> 0 0801\n$/,
    qr/^foreign sign \S+ -> 0 0801128002[0-9a-f]{512}\nforeign verify_signature \S+ 1a last\+3 -> 0 1218$failed\n$/,
]



=== TEST 10: sign and verify_signature, with an EC key of OpenSSL
--- config eval
my $sign   = main::hex_of(main::field(1, 'sha384'), main::field(3, 'a text'), main::field(4, $::EcPrivate));
my $verify = main::hex_of(main::field(1, 'sha384'), main::field(4, 'a text'), main::field(5, $::EcPublic));
qq{location /t {
    proxy_wasm probe 'foreign sign $sign; foreign verify_signature $verify 1a last+3; report';
    return 200;
}}
--- response_body_like
^foreign sign \S+ -> 0 080112[0-9a-f]+
foreign verify_signature \S+ 1a last\+3 -> 0 0801



=== TEST 11: a key that is none is a bad argument, an unknown hash is told in the result
--- config eval
my $none = main::hex_of(main::field(1, 'sha256'), main::field(4, 'no key'));
my $hash = main::hex_of(main::field(1, 'md5'), main::field(4, $::EcPrivate));
qq{location /t {
    proxy_wasm probe 'foreign sign $none; foreign verify_signature; foreign sign $hash; report';
    return 200;
}}
--- response_body_like eval
my $error = unpack 'H*', 'md5 is not supported.';
qr/^foreign sign \S+ -> 2\nforeign verify_signature -> 2\nforeign sign \S+ -> 0 1a15$error\n$/



=== TEST 12: what one filter sets, the next one reads
--- config eval
my $set = main::filter_state('my.key', 'a value');
qq{location /t {
    proxy_wasm probe '$set; set-property tenant blue';
    proxy_wasm probe 'property filter_state|my.key; property tenant; property filter_state|wasm.tenant; property filter_state|other; foreign expr_create text:filter_state["my.key"] + "!"; foreign expr_evaluate last; report';
    return 200;
}}
--- response_body eval
"property filter_state|my.key -> 0 a value
property tenant -> 0 blue
property filter_state|wasm.tenant -> 0 blue
property filter_state|other -> 1
foreign expr_create text:filter_state[\"my.key\"] + \"!\" -> 0 00000000
foreign expr_evaluate last -> 0 " . main::hex_of('a value!') . "\n"



=== TEST 13: it is there until the log phase
--- config eval
my $set = main::filter_state('my.key', 'a value');
qq{location /t {
    proxy_wasm probe '$set; \@log property filter_state|my.key';
    return 200 "set\n";
}}
--- response_body
set
--- error_log
property filter_state|my.key -> 0 a value



=== TEST 14: and gone in the next request of the connection
--- config eval
my $set = main::filter_state('my.key', 'a value', 1);
qq{location /set {
    proxy_wasm probe '$set';
    return 200 "set\n";
}
location /get {
    proxy_wasm probe 'property filter_state|my.key; report';
    return 200;
}}
--- pipelined_requests eval
["GET /set", "GET /get"]
--- response_body eval
["set\n", "property filter_state|my.key -> 1\n"]



=== TEST 15: what lives as long as the connection is there in its next request
--- config eval
my $set = main::filter_state('my.key', 'a value', 2);
my $declare = main::declared('mine', 0, 1, 2);
qq{location /set {
    proxy_wasm probe '\@configure $declare; $set; set-property mine too';
    return 200 "set\n";
}
location /get {
    proxy_wasm probe 'property filter_state|my.key; property mine; report';
    return 200;
}}
--- pipelined_requests eval
["GET /set", "GET /get"]
--- response_body eval
["set\n", "property filter_state|my.key -> 0 a value\nproperty mine -> 0 too\n"]



=== TEST 16: and not in another connection
--- config eval
my $set = main::filter_state('my.key', 'a value', 2);
qq{location /set {
    proxy_wasm probe '$set';
    return 200 "set\n";
}
location /get {
    proxy_wasm probe 'property filter_state|my.key; report';
    return 200;
}}
--- request eval
["GET /set", "GET /get"]
--- response_body eval
["set\n", "property filter_state|my.key -> 1\n"]



=== TEST 17: a property that was declared read-only is set once
--- config eval
my $declare = main::declared('once', 1, 1, 0);
qq{location /t {
    proxy_wasm probe '\@configure $declare; $declare; set-property once 1; set-property once 2; property once; foreign expr_create text:once == "1"; foreign expr_evaluate last; report';
    return 200;
}}
--- response_body_like
^foreign declare_property \S+ -> 2
set-property once 1 -> 0
set-property once 2 -> 2
property once -> 0 1
foreign expr_create text:once == "1" -> 0 00000000
foreign expr_evaluate last -> 0 01



=== TEST 18: values that filters set come through an internal redirect
--- config eval
my $set = main::filter_state('my.key', 'a value');
qq{location /t {
    proxy_wasm probe '$set';
    rewrite ^ /inner last;
}
location /from {
    proxy_wasm probe '$set';
    try_files /nothing /inner;
}
location /inner {
    proxy_wasm probe 'property filter_state|my.key; report';
    return 200;
}}
--- request
GET /from
--- response_body
property filter_state|my.key -> 0 a value
