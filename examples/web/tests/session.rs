//! The page's session on this machine's adapter.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use wgrad::Gpu;
use wgrad_web::Session;
use wgrad_web::shapes::{CLASSES, SIDE, synthetic_ink};

const BUDGET: Duration = Duration::from_millis(8);

fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// As a page does it, frame after frame, until so many losses have arrived.
fn train(session: &mut Session, steps: usize) -> Vec<f32> {
    let deadline = Instant::now() + Duration::from_secs(300);
    let mut losses = Vec::new();
    while losses.len() < steps {
        assert!(Instant::now() < deadline, "{} losses in five minutes", losses.len());
        session.advance(BUDGET).unwrap();
        losses.extend(session.losses().unwrap());
    }
    losses
}

fn name(session: &mut Session, drawing: &[u8]) -> &'static str {
    session.show(Some(drawing)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "no probabilities in a minute");
        session.rest().unwrap();
        if let Some(shares) = session.probabilities().unwrap() {
            assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{shares:?}");
            let best = shares.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            return CLASSES[best.unwrap().0];
        }
    }
}

/// Ink where `covers` says so, of a pixel's distance from the centre to the right and down.
fn drawing(covers: impl Fn(f32, f32) -> bool) -> Vec<u8> {
    let middle = (SIDE as f32 - 1.0) / 2.0;
    let at = |i: usize| ((i % SIDE) as f32 - middle, (i / SIDE) as f32 - middle);
    (0..SIDE * SIDE).map(at).map(|(x, y)| if covers(x, y) { 255 } else { 0 }).collect()
}

fn mean(losses: &[f32]) -> f32 {
    losses.iter().sum::<f32>() / losses.len() as f32
}

#[test]
fn it_learns_the_synthetic_set_and_then_a_drawing() {
    let mut session = Session::new(&Gpu::new().unwrap()).unwrap();
    let losses = train(&mut session, 150);
    let (first, last) = (mean(&losses[..20]), mean(&losses[130..]));
    assert!(last < 0.25 * first, "{first} in the first steps, {last} in the last");
    let ring = drawing(|x, y| (3.0..5.5).contains(&x.hypot(y)));
    let cross = drawing(|x, y| x.abs().max(y.abs()) < 5.5 && x.abs().min(y.abs()) < 1.2);
    assert_eq!((name(&mut session, &ring), name(&mut session, &cross)), ("ring", "cross"));

    let outline = drawing(|x, y| (3.5..5.5).contains(&x.abs().max(y.abs())));
    let untaught = name(&mut session, &outline);
    assert_ne!(untaught, "triangle", "what is to be taught must not be known");
    let n = session.images().len();
    session.teach(&outline, 3).unwrap();
    assert!(session.images().len() > n);
    train(&mut session, 80);
    assert_eq!(name(&mut session, &outline), "triangle");
}

#[test]
fn weights_go_out_and_in() {
    let gpu = Gpu::new().unwrap();
    let (mut session, mut other) = (Session::new(&gpu).unwrap(), Session::new(&gpu).unwrap());
    session.stop_after(3);
    train(&mut session, 3);
    let weights = now(session.weights()).unwrap();
    assert_ne!(now(other.weights()).unwrap(), weights);
    other.load(&weights).unwrap();
    assert_eq!(now(other.weights()).unwrap(), weights);
    assert!(other.load(&weights[..100]).is_err());
    assert_eq!(now(other.weights()).unwrap(), weights);
}

#[test]
fn what_is_no_drawing_is_refused() {
    let mut session = Session::new(&Gpu::new().unwrap()).unwrap();
    for (pixels, label) in [(SIDE * SIDE - 1, 0), (SIDE * SIDE, CLASSES.len() as u8), (0, 0)] {
        assert!(session.teach(&vec![0; pixels], label).is_err());
    }
    assert!(session.show(Some(&[0; 4])).is_err());
    assert!(session.show(None).is_ok());
}

#[test]
fn the_set_has_each_class_as_often() {
    let images = synthetic_ink(100, 3).unwrap();
    for label in 0..CLASSES.len() as u8 {
        assert_eq!(images.labels.iter().filter(|&&l| l == label).count(), 20);
    }
    // The darkest pixel of each image is ink, and a tenth of them at least is not.
    for pixels in images.pixels.chunks_exact(SIDE * SIDE) {
        assert_eq!(pixels.iter().max(), Some(&255));
        assert!(pixels.iter().filter(|&&ink| ink < 100).count() > SIDE * SIDE / 10);
    }
}
