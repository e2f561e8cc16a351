#!/bin/bash
# Builds and runs Qt's own tests of QSharedMemory and QSystemSemaphore, those of
# Qt 5.15 or of Qt 6.8, outside Qt's build system, on Qt's classes or on a
# replacement of them.
#
# The tests are not in this repository: they are fetched with "apt-get source".
# Qt 6.8 is that of the folder that scripts/make-trixie makes: programs are built
# in it, and run outside.
set -uo pipefail

usage() {
    cat <<'USAGE'
usage: run-qt-suite.sh --qt 5|6.8 [options]
  --link "..."     what replaces the classes: objects and libraries, put before Qt's
  --preload FILE   what replaces the classes: a library to preload
  --tests "a b"    of: qsharedmemory qsystemsemaphore (default: both), and qnativeipckey in 6.8
  --only "f g"     only these test functions, each in its own process
  --not "f g"      without these test functions
  --unskip         takes out the two QSKIPs "unstable: QTBUG-25655" and "disabled"
  --uid N          runs the tests as this user (root only)
  --repeat N       runs N times, and says which functions are flaky
  --timeout S      seconds for a test program (default 300)
  --programs DIR   where programs are kept: built if they are not there
  --prepare        only fetches the sources and builds the programs
  --work DIR       where sources are kept and programs are built
                   (default: target/qt-suite; other users must be able to reach it, and for
                   6.8 it must be in this repository or in /tmp)
As root the tests have private IPC, PID and mount namespaces, and a /dev/shm of their own;
always an own TMPDIR.
last line: passed=N failed=N skipped=N   (test functions; failed if it failed in any row or run)
exit status: 0 no failures, 1 failures, 2 could not build or run, 3 no sources to be had
USAGE
    exit 2
}

die() {
    echo "run-qt-suite: $2" >&2
    exit "$1"
}

here=$(cd "$(dirname "$0")" && pwd)
arguments=("$@")
qt='' link='' preload='' tests=default only='' not='' programs='' prepare=0 unskip=0 uid='' repeat=1 timeout=300
work=$here/../../target/qt-suite
while [ $# -gt 0 ]; do
    case $1 in
    --qt) qt=$2 && shift ;;
    --link) link=$2 && shift ;;
    --preload) preload=$2 && shift ;;
    --tests) tests=$2 && shift ;;
    --only) only=$2 && shift ;;
    --not) not=$2 && shift ;;
    --programs) programs=$2 && shift ;;
    --prepare) prepare=1 ;;
    --unskip) unskip=1 ;;
    --uid) uid=$2 && shift ;;
    --repeat) repeat=$2 && shift ;;
    --timeout) timeout=$2 && shift ;;
    --work) work=$2 && shift ;;
    *) usage ;;
    esac
    shift
done
root=$(cd "$here/../.." && pwd)
trixie=${QSHM_TRIXIE:-/var/cache/qshm-trixie}
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
helpers='qsharedmemory/producerconsumer qsystemsemaphore/acquirerelease'
case $qt in
5)
    package=qtbase-opensource-src folder=tests/auto/corelib/kernel
    [ "$tests" != default ] || tests='qsharedmemory qsystemsemaphore'
    ;;
6.8)
    package=qt6-base folder=tests/auto/corelib/ipc suite=trixie
    [ "$tests" != default ] || tests='qsharedmemory qsystemsemaphore qnativeipckey'
    [ -e "$trixie/.qt-ready" ] || die 3 "no folder with Qt 6.8: scripts/make-trixie makes it"
    ;;
*) usage ;;
esac
mkdir -p "$work" || exit 2
work=$(cd "$work" && pwd)
sources=$work/sources-$qt

# ------------------------------------------------------------------- sources
# With apt lists of its own, so that the system's configuration neither matters
# nor changes; the place to ask and the release are the system's.
fetch() {
    [ ! -e "$sources/.done" ] || return 0
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg apt=$work/apt-$qt mirror archive
    mirror=$(sed -n 's/^URIs: //p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | grep -v security | head -1)
    [ -n "$mirror" ] || mirror=$(sed -nE 's/^deb (\[[^]]*\] )?([^ ]*).*/\2/p' /etc/apt/sources.list 2>/dev/null | head -1)
    if [ -z "$mirror" ] || [ -z "$suite" ] || [ ! -e "$keys" ]; then
        die 3 "no Debian sources are configured"
    fi
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/sources" "$sources"
    echo "deb-src [signed-by=$keys] $mirror $suite main" >"$apt/sources.list"
    local options=(-q -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::State::lists="$apt/lists" -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb-src::Contents::DefaultEnabled=false)
    if ! apt-get "${options[@]}" update >"$apt/log" 2>&1 ||
        ! (cd "$apt/sources" && apt-get "${options[@]}" source --download-only --tar-only $package) \
            >>"$apt/log" 2>&1; then
        tail -3 "$apt/log" >&2
        die 3 "the sources of Qt's tests were not to be had"
    fi
    archive=$(find "$apt/sources" -name "${package}_*.orig.tar.*" | sort | tail -1)
    # A private header of the test library, too, where it is there.
    tar -xf "$archive" -C "$sources" --strip-components=1 --wildcards \
        "*/$folder/*" '*/src/testlib/qcomparisontesthelper_p.h' 2>/dev/null ||
        tar -xf "$archive" -C "$sources" --strip-components=1 --wildcards "*/$folder/*" ||
        die 3 "cannot unpack $archive"
    basename "$archive" >"$sources/.done"
    rm -rf "$apt"
}

# ---------------------------------------------------------------- namespaces
isolated=${QSHM_SUITE_ISOLATED:-0}
if [ "$isolated" = 0 ]; then
    fetch
    if [ "$(id -u)" = 0 ] && [ $prepare = 0 ]; then
        QSHM_SUITE_ISOLATED=1 exec unshare --mount --ipc --pid --fork --kill-child --mount-proc \
            --propagation private bash "$here/$(basename "$0")" "${arguments[@]}"
    fi
    [ "$(id -u)" = 0 ] || echo "# not root: no private IPC namespace, only an own TMPDIR"
else
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm || die 2 "no /dev/shm of its own"
fi

# --------------------------------------------------------------------- build
# What is built, and what a run makes of it.
out=$(mktemp -d "$work/run-XXXXXX")
trap 'rm -rf "$out"' EXIT
build=${programs:-$out}
mkdir -p "$build/shim/private" "$build/bin"
chmod 755 "$out" "$build" "$build/bin"
build=$(cd "$build" && pwd)

# The tests use private headers, which may not be there: what they need of them, made from what is
# public.
triple=$(g++ -dumpmachine)
triple=${triple/-pc-/-}
if [ "$qt" = 5 ]; then
    headers=/usr/include/$triple/qt5 found=$headers moc=/usr/lib/qt5/bin/moc in=()
    libraries=(-lQt5Test -lQt5Core -lrt)
    cat >"$build/shim/private/qsharedmemory_p.h" <<'SHIM'
#pragma once
#include <QSharedMemory>
struct QSharedMemoryPrivate {
    static QString makePlatformSafeKey(const QString &k)
    { QSharedMemory m; m.setKey(k); return m.nativeKey(); }
};
SHIM
else
    headers=/usr/include/$triple/qt6 found=$trixie$headers moc=/usr/lib/qt6/libexec/moc
    in=("$root/scripts/in-trixie")
    loader=$(cd "$trixie" && ls -d lib64/ld-linux-*.so.* lib/ld-linux-*.so.* 2>/dev/null | head -n 1)
    libraries=(-lQt6Test -lQt6Core -Xlinker --dynamic-linker="$trixie/$loader"
        -Xlinker --disable-new-dtags -Xlinker -rpath="$trixie/usr/lib/$triple")
    printf '#define QT_FEATURE_posix_shm 1\n#define QT_FEATURE_sysv_shm 1\n' \
        >"$build/shim/private/qtcore-config_p.h"
    mkdir -p "$build/shim/QtTest/private"
    cp "$sources/src/testlib/qcomparisontesthelper_p.h" "$build/shim/QtTest/private/" 2>/dev/null
fi
version=$(sed -n 's/^#define QTCORE_VERSION_STR "\(.*\)"/\1/p' "$found"/QtCore/qtcoreversion.h "$found"/QtCore/qtcore-config.h 2>/dev/null | head -n 1)
[ -n "$version" ] || die 2 "no headers of Qt $qt in $found"
include=(-I"$build/shim" -I"$headers" -I"$headers/QtCore" -I"$headers/QtTest" -I"$build/bin")

compile() { # source program [moc output]
    if [ -n "${3:-}" ]; then
        "${in[@]}" "$moc" -D__linux__ -DQT_CORE_LIB "${include[@]}" "$1" -o "$build/bin/$3" || return 1
    fi
    # Several words each, as on a command line.
    # shellcheck disable=SC2086
    "${in[@]}" g++ -std=c++17 -O1 -fPIC -pthread -w -DQT_CORE_LIB -DQT_TESTLIB_LIB "${include[@]}" \
        "$1" -o "$build/bin/$2" $link "${libraries[@]}"
}

build_all() {
    local test helper
    cp -r "$sources/$folder" "$build/tests" || die 2 "no sources"
    if [ $unskip = 1 ]; then
        sed -i -e '/QSKIP("This test is unstable: QTBUG-25655");/d' -e '/QSKIP("disabled");/d' \
            "$build/tests/qsharedmemory/tst_qsharedmemory.cpp"
    fi
    for test in $tests; do
        [ -e "$build/tests/$test/tst_$test.cpp" ] || usage
        for helper in $helpers; do
            if [ "${helper%/*}" = "$test" ]; then
                compile "$build/tests/$helper/main.cpp" "${helper#*/}_helper" ||
                    die 2 "$helper does not build"
            fi
        done
        compile "$build/tests/$test/tst_$test.cpp" "tst_$test" "tst_$test.moc" ||
            die 2 "tst_$test does not build"
    done
    touch "$build/.built"
}
[ -e "$build/.built" ] || build_all
[ $prepare = 0 ] || exit 0
echo "# Qt $version, tests of $(cat "$sources/.done"), as ${uid:-$(id -u)}, replaced by: ${link:-${preload:-nothing}}"

# ----------------------------------------------------------------------- run
as=()
[ -z "$uid" ] || as=(setpriv --reuid "$uid" --regid "$uid" --clear-groups)

fresh() { # a fresh TMPDIR and no IPC objects
    run=$out/run.$RANDOM$RANDOM
    mkdir -m 700 "$run"
    [ -z "$uid" ] || chown "$uid:$uid" "$run"
    [ "$isolated" = 0 ] || { ipcrm --all && find /dev/shm -mindepth 1 -delete; }
}

execute() { # seconds program argument...
    local seconds=$1
    shift
    (cd "$build/bin" && ulimit -c 0 && timeout -k 5 "$seconds" "${as[@]}" env -u DISPLAY \
        LC_ALL=C.UTF-8 HOME="$run" TMPDIR="$run" XDG_RUNTIME_DIR="$run" QTEST_DISABLE_STACK_DUMP=1 \
        QTEST_FUNCTION_TIMEOUT=150000 QT_LOGGING_TO_CONSOLE=1 PATH="$build/bin:/usr/bin:/bin" \
        ${preload:+"LD_PRELOAD=$preload"} "$@")
}

left() { # what a program left behind
    [ "$isolated" = 1 ] || return 0
    echo "$(($(wc -l </proc/sysvipc/shm) - 1)) segments, $(($(wc -l </proc/sysvipc/sem) - 1)) semaphores," \
        "$(find "$run" -type f -not -name '.*' | wc -l) key files," \
        "POSIX objects: $(find /dev/shm -mindepth 1 -not -name 'qshm-*' -printf '%f ' | grep . || echo none)"
}

origin() { # where the program takes the functions of the classes from
    fresh
    local libraries
    # Its meta object may stay Qt's: it is the same.
    libraries=$(LD_DEBUG=bindings LD_BIND_NOW=1 execute 60 "./$1" -functions 2>&1 >/dev/null |
        sed -nE "s/.*binding file [^ ]*$1 \[0\] to ([^ ]*) \[0\]: normal symbol .(_Z[A-Z]*1[36]Q(SharedMemory|SystemSemaphore)[^']*).*/\1 \2/p" |
        grep -v 16staticMetaObject | cut -d' ' -f1 | sort | uniq -c)
    echo "# $1: the classes come from: ${libraries:-the program itself}"
    # A preloaded library leaves some members to Qt.
    if { [ -n "$link" ] && grep -q 'libQt[56]Core' <<<"$libraries"; } ||
        { [ -n "$preload" ] && ! grep -qF "$preload" <<<"$libraries"; }; then
        die 2 "the classes were not replaced"
    fi
}

declare -A states
order=()

# Says what became of a function, and keeps it.
tell() { # test function results-file
    local rows passed failed skipped state=SKIP
    rows=$(grep -E "^[A-Z!]+ *: tst_[A-Za-z]+::$2\(" "$3")
    passed=$(grep -cE '^(PASS|XFAIL)' <<<"$rows")
    failed=$(grep -cE '^(FAIL!|XPASS)' <<<"$rows")
    skipped=$(grep -cE '^SKIP' <<<"$rows")
    [ "$passed" = 0 ] || state=PASS
    [ "$failed" = 0 ] || state=FAIL
    echo "$state tst_$1::$2 (rows: $passed passed, $failed failed, $skipped skipped)"
    if [ $state = FAIL ]; then
        grep -E -A2 "^(FAIL!|XPASS) *: tst_[A-Za-z]+::$2\(" "$3" | sed 's/^/       | /' | head -12
    fi
    [ -n "${states[$1::$2]-}" ] || order+=("$1::$2")
    states[$1::$2]+="$state "
}

one() { # test: runs its program, then by themselves the functions that it did not reach
    local program=tst_$1 all results=$out/$1.results function last status=- started=$SECONDS missing
    fresh
    all=$(execute 60 "./$program" -functions 2>/dev/null | sed -n 's/()$//p')
    [ -n "$all" ] || die 2 "$program does not start"
    : >"$results"
    if [ -n "$only" ]; then
        all=$(grep -xF "$(tr ' ' '\n' <<<"$only")" <<<"$all")
    else
        local some=()
        if [ -n "$not" ]; then
            all=$(grep -vxF "$(tr ' ' '\n' <<<"$not")" <<<"$all")
            mapfile -t some <<<"$all"
        fi
        execute "$timeout" "./$program" -o "$run/.results,txt" -maxwarnings 0 "${some[@]}" >"$out/$1.log" 2>&1
        status=$?
        cat "$run/.results" >>"$results"
        if ! grep -q '^Totals:' "$results"; then
            # It ended early: what it says of the last function is not all.
            last=$(sed -nE 's/^[A-Z!]* *: tst_[A-Za-z]*::([A-Za-z]*)\(.*/\1/p' "$results" | tail -1)
            [ -z "$last" ] || sed -i "/^[A-Z!]* *: tst_[A-Za-z]*::$last(/d" "$results"
        fi
        rm -f "$run/.results"
        echo "== $program as ${uid:-$(id -u)}: exit status $status, $((SECONDS - started)) s; left behind: $(left)"
    fi
    missing=$(for function in $all; do
        grep -qE "^[A-Z!]+ *: tst_[A-Za-z]+::$function\(" "$results" || echo "$function"
    done)
    for function in $missing; do
        fresh
        execute 160 "./$program" -o "$run/.results,txt" -maxwarnings 0 "$function" >"$out/$1.log" 2>&1
        status=$?
        grep -q '^Totals:' "$run/.results" ||
            echo "FAIL!  : tst_X::$function() did not end in order: exit status $status" >>"$results"
        cat "$run/.results" >>"$results"
        rm -f "$run/.results"
        echo "== $program $function alone: exit status $status; left behind: $(left)"
    done
    for function in $all; do
        tell "$1" "$function" "$results"
    done
}

for test in $tests; do
    origin "tst_$test"
done
for ((n = 0; n < repeat; ++n)); do
    for test in $tests; do
        one "$test"
    done
done
declare -i passed=0 failed=0 skipped=0
for function in "${order[@]}"; do
    seen=$(tr ' ' '\n' <<<"${states[$function]}" | sed '/^$/d' | sort -u | paste -sd' ')
    [[ $seen != *' '* ]] || echo "FLAKY tst_$function: ${states[$function]}"
    case $seen in
    *FAIL*) failed+=1 ;;
    *PASS*) passed+=1 ;;
    *) skipped+=1 ;;
    esac
done
echo "passed=$passed failed=$failed skipped=$skipped"
[ $failed = 0 ]
