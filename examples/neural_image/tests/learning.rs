//! The learning core without a window: the network gets good, and its texture holds what it painted.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use neural_image::learner::{Learner, psnr};
use neural_image::picture::Picture;
use wgrad::{Gpu, wgpu};

/// A learner on a device as an application makes it: default limits, no features.
fn learner(picture: &Picture) -> Learner {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let (device, queue) = pollster::block_on(async {
        let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await.unwrap();
        adapter.request_device(&wgpu::DeviceDescriptor::default()).await.unwrap()
    });
    Learner::new(&Gpu::from_wgpu(device, queue), picture, 0).unwrap()
}

/// Frames without a picture: a slice of training each, and the device's news.
fn train(learner: &mut Learner, steps: u64) {
    let begun = Instant::now();
    while learner.steps() < steps {
        learner.advance(Duration::from_millis(8)).unwrap();
        learner.gpu().device().poll(wgpu::PollType::Poll).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(240), "only {} steps of {steps}", learner.steps());
    }
}

/// The texture's bytes, red, green, blue and alpha of each pixel.
fn texels(learner: &Learner) -> Vec<u8> {
    let (gpu, texture) = (learner.gpu(), learner.texture());
    let size = texture.size();
    let row = (4 * size.width).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(row * size.height),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None };
    let to = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
    encoder.copy_texture_to_buffer(texture.as_image_copy(), to, size);
    gpu.queue().submit([encoder.finish()]);
    buffer.map_async(wgpu::MapMode::Read, .., Result::unwrap);
    gpu.device().poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let bytes = buffer.get_mapped_range(..).unwrap();
    bytes.chunks_exact(row as usize).flat_map(|line| line[..4 * size.width as usize].to_vec()).collect()
}

#[test]
fn the_picture_is_learned() {
    let picture = Picture::evening();
    let mut learner = learner(&picture);
    train(&mut learner, 16);
    let first = learner.psnr().unwrap();
    train(&mut learner, 160);
    let last = learner.psnr().unwrap();
    assert!(first < 18.0 && last > 27.0, "{first} dB, then {last} dB");

    // The whole picture, as it was painted after one of the last steps.
    let planes = learner.painting().unwrap().to_vec().unwrap();
    let pixels = picture.rgb.len();
    let squares = (0..3 * pixels).map(|i| (planes[i] - picture.rgb[i % pixels][i / pixels]).powi(2));
    let painted = psnr(squares.sum::<f32>() / (3 * pixels) as f32);
    assert!(painted > 26.0, "the painting is at {painted} dB");
}

#[test]
fn the_texture_holds_the_tensor() {
    // Rows of 50 texels are no multiple of anything that copies or kernels like.
    let picture = Picture { width: 50, height: 30, rgb: Picture::evening().rgb[..1500].to_vec() };
    let mut learner = learner(&picture);
    train(&mut learner, 20);
    let planes = learner.painting().unwrap().to_vec().unwrap();
    let texels = texels(&learner);
    for (i, texel) in texels.chunks_exact(4).enumerate() {
        for c in 0..3 {
            let wanted = 255.0 * planes[c * 1500 + i];
            assert!(
                (f32::from(texel[c]) - wanted).abs() <= 0.51,
                "texel {i}, channel {c}: {texel:?}, {wanted}"
            );
        }
        assert_eq!(texel[3], 255);
    }
}

#[test]
fn a_lost_device_ends_the_training_with_an_error() {
    let mut learner = learner(&Picture::evening());
    train(&mut learner, 2);
    learner.gpu().device().destroy();
    let lost = (0..100).find_map(|_| {
        let _ = learner.gpu().device().poll(wgpu::PollType::Poll);
        learner.advance(Duration::from_millis(8)).err()
    });
    assert!(lost.is_some(), "a hundred frames on a lost device");
}

#[cfg(feature = "png")]
#[test]
fn a_png_file_is_loaded_and_made_small() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    let red = image::RgbImage::from_pixel(400, 100, image::Rgb([255, 0, 51]));
    red.save(&path).unwrap();
    let picture = Picture::load(&path).unwrap();
    assert_eq!([picture.width, picture.height], [192, 48]);
    assert!(picture.rgb.iter().all(|&[r, g, b]| r == 1.0 && g == 0.0 && (b - 0.2).abs() < 1e-6));

    let missing = Picture::load(&folder.path().join("missing.png")).unwrap_err().to_string();
    assert!(missing.contains("missing.png"), "{missing}");
}
