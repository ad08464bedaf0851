//! An application's buffers as tensors and tensors as its buffers, without a copy.

use crate::app::{App, in_time};
use wgrad_autograd::device::{self, wgpu};
use wgrad_autograd::{DType, Error, Gpu, Tensor};

const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE;

/// Writes `FACTOR · i` to word 64 + i, so that a tensor at byte 256 begins with 0.
fn fill(app: &App, buffer: &wgpu::Buffer, factor: f32) {
    let wgsl = format!(
        "@group(0) @binding(0) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(64)
        fn main(@builtin(local_invocation_index) i: u32) {{ y[64u + i] = {factor:?} * f32(i); }}"
    );
    app.run(&wgsl, &[buffer.as_entire_binding()]);
}

fn multiples(n: usize, factor: f32) -> Vec<f32> {
    (0..n).map(|i| factor * i as f32).collect()
}

#[test]
fn an_op_reads_what_the_applications_pass_wrote() {
    let app = App::new();
    let gpu = app.gpu();
    // No usage but STORAGE: nothing could be copied from it or to it.
    let buffer = app.buffer(512, STORAGE);
    for shape in [&[5, 7][..], &[1], &[64], &[3, 1, 7]] {
        let n = shape.iter().product();
        let x = Tensor::from_wgpu_buffer(&gpu, &buffer, 256, shape).unwrap();
        assert_eq!(x.bind().buffer.raw(), &buffer, "the same buffer, not another");
        let created = gpu.memory().created;
        assert_eq!((gpu.pending_commands().len(), gpu.memory().live), (0, 0));
        fill(&app, &buffer, 0.5);
        let y = x.neg().unwrap();
        assert_eq!(gpu.pending_commands().len(), 1, "the op alone, no copy");
        assert_eq!(y.to_vec().unwrap(), multiples(n, -0.5), "{shape:?}");
        // The tensor shows what the application writes later too.
        fill(&app, &buffer, 3.0);
        assert_eq!(x.neg().unwrap().to_vec().unwrap(), multiples(n, -3.0), "{shape:?}");
        assert!(gpu.memory().created <= created + 2, "two results");
    }
}

#[test]
fn gradients_flow_to_an_applications_buffer() {
    let app = App::new();
    let gpu = app.gpu();
    let buffer = app.buffer(512, STORAGE);
    fill(&app, &buffer, 0.25);
    let x = Tensor::from_wgpu_buffer(&gpu, &buffer, 256, &[7, 5]).unwrap().tracked();
    let w = Tensor::from_slice(&gpu, &[1.0, -2.0, 3.0, 0.5, -1.0], &[5, 1]).unwrap();
    let loss = x.matmul(&w).unwrap().sum_all().unwrap().add(&x.square().unwrap().sum_all().unwrap()).unwrap();
    let gradient = loss.backward().unwrap().take(&x).unwrap().to_vec().unwrap();
    let w = [1.0, -2.0, 3.0, 0.5, -1.0];
    let want: Vec<f32> = (0..35).map(|i| 2.0 * 0.25 * i as f32 + w[i % 5]).collect();
    assert_eq!(gradient, want);
}

#[test]
fn the_applications_pass_reads_a_tensor() {
    let app = App::new();
    let gpu = app.gpu();
    let values: Vec<f32> = (0..63).map(|i| i as f32).collect();
    let x = Tensor::from_slice(&gpu, &values, &[63]).unwrap();
    for (factor, tensor) in [(-1.0, x.neg().unwrap()), (3.0, x.mul_add_scalar(3.0, 0.0).unwrap())] {
        gpu.submit().unwrap();
        let binding = tensor.as_wgpu();
        assert_eq!(binding.size.unwrap().get(), 63 * 4);
        let result = app.buffer(256, STORAGE | wgpu::BufferUsages::COPY_SRC);
        let wgsl = "@group(0) @binding(0) var<storage, read> x: array<f32>;
            @group(0) @binding(1) var<storage, read_write> y: array<f32>;
            @compute @workgroup_size(64)
            fn main(@builtin(local_invocation_index) i: u32) {
                if i < arrayLength(&x) { y[i] = x[i] * 10.0; }
            }";
        app.run(wgsl, &[wgpu::BindingResource::Buffer(binding), result.as_entire_binding()]);
        let got: Vec<f32> =
            bytemuck::pod_collect_to_vec(&app.read(result.as_entire_buffer_binding(), 63 * 4));
        let want: Vec<f32> = values.iter().map(|x| 10.0 * factor * x).collect();
        assert_eq!(got, want);
    }
}

#[test]
fn the_application_writes_into_a_tensor() {
    let app = App::new();
    let gpu = app.gpu();
    let x = Tensor::zeros(&gpu, &[9]).unwrap();
    gpu.submit().unwrap();
    let wgsl = "@group(0) @binding(0) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(64)
        fn main(@builtin(local_invocation_index) i: u32) { if i < arrayLength(&y) { y[i] = f32(i) + 0.5; } }";
    app.run(wgsl, &[wgpu::BindingResource::Buffer(x.as_wgpu())]);
    assert_eq!(x.neg().unwrap().to_vec().unwrap(), [-0.5, -1.5, -2.5, -3.5, -4.5, -5.5, -6.5, -7.5, -8.5]);
}

#[test]
fn labels_may_lie_in_an_applications_buffer() {
    let app = App::new();
    let gpu = app.gpu();
    let usage = STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    let buffer = app.buffer(256 + 12, usage);
    app.queue.write_buffer(&buffer, 256, bytemuck::bytes_of(&[2u32, 0, 1]));
    let labels = Tensor::from_wgpu_buffer_of(&gpu, &buffer, 256, &[3], DType::I32).unwrap();
    let x = [0.3, -1.0, 2.0, 0.5, 0.25, -0.75, 1.5, 1.0, -2.0];
    let x = Tensor::from_slice(&gpu, &x, &[3, 3]).unwrap();
    let loss = x.cross_entropy(&labels, 0.0).unwrap().item().unwrap();
    let want =
        x.cross_entropy(&Tensor::from_slice(&gpu, &[2, 0, 1], &[3]).unwrap(), 0.0).unwrap().item().unwrap();
    assert_eq!(loss, want);
    assert_eq!(labels.to_vec_as::<i32>().unwrap(), [2, 0, 1]);
    assert_eq!(
        pollster::block_on(async {
            // An application drives its device itself.
            let read = labels.read_later_as::<i32>().unwrap();
            gpu.submit().unwrap();
            app.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
            read.await.unwrap()
        }),
        [2, 0, 1]
    );
    assert_eq!(app.read(labels.as_wgpu(), 12), bytemuck::bytes_of(&[2u32, 0, 1]));
}

#[test]
fn halves_may_lie_in_an_applications_buffer() {
    let gpu = Gpu::builder().quiet().build().unwrap();
    assert!(gpu.has_f16(), "the software adapter has f16");
    let values: Vec<half::f16> = (0..6).map(|i| half::f16::from_f32(i as f32 - 2.5)).collect();
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 256 + 16,
        usage: STORAGE | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.queue().write_buffer(&buffer, 256, bytemuck::cast_slice(&values));
    let half = Tensor::from_wgpu_buffer_of(&gpu, &buffer, 256, &[2, 3], DType::F16).unwrap();
    assert_eq!(half.to_dtype(DType::F32).unwrap().to_vec().unwrap(), [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]);
    assert_eq!(half.as_wgpu().offset, 256);
    refused(
        Tensor::from_wgpu_buffer_of(&gpu, &buffer, 256, &[3, 3], DType::F16).err(),
        "20 bytes from byte 256",
    );
}

fn refused(error: Option<Error>, part: &str) {
    let error = error.expect("it must be refused");
    assert!(
        matches!(error, Error::Shape { .. } | Error::Device(device::Error::Resource { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains(part), "no {part:?} in: {error}");
}

#[test]
fn buffers_that_cannot_be_tensors_are_refused() {
    let app = App::new();
    let gpu = app.gpu();
    // What goes uncaught makes wgpu panic, and so fails the test.
    let buffer = app.buffer(512, STORAGE);
    fn tensor(gpu: &Gpu, buffer: &wgpu::Buffer, offset: u64, shape: &[usize]) -> Option<Error> {
        Tensor::from_wgpu_buffer(gpu, buffer, offset, shape).err()
    }
    refused(tensor(&gpu, &app.buffer(512, wgpu::BufferUsages::COPY_SRC), 0, &[1]), "STORAGE");
    refused(tensor(&gpu, &app.buffer(0, STORAGE), 0, &[1]), "0 bytes");
    refused(tensor(&gpu, &app.buffer(3, STORAGE), 0, &[1]), "3 bytes");
    refused(tensor(&gpu, &buffer, 4, &[1]), "multiples of 256");
    refused(tensor(&gpu, &buffer, 256, &[65]), "260 bytes from byte 256 of a buffer of 512");
    refused(tensor(&gpu, &buffer, u64::MAX - 255, &[1]), "offsets are multiples of 256");
    assert!(tensor(&gpu, &buffer, 0, &[0]).is_none());
    refused(tensor(&gpu, &app.buffer(16, STORAGE), 0, &[5]), "20 bytes");
    // Kernels read the last four values whole: of a buffer that ends before, the values are copied.
    for bytes in [20, 32] {
        let buffer = app.buffer(bytes, STORAGE | wgpu::BufferUsages::COPY_DST);
        let x = Tensor::from_wgpu_buffer(&gpu, &buffer, 0, &[5]).unwrap();
        assert_eq!(x.is_contiguous(), bytes == 32);
        gpu.write(&x.bind(), &[1.0f32, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!(x.square().unwrap().to_vec().unwrap(), [1.0, 4.0, 9.0, 16.0, 25.0]);
    }
    assert!(Tensor::from_wgpu_buffer_of(&gpu, &app.buffer(20, STORAGE), 0, &[5], DType::I32).is_ok());
    refused(
        Tensor::from_wgpu_buffer_of(&gpu, &app.buffer(16, STORAGE), 0, &[5], DType::I32).err(),
        "20 bytes",
    );

    let destroyed = app.buffer(512, STORAGE);
    destroyed.destroy();
    refused(tensor(&gpu, &destroyed, 0, &[1]), "destroyed");
    let (other, _queue) = App::request(&app.adapter);
    let foreign = other.create_buffer(&wgpu::BufferDescriptor {
        label: Some("foreign"),
        size: 512,
        usage: STORAGE,
        mapped_at_creation: false,
    });
    refused(tensor(&gpu, &foreign, 0, &[1]), "doesn't match Device");

    let x = Tensor::from_wgpu_buffer(&gpu, &buffer, 0, &[4]).unwrap();
    refused(x.to_vec().err(), "COPY_SRC");
    refused(gpu.write(&x.bind(), &[1.0f32; 4]).err().map(Error::from), "COPY_DST");
    refused(gpu.clear(&x.bind()).err().map(Error::from), "COPY_DST");
    let y = Tensor::zeros(&gpu, &[4]).unwrap();
    refused(gpu.copy(&x.bind(), &y.bind()).err().map(Error::from), "COPY_SRC");
    refused(gpu.copy(&y.bind(), &x.bind()).err().map(Error::from), "COPY_DST");
    let other = Gpu::from_wgpu(app.device.clone(), app.queue.clone());
    let error = y.add(&Tensor::from_wgpu_buffer(&other, &buffer, 0, &[4]).unwrap()).unwrap_err();
    assert!(error.to_string().contains("another Gpu"), "{error}");
    // And all is well afterwards.
    assert_eq!(x.neg().unwrap().add(&y).unwrap().to_vec().unwrap(), [0.0; 4]);
}

#[test]
fn a_buffer_held_mapped_or_destroyed_fails_the_submission_only() {
    in_time(|| {
        let app = App::new();
        let gpu = app.gpu();
        let buffer = app.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 256,
            usage: STORAGE,
            mapped_at_creation: true,
        });
        let x = Tensor::from_wgpu_buffer(&gpu, &buffer, 0, &[4]).unwrap();
        for _ in 0..2 {
            let error = x.neg().unwrap().to_vec().unwrap_err();
            assert!(matches!(error, Error::Device(device::Error::Validation { .. })), "{error:?}");
            assert!(error.to_string().contains("mapped"), "{error}");
        }
        let read = x.neg().unwrap().read_later().unwrap();
        assert!(gpu.submit().is_err());
        assert!(read.wait().is_err(), "its submission failed");
        buffer.unmap();
        assert_eq!(x.neg().unwrap().to_vec().unwrap(), [0.0; 4]);
        buffer.destroy();
        let error = x.neg().unwrap().to_vec().unwrap_err();
        assert!(error.to_string().contains("destroyed"), "{error}");
        let y = Tensor::from_slice(&gpu, &[1.0, 2.0], &[2]).unwrap();
        assert_eq!(y.neg().unwrap().to_vec().unwrap(), [-1.0, -2.0]);
    });
}

#[test]
fn buffers_let_go_are_freed() {
    let app = App::new();
    let gpu = app.gpu();
    let alive = || {
        gpu.synchronize().unwrap();
        app.instance.generate_report().unwrap().hub_report().buffers.num_kept_from_user
    };
    let mut counts = Vec::new();
    for i in 0..50 {
        let x = Tensor::from_wgpu_buffer(&gpu, &app.buffer(1024, STORAGE), 0, &[4]).unwrap();
        // Recorded, and let go of before it runs.
        let y = x.neg().unwrap();
        drop(x);
        if i % 2 == 0 {
            assert_eq!(y.to_vec().unwrap(), [0.0; 4]);
        }
        counts.push(alive());
    }
    assert_eq!(counts[49], counts[3], "{counts:?}");
    assert_eq!(gpu.memory().created, 1, "nothing of theirs got into the pool");
}

/// Every import of a buffer knows of the launches on every other, but not of the application's own commands.
#[test]
fn a_change_through_another_import_is_noticed() {
    let app = App::new();
    let gpu = app.gpu();
    let buffer = app.buffer(512, STORAGE | wgpu::BufferUsages::COPY_DST);
    let import = || Tensor::from_wgpu_buffer(&gpu, &buffer, 256, &[5]).unwrap();
    let w = import().tracked();
    gpu.write(&import().bind(), &[3.0f32; 5]).unwrap();
    let loss = w.square().unwrap().sum_all().unwrap();
    // The neighbour before it.
    gpu.clear(&Tensor::from_wgpu_buffer(&gpu, &buffer, 0, &[64]).unwrap().bind()).unwrap();
    assert!(loss.backward().is_ok());
    let loss = w.square().unwrap().sum_all().unwrap();
    gpu.write(&import().bind(), &[2.0f32]).unwrap();
    let error = loss.backward().unwrap_err();
    assert!(matches!(error, Error::Changed { op: "square", .. }), "{error}");
    // An import that outlives the first one.
    let second = import();
    drop(w);
    let w = import().tracked();
    let loss = w.square().unwrap().sum_all().unwrap();
    gpu.clear(&second.bind()).unwrap();
    assert!(matches!(loss.backward(), Err(Error::Changed { .. })));
}
