# The command: built, installed with all that belongs to it, and left out.
# shellcheck shell=bash disable=SC2154

# From the repository itself, and with what was built of it before: the command's dependencies
# take their time.
command_installed() {
    local at="$plain/command" page
    cmake -G Ninja -S "$repository" -B "$plain/command build" -DCMAKE_INSTALL_PREFIX="$at" -DCMAKE_INSTALL_LIBDIR=lib \
        -DQSHM_CARGO_TARGET_DIR="$repository/target/command-cmake" -DQSHM_RUST_PROFILE=dev \
        -DCMAKE_DISABLE_FIND_PACKAGE_Qt5=ON -DCMAKE_DISABLE_FIND_PACKAGE_Qt6=ON
    cmake --build "$plain/command build" | tee "$root/first"
    cmake --install "$plain/command build"
    rm -rf "$plain/command build"
    for page in qshm qshm-status qshm-explain qshm-repair qshm-who qshm-key qshm-run; do
        grep -q '^\.TH' "$at/share/man/man1/$page.1"
    done
    bash -n "$at/share/bash-completion/completions/qshm"
    grep -q '^#compdef qshm' "$at/share/zsh/site-functions/_qshm"
    grep -q 'complete -c qshm' "$at/share/fish/vendor_completions.d/qshm.fish"
    "$at/bin/qshm" --version | grep -qx "qshm $(sed -n 's/^version = "\(.*\)"/\1/p' "$repository/Cargo.toml")"
    # The library that was installed with it.
    [ "$("$at/bin/qshm" run -q -- sh -c 'echo "$LD_PRELOAD"')" = "$at/lib/libqshm-preload.so" ]
}
case_ "the command, its man pages and completions" command_installed

# What the command needs never reaches what applications link.
library_without_command() {
    local tree
    tree=$(cd "$repository" && cargo tree --locked --prefix none --edges normal --package qshm --no-default-features)
    for crate in clap serde comfy-table crossterm; do
        ! grep -q "^$crate" <<<"$tree" || fail "the library depends on $crate: $tree"
    done
    [ ! -e "$installed/bin/qshm" ] || fail "-DQSHM_BUILD_COMMAND=OFF installs the command"
}
case_ "the library without the command" library_without_command
