//! A search for a learning rate leaves no trace.

use wgrad_train::{Error, LrFinder, LrSearch};

use crate::support::{Setup, figures, rows};

#[test]
fn a_fit_after_a_search_is_the_fit_without_it_to_the_bit() {
    let mut ends = Vec::new();
    for searches in [false, true] {
        let setup = Setup::new();
        let (train, before) = (rows(&setup.gpu, 22), setup.state());
        let mut adam = setup.adam();
        adam.group("4.*", |options| options.lr = 0.003).unwrap();
        let mut trainer = setup.trainer(adam).batch_size(5).epochs(2);
        if searches {
            let finder = LrFinder { from: 1e-4, to: 10.0, steps: 40 };
            let search = trainer.find_lr(&train, finder, |batch, mode| setup.loss(batch, mode)).unwrap();
            assert!(search.points.len() > 10 && search.points[0].0 == 1e-4, "{search:?}");
            let suggestion = search.suggestion().unwrap();
            assert!((1e-4..10.0).contains(&suggestion), "{suggestion}");
            assert_eq!((setup.state(), setup.params.draws()), (before.clone(), 0));
            assert_eq!((trainer.optimizer().steps(), trainer.optimizer().lr()), (0, 0.01));
            // Nor does one that fails.
            let mut step = 0;
            let error = trainer.find_lr(&train, finder, |batch, mode| {
                step += 1;
                if step == 4 { Err(Error::Usage("as asked".to_owned())) } else { setup.loss(batch, mode) }
            });
            assert!(error.is_err());
            assert_eq!((setup.state(), setup.params.draws()), (before, 0));
        }
        let history = trainer.fit(&train, |batch, mode| setup.loss(batch, mode)).unwrap();
        let state = trainer.optimizer().state().to_state_dict().unwrap();
        ends.push((setup.state(), state, setup.params.draws(), figures(&history)));
    }
    assert_eq!(ends[0], ends[1]);
    assert!(ends[0].2 > 0, "no random numbers were drawn");
}

#[test]
fn a_suggestion_is_where_the_loss_falls_most() {
    let points = (0..40).map(|i| {
        let log = f64::from(i) / 10.0 - 4.0;
        // A step down around 1e-2.
        (10f64.powf(log), 1.0 - 1.0 / (1.0 + (-8.0 * (log + 2.0)).exp()))
    });
    let suggestion = LrSearch { points: points.collect() }.suggestion().unwrap();
    assert!((0.008..0.03).contains(&suggestion), "{suggestion}");
    assert_eq!(LrSearch { points: vec![(0.1, 1.0), (0.2, 2.0)] }.suggestion(), None);
    let setup = Setup::plain();
    let train = rows(&setup.gpu, 6);
    for finder in [
        LrFinder { from: 0.0, ..Default::default() },
        LrFinder { to: 1e-9, ..Default::default() },
        LrFinder { steps: 1, ..Default::default() },
    ] {
        let found = setup.trainer(setup.sgd()).find_lr(&train, finder, |batch, mode| setup.loss(batch, mode));
        assert!(matches!(found, Err(Error::Usage(_))), "{finder:?}");
    }
}
