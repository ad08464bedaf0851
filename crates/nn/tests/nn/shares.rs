//! Optimizers whose state several ranks keep in shares, against one that keeps all of it.

use wgrad_nn::autograd::{Gpu, Tensor};
use wgrad_nn::{
    Adam, AdamOptions, BuildOptions, Builder, Error, Gradients, Init, Lamb, LambOptions, Muon, MuonOptions,
    Optimizer, Parameters, Sgd, SgdOptions, StateDict, build_with,
};
use wgrad_testkit::sample::Sampler;

use crate::common::{bits, gpu};
use crate::ranks::on_ranks;

/// Some matrices and vectors of odd sizes; `fc2.weight` alone is larger than a flat buffer of [`FLAT_BYTES`].
const SHAPES: [(&str, &[usize]); 7] = [
    ("conv.weight", &[5, 3, 3, 3]),
    ("conv.bias", &[5]),
    ("fc1.weight", &[23, 11]),
    ("fc1.bias", &[23]),
    ("fc2.weight", &[29, 23]),
    ("fc2.bias", &[29]),
    ("scale", &[130]),
];
const FLAT_BYTES: u64 = 1536;

type Make = fn(&Parameters) -> Box<dyn Optimizer>;

fn parameters(gpu: &Gpu, flat_bytes: Option<u64>) -> Parameters {
    let make = |b: &Builder| {
        for (name, shape) in SHAPES {
            b.param(name, shape, Init::UniformRange { low: -1.0, high: 1.0 });
        }
    };
    build_with(gpu, 3, BuildOptions { flat_bytes, ..Default::default() }, make).unwrap().1
}

fn adam(parameters: &Parameters) -> Box<dyn Optimizer> {
    let mut adam = Adam::new(parameters, AdamOptions { lr: 0.01, ..AdamOptions::adamw() }).unwrap();
    adam.group("*.bias", |o| (o.lr, o.weight_decay) = (0.03, 0.0)).unwrap();
    Box::new(adam)
}

fn muon(parameters: &Parameters) -> Box<dyn Optimizer> {
    let mut muon = Muon::new(parameters, MuonOptions::default()).unwrap();
    muon.group("fc1.weight", |o| o.adam_only = true).unwrap();
    Box::new(muon)
}

fn lamb(parameters: &Parameters) -> Box<dyn Optimizer> {
    Box::new(Lamb::new(parameters, LambOptions { weight_decay: 0.1, ..Default::default() }).unwrap())
}

/// Steps by random gradients. One parameter comes late, one is frozen for a while.
fn follow(optimizer: &mut dyn Optimizer, steps: std::ops::Range<u64>, mut after: impl FnMut(&Parameters)) {
    let parameters = optimizer.state().parameters().clone();
    for step in steps {
        let mut sampler = Sampler::new(step);
        let mut gradients = Gradients::zeros(&parameters).unwrap();
        for (name, shape) in SHAPES {
            let values = sampler.uniform(shape, -1.0, 1.0).to_f32();
            let value = Tensor::from_slice(parameters.gpu(), &values, shape).unwrap();
            if name != "conv.weight" || step > 2 {
                gradients.set(name, &value).unwrap();
            }
        }
        match step {
            4 => parameters.freeze("fc1.*").unwrap(),
            7 => parameters.unfreeze("fc1.*").unwrap(),
            _ => (),
        }
        optimizer.step(&gradients).unwrap();
        after(&parameters);
    }
}

/// The optimizer of this rank with its share of the state, and the owners.
fn shared(
    make: Make,
    parameters: &Parameters,
    rank: usize,
    ranks: usize,
) -> (Box<dyn Optimizer>, Vec<usize>) {
    let owners = parameters.shares(ranks);
    let mut optimizer = make(parameters);
    let own: Vec<bool> = owners.iter().map(|&owner| owner == rank).collect();
    optimizer.state_mut().keep_only(&own).unwrap();
    assert_eq!(optimizer.state().kept(), own);
    (optimizer, owners)
}

/// Name, shape and bits of all values.
fn all_bits(state: &StateDict) -> Vec<(String, Vec<usize>, Vec<u32>)> {
    state.tensors.iter().map(|(name, (shape, values))| (name.clone(), shape.clone(), bits(values))).collect()
}

/// What training ends with: the parameters' values and the optimizer's state.
type End = [StateDict; 2];

#[track_caller]
fn assert_same(got: &End, want: &End) {
    for (got, want) in got.iter().zip(want) {
        assert_eq!(all_bits(got), all_bits(want));
        assert_eq!(got.metadata, want.metadata);
    }
}

#[test]
fn state_in_shares_steps_as_a_whole_one_to_the_bit() {
    for (name, make) in [("adam", adam as Make), ("muon", muon), ("lamb", lamb)] {
        let whole = parameters(&gpu(), None);
        let mut optimizer = make(&whole);
        let all = optimizer.state().bytes();
        follow(&mut *optimizer, 1..11, |_| ());
        let want = [whole.state_dict().unwrap(), optimizer.state().to_state_dict().unwrap()];
        assert_eq!(optimizer.state().steps_of("conv.weight"), Some(8));
        assert_eq!(optimizer.state().steps_of("fc1.bias"), Some(7));
        for size in [2, 3] {
            let ends = on_ranks(size, |ranks| {
                let own = parameters(&gpu(), Some(FLAT_BYTES));
                let (mut optimizer, owners) = shared(make, &own, ranks.rank(), size);
                let step = |parameters: &Parameters| {
                    parameters.broadcast_flats(ranks.as_ref(), &owners).unwrap();
                };
                follow(&mut *optimizer, 1..11, step);
                let bytes = optimizer.state().bytes();
                let state = optimizer.state().gathered_state_dict(ranks.as_ref()).unwrap();
                ([own.state_dict().unwrap(), state], bytes)
            });
            for (end, bytes) in &ends {
                assert_same(end, &want);
                // Flat buffers are not cut in two, and some begin with a larger parameter.
                assert!(*bytes * size as u64 <= all * 3 / 2, "{name}: {bytes} of {all} bytes");
            }
            // Between parameters lies padding, and small tensors take a few bytes more.
            let sum = ends.iter().map(|(_, bytes)| bytes).sum::<u64>();
            assert!(sum.abs_diff(all) <= all / 10, "{name}: {sum} of {all} bytes");
        }
    }
}

#[test]
fn a_gathered_state_goes_on_whole_and_in_other_shares() {
    for make in [adam as Make, muon, lamb] {
        let whole = parameters(&gpu(), None);
        let mut optimizer = make(&whole);
        follow(&mut *optimizer, 1..11, |_| ());
        let want = [whole.state_dict().unwrap(), optimizer.state().to_state_dict().unwrap()];

        let saved = on_ranks(3, |ranks| {
            let own = parameters(&gpu(), Some(FLAT_BYTES));
            let (mut optimizer, owners) = shared(make, &own, ranks.rank(), 3);
            follow(&mut *optimizer, 1..6, |own| own.broadcast_flats(ranks.as_ref(), &owners).unwrap());
            let state = optimizer.state().gathered_state_dict(ranks.as_ref()).unwrap();
            [own.state_dict().unwrap(), state].map(|state| state.to_bytes().unwrap())
        });
        assert!(saved[1..].iter().all(|other| *other == saved[0]), "all ranks have the whole state");
        let [values, state] = saved[0].clone().map(|bytes| StateDict::from_bytes(&bytes, "saved").unwrap());
        let load = |parameters: &Parameters, optimizer: &mut dyn Optimizer| {
            parameters.load_state_dict(&values, "saved").unwrap();
            parameters.freeze("fc1.*").unwrap();
            optimizer.state_mut().load_state_dict(&state, "saved").unwrap();
        };

        let whole = parameters(&gpu(), None);
        let mut optimizer = make(&whole);
        load(&whole, &mut *optimizer);
        follow(&mut *optimizer, 6..11, |_| ());
        assert_same(&[whole.state_dict().unwrap(), optimizer.state().to_state_dict().unwrap()], &want);

        let ends = on_ranks(2, |ranks| {
            let own = parameters(&gpu(), Some(FLAT_BYTES));
            let (mut optimizer, owners) = shared(make, &own, ranks.rank(), 2);
            load(&own, &mut *optimizer);
            follow(&mut *optimizer, 6..11, |own| own.broadcast_flats(ranks.as_ref(), &owners).unwrap());
            let state = optimizer.state().gathered_state_dict(ranks.as_ref()).unwrap();
            [own.state_dict().unwrap(), state]
        });
        ends.iter().for_each(|end| assert_same(end, &want));
    }
}

#[test]
fn more_flat_buffers_change_nothing_but_their_number() {
    let gpu = gpu();
    let (one, several) = (parameters(&gpu, None), parameters(&gpu, Some(FLAT_BYTES)));
    assert_eq!(one.flats().len(), 1);
    // conv and fc1.weight, fc1.bias, fc2.weight, fc2.bias and scale.
    let flats: Vec<usize> = several.entries().iter().map(|entry| entry.flat).collect();
    assert_eq!(flats, [0, 0, 1, 1, 2, 3, 3]);
    assert_eq!(several.flats().iter().map(|flat| flat.numel()).collect::<Vec<_>>(), [256, 320, 704, 256]);
    assert_eq!(all_bits(&one.state_dict().unwrap()), all_bits(&several.state_dict().unwrap()));
    assert_eq!(parameters(&gpu, Some(0)).flats().len(), SHAPES.len(), "each has one of its own");
    // From the largest on, to the rank with the least, and the first of those.
    assert_eq!(several.shares(1), [0; 4]);
    assert_eq!(several.shares(2), [1, 1, 0, 1]);
    assert_eq!(several.shares(3), [2, 1, 0, 2]);
    assert_eq!(several.shares(6), [2, 1, 0, 3]);
}

#[test]
fn what_was_freed_is_gone_and_said() {
    let gpu = gpu();
    let own = parameters(&gpu, Some(FLAT_BYTES));
    let mut sgd = Sgd::new(&own, SgdOptions { momentum: 0.9, ..Default::default() }).unwrap();
    let (all, held) = (sgd.state().bytes(), gpu.memory().live);
    let whole = sgd.state().to_state_dict().unwrap();
    let error = sgd.state_mut().keep_only(&[true; 3]).unwrap_err().to_string();
    assert_eq!(error, "keep_only: 3 flags for 4 flat buffers");
    assert_eq!(sgd.state().iter().count(), 1);
    sgd.state_mut().keep_only(&[false, true, false, true]).unwrap();
    let freed = all - sgd.state().bytes();
    assert_eq!(freed, (256 + 704) * 4);
    assert_eq!(held - gpu.memory().live, freed);
    assert!(sgd.state().get("momentum_buffer").is_none(), "no store of all parameters is left");
    let error = sgd.state_mut().keep_only(&[true; 4]).unwrap_err().to_string();
    assert!(error.contains("flat buffer 0 was freed before"), "{error}");
    let keys: Vec<String> = sgd.state().shapes().map(|(key, _)| key).collect();
    let names = ["fc1.weight", "fc1.bias", "fc2.bias", "scale"];
    assert_eq!(keys, names.map(|name| format!("momentum_buffer.{name}")));

    // A whole state and the own part go in; others do not.
    sgd.state_mut().load_state_dict(&whole, "whole").unwrap();
    let part = sgd.state().to_state_dict().unwrap();
    assert_eq!(part.tensors.len(), 4);
    sgd.state_mut().load_state_dict(&part, "part").unwrap();
    for unknown in ["momentum_buffer.fc3.bias", "conv.bias", "exp_avg.scale"] {
        let mut state = whole.clone();
        state.tensors.insert(unknown.to_owned(), (vec![5], vec![0.0; 5]));
        let error = sgd.state_mut().load_state_dict(&state, "more").unwrap_err().to_string();
        assert_eq!(error, format!("more does not fit this model: unexpected: {unknown};"));
    }
    let mut other = Sgd::new(&own, SgdOptions { momentum: 0.9, ..Default::default() }).unwrap();
    let error = other.state_mut().load_state_dict(&part, "part").unwrap_err();
    assert!(matches!(&error, Error::Mismatch { missing, .. } if missing.len() == 3), "{error}");

    for owners in [&[0, 0, 0][..], &[0, 0, 0, 1]] {
        let error = own.broadcast_flats(&wgrad_nn::distributed::Solo, owners).unwrap_err();
        assert!(matches!(error, Error::Options { what: "broadcast_flats", .. }), "{error}");
    }
}

/// More ranks than flat buffers: those without a share step nothing, and get all.
#[test]
fn a_rank_without_a_share_has_the_parameters_all_the_same() {
    let ends = on_ranks(2, |ranks| {
        let own = parameters(&gpu(), None);
        let (mut optimizer, owners) = shared(adam, &own, ranks.rank(), 2);
        follow(&mut *optimizer, 1..3, |own| own.broadcast_flats(ranks.as_ref(), &owners).unwrap());
        let state = optimizer.state().gathered_state_dict(ranks.as_ref()).unwrap();
        ([own.state_dict().unwrap(), state], optimizer.state().bytes())
    });
    assert_eq!(ends[1].1, 0);
    assert_same(&ends[0].0, &ends[1].0);
}

/// What is frozen is not written, so that graphs over it go on; what is not frozen counts as changed where it came from elsewhere.
#[test]
fn graphs_over_frozen_parameters_outlive_an_exchange() {
    let walks = on_ranks(2, |ranks| {
        let own = parameters(&gpu(), None);
        own.freeze("scale").unwrap();
        let x = Tensor::full(own.gpu(), &[130], 2.0).unwrap().tracked();
        let y = |x: &Tensor, name| x.mul(&own.get(name).unwrap().detach()).unwrap().sum_all().unwrap();
        let (frozen, moving) = (y(&x, "scale"), y(&x.narrow(0, 0, 5).unwrap(), "conv.bias"));
        own.broadcast_flats(ranks.as_ref(), &[0]).unwrap();
        [frozen, moving].map(|y| y.backward().is_ok())
    });
    assert_eq!(walks, [[true, true], [true, false]]);
}
