# With pkg-config and the compiler alone: what linkers are asked to do in the field.
# shellcheck shell=bash disable=SC2154,SC2086,SC2046,SC2206,SC2164

pkg() {
    PKG_CONFIG_PATH="$plain/installed/lib/pkgconfig" pkg-config "$@"
}

for major in 5 6; do
    case_ "objects for the link line, Qt $major" eval '
        mkdir -p "$plain/qt$major"
        cflags="-O1 -fPIC $(pkg --cflags qshm-dropin-qt$major Qt${major}Core)"
        for name in main library part part_main unused; do
            g++ -std=c++17 $cflags -DPLUGIN_WITH="\"$plain/qt$major/libplugin.so\"" -DPLUGIN_WITHOUT="\"$plain/qt$major/libplugin.so\"" \
                -c "$here/consumer/$name.cpp" -o "$plain/qt$major/$name.o"
        done
        cd "$plain/qt$major"
        g++ -shared library.o -o liblibrary.so $(pkg --libs Qt${major}Core)
        g++ -shared library.o -o libplugin.so $(pkg --libs Qt${major}Core)
        ar qcs libpart.a part.o'
done

# link MAJOR FLAGS ORDER: a program and its library, linked in this order, and run.
link() {
    local major=$1 flags=$2 order=$3 line=() word
    local qt dropin
    qt=$(pkg --libs Qt${major}Core)
    dropin=$(pkg --static --libs qshm-dropin-qt$major)
    cd "$plain/qt$major"
    for word in $order; do
        case $word in
        qshm) line+=($dropin) ;;
        qt) line+=($qt) ;;
        objects) line+=(main.o) ;;
        library) line+=(-L. -llibrary "-Wl,-rpath,$PWD") ;;
        esac
    done
    g++ $flags "${line[@]}" -ldl -o program
    "$PWD/program"
}

# Runs both versions of Qt for a set of flags, ours on either side of Qt.
link_all() {
    local major
    for major in 5 6; do
        link $major "$1" "objects library qshm qt"
        link $major "$1" "objects qt library qshm"
    done
}

case_ "pkg-config: flags after Qt" eval 'link 5 "" "objects library qt qshm"; link 6 "" "objects library qt qshm"'
case_ "pkg-config: flags before Qt" eval 'link 5 "" "objects library qshm qt"; link 6 "" "objects library qshm qt"'
case_ "pkg-config: flags before everything" eval 'link 5 "" "qshm objects library qt"; link 6 "" "qshm qt objects library"'

pkg_config_face() {
    cd "$plain"
    # Flags where CFLAGS stand is what many a Makefile does.
    g++ -std=c++17 -fno-exceptions -fno-rtti $(pkg --cflags --static --libs qshm) "$here/consumer/face.cpp" -o face
    ./face
    g++ -std=c++17 "$here/consumer/face.cpp" $(pkg --cflags --static --libs qshm) -o face
    ./face
}
case_ "pkg-config: the face without Qt, before and after" pkg_config_face

case_ "--as-needed" link_all "-Wl,--as-needed"
case_ "--gc-sections" link_all "-Wl,--gc-sections"
case_ "-z now, -z relro, no PIE" link_all "-Wl,-z,now,-z,relro -no-pie"
if command -v ld.gold >/dev/null; then
    case_ "gold" link_all "-fuse-ld=gold"
    case_ "gold, --gc-sections" link_all "-fuse-ld=gold -Wl,--gc-sections"
else
    case_ "gold" skip "ld.gold is not installed"
fi
if command -v ld.lld >/dev/null; then
    case_ "lld" link_all "-fuse-ld=lld"
    case_ "lld, --gc-sections" link_all "-fuse-ld=lld -Wl,--gc-sections"
else
    case_ "lld" skip "ld.lld is not installed"
fi

lto() {
    local major
    for major in 5 6; do
        cd "$plain/qt$major"
        g++ -std=c++17 -O2 -flto -fPIC $(pkg --cflags qshm-dropin-qt$major Qt${major}Core) "$here/consumer/part.cpp" \
            "$here/consumer/part_main.cpp" $(pkg --libs Qt${major}Core) $(pkg --static --libs qshm-dropin-qt$major) -o lto
        "$PWD/lto"
    done
}
case_ "-flto" lto

# The program itself never names the classes, only its library does.
library_only() {
    local major
    for major in 5 6; do
        cd "$plain/qt$major"
        cat >library_only.cpp <<'X'
#include <string>
extern "C" const char *libraryOwner();
int main(int, char **argv) { return libraryOwner() == std::string(argv[0]) ? 0 : 1; }
X
        g++ -Wl,--as-needed library_only.cpp $(pkg --static --libs qshm-dropin-qt$major) -L. -llibrary "-Wl,-rpath,$PWD" \
            $(pkg --libs Qt${major}Core) -o library_only
        "$PWD/library_only"
        # Without the drop-in the same check must see Qt's own class.
        g++ library_only.cpp -L. -llibrary "-Wl,-rpath,$PWD" $(pkg --libs Qt${major}Core) -o library_only_qt
        if "$PWD/library_only_qt"; then
            fail "the check takes Qt $major's class for qshm's"
        fi
    done
}
case_ "only a library uses the classes, --as-needed" library_only
