# cargo missing or too old, and Rust libraries of others.
# shellcheck shell=bash disable=SC2154,SC2164

configure_with_cargo() {
    cmake -S "$source" -B "$work/cargo try" -DQSHM_CARGO="$1"
}
bad_cargo() {
    mkdir "$work/bin"
    printf '#!/bin/sh\necho "cargo 1.63.0 (fd9c4297c 2022-07-01)"\n' >"$work/bin/old"
    printf '#!/bin/sh\necho "no toolchain is configured" >&2; exit 1\n' >"$work/bin/broken"
    chmod +x "$work/bin/old" "$work/bin/broken"
    says "is 1.63.0. Install Rust with rustup" configure_with_cargo "$work/bin/old"
    says "no toolchain is configured" configure_with_cargo "$work/bin/broken"
    says "cargo was not found. Install Rust with rustup" configure_with_cargo QSHM_CARGO-NOTFOUND
}
bad_cargo_paths() {
    # Where find_program() would look.
    HOME=/nonexistent CARGO_HOME=/nonexistent PATH=/usr/bin:/bin bad_cargo
}
case_ "cargo missing, broken or too old: the error says what to do" bad_cargo_paths

# A Rust library of somebody else in the same program, on either side of ours.
neighbour() {
    cd "$plain"
    cat >neighbour.rs <<'X'
#[unsafe(no_mangle)]
pub extern "C" fn neighbour(x: i32) -> i32 {
    std::panic::catch_unwind(|| (0..x).map(|i| format!("{i}").len() as i32).sum()).unwrap_or(-1)
}
X
    rustc --edition 2024 --crate-type staticlib -O neighbour.rs -o libneighbour.a
    cat >both.cpp <<'X'
#include <qshm/shared_memory.h>
extern "C" int neighbour(int);
int main()
{
    qshm::SharedMemory memory;
    return neighbour(12) == 14 && !memory.isAttached() ? 0 : 1;
}
X
    local ours
    ours=$(PKG_CONFIG_PATH="$plain/installed/lib/pkgconfig" pkg-config --cflags --static --libs qshm)
    # shellcheck disable=SC2086
    for line in "$ours -Wl,--whole-archive,libneighbour.a,--no-whole-archive" "libneighbour.a $ours" "$ours libneighbour.a"; do
        g++ -std=c++17 both.cpp $line -o both
        ./both
    done
}
case_ "another Rust library in the same program" neighbour

only_our_names() {
    local others
    others=$(readelf -sW "$installed/lib/libqshm.a" |
        awk '$1 ~ /^[0-9]+:$/ && $5 != "LOCAL" && $7 != "UND" && $8 !~ /^(qshm_|_ZN4qshm|_ZNK4qshm|_ZT.*N4qshm)/ { print $8 }')
    [ -z "$others" ] || fail "$others"
}
case_ "libqshm.a shows qshm's names only" only_our_names

not_localized() {
    cp -r "$here/consumer" "$work/visible"
    cmake -G Ninja -S "$work/visible" -B "$work/visible/build" "${share_dev[@]}" -DWANT_QT=6 -DQSHM_SOURCE="$source" \
        -DQSHM_LOCALIZE_SYMBOLS=OFF
    cmake --build "$work/visible/build" --target qshm-before-qt plugin-with plugin-without face
    "$work/visible/build/qshm-before-qt"
    "$work/visible/build/face"
    ar t "$work/visible/build/qshm/libqshm.a" | grep -v 'qshm.o' >/dev/null
}
case_ "QSHM_LOCALIZE_SYMBOLS=OFF" not_localized

# The list of system libraries is what rustc says, in CMake and in pkg-config.
native_libraries() {
    local said listed
    cd "$source"
    touch src/lib.rs # rustc only says it when it runs
    local vendor=()
    [ -z "$vendored" ] || vendor=(--config 'source.crates-io.replace-with="vendor"' --config "source.vendor.directory=\"$source/vendor\"")
    said=$(cargo rustc --locked --lib --crate-type staticlib --target-dir "$cargo_target" "${vendor[@]}" -- \
        --print native-static-libs 2>&1 | sed -n 's/^note: native-static-libs: //p')
    [ -n "$said" ] || fail "rustc did not say"
    listed=$(sed -n 's/^set(QSHM_NATIVE_LIBRARIES \(.*\))/\1/p' cmake/qshm-targets.cmake | sed 's/\([^ ]*\)/-l\1/g')
    echo "rustc: $said; CMake: $listed"
    # The C++ library is CMake's business: it links as C++.
    [ "$said" = "-lstdc++ $listed" ]
    [[ "$(pkg --libs --static qshm)" == *"$said"* ]]
}
case_ "system libraries are rustc's list" native_libraries
