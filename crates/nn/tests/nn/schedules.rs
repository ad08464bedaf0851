//! Schedules against PyTorch's, step by step, and their end points.

use wgrad_nn::{
    Anneal, Chained, Constant, Cosine, CosineWarmRestarts, Error, Exponential, LinearWarmUp, MultiStep,
    OneCycle, PlateauMode, PlateauOptions, PlateauState, Polynomial, ReduceOnPlateau, Schedule, StepLr,
};
use wgrad_testkit::compare::assert_close;

use crate::common::Fixture;

#[test]
fn every_step_has_pytorchs_learning_rate() {
    let fixture = Fixture::open("schedules.safetensors");
    let cycle = |max_lr, steps| OneCycle::new(max_lr, steps).unwrap();
    let cases = [
        ("linear", OneCycle { pct_start: 0.25, anneal: Anneal::Linear, ..cycle(0.8, 100) }),
        ("cos", cycle(0.1, 137)),
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

const COSINE: Cosine = Cosine { lr: 0.5, total_steps: 89, min_lr: 0.01 };
const RESTARTS: CosineWarmRestarts = CosineWarmRestarts { lr: 0.5, first_cycle: 10, times: 2, min_lr: 0.01 };

#[test]
fn a_hundred_steps_of_every_schedule_are_pytorchs() {
    let fixture = Fixture::open("schedule_steps.safetensors");
    let chained = Chained::new(Exponential { lr: 0.5, gamma: 0.9 })
        .then(20, StepLr { lr: 0.5, step_size: 15, gamma: 0.5 })
        .then(60, Polynomial { lr: 0.5, total_steps: 30, power: 2.0 });
    let cases: [(&str, Box<dyn Schedule>); 8] = [
        ("step", Box::new(StepLr { lr: 0.5, step_size: 30, gamma: 0.1 })),
        ("multi_step", Box::new(MultiStep { lr: 0.5, milestones: vec![60, 10, 11], gamma: 0.5 })),
        ("exponential", Box::new(Exponential { lr: 0.5, gamma: 0.97 })),
        ("polynomial", Box::new(Polynomial { lr: 0.5, total_steps: 80, power: 2.0 })),
        ("cosine", Box::new(Cosine { total_steps: 99, ..COSINE })),
        ("cosine_warm_restarts", Box::new(RESTARTS)),
        ("linear_warm_up", Box::new(LinearWarmUp::new(10, 0.1, COSINE))),
        ("chained", Box::new(chained)),
    ];
    for (case, schedule) in cases {
        schedule.check().unwrap();
        let rates: Vec<f32> = (0..100).map(|step| schedule.lr(step) as f32).collect();
        assert_close(case, &rates, &fixture.array(case), 1e-6, 1e-9);
    }
}

/// The first step, the last of a part, the first of the next, and what lies beyond the end.
#[test]
fn end_points_are_as_stated() {
    let is = |schedule: &dyn Schedule, step: u64, rate: f64| {
        let found = schedule.lr(step);
        assert!((found - rate).abs() < 1e-12, "{schedule} at {step}: {found}, not {rate}");
    };
    for (step, rate) in [(0, 0.5), (89, 0.01), (90, 0.01), (u64::MAX, 0.01)] {
        is(&COSINE, step, rate);
    }
    assert!(COSINE.lr(88) > 0.01);
    // Cycles begin at 0, 10, 30 and 70, with the full rate.
    for step in [0, 10, 30, 70] {
        is(&RESTARTS, step, 0.5);
        assert!(step == 0 || RESTARTS.lr(step - 1) < 0.05, "{step}");
    }
    is(&CosineWarmRestarts { times: 1, ..RESTARTS }, 10 * (1 << 60), 0.5);
    assert!(RESTARTS.lr(u64::MAX).is_finite());
    let warm = LinearWarmUp::new(4, 0.2, Constant { lr: 1.0 });
    for (step, rate) in [(0, 0.2), (1, 0.4), (3, 0.8), (4, 1.0), (5, 1.0)] {
        is(&warm, step, rate);
    }
    is(&LinearWarmUp::new(0, 0.2, Constant { lr: 1.0 }), 0, 1.0);
    let line = Polynomial { lr: 1.0, total_steps: 4, power: 1.0 };
    for (step, rate) in [(0, 1.0), (3, 0.25), (4, 0.0), (5, 0.0)] {
        is(&line, step, rate);
    }
    // Each part of a chain counts from its own start.
    let chain = Chained::new(Constant { lr: 3.0 }).then(2, line).then(4, warm);
    for (step, rate) in [(0, 3.0), (1, 3.0), (2, 1.0), (3, 0.75), (4, 0.2), (8, 1.0), (u64::MAX, 1.0)] {
        is(&chain, step, rate);
    }
    is(&StepLr { lr: 1.0, step_size: 1, gamma: 1.0 }, u64::MAX, 1.0);
}

/// Checkpoints tell schedules apart by their words.
#[test]
fn schedules_say_what_they_are() {
    let warm = LinearWarmUp::new(10, 0.1, COSINE);
    let chain = Chained::new(warm.clone()).then(99, Constant { lr: 0.01 });
    for (schedule, words) in [
        (&Constant { lr: 0.1 } as &dyn Schedule, "constant 0.1"),
        (&StepLr { lr: 0.5, step_size: 30, gamma: 0.1 }, "0.5 times 0.1 every 30 steps"),
        (&MultiStep { lr: 0.5, milestones: vec![1, 7], gamma: 0.1 }, "0.5 times 0.1 at steps [1, 7]"),
        (&Exponential { lr: 0.5, gamma: 0.9 }, "0.5 times 0.9 every step"),
        (&Polynomial { lr: 0.5, total_steps: 8, power: 2.0 }, "0.5 to 0 in 8 steps by power 2"),
        (&RESTARTS, "0.5 to 0.01 by cosines of 10 steps, each 2 times the one before"),
        (&warm, "10 steps of warm-up from 0.1, then 0.5 to 0.01 in 89 steps by a cosine"),
        (
            &chain,
            "10 steps of warm-up from 0.1, then 0.5 to 0.01 in 89 steps by a cosine; from step 99 constant 0.01",
        ),
    ] {
        assert_eq!(schedule.to_string(), words);
        schedule.check().unwrap();
    }
}

#[test]
fn schedules_that_give_no_rates_are_found() {
    let one = || Constant { lr: 1.0 };
    let bad: [&dyn Schedule; 16] = [
        &Constant { lr: -1.0 },
        &Constant { lr: f64::NAN },
        &StepLr { lr: 1.0, step_size: 0, gamma: 0.1 },
        &StepLr { lr: 1.0, step_size: 1, gamma: -0.1 },
        &MultiStep { lr: f64::INFINITY, milestones: vec![], gamma: 0.1 },
        &Exponential { lr: 1.0, gamma: 1.5 },
        &Polynomial { lr: 1.0, total_steps: 0, power: 1.0 },
        &Polynomial { lr: 1.0, total_steps: 5, power: 0.0 },
        &Cosine { total_steps: 0, ..COSINE },
        &Cosine { min_lr: -1.0, ..COSINE },
        &CosineWarmRestarts { first_cycle: 0, ..RESTARTS },
        &CosineWarmRestarts { times: 0, ..RESTARTS },
        &LinearWarmUp::new(5, 0.0, one()),
        &LinearWarmUp::new(5, 0.5, Constant { lr: -1.0 }),
        &Chained::new(one()).then(5, one()).then(5, one()),
        &Chained { parts: vec![], milestones: vec![] },
    ];
    for schedule in bad {
        let error = schedule.check().unwrap_err();
        assert!(matches!(error, Error::Options { .. }), "{schedule:?}: {error}");
        // And asking all the same does no harm.
        for step in [0, 5, u64::MAX] {
            schedule.lr(step);
        }
    }
}

#[test]
fn plateaus_are_pytorchs_and_can_be_saved() {
    let fixture = Fixture::open("schedule_steps.safetensors");
    let (_, metrics) = fixture.values("metrics");
    let by = PlateauOptions { lr: 0.5, patience: 3, ..Default::default() };
    let other = PlateauOptions {
        mode: PlateauMode::Max,
        factor: 0.5,
        patience: 2,
        threshold: 0.05,
        relative: false,
        cooldown: 2,
        min_lr: 0.02,
        ..by
    };
    for (case, options) in [("plateau", by), ("plateau_max", other)] {
        let mut schedule = ReduceOnPlateau::new(options).unwrap();
        let mut rates = Vec::new();
        for &metric in &metrics {
            // From its text at every step.
            let state: PlateauState = schedule.state().to_string().parse().unwrap();
            assert_eq!(state, schedule.state());
            schedule = ReduceOnPlateau::new(options).unwrap();
            schedule.set_state(state).unwrap();
            rates.push(schedule.step(f64::from(metric)) as f32);
        }
        assert_close(case, &rates, &fixture.array(case), 1e-6, 1e-12);
        assert!(rates[0] == 0.5 && *rates.last().unwrap() < 0.1, "{case}: {rates:?}");
    }
    // Without patience the first metric that is no better is one too many.
    let mut impatient = ReduceOnPlateau::new(PlateauOptions { patience: 0, ..by }).unwrap();
    assert_eq!([1.0, 1.0].map(|metric| impatient.step(metric)), [0.5, 0.05]);
    for options in [
        PlateauOptions { lr: f64::NAN, ..by },
        PlateauOptions { factor: 1.0, ..by },
        PlateauOptions { threshold: -1.0, ..by },
    ] {
        assert!(matches!(ReduceOnPlateau::new(options).unwrap_err(), Error::Options { .. }), "{options:?}");
    }
    for text in ["", "1 2 3", "1 2 3 x", "1 2 3 4 5"] {
        assert!(text.parse::<PlateauState>().is_err(), "{text}");
    }
    assert!(impatient.set_state("NaN 1 0 0".parse().unwrap()).is_err());
}
