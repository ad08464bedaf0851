//! A device shared: by threads, by an application, by models that come and go; and nothing left of any of them.

use wgrad_nn::autograd::device::wgpu;
use wgrad_nn::autograd::{Gpu, Tensor};
use wgrad_nn::{
    Activation, Adam, AdamOptions, Builder, Conv2d, Flatten, Linear, MaxPool2d, Mode, Module, Optimizer,
    Parameters, Sequential, Sgd, SgdOptions, build,
};
use wgrad_testkit::sample::Sampler;

use crate::common::{FAMILIES, bits, flat, gpu};
use crate::models;

/// The application: an instance, and a device of default limits and no features on the adapter that [`Gpu::new`] takes.
fn application() -> (wgpu::Instance, wgpu::Device, wgpu::Queue) {
    application_with(|_| {})
}

/// As [`application`], with limits changed.
pub fn application_with(change: fn(&mut wgpu::Limits)) -> (wgpu::Instance, wgpu::Device, wgpu::Queue) {
    let own = gpu();
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends = own.info().backend.into();
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let adapter = adapters.into_iter().find(|a| a.get_info().name == own.info().name).unwrap();
    let mut descriptor = wgpu::DeviceDescriptor::default();
    change(&mut descriptor.required_limits);
    let device = adapter.request_device(&descriptor);
    let (device, queue) = pollster::block_on(device).unwrap();
    (instance, device, queue)
}

/// Trains one of eight models that all differ, and gives its weights.
fn train(gpu: &Gpu, number: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(number as u64);
    let (batch, hidden) = (5 + number, 10 + number);
    let shape = [batch, 2, 8, 8];
    let make = |b: &Builder| {
        if number.is_multiple_of(2) {
            Sequential::new(b)
                .with(|b| Conv2d::new(b, 2, hidden, [3, 3], Default::default()))
                .with(|_| Activation::Relu)
                .with(|_| MaxPool2d::new(2))
                .with(|_| Flatten)
                .with(|b| Linear::new(b, 9 * hidden, 3))
        } else {
            Sequential::new(b)
                .with(|_| Flatten)
                .with(|b| Linear::new(b, 128, hidden))
                .with(|_| Activation::Tanh)
                .with(|b| Linear::new(b, hidden, 3))
        }
    };
    let (model, parameters) = build(gpu, number as u64, make).unwrap();
    let mut sgd = Sgd::new(&parameters, SgdOptions { lr: 0.1, momentum: 0.9, ..Default::default() }).unwrap();
    let mut adam = Adam::new(&parameters, AdamOptions { lr: 0.01, ..Default::default() }).unwrap();
    let labels: Vec<i32> = (0..batch as i32).map(|i| i % 3).collect();
    for step in 0..12 {
        let x = Tensor::from_slice(gpu, &sampler.uniform(&shape, -1.0, 1.0).to_f32(), &shape).unwrap();
        let labels = Tensor::from_slice(gpu, &labels, &[labels.len()]).unwrap();
        let loss = model.forward(&x, Mode::Train).unwrap().cross_entropy(&labels, 0.0).unwrap();
        let gradients = parameters.gradients(&loss).unwrap();
        let optimizer: &mut dyn Optimizer = if number % 4 < 2 { &mut sgd } else { &mut adam };
        optimizer.step(&gradients).unwrap();
        // Some submit each step, some read, some leave it to others.
        match (number + step) % 3 {
            0 => gpu.submit().unwrap(),
            1 => assert!(loss.item().unwrap().is_finite()),
            _ => {}
        }
    }
    bits(&flat(&parameters))
}

#[test]
fn eight_threads_train_on_one_device_as_one_after_another() {
    let (_instance, device, queue) = application();
    for gpu in [Gpu::builder().poison().quiet().build().unwrap(), Gpu::from_wgpu(device, queue)] {
        let serial: Vec<_> = (0..8).map(|number| train(&gpu, number)).collect();
        for _ in 0..3 {
            let parallel: Vec<_> = std::thread::scope(|scope| {
                let gpu = &gpu;
                let spawn = |number| scope.spawn(move || train(gpu, number));
                let threads: Vec<_> = (0..8).map(spawn).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(parallel == serial, "threads got in each other's way");
        }
        assert_eq!(gpu.memory().live, 0);
    }
}

#[test]
fn two_devices_train_side_by_side() {
    let gpus = [gpu(), gpu()];
    let alone = train(&gpu(), 2);
    let both: Vec<_> = std::thread::scope(|scope| {
        let threads = gpus.each_ref().map(|gpu| scope.spawn(|| train(gpu, 2)));
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(both, [alone.clone(), alone]);
}

/// What wgpu and its allocator hold.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    bytes: u64,
    allocations: usize,
    buffers: usize,
    bind_groups: usize,
    pipelines: usize,
    modules: usize,
}

impl Held {
    fn now(instance: &wgpu::Instance, device: &wgpu::Device, queue: &wgpu::Queue) -> Self {
        // A queue begins with work of its own, which is freed once it has been submitted.
        queue.submit([]);
        device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        // Backends with an allocator of their own only; the counts hold on all.
        let report = device.generate_allocator_report();
        let hub = instance.generate_report().unwrap().hub;
        Self {
            bytes: report.as_ref().map_or(0, |report| report.total_allocated_bytes),
            allocations: report.as_ref().map_or(0, |report| report.allocations.len()),
            buffers: hub.buffers.num_kept_from_user,
            bind_groups: hub.bind_groups.num_kept_from_user,
            pipelines: hub.compute_pipelines.num_kept_from_user,
            modules: hub.shader_modules.num_kept_from_user,
        }
    }
}

fn a_model_and_a_step(gpu: &Gpu, seed: u64) {
    let (model, parameters) = build(gpu, seed, |builder| {
        Sequential::new(builder)
            .with(|b| Conv2d::new(b, 1, 4, [3, 3], Default::default()))
            .with(|_| Activation::Relu)
            .with(|_| Flatten)
            .with(|b| Linear::new(b, 64, 2))
    })
    .unwrap();
    let mut adam = Adam::new(&parameters, AdamOptions::default()).unwrap();
    let x = Tensor::full(gpu, &[3, 1, 6, 6], 0.5).unwrap();
    let labels = Tensor::from_slice(gpu, &[0i32, 1, 1], &[3]).unwrap();
    let loss = model.forward(&x, Mode::Train).unwrap().cross_entropy(&labels, 0.0).unwrap();
    adam.step(&parameters.gradients(&loss).unwrap()).unwrap();
    gpu.submit().unwrap();
}

#[test]
fn a_thousand_models_come_and_go_and_nothing_is_left() {
    let (instance, device, queue) = application();
    let before = Held::now(&instance, &device, &queue);
    let gpu = Gpu::from_wgpu(device.clone(), queue.clone());
    let mut early = None;
    for cycle in 0..1000 {
        a_model_and_a_step(&gpu, cycle);
        // Nobody but the application polls, as it would each frame.
        device.poll(wgpu::PollType::Poll).unwrap();
        if cycle == 9 {
            early = Some((
                Held::now(&instance, &device, &queue),
                gpu.memory().created,
                gpu.bind_groups_created(),
            ));
        }
    }
    let late = (Held::now(&instance, &device, &queue), gpu.memory().created, gpu.bind_groups_created());
    assert_eq!(Some(late), early, "after 10 cycles and after 1,000");
    assert_eq!(gpu.memory().live, 0);
    drop(gpu);
    assert_eq!(Held::now(&instance, &device, &queue), before, "the last handle takes all with it");
    for cycle in 0..20 {
        a_model_and_a_step(&Gpu::from_wgpu(device.clone(), queue.clone()), cycle);
    }
    assert_eq!(Held::now(&instance, &device, &queue), before, "and so do devices that come and go");
}

/// Trains `model` on one batch, and panics unless the loss falls.
fn learns(name: &str, gpu: &Gpu, (model, parameters): (impl Module, Parameters), shape: &[usize]) {
    let mut adam = Adam::new(&parameters, AdamOptions { lr: 0.0005, ..Default::default() }).unwrap();
    let x = Sampler::new(1).uniform(shape, -1.0, 1.0).to_f32();
    let x = Tensor::from_slice(gpu, &x, shape).unwrap();
    let labels: Vec<i32> = (0..shape[0] as i32).collect();
    let labels = Tensor::from_slice(gpu, &labels, &[labels.len()]).unwrap();
    let mut losses = Vec::new();
    for _ in 0..4 {
        let loss = model.forward(&x, Mode::Train).unwrap().cross_entropy(&labels, 0.0).unwrap();
        adam.step(&parameters.gradients(&loss).unwrap()).unwrap();
        losses.push(loss.item().unwrap());
    }
    assert!(losses[3] < 0.95 * losses[0], "{name}, {:?}: {losses:?}", gpu.family());
}

#[test]
fn every_model_trains_on_a_borrowed_device_with_default_limits_and_no_features() {
    for family in FAMILIES {
        let (_instance, device, queue) = application();
        assert!(device.features().is_empty(), "{:?}", device.features());
        assert_eq!(device.limits().max_storage_buffers_per_shader_stage, 8);
        let gpu = Gpu::builder().family(family).poison().from_wgpu(device, queue);
        assert_eq!(gpu.family(), family);
        learns("cnn", &gpu, models::cnn(&gpu, 1), &[3, 3, 32, 32]);
        learns("resnet9", &gpu, models::resnet9(&gpu, 1, 4), &[3, 3, 32, 32]);
        learns("mlp", &gpu, models::mlp(&gpu, 1), &[3, 784]);
    }
}
