# Shared by the scripts of this folder.

# Wayland's loader complains on standard error where this is not set, as in containers.
export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/tmp}"

# Every feature of every crate but `mpi`, which takes an installed MPI to build and whose programs link it: with it, the tested
# `wgrad` would be another one than users get, and nothing would build where MPI is missing. ci/distributed has it.
features=$(awk '
    /^\[/ { part = $0 }
    part == "[package]" && $1 == "name" { gsub("\"", "", $3); name = $3 }
    part == "[features]" && $2 == "=" && $1 != "default" && $1 != "mpi" { printf "%s%s/%s", comma, name, $1; comma = "," }
' Cargo.toml crates/*/Cargo.toml)

# What is built and tested, the same in every script: for another selection of packages and features cargo would build wgpu anew.
# The two programs with a window, whose toolkit takes minutes to build, are left to ci/desktop.
selected=(--workspace --exclude paint --exclude neural_image --features "$features" --release)

# step NAME: what follows belongs to it. The seconds of the step before are printed, and kept for `steps`.
step() {
    end_step
    printf '\n== %s\n' "$*"
    step_name="$*" step_start=$SECONDS
}

end_step() {
    [ -n "${step_name:-}" ] || return 0
    local took=$((SECONDS - step_start))
    printf -- '-- %s: %d s\n' "$step_name" "$took"
    step_table="${step_table:-}$(printf '%5d s  %s' "$took" "$step_name")"$'\n'
    step_name=
}

# What each step took. As a trap on EXIT it also tells of a run that failed, and ends what still runs beside it.
steps() {
    end_step
    printf '\n%s%5d s  in all\n' "${step_table:-}" "$SECONDS"
    local pid
    for pid in ${beside_all:-}; do
        kill -- "-$pid" 2>/dev/null || true
    done
}

# beside NAME COMMAND...: runs it with what the tests leave of the processors; `await NAME` waits for it.
beside() {
    local name="$1"
    shift
    mkdir -p target
    # In a session of its own, so that all of it can be ended.
    setsid nice -n 19 "$@" >"target/beside-$name.log" 2>&1 &
    declare -g "beside_$name=$!"
    beside_all="${beside_all:-} $!"
}

await() {
    local pid="beside_$1"
    wait "${!pid}" || { cat "target/beside-$1.log" >&2; return 1; }
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# packages COMMAND:PACKAGE...: installs each package whose command is missing.
packages() {
    local missing=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
    done
    install_packages "${missing[@]}"
}

install_packages() {
    [ "$#" -eq 0 ] && return
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "please install by your system's means: $*" >&2
        exit 1
    fi
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

# Installs Mesa's Vulkan software adapter where the loader or every driver is missing.
need_adapter() {
    if ! ls /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json >/dev/null 2>&1 ||
        ! PATH="$PATH:/usr/sbin:/sbin" ldconfig -p | grep libvulkan.so.1 >/dev/null; then
        install_packages mesa-vulkan-drivers libvulkan1
    fi
}

# Installs Mesa's driver for AMD GPUs, whose compiler works without one; it is in the package of the software adapter.
need_radv() {
    need_adapter
    ls /usr/share/vulkan/icd.d/radeon_icd*.json /etc/vulkan/icd.d/radeon_icd*.json >/dev/null 2>&1 ||
        install_packages mesa-vulkan-drivers
}

validation_layer() {
    ls /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json >/dev/null 2>&1 ||
        install_packages vulkan-validationlayers
}

# Installs MPI, with what building against it takes, and the tools of network namespaces.
need_mpi() {
    packages mpirun:openmpi-bin mpicc:libopenmpi-dev ip:iproute2
    ls /usr/lib/llvm-*/lib/libclang*.so* >/dev/null 2>&1 || install_packages libclang-dev
}

# Installs what windows need of X11, which winit opens at run time.
need_window_libraries() {
    local libraries="libX11.so.6:libx11-6 libX11-xcb.so.1:libx11-xcb1 libxcb.so.1:libxcb1 libXcursor.so.1:libxcursor1"
    libraries="$libraries libXi.so.6:libxi6 libxkbcommon-x11.so.0:libxkbcommon-x11-0"
    local known missing=()
    known="$(PATH="$PATH:/usr/sbin:/sbin" ldconfig -p)"
    for pair in $libraries; do
        case "$known" in *"${pair%%:*}"*) ;; *) missing+=("${pair##*:}") ;; esac
    done
    install_packages "${missing[@]}"
}
