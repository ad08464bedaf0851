//! The pool, uploads, the order of writes and launches, and readback.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use wgrad_device::shaders;
use wgrad_device::{Buffer, Error, Gpu, Result};

use crate::helpers::elementwise;

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

/// y = -x over as many vec4s as `x` holds.
fn neg(gpu: &Gpu, x: &Buffer, y: &Buffer) {
    let n4 = (x.size() / 16) as usize;
    let launch = elementwise(gpu, &shaders::UNARY_NEG).bind("x", x.whole()).bind("y", y.whole());
    launch.set("n4", n4).threads(n4).enqueue().unwrap();
}

#[test]
fn the_pool_reuses_buffers_and_counts_bytes() -> Result<()> {
    let gpu = gpu();
    let first = gpu.buffer(1000)?;
    let size = first.size();
    assert!(size >= 1000);
    let stats = gpu.memory();
    assert_eq!((stats.live, stats.cached, stats.peak, stats.created), (size, 0, size, 1));

    let id = first.id();
    let clone = first.clone();
    drop(first);
    assert_eq!(gpu.memory().live, size, "a clone keeps the buffer");
    drop(clone);
    let stats = gpu.memory();
    assert_eq!((stats.live, stats.cached, stats.peak, stats.created), (0, size, size, 1));

    let again = gpu.buffer(size)?;
    assert_eq!(again.id(), id, "the same size gets the same buffer");
    let other = gpu.buffer(10 * size)?;
    assert_ne!(other.id(), id);
    let stats = gpu.memory();
    assert_eq!((stats.live, stats.cached, stats.created), (size + other.size(), 0, 2));
    assert_eq!(stats.peak, stats.live);

    drop((again, other));
    gpu.reset_peak_memory();
    assert_eq!(gpu.memory().peak, 0);
    gpu.trim();
    assert_eq!(gpu.memory().cached, 0);
    gpu.buffer(size)?;
    assert_eq!(gpu.memory().created, 3, "trimmed buffers are made anew");
    Ok(())
}

#[test]
fn a_request_gets_the_smallest_buffer_that_is_free_and_not_four_times_too_large() -> Result<()> {
    let gpu = gpu();
    let sizes = [4 << 20, 1 << 20, 2 << 20];
    let buffers = sizes.map(|size| gpu.buffer(size).unwrap());
    let [large, small, medium] = buffers.each_ref().map(|buffer| buffer.id());
    drop(buffers);
    let held = gpu.memory().cached;
    let first = gpu.buffer(700_000)?;
    let second = gpu.buffer(1 << 20)?;
    assert_eq!([first.id(), second.id()], [small, medium]);
    assert!(first.size() < 750_000, "{} bytes, though the buffer behind it is larger", first.size());
    let third = gpu.buffer(1_000_000)?;
    assert_ne!(third.id(), large, "more than four times too large");
    let stats = gpu.memory();
    assert_eq!(stats.live, first.size() + second.size() + third.size());
    assert_eq!((stats.live + stats.cached, stats.created), (held + third.size(), 4));
    drop((first, second, third));
    assert_eq!(gpu.memory().live, 0);
    assert_eq!(gpu.buffer(3 << 20)?.id(), large);
    gpu.trim();
    assert_eq!(gpu.memory().cached, 0);
    Ok(())
}

#[test]
fn a_view_outlives_the_handle_it_came_from() -> Result<()> {
    let gpu = gpu();
    let view = gpu.upload(&[1.0f32, 2.0, 3.0])?.view(4, 8);
    let reused = gpu.upload(&[9.0f32; 3])?;
    assert_eq!(gpu.read::<f32>(&view)?, [2.0, 3.0]);
    drop(reused);
    Ok(())
}

#[test]
fn buffers_over_the_limit_are_refused() {
    let gpu = Gpu::builder().quiet().baseline().build().unwrap();
    let limit = gpu.limits().max_storage_buffer_binding_size;
    assert_eq!(gpu.buffer(limit).unwrap().size(), limit);
    let error = gpu.buffer(limit + 1).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }));
    assert!(error.to_string().contains("max_storage_buffer_binding_size"), "{error}");
}

#[test]
fn uploads_of_any_length_arrive() -> Result<()> {
    let gpu = gpu();
    for n in [1, 2, 3, 4, 5, 255, 4097, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (1 << 20) + 3, 3_000_001] {
        let bytes: Vec<u8> = (0..n).map(|i| (i * 7 + i / 251) as u8).collect();
        let buffer = gpu.upload(&bytes)?;
        let padded = (n as u64).next_multiple_of(4);
        let got = gpu.read::<u8>(&buffer.view(0, padded))?;
        assert!(got[..n] == bytes, "{n} bytes");
        assert!(got[n..].iter().all(|byte| *byte == 0), "the padding of {n} bytes");
    }
    Ok(())
}

#[test]
fn large_writes_keep_their_place_among_launches() -> Result<()> {
    let gpu = gpu();
    let n = 1 << 19;
    let (x, y) = (gpu.upload(&vec![1.0f32; n])?, gpu.buffer(4 * n as u64)?);
    neg(&gpu, &x, &y);
    gpu.write(&x.whole(), &vec![2.0f32; n])?;
    assert!(gpu.read::<f32>(&y.view(0, 4 * n as u64))?.iter().all(|v| *v == -1.0));
    neg(&gpu, &x, &y);
    assert!(gpu.read::<f32>(&y.view(0, 4 * n as u64))?.iter().all(|v| *v == -2.0));
    Ok(())
}

#[test]
fn a_buffer_reused_within_a_recording_keeps_the_order() -> Result<()> {
    let gpu = gpu();
    let results: Vec<Buffer> = (0..8).map(|_| gpu.buffer(256)).collect::<Result<_>>()?;
    let mut ids = Vec::new();
    for (i, y) in results.iter().enumerate() {
        // Every round's x is the same memory: dropped while launches on it are still recorded.
        let x = gpu.upload(&[i as f32; 64])?;
        ids.push(x.id());
        neg(&gpu, &x, y);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "the pool hands the dropped buffer out again");
    assert!(
        gpu.pending_commands().iter().filter(|command| command.name.starts_with("unary_forward+neg")).count()
            == 8
    );
    for (i, y) in results.iter().enumerate() {
        assert_eq!(gpu.read::<f32>(&y.whole())?, [-(i as f32); 64]);
    }
    Ok(())
}

#[test]
fn copies_and_clears_keep_the_order() -> Result<()> {
    let gpu = gpu();
    let (x, y, z) = (gpu.upload(&[3.0f32; 64])?, gpu.buffer(256)?, gpu.buffer(256)?);
    neg(&gpu, &x, &y);
    gpu.copy(&y.view(0, 128), &z.view(128, 128))?;
    gpu.clear(&y.view(128, 128))?;
    neg(&gpu, &y, &x);
    assert_eq!(gpu.read::<f32>(&z.view(128, 128))?, [-3.0; 32]);
    assert_eq!(gpu.read::<f32>(&x.view(0, 128))?, [3.0; 32]);
    assert_eq!(gpu.read::<f32>(&x.view(128, 128))?, [0.0; 32]);
    Ok(())
}

#[test]
fn fresh_buffers_are_poisoned() -> Result<()> {
    let gpu = gpu();
    drop(gpu.upload(&[1.0f32; 64])?);
    let reused = gpu.buffer(256)?;
    assert!(gpu.read::<f32>(&reused.whole())?.iter().all(|v| v.is_nan()));
    Ok(())
}

#[test]
fn reads_come_back_in_every_way() -> Result<()> {
    let gpu = gpu();
    let x = gpu.upload(&[1.0f32, 2.0, 3.0])?;
    let view = x.view(0, 12);
    assert_eq!(gpu.read::<f32>(&view)?, [1.0, 2.0, 3.0]);
    assert_eq!(pollster::block_on(gpu.read_async::<f32>(&view))?, [1.0, 2.0, 3.0]);
    // Awaited on another thread, and asked for again and again.
    let other = gpu.clone();
    let sent = std::thread::spawn({
        let view = view.clone();
        move || pollster::block_on(other.read_async::<f32>(&view)).unwrap()
    });
    assert_eq!(sent.join().unwrap(), [1.0, 2.0, 3.0]);
    let mut pending = gpu.read_later::<f32>(&view)?;
    assert!(pending.try_take()?.is_none(), "nothing is submitted yet");
    gpu.submit()?;
    let values = loop {
        if let Some(values) = pending.try_take()? {
            break values;
        }
        std::thread::yield_now();
    };
    assert_eq!(values, [1.0, 2.0, 3.0]);
    Ok(())
}

#[test]
fn many_reads_may_be_pending_and_some_dropped() -> Result<()> {
    let gpu = gpu();
    let x = gpu.buffer(256)?;
    let mut pending = Vec::new();
    for i in 0..40u32 {
        gpu.write(&x.whole(), &[i; 64])?;
        pending.push((i, gpu.read_later::<u32>(&x.view(0, 16))?));
        match i % 8 {
            3 => gpu.submit()?,
            // Before its submission, and after it.
            5 => drop(pending.pop()),
            7 => drop(pending.remove(0)),
            _ => {}
        }
    }
    // Each holds what was there when it was recorded, in whatever order they are taken.
    for (i, read) in pending.into_iter().rev() {
        assert_eq!(read.wait()?, [i; 4]);
    }
    gpu.synchronize()
}

#[test]
fn pending_reads_do_not_need_a_submit_by_hand() -> Result<()> {
    let gpu = gpu();
    let x = gpu.upload(&[5u32; 4])?;
    let (first, second) = (gpu.read_later::<u32>(&x.view(0, 16))?, gpu.read_later::<u32>(&x.view(4, 4))?);
    assert_eq!(second.wait()?, [5]);
    assert_eq!(first.wait()?, [5; 4]);
    Ok(())
}

#[test]
fn ranges_of_one_buffer_are_not_copied() -> Result<()> {
    let gpu = gpu();
    let x = gpu.upload(&[1u32; 256])?;
    let refused = gpu.copy(&x.view(0, 512), &x.view(512, 512)).unwrap_err();
    assert!(matches!(&refused, Error::Launch { kernel, .. } if kernel == "copy"), "{refused}");
    // What was recorded before is not lost by it.
    assert_eq!(gpu.read::<u32>(&x.view(0, 8))?, [1, 1]);
    Ok(())
}

#[test]
fn sizes_at_the_end_of_64_bits_are_refused() {
    let gpu = Gpu::builder().quiet().build().unwrap();
    for bytes in [u64::MAX, u64::MAX - 14, u64::MAX - 16, 1 << 63] {
        assert!(matches!(gpu.buffer(bytes), Err(Error::TooLarge { .. })), "{bytes}");
    }
}
