# Properties of TLS: version, server name, and the certificates of the client, the server and the upstream. The expected
# subjects and digests are what the openssl command says.

use File::Temp ();
use TestWasm 'no_plan';

our (%subject, %digest, %pem);
my $folder;

BEGIN {
    my $log = '';
    $folder = File::Temp->newdir;
    chmod 0755, $folder;
    $ENV{TEST_NGINX_CERTIFICATES} = "$folder";
    my $run = sub (@) {
        my $output = qx(cd $folder && @_ 2>&1);
        die "@_:\n$output" if $?;
        return $output;
    };
    $run->(q(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 9));
    my %names = (
        server => [q(/C=DE/O=Some, Org/OU=unit/CN=server.example), 'DNS:server.example,DNS:two.example,URI:spiffe://x/server,IP:127.0.0.1'],
        client => [
            qq(/DC=org/DC=example/O=\xc3\x96rg "q"/emailAddress=a\@b.example/CN= client #1 ),
            'URI:spiffe://x/one,URI:spiffe://x/two,DNS:client.example,email:a@b.example'
        ],
        bare => [q(/serialNumber=12/L=a;b<c>\\\\\\\\d/CN=#bare/UID=u+ST=s), ''],
    );
    for my $name (sort keys %names) {
        my ($subject, $other) = @{ $names{$name} };
        open my $out, '>', "$folder/$name.cnf" or die "$name.cnf: $!";
        print $out $other ? "subjectAltName=$other\n" : "basicConstraints=CA:FALSE\n";
        close $out;
        $run->("openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -utf8 -multivalue-rdn -keyout $name.key -out $name.csr -subj '$subject'");
        $run->("openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $name.crt -days 9 -extfile $name.cnf");
        $subject{$name} = $run->("openssl x509 -in $name.crt -noout -subject -nameopt RFC2253") =~ s/^subject=//r =~ s/\n\z//r;
        $digest{$name}  = lc $run->("openssl x509 -in $name.crt -noout -fingerprint -sha256") =~ s/.*=//r =~ s/[:\n]//gr;
        $pem{$name}     = $run->("openssl x509 -in $name.crt");
    }
    $run->(q(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout stranger.key -out stranger.crt -subj /CN=stranger -days 9));
    chmod 0644, glob "$folder/*";
}

# Bytes as the guest shows them.
sub shown {
    return CORE::join '', map { $_ >= 0x20 && $_ < 0x7f && $_ != 0x5c ? chr : sprintf '\\x%02x', $_ } unpack 'C*', shift;
}

add_block_preprocessor(sub {
    my $block = shift;
    $block->set_value(main_config => <<'CONF');
wasm { module probe $TEST_NGINX_GUESTS/rust-probe.wasm; }
CONF
    # The server with TLS has the filter; the one under test leads to it, with the certificate that the block names.
    my $tls    = $block->tls    // '';
    my $client = $block->client // '';
    $client &&= "proxy_ssl_certificate \$TEST_NGINX_CERTIFICATES/$client.crt; proxy_ssl_certificate_key \$TEST_NGINX_CERTIFICATES/$client.key;";
    my $verify = $block->verify // 'optional';
    my $server = $block->server // 'server';
    my $front  = $block->front  // '';
    $block->set_value(http_config => <<"CONF");
server {
    listen 127.0.0.1:\$TEST_NGINX_PORT_1 ssl;
    ssl_certificate \$TEST_NGINX_CERTIFICATES/$server.crt;
    ssl_certificate_key \$TEST_NGINX_CERTIFICATES/$server.key;
    ssl_client_certificate \$TEST_NGINX_CERTIFICATES/ca.crt;
    ssl_verify_client $verify;
    location / {
        $tls
        return 200 "ok\\n";
    }
}
CONF
    $block->set_value(config => <<"CONF");
location /t {
    $front
    $client
    proxy_ssl_server_name on;
    proxy_ssl_name server.example;
    proxy_pass https://127.0.0.1:\$TEST_NGINX_PORT_1;
}
CONF
    $block->set_value(request => "GET /t\n");
});

run_tests();

__DATA__

=== TEST 1: the connection, without a certificate of the client
--- tls
proxy_wasm probe 'property connection|tls_version; property connection|requested_server_name; property connection|mtls; property connection|subject_peer_certificate; property connection|dns_san_peer_certificate; property connection|uri_san_peer_certificate; property connection|sha256_peer_certificate_digest; property connection|peer_certificate; property request|scheme; report';
--- response_body_like eval
qr/\Aproperty connection\|tls_version -> 0 TLSv1\.[23]
property connection\|requested_server_name -> 0 server\.example
property connection\|mtls -> 0 \\x00
property connection\|subject_peer_certificate -> 1
property connection\|dns_san_peer_certificate -> 1
property connection\|uri_san_peer_certificate -> 1
property connection\|sha256_peer_certificate_digest -> 1
property connection\|peer_certificate -> 1
property request\|scheme -> 0 https
\z/



=== TEST 2: the certificate of the server
--- tls
proxy_wasm probe 'property connection|subject_local_certificate; property connection|dns_san_local_certificate; property connection|uri_san_local_certificate; report';
--- response_body eval
"property connection|subject_local_certificate -> 0 @{[ main::shown($main::subject{server}) ]}
property connection|dns_san_local_certificate -> 0 server.example
property connection|uri_san_local_certificate -> 0 spiffe://x/server
"



=== TEST 3: the certificate of the client
--- client chomp
client
--- tls
proxy_wasm probe 'property connection|mtls; property connection|subject_peer_certificate; property connection|dns_san_peer_certificate; property connection|uri_san_peer_certificate; property connection|sha256_peer_certificate_digest; property connection|peer_certificate; report';
--- response_body eval
"property connection|mtls -> 0 \\x01
property connection|subject_peer_certificate -> 0 @{[ main::shown($main::subject{client}) ]}
property connection|dns_san_peer_certificate -> 0 client.example
property connection|uri_san_peer_certificate -> 0 spiffe://x/one
property connection|sha256_peer_certificate_digest -> 0 $main::digest{client}
property connection|peer_certificate -> 0 @{[ main::shown($main::pem{client}) ]}
"



=== TEST 4: a certificate without alternative names, with two attributes in one part of its subject
--- client chomp
bare
--- tls
proxy_wasm probe 'property connection|subject_peer_certificate; property connection|dns_san_peer_certificate; property connection|uri_san_peer_certificate; report';
--- response_body eval
"property connection|subject_peer_certificate -> 0 @{[ main::shown($main::subject{bare}) ]}
property connection|dns_san_peer_certificate -> 1
property connection|uri_san_peer_certificate -> 1
"



=== TEST 5: a certificate that could not be verified is there, but it is no mutual TLS
--- client chomp
stranger
--- verify chomp
optional_no_ca
--- tls
proxy_wasm probe 'property connection|mtls; property connection|subject_peer_certificate; report';
--- response_body
property connection|mtls -> 0 \x00
property connection|subject_peer_certificate -> 0 CN=stranger



=== TEST 6: upstream.*: both ends of the connection to it
--- client chomp
client
--- front
proxy_wasm probe '@response property upstream|tls_version; @response property upstream|subject_peer_certificate; @response property upstream|dns_san_peer_certificate; @response property upstream|uri_san_peer_certificate; @response property upstream|sha256_peer_certificate_digest; @response property upstream|subject_local_certificate';
--- response_headers_like eval
"x-probe-result: property upstream\\|tls_version -> 0 TLSv1\\.[23] \\| property upstream\\|subject_peer_certificate -> 0 \Q@{[ main::shown($main::subject{server}) ]}\E"
    . " \\| property upstream\\|dns_san_peer_certificate -> 0 server\\.example \\| property upstream\\|uri_san_peer_certificate -> 0 spiffe://x/server"
    . " \\| property upstream\\|sha256_peer_certificate_digest -> 0 $main::digest{server}"
    . " \\| property upstream\\|subject_local_certificate -> 0 \Q@{[ main::shown($main::subject{client}) ]}\E"



=== TEST 7: in the log phase: the client's connection is there
--- client chomp
client
--- tls
proxy_wasm probe '@log property connection|uri_san_peer_certificate; @log property connection|tls_version';
--- response_body
ok
--- error_log eval
['property connection|uri_san_peer_certificate -> 0 spiffe://x/one', 'property connection|tls_version -> 0 TLSv1.']



=== TEST 8: without TLS there is nothing of it
--- front
proxy_wasm probe 'property connection|tls_version; property connection|subject_local_certificate; property connection|peer_certificate; property connection|mtls; property connection|requested_server_name; report';
--- response_body
property connection|tls_version -> 1
property connection|subject_local_certificate -> 1
property connection|peer_certificate -> 1
property connection|mtls -> 0 \x00
property connection|requested_server_name -> 0
