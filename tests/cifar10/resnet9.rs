//! `--model resnet9`: its recipe, its width, its files, and resuming to the bit.

use std::fs;

use wgrad::nn::StateDict;

use crate::support::Place;

/// A net small enough for tests, in batches of 10.
const SMALL: [&str; 4] = ["--model", "resnet9", "--width", "2"];

fn run(place: &Place, args: &[&str]) {
    place.train(&[&SMALL, args].concat()).well();
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_to_the_bit() {
    let place = Place::new().with_data(8, 10);
    let train = |name: &str, args: &[&str]| {
        let save = format!("{name}.safetensors");
        let always = ["--epochs", "3", "--save", &save, "--checkpoint", name];
        run(&place, &[&always, args].concat());
        fs::read(place.path(&save)).unwrap()
    };
    let whole = train("whole", &[]);
    // Step 6 lies within the second epoch of 4 steps; crops, schedule and running estimates go on from there.
    train("pieces", &["--max-steps", "6"]);
    assert!(whole == train("pieces", &["--resume"]), "other weights");
    let checkpoint = |name: &str| {
        let file = place.path(&format!("{name}/checkpoint.safetensors"));
        StateDict::load(&file).unwrap()
    };
    assert!(checkpoint("whole") == checkpoint("pieces"), "another checkpoint");
    assert_eq!(checkpoint("whole").tensors["block1.norm.num_batches_tracked"].1, [12.0]);

    // With other epochs the learning rates would be others.
    let args = [&SMALL[..], &["--epochs", "4", "--checkpoint", "whole", "--resume"]].concat();
    place
        .train(&args)
        .refused(3, &["another run", "12 steps to 0.3", "16 steps to 0.3", "shifted by up to 4"]);
}

#[test]
fn every_part_of_the_recipe_can_be_overridden() {
    let place = Place::new().with_data(4, 2);
    let weights = |args: &[&str]| {
        run(&place, &[&["--epochs", "1", "--save", "w.safetensors"], args].concat());
        fs::read(place.path("w.safetensors")).unwrap()
    };
    let own = weights(&[]);
    let same: &[&str] = &[
        "--lr=0.3",
        "--momentum=0.9",
        "--nesterov=true",
        "--weight-decay=5e-4",
        "--label-smoothing=0.1",
        "--schedule=one-cycle",
        "--augment=true",
    ];
    assert!(own == weights(same), "the recipe is not what it is said to be");
    let others: [&[&str]; 7] = [
        &["--lr", "0.4"],
        &["--momentum", "0.5"],
        &["--nesterov", "false"],
        &["--weight-decay", "0.01"],
        &["--label-smoothing", "0"],
        &["--schedule", "constant"],
        &["--augment", "false"],
    ];
    for args in others {
        assert!(own != weights(args), "{args:?} makes no difference");
    }
}

#[test]
fn the_width_scales_every_layer() {
    let place = Place::new().with_data(2, 2);
    let count = |args: &[&str]| -> usize {
        let ended = place.train(&[args, &["--max-steps", "1"]].concat()).well();
        let line = ended.out.lines().find(|line| line.contains(" parameters on ")).unwrap().to_owned();
        line.split(' ').next().unwrap().parse().unwrap()
    };
    // Convolutions (3 → w, then pairs of multiples of w), scale and shift of 35·w channels, the linear layer.
    let pairs: usize =
        [(1, 2), (2, 2), (2, 2), (2, 4), (4, 8), (8, 8), (8, 8)].map(|(i, o)| i * o).iter().sum();
    let expected = |w: usize| 9 * 3 * w + 9 * pairs * w * w + 2 * 35 * w + 80 * w + 10;
    for width in [1, 3, 16] {
        let width_text = width.to_string();
        assert_eq!(count(&["--model", "resnet9", "--width", &width_text]), expected(width), "width {width}");
    }
    assert_eq!(count(&["--model", "resnet9"]), expected(16), "the default");
}
