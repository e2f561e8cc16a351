# The install tree: made first, moved, and used after its build tree is gone.
# shellcheck shell=bash disable=SC2154

installed="$work/moved to"

# Without what cargo has downloaded before, and where we may, without a network.
# cargo is found by rustup, which needs to know where it lives.
offline() {
    local isolate=()
    unshare -n true 2>/dev/null && isolate=(unshare -n)
    "${isolate[@]}" env RUSTUP_HOME="${RUSTUP_HOME:-$HOME/.rustup}" CARGO_HOME="$work/empty" "$@"
}

make_install_tree() {
    local build="$work/build first" offline=
    [ -z "$vendored" ] || offline=offline
    $offline cmake -G Ninja -S "$source" -B "$build" "${share[@]}" -DQSHM_CARGO="$(command -v cargo)" \
        -DCMAKE_INSTALL_PREFIX="$work/first" -DCMAKE_INSTALL_LIBDIR=lib
    $offline cmake --build "$build"
    cmake --install "$build"
    rm -rf "$build"
    mv "$work/first" "$installed"
    cp -r "$installed" "$plain/installed"
    # Nothing in it may name where it was made.
    if grep -rl --include='*.cmake' --include='*.pc' "$root" "$installed"; then
        fail "the install tree names the build"
    fi
}
case_ "install for both versions of Qt" make_install_tree
# The other cases cannot do without.
[ -d "$plain/installed" ] || (make_install_tree) >/dev/null 2>&1 || exit 1
have_vendor() {
    [ -n "$vendored" ] || fail "cargo vendor: $(cat "$root/logs/vendor.log")"
}
case_ "offline with vendor/ (the install above was)" have_vendor

# build_consumer NAME GENERATOR BUILD_TYPE ARGUMENT...: configures, builds, runs.
build_consumer() {
    local name=$1 generator=$2 type=$3
    shift 3
    cp -r "$here/consumer" "$work/$name"
    cmake -G "$generator" -S "$work/$name" -B "$work/$name/build" -DCMAKE_BUILD_TYPE="$type" "$@"
    cmake --build "$work/$name/build" -j2
    run_consumer "$work/$name/build"
}

run_consumer() {
    local program
    for program in qshm-before-qt qshm-after-qt qshm-twice qshm-inside qshm-unused face; do
        "$1/$program" || fail "$program: status $?"
    done
}

case_ "find_package, Qt 5, Ninja, Debug" \
    build_consumer find5 Ninja Debug -DWANT_QT=5 -DCMAKE_PREFIX_PATH="$installed"
case_ "find_package before Qt 6, Make, Release" \
    build_consumer find6 "Unix Makefiles" Release -DWANT_QT=6 -DQSHM_FIRST=ON -DCMAKE_PREFIX_PATH="$installed"

# The CMake project is written by the case, to stay in front of the reader.
project() {
    mkdir "$work/$1"
    cat >"$work/$1/CMakeLists.txt"
    echo 'int main() {}' >"$work/$1/main.cpp"
}

one_version() {
    local version
    version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$source/Cargo.toml")
    [ "$(PKG_CONFIG_PATH=$plain/installed/lib/pkgconfig pkg-config --modversion qshm)" = "$version" ]
    [ "$(PKG_CONFIG_PATH=$plain/installed/lib/pkgconfig pkg-config --modversion qshm-dropin-qt6)" = "$version" ]
    project version <<'X'
cmake_minimum_required(VERSION 3.16)
project(version CXX)
find_package(qshm ${ASKED} CONFIG REQUIRED)
X
    cmake -S "$work/version" -B "$work/version/b" -DCMAKE_PREFIX_PATH="$installed" -DASKED="$version;EXACT"
    says "compatible with requested version" \
        cmake -S "$work/version" -B "$work/version/b" -DCMAKE_PREFIX_PATH="$installed" -DASKED=99.0
}
case_ "one version everywhere" one_version

which_qt() {
    project which <<'X'
cmake_minimum_required(VERSION 3.16)
project(which CXX)
set(QT_NO_CREATE_VERSIONLESS_TARGETS ON)
foreach(major IN LISTS FIRST)
  find_package(Qt${major} REQUIRED COMPONENTS Core)
endforeach()
find_package(qshm CONFIG REQUIRED)
add_executable(main main.cpp)
target_link_libraries(main PRIVATE qshm::dropin Qt${LINK}::Core)
X
    local try=(cmake -S "$work/which" -B "$work/which/b" -DCMAKE_PREFIX_PATH="$installed")
    says "pass -DQSHM_QT=5 or -DQSHM_QT=6" "${try[@]}" -DFIRST="5;6" -DLINK=5
    "${try[@]}" -DFIRST="5;6" -DLINK=5 -DQSHM_QT=5
    "${try[@]}" -DFIRST="5;6" -DLINK=6 -DQT_VERSION_MAJOR=6 -DQSHM_QT=
    says "does not agree" "${try[@]}" -DFIRST="5;6" -DLINK=6 -DQSHM_QT=5
    says "it can be 5, 6 or empty" "${try[@]}" -DFIRST=5 -DLINK=5 -DQSHM_QT=4
}
case_ "QSHM_QT decides between two versions of Qt" which_qt

preload() {
    local library="$plain/installed/lib/libqshm-preload.so" output
    [ -f "$library" ] || fail "it is not installed"
    ! readelf --dynamic "$library" | grep -E 'RPATH|RUNPATH|SONAME' || fail "it names a place"
    cat >"$plain/preload.cpp" <<'X'
#include <QSharedMemory>
int main() { return QSharedMemory(QStringLiteral("install")).create(1) ? 0 : 1; }
X
    local flags
    read -ra flags <<<"$(pkg-config --cflags --libs Qt5Core)"
    g++ -std=c++17 -fPIC "$plain/preload.cpp" -o "$plain/preload" "${flags[@]}"
    output=$(TMPDIR=$root QSHM_LEFTOVER=odd LD_PRELOAD=$library "$plain/preload" 2>&1)
    [[ "$output" == *"QSHM_LEFTOVER=odd is not understood"* ]] || fail "it is not in effect: $output"
    # A part of somebody else's project does not bring it along.
    ! find "$work" -path '*/build/*' -name 'libqshm-preload.so' | grep . || fail "it is built unasked"
}
case_ "the preload library, installed and moved" preload
