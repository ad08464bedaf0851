//! The figures are what their names say, and the set is as hard as it should be.

use super::*;

#[test]
fn a_seed_fixes_every_byte_and_another_changes_them() {
    let a = images(50, 7);
    assert_eq!(a, images(50, 7));
    let b = images(50, 8);
    assert_ne!(a.pixels, b.pixels);
    assert_ne!(a.labels, b.labels);
    let s = split(50, 30, 7);
    assert_eq!(s.train, a);
    assert_eq!(s.test, split(10, 30, 7).test);
    assert_eq!(s.test.len(), 30);
    let shared = |image| (0..s.train.len()).any(|i| s.train.image(i) == image);
    assert!((0..s.test.len()).all(|i| !shared(s.test.image(i))));
}

#[test]
fn sets_fit_together_are_balanced_and_shuffled() {
    for n in [0, 1, 9, 10, 205] {
        let a = images(n, 3);
        assert_eq!(a.len(), n);
        assert_eq!(Images::new(a.shape(), a.classes.clone(), a.pixels.clone(), a.labels.clone()).unwrap(), a);
        let count = |class| a.labels.iter().filter(|&&label| label == class).count();
        assert!((0..10).all(|class| [n / 10, n.div_ceil(10)].contains(&count(class))));
    }
    let labels = images(1000, 3).labels;
    let in_cycle = labels.iter().enumerate().filter(|&(i, &label)| i % 10 == usize::from(label));
    assert!((50..150).contains(&in_cycle.count()));
}

#[test]
fn dice_reach_both_ends_and_no_further() {
    let mut dice = Dice(Pcg32::seed_from_u64(1));
    let mut seen = [0; 5];
    for _ in 0..1000 {
        seen[(dice.between(-2, 2) + 2) as usize] += 1;
    }
    assert!(seen.iter().all(|n| (140..260).contains(n)), "{seen:?}");
    assert_eq!(dice.between(4, 4), 4);
}

#[test]
fn turns_are_rotations() {
    for quarters in 0..4 {
        for step in -63..=63 {
            let (cos, sin) = turn(quarters, step);
            let (cos, sin) = (f64::from(cos) / 4096.0, f64::from(sin) / 4096.0);
            let angle = f64::from(quarters)
                .mul_add(std::f64::consts::FRAC_PI_2, 2.0 * (f64::from(step) / 64.0).atan());
            assert!((cos - angle.cos()).abs() < 1e-3 && (sin - angle.sin()).abs() < 1e-3);
        }
    }
}

/// A figure of ten pixels' size in the middle of the image, not rotated.
fn upright(class: u8, inner: i32) -> Figure {
    let middle = 16 * PIXEL;
    Figure { class, x: middle, y: middle, cos: 4096, sin: 0, size: 10 * PIXEL, inner: inner * PIXEL }
}

#[test]
fn shapes_cover_what_their_names_say() {
    // Points right of and below the centre, in pixels.
    let covers = |figure: &Figure, u: i32, v: i32| figure.covers(figure.x + u * PIXEL, figure.y + v * PIXEL);
    let expect = |class, inner, inside: &[(i32, i32)], outside: &[(i32, i32)]| {
        let figure = upright(class, inner);
        for &(u, v) in inside {
            assert!(covers(&figure, u, v), "class {class} at {u}, {v}");
        }
        for &(u, v) in outside {
            assert!(!covers(&figure, u, v), "class {class} at {u}, {v}");
        }
    };
    expect(0, 5, &[(0, 0), (9, 0), (0, -9), (7, 7), (-7, 7)], &[(11, 0), (8, 8), (-8, 8)]);
    expect(1, 5, &[(6, 0), (0, -9), (7, 7)], &[(0, 0), (4, 0), (3, -3), (8, 8)]);
    expect(2, 5, &[(0, 0), (8, 8), (-8, 8)], &[(10, 0), (0, -10)]);
    // The point at the top, the base 5 below the centre and 17.3 wide.
    expect(3, 5, &[(0, 0), (0, -9), (8, 4), (-8, 4)], &[(0, 6), (6, -6), (-6, -6), (0, -11)]);
    expect(4, 3, &[(0, 0), (9, 2), (-9, -2), (2, 9)], &[(5, 5), (-4, 4), (11, 0)]);
    // Stripes of ten pixels: one from 0 to -10, the next from 0 to 10.
    expect(5, 5, &[(0, -5), (15, -5), (-15, 15)], &[(0, 5), (15, 5)]);
    expect(6, 5, &[(-5, 0), (-5, 15), (15, -15)], &[(5, 0), (5, 15)]);
    expect(8, 5, &[(-5, 5), (5, -5), (15, 5)], &[(5, 5), (-5, -5)]);
    expect(9, 5, &[(10, 10), (-10, 10), (13, 13)], &[(0, 0), (10, 0), (0, 10), (14, 14)]);
}

#[test]
fn edges_are_blended() {
    let figure = upright(5, 5);
    assert_eq!((figure.coverage(0, 15), figure.coverage(0, 16)), (4, 0));
    let shifted = Figure { y: figure.y + PIXEL / 2, ..figure };
    assert_eq!(shifted.coverage(0, 16), 2);
}

#[test]
fn stripes_run_as_named_for_every_random_figure() {
    let mut dice = Dice(Pcg32::seed_from_u64(5));
    for class in 5..=7 {
        for _ in 0..200 {
            let figure = Figure::random(class, &mut dice);
            // The direction across the stripes; v measures it for classes 5 and 7, u for 6.
            let (x, y) = if class == 6 { (figure.cos, figure.sin) } else { (-figure.sin, figure.cos) };
            let (x, y) = (f64::from(x.abs()), f64::from(y.abs()));
            let degrees = y.atan2(x).to_degrees();
            let (low, high) = [(70.0, 90.0), (0.0, 20.0), (30.0, 60.0)][usize::from(class) - 5];
            assert!((low..=high).contains(&degrees), "class {class}: {degrees}");
        }
    }
}

#[test]
fn figures_differ_from_their_ground() {
    let mut dice = Dice(Pcg32::seed_from_u64(9));
    for class in 0..10 {
        for _ in 0..100 {
            let figure = Figure::random(class, &mut dice);
            let covered: i32 = (0..PLANE).map(|i| figure.coverage(i % SIDE, i / SIDE)).sum();
            let share = f64::from(covered) / (4 * PLANE) as f64;
            assert!((0.05..0.65).contains(&share), "class {class}: {share}");
        }
    }
}

#[test]
fn noise_is_centred() {
    let mut dice = Dice(Pcg32::seed_from_u64(2));
    let draws: Vec<f64> = (0..20_000).map(|_| f64::from(gauss(dice.0.next_u32()))).collect();
    let mean = draws.iter().sum::<f64>() / 20_000.0;
    let deviation = (draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0).sqrt();
    // Four uniform bytes: mean 0 after the shift, variance 4 * (256^2 - 1) / 12.
    assert!(mean.abs() < 5.0, "{mean}");
    assert!((deviation - 147.8).abs() < 4.0, "{deviation}");
}

/// The nearest class mean is a linear classifier: it compares `w·x + b` with `w` the mean of a class.
#[test]
fn class_means_say_little() {
    let s = split(2000, 500, 11);
    let mut means = vec![[0.0_f32; 3 * PLANE]; 10];
    for (image, &label) in s.train.pixels.chunks_exact(3 * PLANE).zip(&s.train.labels) {
        for (mean, &pixel) in means[usize::from(label)].iter_mut().zip(image) {
            *mean += f32::from(pixel) / 200.0;
        }
    }
    let mut right = 0;
    for (image, &label) in s.test.pixels.chunks_exact(3 * PLANE).zip(&s.test.labels) {
        let distance = |mean: &[f32; 3 * PLANE]| -> f32 {
            mean.iter().zip(image).map(|(m, &p)| (m - f32::from(p)).powi(2)).sum()
        };
        let best = (0..10).min_by(|&a, &b| distance(&means[a]).total_cmp(&distance(&means[b])));
        right += usize::from(best == Some(usize::from(label)));
    }
    assert!(right < 175, "{right} of 500 right; a linear model should stay below 35%");
}
