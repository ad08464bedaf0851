//! Kernels that are none of the engine's: whatever they do, nothing outside of what they bind is touched, and whatever is
//! wrong with their launches is said.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Buffer, Error, Gpu, Launch, Result, View};

/// Not even where everything else is compiled without checks.
fn gpu() -> Gpu {
    Gpu::builder().checked(false).quiet().build().unwrap()
}

/// Writes and reads far elements, of what is bound and of arrays of its own.
static REACHES: File = File::new(
    "reaches",
    "
struct Params { write_at: u32, read_at: u32, zero: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
var<workgroup> shared_words: array<u32, 4>;

@compute @workgroup_size(1)
fn main() {
    var own = array<u32, 4>(1u, 2u, 3u, 4u);
    own[p.write_at] = y[p.read_at];
    shared_words[p.write_at] = own[p.read_at];
    y[p.write_at] = 7u + own[p.read_at] % p.zero + shared_words[p.read_at] / p.zero;
    atomicless(p.write_at);
}

fn atomicless(at: u32) {
    let pointer = &y[at + 1u];
    *pointer = 8u;
}
",
);

/// A range of 64 words in the midst of 192.
fn surrounded(gpu: &Gpu) -> Result<(Buffer, View)> {
    let buffer = gpu.upload(&(0..192).collect::<Vec<u32>>())?;
    let view = buffer.view(256, 256);
    Ok((buffer, view))
}

fn neighbours_are_intact(gpu: &Gpu, buffer: &Buffer, what: &str) {
    let words = gpu.read::<u32>(&buffer.view(0, 768)).unwrap();
    let outside = (0..64).chain(128..192);
    assert!(outside.clone().all(|i| words[i] == i as u32), "{what}: {words:?}");
}

#[test]
fn nothing_outside_of_what_is_bound_is_written() -> Result<()> {
    let gpu = gpu();
    // The last index inside, the first one behind, those of the neighbours on both sides, and far away.
    for at in [62, 63, 64, 100, 127, 128, 1 << 20, 1 << 30, u32::MAX - 1, 0u32.wrapping_sub(64)] {
        let (buffer, view) = surrounded(&gpu)?;
        let launch = gpu.launch(Kernel::new(&REACHES, "main")).bind("y", view);
        launch
            .set_all([("write_at", at as usize), ("read_at", at as usize), ("zero", 0)])
            .groups(1)
            .enqueue()?;
        neighbours_are_intact(&gpu, &buffer, &format!("element {at}"));
        let written = gpu.read::<u32>(&buffer.view(256, 256))?;
        assert!(at > 62 || written[62] != 126, "what is inside is written: {written:?}");
    }
    assert!(gpu.composed().iter().all(|composed| composed.checked));
    Ok(())
}

/// The engine's kernels take sizes on trust only from the engine.
#[test]
fn a_kernel_of_the_engine_with_a_wrong_size_stays_inside_too() -> Result<()> {
    let gpu = gpu();
    let (x, _) = surrounded(&gpu)?;
    let (buffer, view) = surrounded(&gpu)?;
    let kernel = Kernel::new(&shaders::UNARY_FORWARD, "unary_forward")
        .with(&shaders::UNARY_NEG)
        .with(&shaders::LOAD_QUAD)
        .with(&shaders::STORE_QUAD);
    let launch = gpu.launch(kernel).bind("x", x.view(0, 256)).bind("y", view).set("n4", 1 << 20);
    launch
        .set_all_f32([("a", 0.0), ("b", 0.0), ("c", 0.0), ("d", 0.0)])
        .alias("X", "vec4<f32>")
        .alias("Y", "vec4<f32>")
        .alias("C", "f32")
        .threads(1 << 12)
        .enqueue()?;
    neighbours_are_intact(&gpu, &buffer, "n4 of 2^20 for 16 vec4");
    // With the right size it may go without checks, and is another module then.
    // SAFETY: the ranges have 16 vec4.
    let launch = unsafe { gpu.launch_unchecked(kernel) };
    let launch = launch.bind("x", x.view(0, 256)).bind("y", buffer.view(256, 256)).set("n4", 16);
    launch
        .set_all_f32([("a", 0.0), ("b", 0.0), ("c", 0.0), ("d", 0.0)])
        .alias("X", "vec4<f32>")
        .alias("Y", "vec4<f32>")
        .alias("C", "f32")
        .threads(16)
        .enqueue()?;
    let mut checked: Vec<_> = gpu.composed().iter().map(|composed| composed.checked).collect();
    checked.sort_unstable();
    assert_eq!(checked, [false, true]);
    Ok(())
}

#[test]
fn an_endless_loop_ends() -> Result<()> {
    let gpu = gpu();
    let text = "
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(1) fn main() {
    while y[0] != 0u { y[1] += 1u; }
    loop { y[2] += 1u; if y[2] == 0u { break; } }
}";
    let file = File::from_text("endless", text);
    let y = gpu.upload(&[1u32, 0, 1, 0])?;
    gpu.launch(Kernel::new(&file, "main")).bind("y", y.whole()).max_iterations(1).groups(1).enqueue()?;
    match gpu.read::<u32>(&y.view(0, 16)) {
        Ok(words) => assert!(words[1] > 0 && words[3] == 0, "{words:?}"),
        // A driver that ends what takes too long takes the device away.
        Err(error) => assert!(matches!(error, Error::Lost { .. }), "{error}"),
    }
    Ok(())
}

static SUM: File = File::new(
    "sum",
    "
struct Params { first_group: u32, n: u32, scale: f32, rows: array<vec4<u32>, 2> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(1)
fn main() {
    var sum = 0.0;
    for (var i = 0u; i < p.n; i++) {
        sum += dot(x[i], vec4<f32>(p.rows[i % 2u]));
    }
    y[0] = sum * p.scale;
}
",
);

fn sum<'a>(gpu: &'a Gpu) -> Launch<'a> {
    gpu.launch(Kernel::new(&SUM, "main"))
}

#[test]
fn rows_are_parameters() -> Result<()> {
    let gpu = gpu();
    let (x, y) = (gpu.upload(&[1.0f32; 16])?, gpu.buffer(256)?);
    let launch =
        sum(&gpu).bind_all([("x", x.view(0, 64)), ("y", y.view(0, 4))]).set("n", 4).set_f32("scale", 0.5);
    launch.set_rows("rows", [[1, 2, 3, 4], [10, 20, 30, 40]]).max_iterations(5).groups(1).enqueue()?;
    assert_eq!(gpu.read::<f32>(&y.view(0, 4))?, [110.0]);
    Ok(())
}

#[test]
fn a_launch_that_does_not_fit_its_kernel_is_refused() {
    let gpu = gpu();
    let (x, y) = (gpu.upload(&[1.0f32; 128]).unwrap(), gpu.buffer(512).unwrap());
    let bound = || sum(&gpu).bind("x", x.view(0, 64)).bind("y", y.view(0, 64));
    let rows = || [[1usize, 2, 3, 4], [5, 6, 7, 8]];
    let complete =
        || bound().set("n", 4).set_f32("scale", 1.0).set_rows("rows", rows()).max_iterations(5).groups(1);
    let unbound =
        || sum(&gpu).set("n", 4).set_f32("scale", 1.0).set_rows("rows", rows()).max_iterations(5).groups(1);
    let mut cases: Vec<(&str, Launch<'_>)> = vec![
        ("binding y is not bound", unbound().bind("x", x.view(0, 64))),
        ("no binding z", complete().bind("z", x.view(0, 64))),
        ("bound twice", complete().bind("y", y.view(0, 64))),
        (
            "parameter n is not set",
            bound().set_f32("scale", 1.0).set_rows("rows", rows()).max_iterations(5).groups(1),
        ),
        ("no parameter m", complete().set("m", 1)),
        ("set twice", complete().set("n", 1)),
        (
            "scale is of type F32",
            bound().set("n", 4).set("scale", 1).set_rows("rows", rows()).max_iterations(5),
        ),
        (
            "rows is of type Rows(2)",
            bound().set("n", 4).set_f32("scale", 1.0).set_rows("rows", [[1; 4]; 3]).max_iterations(5),
        ),
        ("has a loop", bound().set("n", 4).set_f32("scale", 1.0).set_rows("rows", rows())),
        ("begins at byte 4", unbound().bind("x", x.view(4, 64)).bind("y", y.view(0, 64))),
        ("binding x has 12 bytes", unbound().bind("x", x.view(0, 12)).bind("y", y.view(0, 64))),
        ("binding y has 6 bytes", unbound().bind("x", x.view(0, 64)).bind("y", y.view(0, 6))),
        ("read-only or writable", unbound().bind("x", x.view(0, 64)).bind("y", x.view(256, 64))),
    ];
    if gpu.loop_limit() < 65_536 {
        cases.push(("65536 loop iterations", complete().max_iterations(65_536)));
    }
    for (part, launch) in cases {
        let error = launch.enqueue().unwrap_err();
        assert!(matches!(&error, Error::Launch { kernel, .. } if kernel == "sum"), "{part}: {error}");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert!(gpu.pending_commands().iter().all(|command| command.name != "sum"));
    // The recording is none the worse for it.
    complete().enqueue().unwrap();
    assert_eq!(gpu.read::<f32>(&y.view(0, 4)).unwrap(), [2.0 * 10.0 + 2.0 * 26.0]);
}

/// Kernels that could not be launched by any launch.
#[test]
fn kernels_that_launches_cannot_fill_are_refused() {
    let gpu = gpu();
    let main = "@compute @workgroup_size(1) fn main()";
    for (text, part) in [
        (format!("@group(0) @binding(0) var<uniform> p: vec4<f32>; {main} {{ _ = p.x; }}"), "not a struct"),
        (
            format!(
                "struct P {{ a: mat2x2<f32> }} @group(0) @binding(0) var<uniform> p: P; {main} {{ _ = p.a; }}"
            ),
            "parameter a",
        ),
        (format!("@group(0) @binding(0) var s: sampler; {main} {{ _ = s; }}"), "binding s"),
        (format!("@group(1) @binding(0) var<storage> x: array<u32>; {main} {{ _ = x[0]; }}"), ""),
    ] {
        let file = File::from_text("odd", text);
        let buffer = gpu.buffer(256).unwrap();
        let launch = gpu.launch(Kernel::new(&file, "main")).bind("x", buffer.whole());
        let error = launch.groups(1).enqueue().unwrap_err();
        assert!(matches!(error, Error::Shader { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let square = "@group(0) @binding(0) var<storage, read_write> y: array<u32>; @compute @workgroup_size(8, 8) fn main() { y[0] = 1u; }";
    let file = File::new("square", square);
    let buffer = gpu.buffer(256).unwrap();
    let launch = || gpu.launch(Kernel::new(&file, "main")).bind("y", buffer.whole());
    let error = launch().threads(64).enqueue().unwrap_err();
    assert!(error.to_string().contains("[8, 8, 1]") && error.to_string().contains("groups"), "{error}");
    launch().groups(1).enqueue().unwrap();
}

#[test]
fn text_of_run_time_is_compiled_once() {
    let gpu = gpu();
    let y = gpu.buffer(256).unwrap();
    let text = |value: u32| {
        format!(
            "// Uses: index.
@group(0) @binding(0) var<storage, read_write> y: array<u32>;
struct Params {{ first_group: u32 }}
@group(0) @binding(1) var<uniform> p: Params;
@compute @workgroup_size(WORKGROUP)
fn fill(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {{
    y[thread_index(id, groups)] = {value}u;
}}"
        )
    };
    let run = |file: &File| {
        gpu.launch(Kernel::new(file, "fill")).bind("y", y.whole()).threads(64).enqueue().unwrap();
        gpu.read::<u32>(&y.view(0, 4)).unwrap()[0]
    };
    for value in 0..20 {
        // Texts of one length that are dropped in turn, whose place in memory the next one may take.
        let file = File::from_text("fill", text(value % 10));
        assert_eq!((run(&file), run(&file.clone())), (value % 10, value % 10));
    }
    assert_eq!(gpu.composed().len(), 20);
}
