//! The one-cycle schedule against PyTorch's, step by step.

use wgrad_nn::{Anneal, Error, OneCycle};
use wgrad_testkit::compare::assert_close;

use crate::common::Fixture;

#[test]
fn every_step_has_pytorchs_learning_rate() {
    let fixture = Fixture::open("schedules.safetensors");
    let cycle = |max_lr, steps| OneCycle::new(max_lr, steps).unwrap();
    let cases = [
        ("linear", OneCycle { pct_start: 0.25, anneal: Anneal::Linear, ..cycle(0.8, 40) }),
        ("cos", cycle(0.1, 37)),
        ("factors", OneCycle { pct_start: 0.5, div_factor: 4.0, final_div_factor: 10.0, ..cycle(1.0, 10) }),
        ("short", OneCycle { anneal: Anneal::Linear, ..cycle(1.0, 3) }),
    ];
    for (case, cycle) in cases {
        let rates: Vec<f32> = (0..cycle.total_steps).map(|step| cycle.lr(step) as f32).collect();
        assert_close(case, &rates, &fixture.array(case), 1e-6, 1e-12);
        let last = cycle.lr(cycle.total_steps - 1);
        for later in [cycle.total_steps, 10 * cycle.total_steps, u64::MAX] {
            assert!((cycle.lr(later) - last).abs() < 1e-12, "{case}: it stays at the end");
        }
    }
}

#[test]
fn the_shortest_runs_have_rates_too() {
    for steps in 1..8 {
        let cycle = OneCycle::new(0.5, steps).unwrap();
        let rates: Vec<f64> = (0..steps).map(|step| cycle.lr(step)).collect();
        assert!(rates.iter().all(|rate| (0.0..=0.5).contains(rate)), "{steps} steps: {rates:?}");
    }
}

#[test]
fn peaks_that_are_no_rates_are_refused() {
    for (lr, steps) in [(-0.1, 10), (f64::NAN, 10), (f64::INFINITY, 10), (0.1, 0)] {
        let error = OneCycle::new(lr, steps).unwrap_err();
        assert!(matches!(error, Error::Options { .. }), "{error}");
        assert!(error.to_string().contains(&format!("lr {lr}")), "{error}");
    }
}

/// The fields are open, so that a cycle can be changed; what comes of it is checked where it is used.
#[test]
fn fields_that_give_no_rates_are_found() {
    let cycle = OneCycle::new(0.1, 10).unwrap();
    assert!(OneCycle { max_lr: 0.0, ..cycle }.check().is_ok());
    for pct_start in [0.0, 1.0] {
        let cycle = OneCycle { pct_start, ..cycle };
        cycle.check().unwrap();
        assert!((0..20).all(|step| (0.0..=0.1).contains(&cycle.lr(step))), "{cycle}");
    }
    let refused = [
        (OneCycle { div_factor: 0.0, ..cycle }, "div_factor 0"),
        (OneCycle { div_factor: -25.0, ..cycle }, "div_factor -25"),
        (OneCycle { div_factor: f64::NAN, ..cycle }, "div_factor NaN"),
        (OneCycle { div_factor: 1e-320, ..cycle }, "not finite"),
        (OneCycle { final_div_factor: 0.0, ..cycle }, "final_div_factor 0"),
        (OneCycle { final_div_factor: f64::INFINITY, ..cycle }, "final_div_factor inf"),
        (OneCycle { pct_start: 1.5, ..cycle }, "pct_start 1.5"),
        (OneCycle { pct_start: f64::NAN, ..cycle }, "pct_start NaN"),
        (OneCycle { max_lr: f64::NAN, ..cycle }, "lr NaN"),
        (OneCycle { total_steps: 0, ..cycle }, "0 steps"),
    ];
    for (cycle, part) in refused {
        let error = cycle.check().unwrap_err();
        assert!(matches!(error, Error::Options { what: "one-cycle schedule", .. }), "{error}");
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}
