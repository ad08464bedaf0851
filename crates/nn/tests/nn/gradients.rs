//! Gradients as a value: what is done to all of them at once, and by how many launches.

use wgrad_nn::autograd::{Gpu, Tensor};
use wgrad_nn::{
    Adam, AdamOptions, Builder, Error, Gradients, Init, Linear, Mode, Optimizer, Parameters, Sequential,
    build,
};
use wgrad_testkit::sample::Sampler;

use crate::common::{FAMILIES, Fixture, flat, gpu, gpu_of};
use crate::sharing::application_with;

/// Parameters of odd sizes.
fn parameters(gpu: &Gpu) -> Parameters {
    let make = |b: &Builder| {
        b.param("a", &[5, 3], Init::Uniform { bound: 1.0 });
        b.param("b", &[7], Init::Uniform { bound: 1.0 });
        b.param("c", &[13, 11], Init::Uniform { bound: 1.0 });
    };
    build(gpu, 0, make).unwrap().1
}

/// Random gradients of these parameters, and their values.
fn random(parameters: &Parameters, names: &[&str], seed: u64) -> (Gradients, Vec<Vec<f32>>) {
    let mut gradients = Gradients::zeros(parameters).unwrap();
    let mut sampler = Sampler::new(seed);
    let mut draw = |name: &&str| {
        let shape = parameters.get(name).unwrap().shape().to_vec();
        let values = sampler.uniform(&shape, -1.0, 1.0).to_f32();
        gradients.set(name, &Tensor::from_slice(parameters.gpu(), &values, &shape).unwrap()).unwrap();
        values
    };
    let values = names.iter().map(&mut draw).collect();
    (gradients, values)
}

pub fn names_of(gradients: &Gradients) -> Vec<&str> {
    gradients.iter().map(|(name, _)| name).collect()
}

pub fn values_of(gradients: &Gradients) -> Vec<Vec<f32>> {
    gradients.iter().map(|(_, value)| value.to_vec().unwrap()).collect()
}

/// The names of what `f` records, but for the writes by which the device's new buffers begin as NaN.
pub fn launches<T>(gpu: &Gpu, f: impl FnOnce() -> T) -> (T, Vec<String>) {
    gpu.submit().unwrap();
    let result = f();
    let names = gpu.pending_commands().into_iter().map(|command| command.name);
    (result, names.filter(|name| name != "write").collect())
}

fn apply(values: &[Vec<f32>], f: impl Fn(f32) -> f32) -> Vec<Vec<f32>> {
    values.iter().map(|values| values.iter().map(|x| f(*x)).collect()).collect()
}

#[test]
fn what_is_done_to_all_gradients_takes_one_launch() {
    let gpu = gpu();
    let parameters = parameters(&gpu);
    let (mut sum, a) = random(&parameters, &["a", "b", "c"], 1);
    let (other, b) = random(&parameters, &["a", "b", "c"], 2);
    assert_eq!(values_of(&sum), a);

    let ((), names) = launches(&gpu, || sum.add(&other).unwrap());
    assert_eq!(names, ["flat_add"]);
    let total: Vec<Vec<f32>> =
        a.iter().zip(&b).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect()).collect();
    assert_eq!(values_of(&sum), total);

    let ((), names) = launches(&gpu, || sum.scale(0.5).unwrap());
    assert_eq!(names, ["flat_scale"]);
    assert_eq!(values_of(&sum), apply(&total, |x| x * 0.5));

    let mut clipped = sum.copy().unwrap();
    let ((), names) = launches(&gpu, || clipped.clip_value(0.25).unwrap());
    assert_eq!(names, ["flat_clamp"]);
    assert_eq!(values_of(&clipped), apply(&total, |x| (x * 0.5).clamp(-0.25, 0.25)));
    assert_eq!(values_of(&sum), apply(&total, |x| x * 0.5), "the copy is one");

    clipped.add_scaled(&other, -2.0).unwrap();
    let got = &values_of(&clipped)[1][3];
    assert!((got - ((total[1][3] * 0.5).clamp(-0.25, 0.25) - 2.0 * b[1][3])).abs() < 1e-6);

    let mut twice = other.copy().unwrap();
    let same = twice.clone();
    twice.add(&same).unwrap();
    assert_eq!(values_of(&twice), apply(&b, |x| 2.0 * x), "a store added to itself");

    let ((), names) = launches(&gpu, || sum.fill(3.0).unwrap());
    assert_eq!(names.last().unwrap(), "flat_fill");
    assert_eq!(values_of(&sum), apply(&total, |_| 3.0));
    let ones = parameters.count() as f32;
    assert!((sum.global_norm().unwrap().item().unwrap() - 3.0 * ones.sqrt()).abs() < 1e-4);
    for error in [sum.clip_value(-1.0).unwrap_err(), sum.clip_norm(f32::NAN).unwrap_err()] {
        assert!(matches!(error, Error::Options { .. }), "{error}");
    }
}

#[test]
fn clipping_by_norm_is_pytorchs_and_waits_for_nothing() {
    let fixture = Fixture::open("optimizers.safetensors");
    for family in FAMILIES {
        let gpu = gpu_of(family);
        let make = |b: &Builder| {
            b.param("a", &[5, 3], Init::Constant(0.0));
            b.param("b", &[7], Init::Constant(0.0));
        };
        let (_, parameters) = build(&gpu, 0, make).unwrap();
        for (case, most) in [("clip", 0.5), ("no_clip", 100.0)] {
            let mut gradients = Gradients::zeros(&parameters).unwrap();
            for name in ["a", "b"] {
                gradients.set(name, &fixture.tensor(&gpu, &format!("grad.1.{name}"))).unwrap();
            }
            let (norm, names) = launches(&gpu, || gradients.clip_norm(most).unwrap());
            assert_eq!(names, ["flat_norm_part", "flat_norm", "flat_clip"]);
            fixture.assert_close(&format!("{case}.norm"), &norm, 1e-6, 0.0);
            for (name, gradient) in gradients.iter() {
                fixture.assert_close(&format!("{case}.{name}"), &gradient, 1e-6, 1e-7);
            }
        }
    }
}

#[test]
fn infinities_and_nan_go_through_clipping_as_in_pytorch() {
    let gpu = gpu();
    let parameters = parameters(&gpu);
    for (odd, infinite) in [(f32::INFINITY, true), (f32::NAN, false)] {
        let mut gradients = Gradients::zeros(&parameters).unwrap();
        gradients
            .set("b", &Tensor::from_slice(&gpu, &[1.0, -2.0, odd, 0.0, 3.0, 0.5, -0.5], &[7]).unwrap())
            .unwrap();
        let mut by_value = gradients.copy().unwrap();
        by_value.clip_value(1.0).unwrap();
        let got = values_of(&by_value).remove(0);
        assert_eq!([got[0], got[1], got[4]], [1.0, -1.0, 1.0]);
        assert!(if infinite { got[2] == 1.0 } else { got[2].is_nan() }, "{got:?}");
        let norm = gradients.clip_norm(1.0).unwrap().item().unwrap();
        assert!(if infinite { norm == f32::INFINITY } else { norm.is_nan() }, "{norm}");
        let got = values_of(&gradients).remove(0);
        assert!(got[2].is_nan() && if infinite { got[0] == 0.0 } else { got[0].is_nan() }, "{got:?}");
    }
}

#[test]
fn a_store_knows_which_parameters_have_a_gradient() {
    let gpu = gpu();
    let parameters = parameters(&gpu);
    let mut sum = Gradients::zeros(&parameters).unwrap();
    assert!(sum.is_empty() && sum.get("a").is_none());
    assert_eq!(sum.global_norm().unwrap().item().unwrap(), 0.0);
    sum.add(&random(&parameters, &["a"], 1).0).unwrap();
    assert_eq!(names_of(&sum), ["a"]);
    sum.add(&random(&parameters, &["c"], 2).0).unwrap();
    assert_eq!((names_of(&sum), sum.len()), (vec!["a", "c"], 2));
    assert_eq!(sum.to_state_dict().unwrap().tensors.len(), 2);

    // Neither what has no value nor padding counts, whatever the closure makes of it.
    let ones = sum.map(|x| x.mul_add_scalar(0.0, 1.0)).unwrap();
    assert_eq!(names_of(&ones), ["a", "c"]);
    assert!((ones.global_norm().unwrap().item().unwrap() - f32::sqrt(15.0 + 143.0)).abs() < 1e-4);
    assert!(values_of(&ones).concat().iter().all(|x| *x == 1.0));
    assert!(flat(&parameters).len() > 165, "there is padding");
    let error = sum.map(|x| x.slice(0, 0, 64)).unwrap_err();
    assert!(error.to_string().contains("map"), "{error}");

    // Of a loss that depends on some parameters, those have one. Buffers start as NaN.
    let loss = parameters.get("b").unwrap().square().unwrap().sum_all().unwrap();
    let (gradients, names) = launches(&gpu, || parameters.gradients(&loss).unwrap());
    assert_eq!(names_of(&gradients), ["b"]);
    assert!(!names.contains(&"copy".to_owned()), "{names:?}");
    let b = parameters.get("b").unwrap().to_vec().unwrap();
    let want = 2.0 * b.iter().map(|b| b * b).sum::<f32>().sqrt();
    assert!((gradients.global_norm().unwrap().item().unwrap() - want).abs() < 1e-5);
}

#[test]
fn gradients_of_micro_batches_add_up_to_those_of_the_batch() {
    let gpu = gpu();
    let make = |b: &Builder| {
        Sequential::new(b).with(|b| Linear::new(b, 6, 9).with_relu()).with(|b| Linear::new(b, 9, 1))
    };
    let (model, parameters) = build(&gpu, 3, make).unwrap();
    let x = Tensor::from_slice(&gpu, &Sampler::new(1).uniform(&[8, 6], -1.0, 1.0).to_f32(), &[8, 6]).unwrap();
    let loss = |x: &Tensor| model.forward(x, Mode::Train).unwrap().square().unwrap().mean_all().unwrap();
    let whole = parameters.gradients(&loss(&x)).unwrap();
    let mut sum = Gradients::zeros(&parameters).unwrap();
    for i in 0..4 {
        sum.add(&parameters.gradients(&loss(&x.slice(0, 2 * i, 2 * i + 2).unwrap())).unwrap()).unwrap();
    }
    sum.scale(0.25).unwrap();
    assert_eq!((sum.len(), whole.len()), (4, 4));
    for ((name, got), want) in sum.iter().zip(values_of(&whole)) {
        let largest = want.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        assert!(largest > 0.0, "{name}");
        let got = got.to_vec().unwrap();
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() <= 1e-6 * largest.max(1.0)), "{name}");
    }
}

#[test]
fn an_average_of_the_weights_is_a_launch_a_step() {
    let gpu = gpu();
    let parameters = parameters(&gpu);
    let mut average = parameters.values().copy().unwrap();
    let start = flat(&parameters);
    parameters.values().scale(3.0).unwrap();
    let ((), names) = launches(&gpu, || average.lerp(&parameters.values(), 0.25).unwrap());
    assert_eq!(names, ["flat_lerp"]);
    let got = average.get("a").unwrap().to_vec().unwrap();
    assert!(got.iter().zip(&start).all(|(got, start)| (got - 1.5 * start).abs() < 1e-6));
    parameters.values().assign(&average).unwrap();
    assert_eq!(parameters.get("a").unwrap().to_vec().unwrap(), got);
    // What is frozen is its own average, to the bit, however often it is taken; and a weight of 1 takes the other.
    for _ in 0..50 {
        average.lerp(&parameters.values(), 1e-3).unwrap();
    }
    assert_eq!(average.get("a").unwrap().to_vec().unwrap(), got);
    parameters.values().scale(1.1).unwrap();
    average.lerp(&parameters.values(), 1.0).unwrap();
    assert_eq!(average.get("a").unwrap().to_vec().unwrap(), parameters.get("a").unwrap().to_vec().unwrap());
}

/// A net of 5,980 values, trained a few steps: its parameters by name.
fn trained(gpu: &Gpu) -> (Parameters, Vec<usize>) {
    let make = |b: &Builder| {
        let first = Sequential::new(b).with(|b| Linear::new(b, 40, 50).with_relu());
        first.with(|b| Linear::new(b, 50, 60).with_relu()).with(|b| Linear::new(b, 60, 14))
    };
    let (model, parameters) = build(gpu, 3, make).unwrap();
    let mut adam = Adam::new(&parameters, AdamOptions { lr: 0.01, ..Default::default() }).unwrap();
    let x =
        Tensor::from_slice(gpu, &Sampler::new(1).uniform(&[4, 40], -1.0, 1.0).to_f32(), &[4, 40]).unwrap();
    let mut counts = Vec::new();
    for _ in 0..3 {
        let loss = model.forward(&x, Mode::Train).unwrap().square().unwrap().mean_all().unwrap();
        let mut gradients = parameters.gradients(&loss).unwrap();
        assert_eq!(gradients.len(), 6);
        gradients.clip_norm(0.1).unwrap();
        let ((), names) = launches(gpu, || adam.step(&gradients).unwrap());
        counts.push(names.iter().filter(|name| *name == "optimize+adam").count());
    }
    (parameters, counts)
}

#[test]
fn a_model_larger_than_a_binding_trains_as_one_in_one_buffer() {
    let large = application_with(|_| {});
    let (whole, launches) = trained(&Gpu::builder().poison().from_wgpu(large.1, large.2));
    assert_eq!((whole.flats().len(), launches), (1, vec![1; 3]));
    let small = application_with(|limits| limits.max_storage_buffer_binding_size = 16_384);
    let gpu = Gpu::builder().poison().from_wgpu(small.1, small.2);
    let (parts, launches) = trained(&gpu);
    assert_eq!((parts.flats().len(), launches), (2, vec![2; 3]));
    assert!(parts.flats().iter().all(|flat| flat.numel() * 4 <= 16_384));
    let (a, b) = (whole.state_dict().unwrap(), parts.state_dict().unwrap());
    for (name, (_, values)) in &a.tensors {
        // Norms are added up in another order.
        let pairs = values.iter().zip(&b.tensors[name].1);
        assert!(pairs.clone().all(|(a, b)| (a - b).abs() < 1e-6), "{name}");
        assert!(pairs.clone().count() > 0, "{name}");
    }
    parts.load_state_dict(&a, "whole").unwrap();
    assert_eq!(parts.state_dict().unwrap(), a);

    let error = build(&gpu, 0, |b| Linear::new(&b.scope("fc"), 65, 65)).err().unwrap();
    assert!(
        matches!(&error, Error::ModelTooLarge { name, limit: 16_384, .. } if name == "fc.weight"),
        "{error}"
    );
}

/// The norm is added up by workgroups: as often as it is taken, it has the same bits.
#[test]
fn the_norm_has_the_same_bits_each_time() {
    for family in FAMILIES {
        let gpu = gpu_of(family);
        let (_, params) = build(&gpu, 0, |b| Linear::new(b, 300, 257)).unwrap();
        let (gradients, _) = random(&params, &["weight", "bias"], 5);
        let norms: Vec<_> = (0..20).map(|_| gradients.global_norm().unwrap().read_later().unwrap()).collect();
        gpu.submit().unwrap();
        let bits: Vec<u32> = norms.into_iter().map(|norm| norm.wait().unwrap()[0].to_bits()).collect();
        assert!(bits.iter().all(|norm| *norm == bits[0]) && f32::from_bits(bits[0]) > 1.0, "{bits:?}");
    }
}

#[test]
fn parts_are_told_once_each_as_soon_as_they_are_complete() {
    let gpu = gpu();
    let make = |b: &Builder| ["a", "b", "c", "d", "e"].map(|name| Linear::new(&b.scope(name), 5, 5));
    let (layers, params) = build(&gpu, 3, make).unwrap();
    params.freeze("c.*").unwrap();
    let loss = || {
        let x = Tensor::from_slice(&gpu, &[0.5, -1.0, 2.0, 0.25, 3.0], &[1, 5]).unwrap();
        // `d` is not used; the weight of `a` is complete when the second use of `a` is.
        let [a, b, c, _, e] = &layers;
        let y = [a, b, c, e, a].iter().fold(x, |x, layer| layer.forward(&x).unwrap().tanh().unwrap());
        y.sum_all().unwrap()
    };
    let whole = params.gradients(&loss()).unwrap();
    // Each entry a part, and all of them one.
    for bytes in [1, 1 << 20] {
        let parts = params.parts(bytes);
        assert_eq!(parts.len(), if bytes == 1 { 10 } else { 1 });
        let mut told = Vec::new();
        let gradients = params
            .gradients_by_part(&loss(), &parts, |gradients, part| {
                // A read recorded now sees what the rest of the walk does not change any more.
                told.push((part, gradients.read_part_later(&parts[part])?));
                Ok::<_, wgrad_nn::Error>(())
            })
            .unwrap();
        let mut seen: Vec<usize> = told.iter().map(|(part, _)| *part).collect();
        if bytes == 1 {
            let name = |part: usize| params.entries()[parts[part].entries.start].name.as_str();
            let order: Vec<&str> = seen.iter().map(|&part| name(part)).collect();
            assert_eq!(order[..4].iter().map(|name| &name[..1]).collect::<String>(), "eebb", "{order:?}");
            assert_eq!(order[4..6].iter().map(|name| &name[..1]).collect::<String>(), "aa", "{order:?}");
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..parts.len()).collect::<Vec<_>>(), "each part once");
        for (part, values) in told {
            let (values, part) = (values.wait().unwrap(), &parts[part]);
            for entry in &params.entries()[part.entries.clone()] {
                let own = &values[entry.offset - part.range.start..][..entry.tensor.numel()];
                let expected = whole.get(&entry.name).map(|gradient| gradient.to_vec().unwrap());
                assert_eq!(own, expected.unwrap_or_else(|| vec![0.0; own.len()]), "{}", entry.name);
            }
        }
        assert_eq!(gradients.present(), whole.present());
    }
}

#[test]
fn a_part_is_overwritten_and_other_lengths_are_refused() {
    let gpu = gpu();
    let (_, params) = build(&gpu, 3, |b| Linear::new(&b.scope("a"), 3, 2)).unwrap();
    let mut values = wgrad_nn::FlatValues::zeros(&params).unwrap();
    let part = params.parts(1).remove(0);
    assert_eq!((part.entries.clone(), part.range.len()), (1..2, 2), "the last one declared comes first");
    values.write_part(&part, &[1.0, 2.0]).unwrap();
    values.set_all_present(&[false, true]).unwrap();
    assert_eq!(values.get("a.bias").unwrap().to_vec().unwrap(), [1.0, 2.0]);
    assert!(values.get("a.weight").is_none());
    assert!(values.write_part(&part, &[1.0]).is_err() && values.set_all_present(&[true]).is_err());
}
