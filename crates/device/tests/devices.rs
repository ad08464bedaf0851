//! Devices: several at once, shared, borrowed, lost, and missing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use wgrad_device::shaders;
use wgrad_device::{Error, Gpu, Result, wgpu};

use crate::helpers::{borrowed, elementwise};

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

/// -x, computed on the device and read back.
fn negated(gpu: &Gpu, x: &[f32]) -> Result<Vec<f32>> {
    let (x_buffer, y) = (gpu.upload(x)?, gpu.buffer(4 * x.len() as u64)?);
    let n4 = x.len().div_ceil(4);
    let launch = elementwise(gpu, &shaders::UNARY_NEG).bind("x", x_buffer.whole()).bind("y", y.whole());
    launch.set("n4", n4).threads(n4).enqueue()?;
    gpu.read(&y.view(0, 4 * x.len() as u64))
}

/// `f`'s result, or a panic if it takes longer than a minute.
fn in_time<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(f()));
    receiver.recv_timeout(Duration::from_secs(60)).expect("the call hangs or panicked")
}

#[test]
fn places_go_around_the_adapters() {
    let first = Gpu::builder().quiet().build().unwrap();
    // As many as any number is a multiple of, on machines with up to ten.
    let around = Gpu::builder().quiet().nth(2520).build().unwrap();
    assert_eq!(
        (around.info().name.as_str(), around.info().device),
        (&*first.info().name, first.info().device)
    );
    assert!(Gpu::builder().quiet().nth(1).build().is_ok());
}

#[test]
fn two_devices_live_side_by_side() -> Result<()> {
    let (a, b) = (gpu(), gpu());
    assert!(a.same_as(&a.clone()) && !a.same_as(&b));
    assert_eq!(negated(&a, &[1.0, 2.0])?, [-1.0, -2.0]);
    assert_eq!(b.memory().created, 0, "they share nothing");
    assert_eq!(negated(&b, &[3.0])?, [-3.0]);
    drop(a);
    assert_eq!(negated(&b, &[4.0])?, [-4.0]);
    Ok(())
}

#[test]
fn a_device_may_be_dropped_with_work_pending() {
    in_time(|| {
        for submitted in [false, true] {
            let gpu = gpu();
            let x = gpu.upload(&vec![1.0f32; 1 << 18]).unwrap();
            let pending = gpu.read_later::<f32>(&x.whole()).unwrap();
            if submitted {
                gpu.submit().unwrap();
            }
            // The buffer outlives the handle, and the pending read both.
            drop(gpu);
            drop(x);
            drop(pending);
        }
    });
}

#[test]
fn eight_threads_share_a_device() {
    let gpu = gpu();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let gpu = gpu.clone();
            scope.spawn(move || {
                for i in 0..50 {
                    let x: Vec<f32> =
                        (0..100 + thread).map(|j| (1000 * thread + 10 * i + j) as f32).collect();
                    let want: Vec<f32> = x.iter().map(|v| -v).collect();
                    assert_eq!(negated(&gpu, &x).unwrap(), want);
                }
            });
        }
    });
    assert_eq!(gpu.memory().live, 0);
}

#[test]
fn a_lost_device_is_reported_and_does_not_hang() {
    let error = in_time(|| {
        let gpu = gpu();
        assert_eq!(negated(&gpu, &[1.0]).unwrap(), [-1.0]);
        let pending = gpu.read_later::<f32>(&gpu.upload(&[1.0f32]).unwrap().view(0, 4)).unwrap();
        gpu.device().destroy();
        let first = gpu.synchronize().unwrap_err();
        // And every call after it.
        assert!(matches!(gpu.buffer(4), Err(Error::Lost { .. })));
        assert!(matches!(negated(&gpu, &[1.0]), Err(Error::Lost { .. })));
        assert!(pending.wait().is_err());
        first
    });
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    assert!(error.to_string().contains("lost"), "{error}");
}

#[test]
fn a_device_destroyed_while_idle_is_lost_at_the_next_call() {
    let error = in_time(|| {
        let gpu = gpu();
        assert_eq!(negated(&gpu, &[1.0]).unwrap(), [-1.0]);
        gpu.device().destroy();
        negated(&gpu, &[1.0]).unwrap_err()
    });
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
}

const CHILD: &str = "WGRAD_TEST_CHILD";

/// The search for an adapter reads the environment, so it is tried in a process of its own.
#[test]
fn no_adapter_names_the_package_to_install() {
    if std::env::var_os(CHILD).is_some() {
        match Gpu::new() {
            Err(error @ Error::NoAdapter { .. }) => println!("no adapter: {error}"),
            other => println!("unexpected: {other:?}"),
        }
        return;
    }
    // The test's name begins with its module's where it is built into a program of several files.
    let module = module_path!().split_once("::").map_or(String::new(), |(_, module)| format!("{module}::"));
    let name = format!("{module}no_adapter_names_the_package_to_install");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(CHILD, "1")
        .env("WGPU_ADAPTER_NAME", "an adapter of this name does not exist")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("no adapter: "), "{text}");
    assert!(text.contains("mesa-vulkan-drivers") && text.contains("WGPU_ADAPTER_NAME"), "{text}");
}

#[test]
fn a_borrowed_device_with_default_limits_will_do() -> Result<()> {
    let gpu = borrowed();
    assert_eq!(gpu.limits().max_storage_buffer_binding_size, 128 << 20);
    assert_eq!(gpu.subgroup(), None);
    let x: Vec<f32> = (0..10_001).map(|i| i as f32).collect();
    let want: Vec<f32> = x.iter().map(|v| -v).collect();
    assert_eq!(negated(&gpu, &x)?, want);
    Ok(())
}

#[test]
fn nothing_polls_a_borrowed_device() -> Result<()> {
    let gpu = borrowed();
    let x = gpu.upload(&[1.0f32; 4])?;
    let mut pending = gpu.read_later::<f32>(&x.view(0, 16))?;
    gpu.submit()?;
    for _ in 0..100 {
        assert!(
            pending.try_take()?.is_none(),
            "the values cannot have arrived: the application has not polled"
        );
    }
    gpu.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
    assert_eq!(pending.try_take()?.unwrap(), [1.0; 4]);
    Ok(())
}

#[test]
fn a_borrowed_device_keeps_the_applications_error_handler() {
    let gpu = borrowed();
    let (sender, receiver) = mpsc::channel();
    gpu.device().on_uncaptured_error(std::sync::Arc::new(move |error: wgpu::Error| {
        let _ = sender.send(error.to_string());
    }));
    let invalid = wgpu::BufferDescriptor {
        label: None,
        size: u64::MAX,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    };
    let _ = gpu.device().create_buffer(&invalid);
    receiver.try_recv().expect("the application's handler hears of its own errors");
    assert!(gpu.buffer(u64::MAX / 2).is_err());
    assert!(receiver.try_recv().is_err(), "and not of those that wgrad returns");
}
/// Runs `f` on a borrowed device that the application destroys, and gives its error, in time.
fn after_destroy<T: Send + 'static>(f: impl FnOnce(&Gpu) -> Result<T> + Send + 'static) -> Option<Error> {
    in_time(move || {
        let gpu = borrowed();
        assert_eq!(negated(&gpu, &[1.0]).unwrap(), [-1.0]);
        gpu.device().destroy();
        f(&gpu).err()
    })
}

type Call = fn(&Gpu) -> Result<()>;

/// wgpu tells only the application's callback, and nobody polls: each call finds out by itself.
#[test]
fn every_call_on_a_destroyed_borrowed_device_says_that_it_is_lost() {
    let calls: [(&str, Call); 9] = [
        ("a launch and a read", |gpu| negated(gpu, &[1.0]).map(drop)),
        ("a new buffer", |gpu| gpu.buffer(1 << 20).map(drop)),
        ("a large upload", |gpu| gpu.upload(&vec![0u8; 3 << 20]).map(drop)),
        ("a submission", |gpu| {
            gpu.clear(&gpu.upload(&[1.0f32])?.view(0, 4))?;
            gpu.submit()
        }),
        ("waiting", |gpu| {
            let _ = gpu.upload(&[1.0f32])?;
            gpu.synchronize()
        }),
        ("a read", |gpu| gpu.read::<f32>(&gpu.upload(&[1.0f32])?.view(0, 4)).map(drop)),
        ("an awaited read", |gpu| {
            pollster::block_on(gpu.read_async::<f32>(&gpu.upload(&[1.0f32])?.view(0, 4))).map(drop)
        }),
        ("a new kernel", |gpu| {
            let (x, y) = (gpu.buffer(16)?, gpu.buffer(16)?);
            let launch = elementwise(gpu, &shaders::UNARY_EXP).bind("x", x.whole()).bind("y", y.whole());
            launch.set("n4", 1).enqueue()
        }),
        ("an imported buffer", |gpu| {
            let usage = wgpu::BufferUsages::STORAGE;
            let descriptor =
                wgpu::BufferDescriptor { label: None, size: 64, usage, mapped_at_creation: false };
            gpu.import(&gpu.device().create_buffer(&descriptor)).map(drop)
        }),
    ];
    for (name, call) in calls {
        let error = after_destroy(call);
        assert!(matches!(error, Some(Error::Lost { .. })), "{name}: {error:?}");
    }
    // Profiles wait for each launch, or for the queries' results.
    let error = after_destroy(|gpu| {
        gpu.start_profile()?;
        negated(gpu, &[1.0])?;
        gpu.take_profile()
    });
    assert!(matches!(error, Some(Error::Lost { .. })), "{error:?}");
}

#[test]
fn reads_under_way_when_a_borrowed_device_is_destroyed_end() {
    in_time(|| {
        let gpu = borrowed();
        let x = gpu.upload(&[1.0f32; 4]).unwrap();
        let read = || gpu.read_later::<f32>(&x.view(0, 16)).unwrap();
        let (mut asked, waited, awaited) = (read(), read(), read());
        gpu.submit().unwrap();
        let recorded = read();
        gpu.device().destroy();
        // Nobody polls the device: what was submitted cannot arrive any more.
        assert!(matches!(asked.try_take(), Err(Error::Lost { .. })));
        // Waiting polls, so it may get the values yet.
        for read in [waited.wait(), pollster::block_on(awaited), recorded.wait()] {
            assert!(
                matches!(&read, Err(Error::Lost { .. })) || read.as_ref().is_ok_and(|x| *x == [1.0; 4]),
                "{read:?}"
            );
        }
        assert!(matches!(gpu.submit(), Err(Error::Lost { .. })));
        // Everything else is dropped after its device.
    });
}

#[test]
fn the_applications_lost_callback_stays_and_may_tell() {
    in_time(|| {
        let gpu = borrowed();
        let (sender, receiver) = mpsc::channel();
        let told = gpu.clone();
        gpu.device().set_device_lost_callback(move |reason, message| {
            told.notify_lost(format!("the application says {reason:?}"));
            let _ = sender.send((reason, message));
        });
        let x = gpu.upload(&[1.0f32; 4]).unwrap();
        gpu.device().destroy();
        gpu.device().poll(wgpu::PollType::Poll).unwrap();
        assert_eq!(receiver.recv().unwrap().0, wgpu::DeviceLostReason::Destroyed);
        // The first report stands, and calls that record only fail with it too.
        for error in [gpu.clear(&x.view(0, 16)).unwrap_err(), gpu.submit().unwrap_err()] {
            assert!(matches!(error, Error::Lost { .. }), "{error:?}");
            assert!(error.to_string().contains("the application says Destroyed"), "{error}");
        }
        assert!(matches!(gpu.read_later::<f32>(&x.view(0, 16)), Err(Error::Lost { .. })));
    });
}

#[test]
fn the_gpu_lives_on_when_the_application_drops_device_and_queue() {
    in_time(|| {
        // Nothing of the application is left but what the Gpu holds: instance, adapter, device and queue are dropped.
        let gpu = borrowed();
        assert_eq!(negated(&gpu, &[1.0, 2.0]).unwrap(), [-1.0, -2.0]);
        let pending = gpu.read_later::<f32>(&gpu.upload(&[3.0f32]).unwrap().view(0, 4)).unwrap();
        drop(gpu);
        assert_eq!(pending.wait().unwrap(), [3.0]);
    });
}

#[test]
fn errors_of_the_engine_never_reach_the_applications_handler() {
    in_time(|| {
        let gpu = borrowed();
        let (sender, receiver) = mpsc::channel();
        gpu.device().on_uncaptured_error(std::sync::Arc::new(move |error: wgpu::Error| {
            let _ = sender.send(error.to_string());
        }));
        let descriptor = wgpu::BufferDescriptor {
            label: None,
            size: 64,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: true,
        };
        let raw = gpu.device().create_buffer(&descriptor);
        let x = gpu.import(&raw).unwrap();
        for profiled in [false, true] {
            if profiled {
                gpu.start_profile().unwrap();
            }
            let y = gpu.buffer(64).unwrap();
            let launch = elementwise(&gpu, &shaders::UNARY_NEG).bind("x", x.whole()).bind("y", y.whole());
            launch.set("n4", 4).threads(4).enqueue().unwrap();
            let error = gpu.submit().unwrap_err();
            assert!(matches!(error, Error::Validation { .. }), "{error:?}");
        }
        gpu.take_profile().unwrap();
        // wgpu does not free what stands behind a mapped buffer once the device is destroyed.
        raw.unmap();
        gpu.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
        gpu.device().destroy();
        assert!(negated(&gpu, &[1.0]).is_err());
        gpu.device().poll(wgpu::PollType::Poll).unwrap();
        drop((x, gpu));
        assert!(receiver.try_recv().is_err());
    });
}
