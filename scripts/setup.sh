#!/bin/sh
# Finds out which tools the build lacks, says so, and installs them with the system's package manager.
# Prints one line and changes nothing when all are there. Rust is never installed, only asked for.
set -eu
cd "$(dirname "$0")/.."

have() { command -v "$1" >/dev/null 2>&1; }

have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return 0
    for file in /usr/lib/llvm*/lib/libclang*.so* /usr/lib/llvm/*/lib*/libclang*.so* /usr/lib/*/libclang*.so* \
        /usr/lib64/libclang*.so* /usr/lib/libclang*.so* /usr/local/lib/libclang* \
        /Library/Developer/CommandLineTools/usr/lib/libclang.dylib \
        /Applications/Xcode.app/Contents/Developer/Toolchains/*/usr/lib/libclang.dylib \
        /opt/homebrew/opt/llvm/lib/libclang.dylib /usr/local/opt/llvm/lib/libclang.dylib; do
        # libclang-cpp is another library, which does not help.
        case $file in *libclang-cpp*) continue ;; esac
        [ -e "$file" ] && return 0
    done
    return 1
}

missing=""
need() { missing="$missing $1"; }

have cmake || need cmake
{ have c++ || have g++ || have clang++; } || need c++
have_libclang || need libclang
{ have pkg-config || have pkgconf; } || need pkg-config
have python3 || need python3
python3 -m pip --version >/dev/null 2>&1 || need pip

manager=""
for candidate in apt-get dnf pacman zypper brew; do
    if have "$candidate"; then manager=$candidate && break; fi
done

# The package that provides a tool, in the language of each package manager.
package_for() {
    case "$manager:$1" in
        apt-get:c++) echo g++ ;;
        apt-get:libclang) echo clang libclang-dev ;;
        dnf:c++ | zypper:c++) echo gcc-c++ ;;
        dnf:libclang) echo clang clang-devel ;;
        zypper:libclang) echo clang clang-devel ;;
        dnf:pkg-config) echo pkgconf-pkg-config ;;
        pacman:c++) echo gcc ;;
        pacman:libclang) echo clang ;;
        pacman:pkg-config | brew:pkg-config) echo pkgconf ;;
        pacman:python3 | brew:python3 | brew:pip) echo python ;;
        pacman:pip) echo python-pip ;;
        brew:c++ | brew:libclang) echo llvm ;;
        *:pip) echo python3-pip ;;
        *) echo "$1" ;;
    esac
}

if [ -n "$missing" ]; then
    packages=""
    for tool in $missing; do packages="$packages $(package_for "$tool")"; done
    echo "Missing:$missing"
    if [ -z "$manager" ]; then
        echo "error: no package manager that this script knows (apt-get, dnf, pacman, zypper, brew)" >&2
        echo "hint: install cmake, a C++ compiler, libclang, pkg-config, python3 and pip yourself, then run make again" >&2
        exit 1
    fi
    elevate=""
    if [ "$manager" != brew ] && [ "$(id -u)" != 0 ]; then
        if ! have sudo; then
            echo "error: installing packages needs root, and there is no sudo here" >&2
            echo "hint: as root, install these with $manager:$packages" >&2
            exit 1
        fi
        elevate=sudo
    fi
    echo "Installing with $manager:$packages"
    # $packages is a list of words on purpose.
    # shellcheck disable=SC2086
    case $manager in
        apt-get)
            $elevate apt-get update -qq
            $elevate env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
            ;;
        dnf) $elevate dnf install -y $packages ;;
        pacman) $elevate pacman -S --needed --noconfirm $packages ;;
        zypper) $elevate zypper --non-interactive install $packages ;;
        brew) brew install $packages ;;
    esac
fi

wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
how_to_get_rust="install Rust from https://rustup.rs (or: rustup update stable), open a new terminal, run make again"
if ! have cargo; then
    # A fresh rustup may not be in this shell's PATH yet; the Makefile adds the folder, so this is a real absence.
    echo "error: Rust is missing: this project needs cargo $wanted or newer" >&2
    echo "hint: $how_to_get_rust; the cargo of most Linux distributions is older than that" >&2
    exit 1
fi
found=$(cargo --version | cut -d' ' -f2)
oldest=$(printf '%s\n%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1)
if [ "$oldest" != "$wanted" ]; then
    echo "error: cargo $found is too old: this project needs $wanted or newer" >&2
    echo "hint: $how_to_get_rust" >&2
    exit 1
fi
echo "Tools: ready (cargo $found, cmake $(cmake --version | sed -n '1s/.* //p'))"
