//! Kernels from a folder of WGSL files.
#![cfg(feature = "shader-folder")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_device::shaders::{self, File};
use wgrad_device::{Error, Gpu, Result, ShaderFolder};

use crate::helpers::elementwise;

/// `chosen` of four numbers, elementwise.
fn run(gpu: &Gpu, chosen: &'static File) -> Result<Vec<f32>> {
    let (x, y) = (gpu.upload(&[1.0f32, -2.0, 3.0, 0.5])?, gpu.buffer(16)?);
    let launch = elementwise(gpu, chosen).bind("x", x.view(0, 16)).bind("y", y.view(0, 16));
    launch.set("n4", 1).threads(1).enqueue()?;
    gpu.read(&y.view(0, 16))
}

#[test]
fn a_file_of_the_folder_stands_for_its_namesake_alone() {
    let folder = tempfile::tempdir().unwrap();
    let unary = folder.path().join("elementwise/unary");
    std::fs::create_dir_all(&unary).unwrap();
    let neg = shaders::UNARY_NEG.text();
    let twice = neg.replace("return -x", "return 2.0 * x");
    assert_ne!(twice, neg, "what neg.wgsl says changed");
    std::fs::write(unary.join("neg.wgsl"), twice).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not read").unwrap();

    let read = ShaderFolder::read(folder.path()).unwrap();
    assert_eq!(read.names().collect::<Vec<_>>(), ["elementwise/unary/neg"]);
    let gpu = Gpu::builder().quiet().shader_folder(read.clone()).build().unwrap();
    assert_eq!(run(&gpu, &shaders::UNARY_NEG).unwrap(), [2.0, -4.0, 6.0, 1.0]);
    assert_eq!(run(&gpu, &shaders::UNARY_ABS).unwrap(), [1.0, 2.0, 3.0, 0.5]);
    for composed in gpu.composed() {
        assert_eq!(read.affects(&composed.files), composed.kernel.contains("+neg"), "{}", composed.kernel);
    }
    // Another device knows nothing of it.
    let other = Gpu::builder().quiet().build().unwrap();
    assert_eq!(run(&other, &shaders::UNARY_NEG).unwrap(), [-1.0, 2.0, -3.0, -0.5]);
}

#[test]
fn what_is_no_kernels_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = || ShaderFolder::read(folder.path()).unwrap_err().to_string();
    assert!(message().contains("no .wgsl file"));
    std::fs::write(folder.path().join("gem_tile.wgsl"), "").unwrap();
    assert!(message().starts_with("gem_tile.wgsl is no file"));
    assert!(ShaderFolder::read(&folder.path().join("missing")).is_err());

    std::fs::remove_file(folder.path().join("gem_tile.wgsl")).unwrap();
    std::fs::create_dir(folder.path().join("elementwise")).unwrap();
    std::fs::write(folder.path().join("elementwise/unary_forward.wgsl"), "fn nonsense {").unwrap();
    let gpu =
        Gpu::builder().quiet().shader_folder(ShaderFolder::read(folder.path()).unwrap()).build().unwrap();
    let error = run(&gpu, &shaders::UNARY_NEG).unwrap_err();
    assert!(matches!(error, Error::Shader { .. }), "{error}");
}
