//! An application's textures as tensors, and tensors as its textures, against references on the host.

use crate::app::App;
use half::f16;
use wgpu::{TextureFormat as Format, TextureUsages as Usages};
use wgrad_autograd::device::{self, wgpu};
use wgrad_autograd::{Error, Gpu, Tensor, TextureOptions};

/// Width and height: odd, one texel, one row, one column, more than a workgroup.
const SIZES: [[u32; 2]; 5] = [[7, 3], [1, 1], [65, 1], [1, 9], [33, 10]];

fn texture(
    app: &App,
    format: Format,
    [width, height]: [u32; 2],
    layers: u32,
    usage: Usages,
) -> wgpu::Texture {
    app.device.create_texture(&wgpu::TextureDescriptor {
        label: Some("app"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: layers },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage,
        view_formats: &[],
    })
}

fn place(texture: &wgpu::Texture, layer: u32) -> (wgpu::TexelCopyTextureInfo<'_>, wgpu::Extent3d) {
    let origin = wgpu::Origin3d { x: 0, y: 0, z: layer };
    let (width, height) = (texture.width(), texture.height());
    let size = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
    (wgpu::TexelCopyTextureInfo { origin, ..texture.as_image_copy() }, size)
}

fn bytes_of_texel(texture: &wgpu::Texture) -> u32 {
    texture.format().block_copy_size(None).unwrap()
}

fn upload(app: &App, texture: &wgpu::Texture, layer: u32, bytes: &[u8]) {
    let (to, size) = place(texture, layer);
    let bytes_per_row = Some(texture.width() * bytes_of_texel(texture));
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row, rows_per_image: None };
    app.queue.write_texture(to, bytes, layout, size);
    app.queue.submit([]);
}

/// The texels' bytes, row by row.
fn download(app: &App, texture: &wgpu::Texture, layer: u32) -> Vec<u8> {
    let row = texture.width() * bytes_of_texel(texture);
    let padded = row.next_multiple_of(256);
    let usage = wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ;
    let buffer = app.buffer(u64::from(padded * texture.height()), usage);
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(padded), rows_per_image: None };
    let mut encoder = app.device.create_command_encoder(&Default::default());
    let (from, size) = place(texture, layer);
    encoder.copy_texture_to_buffer(from, wgpu::TexelCopyBufferInfo { buffer: &buffer, layout }, size);
    app.queue.submit([encoder.finish()]);
    let bytes = app.mapped(&buffer);
    bytes.chunks(padded as usize).flat_map(|padded| &padded[..row as usize]).copied().collect()
}

/// Each format with the value of channel c of the texel that these bytes are, if it has the channel.
type Decode = fn(&[u8], usize) -> f64;

fn unorm(bytes: &[u8], c: usize) -> f64 {
    f64::from(bytes[c]) / 255.0
}

fn bgra(bytes: &[u8], c: usize) -> f64 {
    unorm(bytes, [2, 1, 0, 3][c])
}

/// The sRGB curve, which leaves alpha as it is.
fn srgb(bytes: &[u8], c: usize) -> f64 {
    let v = unorm(bytes, c);
    match c {
        3 => v,
        _ if v <= 0.04045 => v / 12.92,
        _ => ((v + 0.055) / 1.055).powf(2.4),
    }
}

fn float16(bytes: &[u8], c: usize) -> f64 {
    f16::from_le_bytes([bytes[2 * c], bytes[2 * c + 1]]).to_f64()
}

fn float32(bytes: &[u8], c: usize) -> f64 {
    f64::from(f32::from_le_bytes(bytes[4 * c..4 * c + 4].try_into().unwrap()))
}

/// What a format has no bytes for reads as 0, and alpha as 1.
fn one_byte(bytes: &[u8], c: usize) -> f64 {
    [unorm(bytes, 0), 0.0, 0.0, 1.0][c]
}

fn one_float(bytes: &[u8], c: usize) -> f64 {
    [float32(bytes, 0), 0.0, 0.0, 1.0][c]
}

/// Texels that are different numbers and no NaN, whatever the format.
fn texels(format: Format, count: usize) -> Vec<u8> {
    let numbers = |channels| (0..channels * count).map(|i| (i * 37 % 251) as f32 * 0.03 - 2.0);
    match format {
        Format::Rgba16Float => numbers(4).flat_map(|v| f16::from_f32(v).to_le_bytes()).collect(),
        Format::Rgba32Float => numbers(4).flat_map(f32::to_le_bytes).collect(),
        Format::R32Float => numbers(1).flat_map(f32::to_le_bytes).collect(),
        Format::R8Unorm => (0..count).map(|i| (i * 37 % 256) as u8).collect(),
        _ => (0..4 * count).map(|i| (i * 37 % 256) as u8).collect(),
    }
}

const OPTIONS: TextureOptions =
    TextureOptions { layer: 0, mean: [0.4914, 0.4822, 0.4465, 0.5], std: [0.247, 0.2435, 0.2616, 2.0] };

fn close(got: &[f32], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(*got) - want).abs();
        assert!(error <= tolerance * want.abs().max(1.0), "{what}: {got} for {want} at {i}");
    }
}

#[test]
fn textures_become_tensors() {
    let app = App::new();
    // Each launch in three parts, as slices may cut it.
    let gpu = Gpu::builder().cut().from_wgpu(app.device.clone(), app.queue.clone());
    let formats: [(Format, Decode, f64); 7] = [
        (Format::Rgba8Unorm, unorm, 1e-6),
        (Format::Bgra8Unorm, bgra, 1e-6),
        // The drivers' tables of the curve have about as many digits as the bytes they decode.
        (Format::Rgba8UnormSrgb, srgb, 2e-3),
        (Format::Rgba16Float, float16, 1e-6),
        (Format::Rgba32Float, float32, 1e-6),
        (Format::R8Unorm, one_byte, 1e-6),
        (Format::R32Float, one_float, 1e-6),
    ];
    for (format, decode, tolerance) in formats {
        for [w, h] in SIZES {
            let texture = texture(&app, format, [w, h], 1, Usages::TEXTURE_BINDING | Usages::COPY_DST);
            let texel = bytes_of_texel(&texture) as usize;
            let bytes = texels(format, (w * h) as usize);
            upload(&app, &texture, 0, &bytes);
            for channels in [1, 3, 4] {
                for options in [TextureOptions::default(), OPTIONS] {
                    let x = Tensor::from_texture(&gpu, &texture, channels, options).unwrap();
                    assert_eq!(x.shape(), [1, channels, h as usize, w as usize]);
                    assert_eq!(gpu.pending_commands().len(), 1, "one kernel");
                    let want: Vec<f64> = (0..channels)
                        .flat_map(|c| {
                            let [mean, std] = [options.mean, options.std].map(|v| f64::from(v[c]));
                            bytes.chunks(texel).map(move |texel| (decode(texel, c) - mean) / std)
                        })
                        .collect();
                    let what = format!("{format:?}, {w} × {h}, {channels} channels");
                    // Dividing by the standard deviation makes errors larger.
                    close(&x.to_vec().unwrap(), &want, 5.0 * tolerance, &what);
                }
            }
        }
    }
}

#[test]
fn tensors_become_textures() {
    let app = App::new();
    // Each launch in three parts, as slices may cut it.
    let gpu = Gpu::builder().cut().from_wgpu(app.device.clone(), app.queue.clone());
    // Bytes are rounded to the nearest. Halves have eleven bits, and may become either neighbour.
    let formats: [(Format, Decode, f64); 4] = [
        (Format::Rgba8Unorm, unorm, 0.51 / 255.0),
        (Format::Rgba16Float, float16, 1.0 / 1024.0),
        (Format::Rgba32Float, float32, 1e-6),
        (Format::R32Float, one_float, 1e-6),
    ];
    for (format, decode, tolerance) in formats {
        for [w, h] in SIZES {
            for channels in [1, 3, 4] {
                let texture = texture(&app, format, [w, h], 1, Usages::STORAGE_BINDING | Usages::COPY_SRC);
                let n = (w * h) as usize;
                let values: Vec<f32> =
                    (0..channels * n).map(|i| (i * 37 % 101) as f32 * 0.05 - 2.5).collect();
                let batch =
                    Tensor::from_slice(&gpu, &values, &[1, channels, h as usize, w as usize]).unwrap();
                let image = batch.reshape(&[channels, h as usize, w as usize]).unwrap();
                for (x, options) in [(batch, TextureOptions::default()), (image, OPTIONS)] {
                    x.to_texture(&texture, options).unwrap();
                    gpu.submit().unwrap();
                    let bytes = download(&app, &texture, 0);
                    let stored = if format == Format::R32Float { 1 } else { 4 };
                    for c in 0..stored {
                        let from = if channels == 1 { 0 } else { c };
                        let [mean, std] = [options.mean, options.std].map(|v| f64::from(v[from]));
                        let value = |i: usize| match (c, channels) {
                            (3, 1 | 3) => 1.0,
                            _ => f64::from(values[from * n + i]) * std + mean,
                        };
                        let clamped =
                            |v: f64| if format == Format::Rgba8Unorm { v.clamp(0.0, 1.0) } else { v };
                        let want: Vec<f64> = (0..n).map(|i| clamped(value(i))).collect();
                        let texel = bytes_of_texel(&texture) as usize;
                        let got: Vec<f32> =
                            bytes.chunks(texel).map(|texel| decode(texel, c) as f32).collect();
                        let what = format!("{format:?}, {w} × {h}, channel {c} of {channels}");
                        close(&got, &want, tolerance, &what);
                    }
                }
            }
        }
    }
}

/// There and back on the device, and a step of training on what a texture shows.
#[test]
fn layers_are_told_apart_and_values_come_back() {
    let app = App::new();
    let gpu = app.gpu();
    let usage = Usages::TEXTURE_BINDING | Usages::STORAGE_BINDING | Usages::COPY_DST;
    let texture = texture(&app, Format::Rgba32Float, [5, 3], 3, usage);
    let tensors: Vec<Tensor> = (0..3)
        .map(|layer| {
            let values: Vec<f32> = (0..60).map(|i| (100 * layer + i) as f32).collect();
            let x = Tensor::from_slice(&gpu, &values, &[1, 4, 3, 5]).unwrap();
            x.to_texture(&texture, TextureOptions { layer, ..Default::default() }).unwrap();
            x
        })
        .collect();
    for (layer, x) in (0..).zip(&tensors) {
        let back =
            Tensor::from_texture(&gpu, &texture, 4, TextureOptions { layer, ..Default::default() }).unwrap();
        assert_eq!(back.to_vec().unwrap(), x.to_vec().unwrap());
        let tracked = back.tracked();
        let gradients = tracked.square().unwrap().sum_all().unwrap().backward().unwrap();
        let want: Vec<f32> = x.to_vec().unwrap().iter().map(|v| 2.0 * v).collect();
        assert_eq!(gradients.get(&tracked).unwrap().to_vec().unwrap(), want);
    }
    let composed = gpu.composed();
    let launched = composed.iter().map(|composed| (&composed.files[..], composed.entry.as_str()));
    assert_eq!(device::shaders::unlaunched(&["interop"], launched), [""; 0]);
}

#[test]
fn a_texture_every_frame_grows_nothing() {
    let app = App::new();
    let gpu = app.gpu();
    let mut counts = Vec::new();
    for _ in 0..50 {
        let usage = Usages::TEXTURE_BINDING | Usages::STORAGE_BINDING;
        let texture = texture(&app, Format::Rgba8Unorm, [8, 8], 1, usage);
        let x = Tensor::from_texture(&gpu, &texture, 3, OPTIONS).unwrap();
        drop(texture);
        // The launch keeps what it reads.
        assert!((x.to_vec().unwrap()[0] + 0.4914 / 0.247).abs() < 1e-5);
        gpu.synchronize().unwrap();
        let report = app.instance.generate_report().unwrap();
        let hub = report.hub_report();
        let kept = |report: &wgpu::wgc::registry::RegistryReport| report.num_kept_from_user;
        counts.push([kept(&hub.textures), kept(&hub.texture_views), kept(&hub.bind_groups)]);
    }
    assert_eq!(counts[49], counts[3], "{counts:?}");
    assert_eq!(counts[49][..2], [0, 0]);
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
fn textures_that_cannot_be_read_are_refused() {
    let app = App::new();
    let gpu = app.gpu();
    let read = |texture: &wgpu::Texture, channels, options| {
        Tensor::from_texture(&gpu, texture, channels, options).err()
    };
    let plain = TextureOptions::default();
    let good = texture(&app, Format::Rgba8Unorm, [4, 4], 2, Usages::TEXTURE_BINDING);
    for channels in [0, 2, 5, usize::MAX] {
        refused(read(&good, channels, plain), "channels");
    }
    refused(read(&good, 3, TextureOptions { std: [1.0, 0.0, 1.0, 1.0], ..plain }), "std");
    refused(read(&good, 3, TextureOptions { mean: [f32::NAN; 4], ..plain }), "mean");
    refused(read(&good, 3, TextureOptions { layer: 2, ..plain }), "layer 2 of a texture with 2");
    let make = |format, usage| texture(&app, format, [4, 4], 1, usage);
    refused(read(&make(Format::Rgba8Unorm, Usages::COPY_SRC), 3, plain), "TEXTURE_BINDING");
    refused(read(&make(Format::Rgba8Uint, Usages::TEXTURE_BINDING), 3, plain), "Rgba8Uint");
    refused(read(&make(Format::Depth32Float, Usages::TEXTURE_BINDING), 1, plain), "Depth32Float");
    let destroyed = make(Format::Rgba8Unorm, Usages::TEXTURE_BINDING);
    destroyed.destroy();
    refused(read(&destroyed, 3, plain), "destroyed");
    let shaped = |dimension, sample_count, usage| {
        app.device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width: 4, height: 4, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count,
            dimension,
            format: Format::Rgba8Unorm,
            usage,
            view_formats: &[],
        })
    };
    let attachment = Usages::TEXTURE_BINDING | Usages::RENDER_ATTACHMENT;
    refused(read(&shaped(wgpu::TextureDimension::D2, 4, attachment), 3, plain), "4 samples");
    refused(read(&shaped(wgpu::TextureDimension::D3, 1, Usages::TEXTURE_BINDING), 3, plain), "D3");
    let (device, queue) = App::request(&app.adapter);
    let other = Gpu::from_wgpu(device, queue);
    refused(Tensor::from_texture(&other, &good, 3, plain).err(), "doesn't match Device");
    assert!(read(&good, 3, plain).is_none());
    gpu.submit().unwrap();
}

#[test]
fn textures_that_cannot_be_written_are_refused() {
    let app = App::new();
    let gpu = app.gpu();
    let plain = TextureOptions::default();
    let good = texture(&app, Format::Rgba8Unorm, [5, 4], 1, Usages::STORAGE_BINDING);
    let x = |shape: &[usize]| Tensor::zeros(&gpu, shape).unwrap();
    for shape in [&[1, 3, 5, 4][..], &[2, 3, 4, 5], &[2, 4, 5], &[4, 5], &[1, 1, 3, 4, 5], &[]] {
        refused(x(shape).to_texture(&good, plain).err(), "4 × 5 texels");
    }
    refused(x(&[3, 4, 5]).to_texture(&good, TextureOptions { layer: 1, ..plain }).err(), "layer 1");
    refused(x(&[3, 4, 5]).to_texture(&good, TextureOptions { std: [0.0; 4], ..plain }).err(), "std");
    let sampled = texture(&app, Format::Rgba8Unorm, [5, 4], 1, Usages::TEXTURE_BINDING);
    refused(x(&[3, 4, 5]).to_texture(&sampled, plain).err(), "STORAGE_BINDING");
    let srgb = texture(&app, Format::Rgba8UnormSrgb, [5, 4], 1, Usages::TEXTURE_BINDING);
    refused(x(&[3, 4, 5]).to_texture(&srgb, plain).err(), "view of the Srgb format");
    let words = texture(&app, Format::Rgba8Uint, [5, 4], 1, Usages::STORAGE_BINDING);
    refused(x(&[3, 4, 5]).to_texture(&words, plain).err(), "rgba8unorm");
    x(&[3, 4, 5]).to_texture(&good, plain).unwrap();
    gpu.submit().unwrap();
}
