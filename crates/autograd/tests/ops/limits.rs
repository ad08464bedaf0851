//! Products and convolutions on a device whose bindings hold only a part of what the kernels would pack of them.

use wgrad_autograd::device::{Family, wgpu};
use wgrad_autograd::{Conv2dOptions, Epilogue, Gpu, MatmulOptions, Result, Tensor};
use wgrad_testkit::compare::assert_close;
use wgrad_testkit::reference::{self, Conv2dParams};
use wgrad_testkit::{Array, sample::Sampler};

/// Bindings of 256 KiB: 65,536 floats.
fn small_gpu() -> Gpu {
    let gpu = Gpu::builder().quiet().build().unwrap();
    let (name, backend) = (gpu.info().name.clone(), gpu.info().backend);
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends = backend.into();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(backend.into()));
    let adapter = adapters.into_iter().find(|adapter| adapter.get_info().name == name).unwrap();
    let required_limits =
        wgpu::Limits { max_storage_buffer_binding_size: 256 << 10, ..wgpu::Limits::default() };
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    Gpu::builder().quiet().poison().family(Family::Cpu).from_wgpu(device, queue)
}

fn upload(gpu: &Gpu, x: &Array) -> Tensor {
    Tensor::from_slice(gpu, &x.to_f32(), &x.shape).unwrap().tracked()
}

#[test]
fn products_whose_operands_fit_are_computed_in_parts() {
    let gpu = small_gpu();
    let mut sampler = Sampler::new(14);
    let cases: [(&[usize], bool, &[usize], bool); 9] = [
        // A long sum, many small matrices, many rows, many columns, and several of these.
        (&[1, 20_000], false, &[20_000, 1], false),
        (&[20_000, 1], true, &[3, 20_000], true),
        (&[4001, 2, 2], false, &[4001, 2, 2], false),
        (&[4001, 2, 2], true, &[2, 2], false),
        (&[2, 2], false, &[4001, 3, 2], true),
        (&[20_001, 1], false, &[1, 3], false),
        (&[3, 1], false, &[1, 20_001], false),
        (&[300, 150], false, &[200, 150], true),
        (&[150, 300], true, &[200, 150], true),
    ];
    for (a_shape, ta, b_shape, tb) in cases {
        let (a, b) = (sampler.uniform(a_shape, -1.0, 1.0), sampler.uniform(b_shape, -1.0, 1.0));
        let (x, y) = (upload(&gpu, &a), upload(&gpu, &b));
        let c = x
            .matmul_with(&y, MatmulOptions { transpose: ta, transpose_other: tb, ..Default::default() })
            .unwrap();
        let want = reference::matmul(&a, &b, ta, tb);
        let name = format!("{a_shape:?}, {ta} × {b_shape:?}, {tb}");
        assert_close(&name, &c.to_vec().unwrap(), &want, 1e-4, 3e-4);
        let dc = sampler.uniform(&want.shape, -1.0, 1.0);
        let gradients = c.backward_from(&upload(&gpu, &dc)).unwrap();
        let sum_to =
            |g: Array, shape: &[usize]| if g.shape == shape { g } else { reference::sum(&g, &[0], false) };
        let da =
            if ta { reference::matmul(&b, &dc, tb, true) } else { reference::matmul(&dc, &b, false, !tb) };
        let db =
            if tb { reference::matmul(&dc, &a, true, ta) } else { reference::matmul(&a, &dc, !ta, false) };
        for (tensor, want) in [(&x, sum_to(da, a_shape)), (&y, sum_to(db, b_shape))] {
            let got = gradients.get(tensor).unwrap().to_vec().unwrap();
            assert_close(&format!("gradient of {name}"), &got, &want, 1e-4, 3e-3);
        }
    }
}

#[test]
fn linear_layers_are_computed_in_parts() {
    let gpu = small_gpu();
    let mut sampler = Sampler::new(15);
    for (rows, inputs, outputs) in [(2, 9000, 3), (20_000, 1, 3), (3, 2, 20_000)] {
        let (x, w) =
            (sampler.uniform(&[rows, inputs], -1.0, 1.0), sampler.uniform(&[outputs, inputs], -1.0, 1.0));
        let bias = sampler.uniform(&[outputs], -1.0, 1.0);
        let got = upload(&gpu, &x)
            .linear_with(&upload(&gpu, &w), Some(&upload(&gpu, &bias)), Epilogue::relu())
            .unwrap();
        let want = reference::relu(&reference::add(&reference::matmul(&x, &w, false, true), &bias));
        assert_close(&format!("{rows} × {inputs} × {outputs}"), &got.to_vec().unwrap(), &want, 1e-4, 1e-4);
    }
}

#[test]
fn convolutions_whose_windows_outgrow_a_binding_are_computed_in_bands() {
    let gpu = small_gpu();
    let mut sampler = Sampler::new(16);
    let plain = Conv2dOptions::default();
    let cases = [
        // By Winograd's transforms where bindings allow, by columns, with strides, dilation and groups.
        ([1, 8, 48, 48], [8, 8, 3, 3], Conv2dOptions { padding: [1, 1], ..plain }),
        ([3, 8, 40, 24], [5, 8, 3, 3], Conv2dOptions { padding: [1, 2], ..plain }),
        ([1, 4, 9, 300], [3, 4, 5, 3], Conv2dOptions { padding: [2, 0], stride: [2, 3], ..plain }),
        (
            [2, 6, 50, 37],
            [4, 3, 3, 3],
            Conv2dOptions { dilation: [2, 3], padding: [1, 1], groups: 2, ..plain },
        ),
    ];
    for (shape, filter, options) in cases {
        let Conv2dOptions { stride, padding, dilation, groups } = options;
        let params = Conv2dParams { stride, padding, dilation, groups };
        let (x, w) = (sampler.uniform(&shape, -1.0, 1.0), sampler.uniform(&filter, -1.0, 1.0));
        let bias = sampler.uniform(&filter[..1], -1.0, 1.0);
        let [tx, tw, tb] = [&x, &w, &bias].map(|a| upload(&gpu, a));
        let y = tx.conv2d(&tw, Some(&tb), options).unwrap();
        let want = reference::conv2d(&x, &w, Some(&bias), &params);
        assert_close(&format!("{shape:?}"), &y.to_vec().unwrap(), &want, 1e-4, 1e-4);
        // The gradients against those of a device with room for all of it, which other tests hold against references.
        let roomy = Gpu::builder().quiet().family(Family::Cpu).build().unwrap();
        let dy = sampler.uniform(&want.shape, -1.0, 1.0);
        let gradients = |gpu: &Gpu| -> Result<Vec<Vec<f32>>> {
            let leaves = [&x, &w, &bias].map(|a| upload(gpu, a));
            let y = leaves[0].conv2d(&leaves[1], Some(&leaves[2]), options)?;
            let gradients = y.backward_from(&upload(gpu, &dy).detach())?;
            leaves.iter().map(|leaf| gradients.get(leaf).unwrap().to_vec()).collect()
        };
        let (got, want) = (gradients(&gpu).unwrap(), gradients(&roomy).unwrap());
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let want = Array::from_f32(&[want.len()], want);
            assert_close(&format!("gradient {i} of {shape:?}"), got, &want, 1e-4, 3e-3);
        }
        for epilogue in [Epilogue { max_pool: true, ..Epilogue::relu() }, Epilogue::relu()] {
            let mut want = reference::relu(&reference::conv2d(&x, &w, Some(&bias), &params));
            if epilogue.max_pool {
                want = reference::max_pool2d(&want, [2, 2], [2, 2], [0, 0]);
            }
            let got = tx.conv2d_with(&tw, Some(&tb), options, epilogue).unwrap();
            assert_close(&format!("{shape:?} with {epilogue:?}"), &got.to_vec().unwrap(), &want, 1e-4, 1e-4);
        }
    }
}
