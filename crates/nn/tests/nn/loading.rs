//! Loading a part of a state dict, under other names, with a report.

use wgrad_nn::{BatchNorm2d, Builder, Error, Linear, Load, Parameters, StateDict, build};

use crate::common::gpu;

fn model(outputs: usize, seed: u64) -> Parameters {
    let make = |b: &Builder| {
        Linear::new(&b.scope("trunk"), 4, 8);
        BatchNorm2d::new(&b.scope("norm"), 8, Default::default());
        Linear::new(&b.scope("fc"), 8, outputs);
    };
    build(&gpu(), seed, make).unwrap().1
}

/// Another model's state, under the names that a wrapper gives.
fn wrapped() -> StateDict {
    let mut state = model(10, 1).state_dict().unwrap();
    state.tensors =
        state.tensors.into_iter().map(|(name, values)| (format!("module.{name}"), values)).collect();
    state
}

#[test]
fn a_part_is_loaded_under_other_names() {
    let parameters = model(5, 2);
    let before = parameters.state_dict().unwrap();
    let state = wrapped();
    let report = parameters.load(&state, Load::partial().rename("module.", "").skip("fc.*")).unwrap();
    assert_eq!(
        (report.loaded.len(), &report.skipped[..]),
        (7, &["fc.weight".to_owned(), "fc.bias".to_owned()][..])
    );
    assert_eq!(report.to_string(), "loaded 7; skipped 2: fc.weight, fc.bias");
    let after = parameters.state_dict().unwrap();
    for (name, values) in &after.tensors {
        let want = if name.starts_with("fc.") {
            &before.tensors[name]
        } else {
            &state.tensors[&format!("module.{name}")]
        };
        assert_eq!(values, want, "{name}");
    }
    // The same is strict enough where all else fits.
    let again = parameters.load(&state, Load::strict().rename("module.", "").skip("fc.*")).unwrap();
    assert_eq!(again, report);
}

#[test]
fn what_does_not_fit_is_reported_and_left() {
    let parameters = model(5, 2);
    let before = parameters.state_dict().unwrap();
    let mut state = model(10, 1).state_dict().unwrap();
    state.tensors.remove("norm.bias");
    state.tensors.insert("head.bias".to_owned(), (vec![1], vec![0.0]));
    let report = parameters.load(&state, Load::partial()).unwrap();
    assert_eq!(report.loaded.len(), 6);
    assert_eq!(
        (&report.missing[..], &report.unexpected[..]),
        (&["norm.bias".to_owned()][..], &["head.bias".to_owned()][..])
    );
    assert_eq!(
        report.mismatched,
        ["fc.weight (file [10, 8], model [5, 8])", "fc.bias (file [10], model [5])"]
    );
    let text = report.to_string();
    assert!(
        text.starts_with("loaded 6; missing 1: norm.bias; unexpected 1: head.bias; mismatched 2: fc.weight"),
        "{text}"
    );
    assert_eq!(parameters.state_dict().unwrap().tensors["fc.weight"], before.tensors["fc.weight"]);
}

#[test]
fn a_strict_load_changes_all_or_nothing() {
    let parameters = model(5, 2);
    let before = parameters.state_dict().unwrap();
    for options in
        [Load::strict(), Load::strict().rename("module.", ""), Load::strict().named("r.safetensors")]
    {
        let error = parameters.load(&wrapped(), options).unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error}");
    }
    let error = parameters.load(&wrapped(), Load::partial().skip("fx.*")).unwrap_err();
    assert!(
        matches!(error, Error::Options { what: "load", .. }) && error.to_string().contains("fx.*"),
        "{error}"
    );
    let error = parameters.load(&wrapped(), Load::partial().rename("module.trunk", "module.fc")).unwrap_err();
    assert!(error.to_string().contains("module.fc."), "{error}");
    assert_eq!(parameters.state_dict().unwrap(), before);
}
