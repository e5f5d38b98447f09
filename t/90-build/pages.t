# tools/pages.py and tools/versions.py say what is wrong: they are run on a small repository, in which one thing is changed at a time.

use strict;
use warnings;

use File::Basename qw( dirname );
use File::Copy qw( copy );
use File::Path qw( make_path );
use File::Temp qw( tempdir );
use Test::More;

my $root = $ENV{TEST_WASM_ROOT} or die "run the tests with t/run or 'make test'\n";

my %files = (
    'README.md'        => "# Top\n\n[b](docs/b.md#two-words) ![c](c.svg) [code](src/a.rs)\n",
    'SECURITY.md'      => "# Security\n",
    'c.svg'            => '<svg/>',
    'src/a.rs'         => 'fn a() {}',
    'docs/SUMMARY.md'  => "# Summary\n\n[Top](../README.md)\n\n- [B](b.md)\n- [Security](../SECURITY.md)\n",
    'docs/b.md'        => "# B\n\n## Two words\n\n## Two words\n\n[1](#two-words-1) [top](../README.md#top) [src](../src)\n\n"
        . "`[no link](nowhere.md)`\n\n```\n[nor this](nowhere.md)\n```\n",
    'Cargo.toml'       => qq([workspace]\nmembers = []\n\n[workspace.package]\nedition = "2024"\nversion = "0.2.0"\n\n[package]\nname = "a"\n),
    'CHANGELOG.md'     => "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-02-03\n\n### Added\n\n- one\n\n### Fixed\n\n- two\n\n"
        . "## [0.1.0] - 2026-01-02\n\n### Added\n\n- all\n",
    'debian/changelog' => join("\n", map { "libnginx-mod-http-wasm ($_->[0]-1) UNRELEASED; urgency=medium\n\n  * A\n\n -- m <m\@x.invalid>  $_->[1] 12:00:00 +0000\n" }
        ['0.2.0', 'Tue, 03 Feb 2026'], ['0.1.0', 'Fri, 02 Jan 2026']),
    'docs/install.md'  => "# Install\n\n`0.2.0-1~deb12u1`, and `nginx-abi-1.26.3-1`\n",
);
# The second script needs no site.
$files{'docs/SUMMARY.md'} .= "- [Install](install.md)\n- [Changes](../CHANGELOG.md)\n";

my $folder = tempdir(CLEANUP => 1);
make_path("$folder/tools");
copy("$root/tools/$_", "$folder/tools/$_") or die "cannot copy $_: $!\n" for qw( pages.py versions.py );

sub put {
    my ($path, $text) = @_;
    make_path(dirname("$folder/$path"));
    open my $out, '>', "$folder/$path" or die "cannot write $path: $!\n";
    print $out $text;
    close $out or die "cannot write $path: $!\n";
}
put($_, $files{$_}) for keys %files;

sub run {
    my $said = qx(cd '$folder' && $_[0] 2>&1);
    return ($? == 0, $said);
}

# What is wrong is said; the file is as before afterwards.
sub refuses {
    my ($command, $what, $path, $text, $wanted) = @_;
    defined $text ? put($path, $text) : unlink "$folder/$path";
    my ($ok, $said) = run($command);
    ok(!$ok, "$what: refused");
    like($said, $wanted, "$what: the message says it");
    exists $files{$path} ? put($path, $files{$path}) : unlink "$folder/$path";
}

my $check = 'python3 tools/pages.py check';
my ($ok, $said) = run($check);
ok($ok, 'pages without a mistake') or diag($said);

my $b = $files{'docs/b.md'};
refuses($check, 'a link to no file', 'docs/b.md', "$b\n[x](gone.md)\n", qr{docs/b\.md:\d+: gone\.md: there is no such file});
refuses($check, 'a link to no heading', 'docs/b.md', "$b\n[x](../README.md#gone)\n", qr{README\.md has no such heading});
refuses($check, 'an anchor that is the second of its name', 'docs/b.md', "$b\n[x](#two-words-2)\n", qr{docs/b\.md has no such heading});
refuses($check, 'a heading in a block of code', 'docs/b.md', "$b\n```\n# Shell\n```\n[x](#shell)\n", qr{no such heading});
refuses($check, 'a link by definition', 'docs/b.md', "$b\n[x]: gone.md\n", qr{gone\.md: there is no such file});
refuses($check, 'a link without a definition', 'docs/b.md', "$b\n[a][gone]\n", qr{\[gone\] is not defined});
refuses($check, 'a link from the top of a file system', 'docs/b.md', "$b\n[x](/etc/passwd)\n", qr{leads out of the repository});
refuses($check, 'a link out of the repository', 'docs/b.md', "$b\n[x](../../b.md)\n", qr{leads out of the repository});
refuses($check, 'a page that the contents do not name', 'docs/new.md', "# New\n", qr{docs/new\.md: the page is not in docs/SUMMARY\.md});
refuses($check, 'a page at the top that they do not name', 'NEW.md', "# New\n", qr{NEW\.md: the page is not in});
refuses($check, 'contents that name what is not there', 'SECURITY.md', undef, qr{SECURITY\.md is not there});
refuses($check, 'contents that name a page twice', 'docs/SUMMARY.md', "$files{'docs/SUMMARY.md'}- [B again](b.md)\n", qr{it is there twice});

# On the site: pages of docs/ are at the top, and what is no page is a copy, or elsewhere.
sub staged {
    my ($repository) = @_;
    my ($ok, $said) = run("rm -rf site && REPOSITORY='$repository' python3 tools/pages.py stage site");
    ok($ok, 'a site is staged') or diag($said);
    return sub {
        open my $in, '<', "$folder/site/$_[0]" or return '';
        local $/;
        return <$in>;
    };
}
my $site = staged('');
is($site->('index.md'), "# Top\n\n[b](b.md#two-words) ![c](c.svg) [code](source/src/a.rs.txt)\n", 'links go to where the pages are');
is($site->('source/src/a.rs.txt'), 'fn a() {}', 'a source is copied');
like($site->('b.md'), qr{\Q[top](index.md#top) [src](source/src/index.html)}, 'and a folder has a list');
like($site->('b.md'), qr{\Q`[no link](nowhere.md)`}, 'what is no link stays');
like($site->('source/src/index.html'), qr{href="a\.rs\.txt"}, 'of what is in it');
like($site->('SUMMARY.md'), qr{\Q- [B](b.md)\E\n\Q- [Security](SECURITY.md)}, 'the contents too');
$site = staged('https://example.org/x/blob/main');
like($site->('index.md'), qr{\Q[code](https://example.org/x/blob/main/src/a.rs)}, 'sources are where REPOSITORY says');
is($site->('source/src/a.rs.txt'), '', 'and not copied');

my $versions = 'python3 tools/versions.py';
($ok, $said) = run($versions);
is($said, "0.2.0\n", 'versions that agree');
my $changes = $files{'CHANGELOG.md'};
refuses($versions, 'another version in Cargo.toml', 'Cargo.toml', $files{'Cargo.toml'} =~ s/0\.2\.0/0.3.0/r,
    qr{CHANGELOG\.md: the newest version is 0\.2\.0.*debian/changelog: the newest entry is about 0\.2\.0}s);
refuses($versions, 'a release without its day', 'CHANGELOG.md', $changes =~ s/ - 2026-02-03//r, qr{must be '## \[VERSION\] - YEAR});
refuses($versions, 'a release that the package has not', 'CHANGELOG.md', $changes =~ s/0\.1\.0/0.1.1/r, qr{0\.1\.0 is not in CHANGELOG\.md});
refuses($versions, 'releases in the wrong order', 'CHANGELOG.md', $changes =~ s/0\.1\.0/0.2.1/r, qr{the newest comes first});
refuses($versions, 'nothing for what is to come', 'CHANGELOG.md', $changes =~ s/## \[Unreleased\]\n//r, qr{the first heading});
refuses($versions, 'another kind of change', 'CHANGELOG.md', $changes =~ s/Fixed/Mended/r, qr{Mended});
refuses($versions, 'the same change twice', 'CHANGELOG.md', $changes =~ s/- all/- two/r, qr{this is there twice: two});
refuses($versions, 'a package of before', 'debian/changelog', $files{'debian/changelog'} =~ s/03 Feb 2026/02 Feb 2026/r =~ s/Tue/Mon/r,
    qr{before its release});
refuses($versions, 'a page with another package', 'docs/install.md', $files{'docs/install.md'} =~ s/0\.2\.0/0.1.0/r, qr{it shows a package of version 0\.1\.0});

done_testing();
