# add_subdirectory(), and what a build from source must bear.
# shellcheck shell=bash disable=SC2154

case_ "add_subdirectory, Qt 5, Make, Release, in a strict application" \
    build_consumer source5 "Unix Makefiles" Release -DSTRICT=ON "${share_dev[@]}" -DWANT_QT=5 -DQSHM_SOURCE="$source"
case_ "add_subdirectory before Qt 6, Ninja, Debug, in a strict application" \
    build_consumer source6 Ninja Debug -DSTRICT=ON "${share_dev[@]}" -DWANT_QT=6 -DQSHM_SOURCE="$source" -DQSHM_FIRST=ON

# The build trees of the first two cases, or new ones if those were not asked for.
tree() {
    local generator=Ninja
    [ "$1" = source5 ] && generator="Unix Makefiles"
    [ -d "$work/$1/build" ] || build_consumer "$1" "$generator" Debug "${share_dev[@]}" \
        -DWANT_QT="${1#source}" -DQSHM_SOURCE="$source" >/dev/null
    echo "$work/$1/build"
}

# stamps TREE: when each product was made.
stamps() {
    find "$1" \( -name '*.a' -o -name '*.o' -o -name '*.so' -o -path '*/qshm-before-qt' \) -printf '%T@ %p\n' | sort
}

nothing_to_do() {
    local build before name
    for name in source5 source6; do
        build=$(tree "$name")
        cmake --build "$build" # what the cases before may have touched
        before=$(stamps "$build")
        cmake --build "$build" | tee "$root/second"
        if grep -E 'Building|Linking|cargo' "$root/second"; then
            fail "the second build ran something"
        fi
        [ "$before" = "$(stamps "$build")" ] || fail "the second build made something anew"
    done
    grep -q 'no work to do' "$root/second"
}
case_ "a second build does nothing" nothing_to_do

# rebuilds BUILD FILE PRODUCT...: after a change of the file exactly these are made anew.
rebuilds() {
    local build=$1 file=$2 product
    shift 2
    touch "$root/before"
    sleep 0.01
    touch "$source/$file"
    cmake --build "$build" --target qshm-before-qt qshm-inside face
    for product; do
        [ "$build/$product" -nt "$root/before" ] || fail "a change of $file leaves $product as it was"
    done
}
only_what_changed() {
    local build name face dropin library
    face=$(cd "$source" && find cpp/face -name '*.cpp' | sort | head -1)
    dropin=$(cd "$source" && find cpp/dropin -name '*.cpp' | sort | head -1)
    for name in source5 source6; do
        build=$(tree "$name")
        rebuilds "$build" src/lib.rs qshm/libqshm.a qshm-before-qt face
        # A file that cargo knows only by its directory; the list is the same for both.
        [ "$name" = source5 ] || rebuilds "$build" "$face" qshm/libqshm.a qshm-before-qt face
        library=$(stat -c %Y.%y "$build/qshm/libqshm.a")
        rebuilds "$build" "$dropin" qshm-before-qt qshm-inside
        [ "$library" = "$(stat -c %Y.%y "$build/qshm/libqshm.a")" ] || fail "a change of $dropin runs cargo"
        [ "$build/qshm-before-qt" -nt "$build/face" ] || fail "a change of $dropin links the face anew"
    done
}
case_ "a change builds what depends on it, and only that" only_what_changed

two_at_once() {
    local a b
    cp -r "$here/consumer" "$work/at once"
    for name in a b; do
        cmake -G Ninja -S "$work/at once" -B "$work/at once/$name" -DCMAKE_BUILD_TYPE=Debug "${share_dev[@]}" \
            -DWANT_QT=6 -DQSHM_SOURCE="$source"
    done
    touch "$source/src/lib.rs"
    cmake --build "$work/at once/a" --target face &
    a=$!
    cmake --build "$work/at once/b" --target face &
    b=$!
    wait $a
    wait $b
    "$work/at once/a/face"
    "$work/at once/b/face"
}
case_ "two builds at once, one cargo target directory" two_at_once

# What the drop-in follows when nothing is said at the top.
qt_in_a_subdirectory() {
    mkdir -p "$work/sub/app"
    cat >"$work/sub/CMakeLists.txt" <<X
cmake_minimum_required(VERSION 3.16)
project(sub CXX)
add_subdirectory("$source" qshm)
add_subdirectory(app)
X
    cat >"$work/sub/app/CMakeLists.txt" <<'X'
find_package(Qt5 REQUIRED COMPONENTS Core)
add_executable(main ../main.cpp)
target_link_libraries(main PRIVATE qshm::dropin Qt5::Core)
X
    echo 'int main() {}' >"$work/sub/main.cpp"
    cmake -G Ninja -S "$work/sub" -B "$work/sub/b"
    ninja -C "$work/sub/b" -t inputs main | grep 'qshm-dropin-qt5'
    if ninja -C "$work/sub/b" -t inputs main | grep 'qshm-dropin-qt6'; then
        fail "the drop-in for Qt 6 is in a program of Qt 5"
    fi
}
case_ "Qt found in a subdirectory, after qshm" qt_in_a_subdirectory

without_qt() {
    local no_qt=(-DCMAKE_DISABLE_FIND_PACKAGE_Qt5=ON -DCMAKE_DISABLE_FIND_PACKAGE_Qt6=ON)
    project no-qt <<'X'
cmake_minimum_required(VERSION 3.16)
project(no-qt CXX)
add_subdirectory("${QSHM_SOURCE}" qshm)
if(DROPIN)
  add_executable(main main.cpp)
  target_link_libraries(main PRIVATE qshm::dropin)
else()
  add_executable(face "${FACE}")
  target_link_libraries(face PRIVATE qshm::qshm)
endif()
X
    local try=(cmake -G Ninja -S "$work/no-qt" -B "$work/no-qt/b" "${share_dev[@]}" "${no_qt[@]}"
        -DQSHM_SOURCE="$source" -DFACE="$here/consumer/face.cpp")
    "${try[@]}"
    cmake --build "$work/no-qt/b"
    "$work/no-qt/b/face"
    says "no Qt was found, install its development files (Debian and Ubuntu: qtbase5-dev or qt6-base-dev)" \
        "${try[@]}" -DDROPIN=ON
    says "Qt 5 was not found, install its development files" "${try[@]}" -DDROPIN=ON -DQSHM_QT=5
    # On its own it installs the face alone.
    cmake -G Ninja -S "$source" -B "$work/no-qt/alone" "${share_dev[@]}" "${no_qt[@]}" -DCMAKE_INSTALL_PREFIX="$work/no-qt/in"
    cmake --build "$work/no-qt/alone"
    cmake --install "$work/no-qt/alone"
    project no-qt-found <<'X'
cmake_minimum_required(VERSION 3.16)
project(no-qt-found CXX)
find_package(qshm CONFIG REQUIRED)
add_executable(main main.cpp)
target_link_libraries(main PRIVATE ${LINK})
X
    try=(cmake -S "$work/no-qt-found" -B "$work/no-qt-found/b" -DCMAKE_PREFIX_PATH="$work/no-qt/in")
    "${try[@]}" -DLINK=qshm::qshm
    says "installed without Qt, build it again" "${try[@]}" -DLINK=qshm::dropin
    says "QSHM_INSTALL_QT asks for Qt 6" cmake -G Ninja -S "$source" -B "$work/no-qt/asked" "${share_dev[@]}" "${no_qt[@]}" \
        -DQSHM_INSTALL_QT=6
}
case_ "no Qt: the face builds, the drop-in says what to install" without_qt

# Another system: nothing to build, nothing needed, nothing changed.
other_system() {
    project elsewhere <<'X'
cmake_minimum_required(VERSION 3.16)
project(elsewhere CXX)
add_subdirectory("${QSHM_SOURCE}" qshm)
add_executable(main main.cpp)
target_link_libraries(main PRIVATE qshm::dropin)
X
    printf '#undef __linux__\n#include <qshm/dropin.h>\nint main() { return int(qshm::activeImplementation()); }\n' >"$work/elsewhere/main.cpp"
    cmake -G Ninja -S "$work/elsewhere" -B "$work/elsewhere/b" -DQSHM_SOURCE="$source" -DCMAKE_SYSTEM_NAME=FreeBSD \
        -DQSHM_CARGO=/nonexistent
    cmake --build "$work/elsewhere/b"
    "$work/elsewhere/b/main"
    [ ! -e "$work/elsewhere/b/qshm/libqshm.a" ] || fail "cargo was run"
}
case_ "on another system the drop-in is empty" other_system
