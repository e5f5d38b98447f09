# `module NAME PATH ['VM CONFIG'] [sha256=HEX];`: nginx takes no other file than the one that the configuration means.

use strict;
use warnings;

use Digest::SHA qw( sha256_hex );
use NginxProcess;
use Test::More;

my $guests = ($ENV{TEST_WASM_ROOT} // '') . '/build/guests';
my $nginx  = NginxProcess->new('module-sum');

sub module {
    my $number = shift;
    return <<"WAT";
(module
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const $number))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_log") (param i32)))
WAT
}

my $right = sha256_hex(module(1024));
my $wrong = sha256_hex(module(2048));
my $path  = $nginx->write('m.wat', module(1024));

# What nginx -t says of a module with these words behind its path.
sub test {
    my $words = shift;
    $nginx->configure(
        main   => "wasm {\n    module m m.wat $words;\n}",
        server => "location / { proxy_wasm m; return 200 ok; }",
    );
    return $nginx->test;
}

for my $words ("sha256=$right", 'sha256=' . uc $right, "'a configuration' sha256=$right", "sha256=$right 'a configuration'", "' sha256=x'") {
    my ($ok, $output) = test($words);
    ok($ok, "right: $words") or diag $output;
}

for my $words ("sha256=$wrong", "'a configuration' sha256=$wrong", "sha256=$wrong 'a configuration'") {
    my ($ok, $output) = test($words);
    ok(!$ok, "another file: $words");
    like(
        $output,
        qr/\[emerg\] .*module "m" \(\Q$path\E\): its SHA-256 is $right, but the configuration says sha256=$wrong; .* in \S+nginx\.conf:\d+$/m,
        'nginx -t says both sums, and where',
    );
}

for my $case (
    ['sha256=',                             qr/takes the 64 hexadecimal digits that sha256sum prints, not ""/],
    ['sha256=' . substr($right, 1),         qr/takes the 64 hexadecimal digits/],
    ["sha256=${right}0",                    qr/takes the 64 hexadecimal digits/],
    ['sha256=' . $right =~ s/.\z/g/r,       qr/takes the 64 hexadecimal digits/],
    ["sha256=$right sha256=$right",         qr/unexpected "sha256=$right" in "module"/],
    ["one two",                             qr/unexpected "two" in "module"/],
    ["one sha256=$right three",             qr/invalid number of arguments in "module" directive/],
) {
    my ($words, $message) = @$case;
    my ($ok, $output) = test($words);
    ok(!$ok, "refused: $words");
    like($output, qr/\[emerg\] .*$message.* in \S+nginx\.conf:\d+$/m, 'nginx -t says why');
}

# A start and a reload.
open my $in, '<:raw', "$guests/rust-probe.wasm" or die("build the guests first: $!");
my $sum = do { local $/; sha256_hex(<$in>) };
sub configure {
    my $sum = shift;
    $nginx->configure(
        main   => "wasm { module probe $guests/rust-probe.wasm sha256=$sum '\@vm_start log info configured'; }",
        server => "location / { proxy_wasm probe; return 200 ok; }",
    );
}
configure($wrong);
ok(!$nginx->start, 'nginx does not start with another file');
like($nginx->{output}, qr/its SHA-256 is $sum, but .* sha256=$wrong/, 'and says the same');
configure($sum);
ok($nginx->start, 'it starts with the right one') or die($nginx->{output});
my ($worker) = $nginx->workers;
is($nginx->get('/')->{status}, 200, 'which serves');
ok((grep {/configured/} $nginx->said('probe')), 'with the VM configuration behind the sum');

configure($wrong);
my $before = length $nginx->log;
$nginx->signal('HUP');
$nginx->wait_for('the refusal', sub { substr($nginx->log, $before) =~ /\[emerg\] .*its SHA-256 is $sum/ });
is($nginx->get('/')->{status}, 200, 'a reload with another file is refused, and the workers serve');
is_deeply([$nginx->workers], [$worker], 'those from before');

done_testing();
