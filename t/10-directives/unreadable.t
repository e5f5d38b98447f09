# Files that the user who starts nginx may not read: which one, and who needs the right to.

use strict;
use warnings;

use NginxProcess;
use Test::More;

plan skip_all => 'only root can start nginx as somebody else' if $> != 0;

my $nginx = NginxProcess->new('unreadable', modules => [$ENV{TEST_WASM_MODULE}]);
$nginx->write('tiny.wat', NginxProcess::TINY_FILTER);
$nginx->write('rules.json', '{}');
$nginx->configure(
    main   => 'wasm { module tiny tiny.wat; }',
    server => 'location / { proxy_wasm tiny file=rules.json; }',
);
chmod 0755, $nginx->prefix or die "chmod: $!\n";

# nginx -t, as nobody.
sub refusal {
    my $command = $nginx->command('-t');
    my $output  = qx(setpriv --reuid=65534 --regid=65534 --clear-groups $command 2>&1);
    return join "\n", $output =~ /\[emerg\] \d+#\d+: (.*)/g;
}

my $why = qr/Permission denied \(os error 13\): the user who starts nginx needs the right to read it in \S+nginx\.conf:\d+/;
for my $case (['rules.json', qr/filter "tiny": cannot read its configuration from "\S+rules\.json": $why/],
    ['tiny.wat', qr/module "tiny" \(\S+tiny\.wat\): cannot read it: $why/]) {
    my ($file, $wanted) = @$case;
    chmod 0600, $nginx->prefix . "/$file" or die "chmod: $!\n";
    like(refusal(), $wanted, "$file: the message says what is needed");
    chmod 0644, $nginx->prefix . "/$file" or die "chmod: $!\n";
}
unlike(refusal(), qr/cannot read/, 'with the right it is read');

done_testing;
