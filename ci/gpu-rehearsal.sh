# Part of ci/gpu, which sources it: packs, runs the folder on whatever adapter there is with the smallest sizes, and then
# gives it everything that a run must survive: two minutes in all.

need_adapter
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
pack "$work/folder"
mkdir "$work/home" "$work/elsewhere"

# run_in CODE OUT ARGUMENT…: the folder's run, from somewhere else, with hardly an environment; it must end with CODE.
run_in() {
    local code="$1" out="$2" got=0
    shift 2
    (cd "$work/elsewhere" && env -i PATH="$PATH" HOME="$work/home" "${given[@]}" "$folder/run" "$out" "$@") \
        >"$work/said" 2>&1 || got=$?
    [ "$got" = "$code" ] || { cat "$work/said" >&2; fail "run $* ended with $got, not $code"; }
}

# said TEXT: the last run printed a line with it.
said() {
    grep -qF -- "$1" "$work/said" || { cat "$work/said" >&2; fail "no line says: $1"; }
}

# found OUT PYTHON-EXPRESSION WHAT: true of the results, as a list `r` of objects.
found() {
    python3 -c '
import json, sys
r = [json.loads(line) for line in open(sys.argv[1] + "/results.jsonl")]
ends = {x["part"]: x["end"] for x in r if "end" in x}
sys.exit(not eval(sys.argv[2]))
' "$1" "$2" || fail "not in $1: ${3:-$2}"
}

# Stands for PyTorch, so that nothing has to be installed. It hangs at one name: it must be ended and started again, and the
# names behind that one measured.
cat >"$work/python" <<'SH'
#!/bin/sh
case "$*" in *--first-step*) echo done; exit ;; esac
echo '{ "done": true, "torch": "none", "cuda": "none", "device": "a script" }'
while read -r request name; do
    case "$name" in "limit copy"*) exec sleep 600 ;; esac
    echo "{ \"bench\": \"$name\", \"who\": \"pytorch\", \"precision\": \"f32\", \"how\": \"in a row\", \"ms\": 1.0 }"
    echo '{ "done": true }'
done
SH
chmod +x "$work/python"

folder="$work/folder" given=(PYTHON="$work/python")
software="WGPU_ADAPTER_NAME=llvmpipe"

echo "-- a rehearsal of all parts"
run_in 0 "$work/out" --any-adapter --short
said "pytorch: limit copy 1048576: no answer in time"
found "$work/out" 'any(x.get("who") == "pytorch" and x.get("bench", "").startswith("optimizer") for x in r)'
found "$work/out" 'list(ends) == ["environment", "kernels", "tests", "bench", "first-step", "profile"]'
# A software adapter's driver may tell nothing of its kernels.
found "$work/out" 'all(e["status"] == "passed" for part, e in ends.items() if part != "kernels")'
found "$work/out" 'ends["kernels"]["status"] == "passed" or "pipeline_executable" in ends["kernels"]["message"]'
found "$work/out" 'sum(x.get("status") == "passed" for x in r) == 5' 'five tests passed'
found "$work/out" 'len({x["bench"] for x in r if x["part"] == "bench" and x.get("who") == "wgrad" and "ms" in x}) == 28'
found "$work/out" 'any("cooperative_matrices" in x for x in r) and any("features" in x for x in r)'
found "$work/out" 'sum("kernel" in x for x in r if x["part"] == "profile") > 20'
for model in cnn mlp resnet9; do
    python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["traceEvents"]' "$work/out/profile-$model.json"
done
[ -z "$(ls -A "$work/home" "$work/elsewhere" | grep -v ':$')" ] || fail "a run left something outside of OUT"
[ ! -e "$work/out/scratch" ] || fail "a run left its scratch folder behind"

echo "-- its report is of a rehearsal, and never takes the place of a measurement"
if target/release/gpu-check report "$work/out" >"$work/said" 2>&1; then fail "a rehearsal was reported as measured"; fi
said "it is no measurement"
target/release/gpu-check report "$work/out" --output "$work/page.md" >"$work/said" 2>&1
said "| step cnn 2 |"
grep -q "Not a measurement" "$work/page.md" && grep -q "## Products" "$work/page.md" || fail "the report lacks parts"
target/release/gpu-check report "$work/elsewhere" --output "$work/page.md" >"$work/said" 2>&1 && fail "no results, but a report"

echo "-- what a run must survive"
given=("$software")
run_in 2 "$work/o1" --short
said "the adapter is no hardware"
run_in 2 /dev/null/out --any-adapter
said "OUT cannot be written"
run_in 2 "$work/o2" benches
said 'there is no part "benches"'

# Nor a Python.
given=(VK_DRIVER_FILES=/nonexistent VK_ICD_FILENAMES=/nonexistent WGPU_BACKEND=vulkan PYTHON=/nonexistent)
run_in 2 "$work/o3"
said "no adapter: "
run_in 1 "$work/o4" --any-adapter --short kernels bench profile
said "bench: without PyTorch: /nonexistent"
found "$work/o4" 'all(ends[p]["status"] in ("failed", "stopped") and "no GPU adapter" in ends[p]["message"] for p in ("kernels", "bench", "profile"))'

# A driver that cannot be loaded.
printf '{ "file_format_version": "1.0.0", "ICD": { "library_path": "/dev/null", "api_version": "1.3.0" } }' >"$work/icd.json"
given=(VK_DRIVER_FILES="$work/icd.json" VK_ICD_FILENAMES="$work/icd.json" WGPU_BACKEND=vulkan)
run_in 2 "$work/o5"
said "no adapter: "

# A system without a loader that works: the folder's own is taken; without that one there is none.
mkdir "$work/broken"
echo "no library" >"$work/broken/libvulkan.so.1"
given=(LD_LIBRARY_PATH="$work/broken" WGPU_BACKEND=vulkan)
run_in 0 "$work/o6" --any-adapter environment
said "the folder's own is used"
cp -r "$work/folder" "$work/bare"
rm "$work/bare/lib/libvulkan.so.1" "$work/bare/fixtures/long_curves.safetensors"
folder="$work/bare"
run_in 2 "$work/o7"
said "no Vulkan loader"

# A test that fails: the others run.
given=("$software")
run_in 1 "$work/o8" --any-adapter --short tests
said "failed: curves::thirty_steps"
said "4 passed, 1 failed"
folder="$work/folder"

# Parts whose time is up.
run_in 1 "$work/o9" --any-adapter --short --limit 0.02 tests profile
found "$work/o9" 'all(ends[p]["status"] == "stopped" for p in ("tests", "profile"))'

# Variants: one that is right is timed, one that is wrong is not.
given=("$software")
mkdir -p "$work/right/elementwise/unary" "$work/wrong/elementwise/unary" "$work/unknown"
sed '1i// As it was.' shaders/elementwise/unary/relu.wgsl >"$work/right/elementwise/unary/relu.wgsl"
printf 'fn f(x: vec4<f32>) -> vec4<f32> { return abs(x); }\nfn gradient(y: vec4<f32>, dy: vec4<f32>) -> vec4<f32> { return dy; }\n' >"$work/wrong/elementwise/unary/relu.wgsl"
touch "$work/unknown/relu.wgsl"
run_in 0 "$work/o11" --any-adapter --short variants "$work/right"
found "$work/o11" '{x["who"] for x in r if x["part"] == "variants" and x.get("bench") == "relu 4096"} == {"built-in", "right"}'
run_in 1 "$work/o12" --any-adapter --short variants "$work/wrong"
# (Products have it in their text too, and without an activation they are right.)
found "$work/o12" 'not any("ms" in x for x in r if x.get("bench", "").startswith("relu")) and "wrong" in ends["variants"]["message"]'
run_in 2 "$work/o13" --any-adapter variants "$work/unknown"
said "relu.wgsl is no file"
echo "ci/gpu: the rehearsal went well"
