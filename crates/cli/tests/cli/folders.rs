//! Folders of images: from files to a model, and from the model to names of files.

use std::path::Path;

use tempfile::tempdir;

use crate::wgrad::words;

/// A PNG file of one colour, and a little of another.
fn write_png(path: &Path, [width, height]: [u32; 2], colour: [u8; 3], i: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let pixel = |at: usize| if at % 7 == i % 7 { [90, 90, 90] } else { colour };
    let pixels: Vec<u8> = (0..(width * height) as usize).flat_map(pixel).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
}

fn write_photos(folder: &Path, count: usize) {
    for i in 0..count {
        let size = [17 + i as u32 % 5, 20 + i as u32 % 3];
        write_png(&folder.join(format!("poppy/{i}.png")), size, [220, 30, 20], i);
        write_png(&folder.join(format!("violet/{i}.png")), size, [60, 20, 200], i);
    }
}

#[test]
fn a_folder_of_images_becomes_a_model_that_names_files() {
    let folder = tempdir().unwrap();
    write_photos(&folder.path().join("photos"), 20);
    let line = "train --data photos --set size=[16,16] --set widths=[4,8] --set epochs=8";
    let printed = words(folder.path(), line).succeeds().out;
    assert!(printed.contains("32 images to train on and 8 to validate, 3×16×16, 2 classes"), "{printed}");
    assert!(printed.contains("cnn of 4-8 channels"), "{printed}");
    write_png(&folder.path().join("a.png"), [50, 30], [200, 40, 30], 0);
    write_png(&folder.path().join("b.png"), [16, 16], [80, 30, 190], 0);
    let named = words(folder.path(), "predict run/model.safetensors a.png b.png --json").succeeds().json();
    assert_eq!([&named[0]["classes"][0]["class"], &named[1]["classes"][0]["class"]], ["poppy", "violet"]);
    assert!(named[0]["classes"][0]["probability"].as_f64() > Some(0.5), "{named}");
    let lines = words(folder.path(), "predict run/model.safetensors a.png").succeeds().out;
    assert!(lines.starts_with("a.png: poppy ") && lines.contains('%'), "{lines}");
    // The classes of other folders are found by name, wherever they stand.
    write_png(&folder.path().join("more/violet/1.png"), [20, 20], [60, 20, 200], 1);
    let judged = words(folder.path(), "eval run/model.safetensors --data more --json").succeeds().json();
    assert_eq!((judged["rows"].as_u64(), judged["figures"]["accuracy"].as_f64()), (Some(1), Some(1.0)));
    write_png(&folder.path().join("more/rose/1.png"), [20, 20], [60, 20, 200], 1);
    words(folder.path(), "eval run/model.safetensors --data more").fails(3, &["rose"]);
    // On a software adapter, such as that of the tests, images are smaller unless a size is given.
    assert!(!printed.contains("software"), "{printed}");
    let line = "train --data photos --set widths=[2] --set epochs=1 --run small";
    let small = words(folder.path(), line).succeeds().out;
    assert!(small.contains("32 × 32 pixels, since the adapter is software"), "{small}");
    assert!(small.contains("3×32×32") && small.contains("--set size=[64,64]"), "{small}");
    let config = std::fs::read_to_string(folder.path().join("small/config.toml")).unwrap();
    assert!(config.contains("size = [32, 32]"), "{config}");
    // Another kind of model takes a size, too.
    let line = "train --data photos --set model=mlp --set size=[4,5] --set epochs=1 --run flat";
    assert!(words(folder.path(), line).succeeds().out.contains("mlp 60-64-32-2"));
}

#[test]
fn what_is_wrong_with_a_folder_is_said() {
    let folder = tempdir().unwrap();
    write_photos(&folder.path().join("photos"), 5);
    let fails = |line: &str, code, expected: &[&str]| words(folder.path(), line).fails(code, expected);
    fails("train --data photos --target kind", 2, &["--target kind", "no target column"]);
    fails("train --data photos --set validation=1.5", 2, &["validation = 1.5"]);
    fails("train --data photos --set model=mlp --set inputs=3", 2, &["inputs = 3"]);
    std::fs::write(folder.path().join("photos/poppy/torn.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    fails("train --data photos", 3, &["torn.png"]);
    let line = "train --data photos --set skip_bad=true --set size=[16,16] --set widths=[4] --set epochs=1 --run skips";
    let skips = words(folder.path(), line).succeeds();
    assert!(skips.out.contains("1 pictures cannot be read"), "{}", skips.out);
    assert!(skips.err.contains("torn.png"), "{}", skips.err);
    // So do the commands that use the model.
    fails("eval skips/model.safetensors --data photos", 3, &["torn.png"]);
    let judged =
        words(folder.path(), "eval skips/model.safetensors --data photos --skip-bad --json").succeeds();
    assert_eq!(judged.json()["rows"], 10);
    assert!(judged.err.contains("torn.png"), "{}", judged.err);
    let two = "predict skips/model.safetensors photos/poppy/torn.png photos/violet/1.png";
    fails(two, 3, &["torn.png"]);
    words(folder.path(), "predict skips/model.safetensors photos/poppy/torn.png --skip-bad")
        .fails(3, &["torn.png", "none of 1 files"]);
    let named = words(folder.path(), &format!("{two} --skip-bad")).succeeds();
    assert!(
        named.out.starts_with("photos/violet/1.png: ") && named.out.lines().count() == 1,
        "{}",
        named.out
    );
    assert!(named.err.contains("torn.png"), "{}", named.err);
    std::fs::create_dir_all(folder.path().join("empty/nothing")).unwrap();
    fails("train --data empty", 3, &["empty"]);
    write_png(&folder.path().join("one/poppy/1.png"), [8, 8], [1, 2, 3], 0);
    fails("train --data one", 3, &["one", "at least two"]);
    write_png(&folder.path().join("few/poppy/1.png"), [8, 8], [1, 2, 3], 0);
    write_png(&folder.path().join("few/rose/1.png"), [8, 8], [1, 2, 3], 0);
    fails("train --data few", 3, &["few: validation = 0.2 of 2 rows"]);
}

#[test]
fn a_set_larger_than_its_memory_is_streamed_to_the_same_bits() {
    let folder = tempdir().unwrap();
    write_photos(&folder.path().join("photos"), 20);
    let line = "train --data photos --set size=[16,16] --set widths=[4,8] --set epochs=3 --set batch_size=5";
    let held = words(folder.path(), &format!("{line} --run held")).succeeds().out;
    let streamed = words(folder.path(), &format!("{line} --run streamed --set memory=10kB")).succeeds().out;
    assert!(!held.contains("streamed"), "{held}");
    // 40 images of 768 bytes.
    let said = "streamed from their files, since 30.72 kB are more than memory = 10.00 kB";
    assert!(streamed.contains(said) && streamed.contains("images shifted and mirrored"), "{streamed}");
    let model = |run: &str| std::fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    assert!(model("held") == model("streamed"));
    for part in ["Most wrong", "What the model looks at"] {
        let report =
            |run: &str| std::fs::read_to_string(folder.path().join(run).join("report.html")).unwrap();
        assert_eq!(report("held").contains(part), report("streamed").contains(part), "{part}");
    }
    // A run that began with images on the device goes on with streamed ones.
    words(folder.path(), &format!("{line} --run cut --set max_steps=9")).succeeds();
    let resumed = "train --resume --run cut --set max_steps=1000 --set memory=10kB";
    assert!(words(folder.path(), resumed).succeeds().out.contains("streamed"));
    assert!(model("cut") == model("held"));
    // A picture that cannot be read is found before anything is trained.
    std::fs::write(folder.path().join("photos/poppy/torn.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    words(folder.path(), &format!("{line} --run torn --set memory=10kB")).fails(3, &["torn.png"]);
    let skips = format!("{line} --run skips --set memory=10kB --set skip_bad=true");
    let skips = words(folder.path(), &skips).succeeds();
    assert!(
        skips.out.contains("1 pictures cannot be read") && skips.err.contains("torn.png"),
        "{}",
        skips.out
    );
    words(folder.path(), &format!("{line} --run odd --set memory=little"))
        .fails(2, &["memory = \"little\"", "2GB"]);
    // Images that come in one file are streamed from the host's memory.
    let drawn = "train cnn --set samples=60 --set test_samples=20 --set epochs=1 --set widths=[4,4] --set augment=false";
    words(folder.path(), &format!("{drawn} --run drawn")).succeeds();
    let host = words(folder.path(), &format!("{drawn} --run host --set memory=1kB")).succeeds().out;
    assert!(host.contains("streamed from the host's memory"), "{host}");
    assert!(model("drawn") == model("host"));
}

#[test]
fn a_set_larger_than_its_memory_is_judged_to_the_same_bits() {
    let folder = tempdir().unwrap();
    write_photos(&folder.path().join("photos"), 9);
    let line = "train --data photos --set size=[16,16] --set widths=[4,8] --set epochs=1 --set batch_size=5";
    words(folder.path(), line).succeeds();
    let eval = |more: &str| {
        words(folder.path(), &format!("eval run/model.safetensors --data photos {more}")).succeeds()
    };
    let (held, streamed) = (eval("--json").json(), eval("--json --memory 10kB").json());
    assert_eq!((&held["streamed"], &streamed["streamed"]), (&false.into(), &true.into()));
    assert_eq!((held["rows"].as_u64(), &held["rows"]), (Some(18), &streamed["rows"]));
    assert!(held["figures"]["loss"].as_f64().is_some(), "{held}");
    assert_eq!(held["figures"], streamed["figures"]);
    // 18 images of 768 bytes.
    let said =
        "photos: streamed from their files, since 13.82 kB are more than memory = 10.00 kB\n18 rows: loss ";
    assert_eq!(
        (eval("").out.contains("streamed"), eval("--memory 10kB").out.starts_with(said)),
        (false, true)
    );
    words(folder.path(), "eval run/model.safetensors --data photos --memory little")
        .fails(2, &["little", "--memory", "2GB"]);
    // Images that come in one file are streamed from the host's memory.
    let idx = folder.path().join("idx");
    std::fs::create_dir(&idx).unwrap();
    for part in ["train", "t10k"] {
        let head = |magic: u32, sizes: &[u32]| {
            [&[magic][..], sizes].concat().into_iter().flat_map(u32::to_be_bytes).collect::<Vec<u8>>()
        };
        let pixels = (0..12 * 28 * 28_u32).map(|i| (i * i % 251) as u8);
        let images: Vec<u8> = head(0x803, &[12, 28, 28]).into_iter().chain(pixels).collect();
        let labels: Vec<u8> = head(0x801, &[12]).into_iter().chain((0..12).map(|i| i % 10)).collect();
        std::fs::write(idx.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        std::fs::write(idx.join(format!("{part}-labels-idx1-ubyte")), labels).unwrap();
    }
    let line = "train --data idx --run digits --set widths=[4,4] --set epochs=1 --set batch_size=6";
    words(folder.path(), line).succeeds();
    let eval = |more: &str| words(folder.path(), &format!("eval digits/model.safetensors --data idx {more}"));
    let (held, streamed) = (eval("--json").json(), eval("--json --memory 1kB").json());
    assert_eq!((&held["figures"], &streamed["streamed"]), (&streamed["figures"], &true.into()));
    assert!(eval("--memory 1kB").out.contains("streamed from the host's memory"));
}

/// CIFAR-10's files, each of ten records, a brighter one for each class.
fn write_cifar10(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let records: Vec<u8> =
        (0..10u8).flat_map(|class| std::iter::once(class).chain([25 * class; 3072])).collect();
    let names = (1..=5).map(|i| format!("data_batch_{i}.bin")).chain(["test_batch.bin".to_owned()]);
    names.for_each(|name| std::fs::write(folder.join(name), &records).unwrap());
}

#[test]
fn a_folder_of_cifar_10_is_trained_judged_and_named_by_its_five_likeliest_classes() {
    let folder = tempdir().unwrap();
    write_cifar10(&folder.path().join("cifar"));
    let line = "train --data cifar --set epochs=2 --set widths=[2] --set batch_size=10";
    let printed = words(folder.path(), line).succeeds().out;
    let about = "CIFAR-10, 50 images to train on and 10 to validate, 3×32×32, 10 classes";
    assert!(printed.contains(about) && printed.contains("images shifted and mirrored"), "{printed}");
    let judged = words(folder.path(), "eval run/model.safetensors --data cifar --json").succeeds().json();
    assert_eq!(judged["rows"], 10, "the test part: {judged}");
    write_png(&folder.path().join("a.png"), [50, 30], [200, 200, 200], 0);
    let named = words(folder.path(), "predict run/model.safetensors a.png --json").succeeds().json();
    let shares: Vec<f64> = named[0]["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| class["probability"].as_f64().unwrap())
        .collect();
    assert!(shares.len() == 5 && shares.windows(2).all(|pair| pair[0] >= pair[1]), "{named}");
    assert!(shares.iter().sum::<f64>() < 1.0, "five of ten classes");
    words(folder.path(), "train --data cifar --run no --set folds=3").fails(2, &["folds", "of its own"]);
}
