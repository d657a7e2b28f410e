#!/bin/sh
# Finds out which tools the build lacks, says so, and installs them with the system's package manager.
# Prints one line and changes nothing when all are there. Rust is never installed, only asked for.
#
#   setup.sh            what the terminal program takes
#   setup.sh window     and what the window takes
#   setup.sh tests      and what the tests take
set -eu
cd "$(dirname "$0")/.."
purpose=${1:-terminal}

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
have node || need node
have npm || need npm

is_linux() { [ "$(uname -s)" = Linux ]; }

if [ "$purpose" != terminal ] && is_linux; then
    # Windows and macOS bring their own web view.
    pkg-config --exists webkit2gtk-4.1 2>/dev/null || need webkit
    pkg-config --exists gtk+-3.0 2>/dev/null || need gtk
    pkg-config --exists librsvg-2.0 2>/dev/null || need librsvg
    have file || need file
fi
if [ "$purpose" = tests ] && is_linux; then
    have WebKitWebDriver || need webkit-driver
    have Xvfb || need xvfb
    have xauth || need xauth
    have xdotool || need xdotool
    { have chromium || have chromium-browser || have google-chrome; } || need chromium
    /usr/bin/python3 -c 'import gi; gi.require_version("Gtk", "3.0")' 2>/dev/null || need gtk-for-python
    fc-list 2>/dev/null | grep -q . || need fonts
    have strace || need strace
    have pgrep || need procps
    have ip || need iproute2
    have pdftotext || need pdftotext
fi

manager=""
for candidate in apt-get dnf pacman zypper brew; do
    if have "$candidate"; then manager=$candidate && break; fi
done

# The package that provides a tool, in the language of each package manager.
package_for() {
    case "$manager:$1" in
        apt-get:c++) echo g++ ;;
        apt-get:libclang) echo clang libclang-dev ;;
        apt-get:node) echo nodejs ;;
        apt-get:webkit) echo libwebkit2gtk-4.1-dev ;;
        apt-get:gtk) echo libgtk-3-dev ;;
        apt-get:librsvg) echo librsvg2-dev ;;
        apt-get:webkit-driver) echo webkit2gtk-driver ;;
        apt-get:gtk-for-python) echo python3-gi gir1.2-gtk-3.0 ;;
        apt-get:fonts) echo fontconfig fonts-dejavu-core ;;
        apt-get:pdftotext) echo poppler-utils ;;
        dnf:webkit) echo webkit2gtk4.1-devel ;;
        dnf:gtk) echo gtk3-devel ;;
        dnf:librsvg) echo librsvg2-devel ;;
        dnf:node) echo nodejs ;;
        dnf:npm) echo nodejs-npm ;;
        dnf:gtk-for-python) echo python3-gobject gtk3 ;;
        dnf:fonts) echo fontconfig dejavu-sans-fonts ;;
        dnf:iproute2) echo iproute ;;
        dnf:procps | pacman:procps) echo procps-ng ;;
        pacman:webkit) echo webkit2gtk-4.1 ;;
        pacman:gtk) echo gtk3 ;;
        pacman:node) echo nodejs ;;
        pacman:xvfb) echo xorg-server-xvfb ;;
        pacman:xauth) echo xorg-xauth ;;
        dnf:xvfb) echo xorg-x11-server-Xvfb ;;
        dnf:xauth) echo xorg-x11-xauth ;;
        pacman:gtk-for-python) echo python-gobject ;;
        pacman:fonts) echo fontconfig ttf-dejavu ;;
        zypper:webkit) echo webkit2gtk3-devel ;;
        zypper:gtk) echo gtk3-devel ;;
        zypper:librsvg) echo librsvg-devel ;;
        zypper:node) echo nodejs ;;
        dnf:pdftotext | zypper:pdftotext) echo poppler-utils ;;
        pacman:pdftotext | brew:pdftotext) echo poppler ;;
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
node_wanted=20
node_found=$(node --version 2>/dev/null | sed 's/^v//; s/\..*//')
if [ "${node_found:-0}" -lt "$node_wanted" ]; then
    echo "error: Node.js ${node_found:-} is too old: the pages of the window need $node_wanted or newer to be built" >&2
    echo "hint: install a newer one from https://nodejs.org or your distribution's backports, run make again" >&2
    exit 1
fi
echo "Tools: ready (cargo $found, node $(node --version | tr -d v), cmake $(cmake --version | sed -n '1s/.* //p'))"
