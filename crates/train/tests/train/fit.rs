//! The training loop on a model of a few hundred parameters: refusals, interruption, checkpoints, exact resumption.
#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use wgrad_autograd::BatchNormOptions;
use wgrad_autograd::{Gpu, Tensor};
use wgrad_data::{Augment, DeviceImages, Images};
use wgrad_nn::{
    Adam, AdamOptions, BatchNorm2d, Dropout, Flatten, GlobalAvgPool2d, Linear, Mode, Module, OneCycle,
    Optimizer, Parameters, Sequential, Sgd, SgdOptions, StateDict, build,
};
use wgrad_train::{
    Checkpoint, Error, Interrupt, Options, Outcome, Result, Task, accuracy, accuracy_async, fit,
};

fn gpu() -> Gpu {
    Gpu::builder().poison().quiet().build().unwrap()
}

/// `n` images `[1, 2, 2]` of two classes, dark and bright.
fn images(gpu: &Gpu, n: usize) -> DeviceImages {
    let labels: Vec<u8> = (0..n).map(|i| (i % 2) as u8).collect();
    let pixels = (0..4 * n).map(|i| (i * 37 % 100) as u8 + 150 * ((i / 4) % 2) as u8).collect();
    let classes = vec!["dark".to_owned(), "bright".to_owned()];
    DeviceImages::new(gpu, &Images::new([1, 2, 2], classes, pixels, labels).unwrap()).unwrap()
}

/// A model with batch norm and dropout, its parameters and Adam, which keeps two values for each parameter.
struct Setup {
    gpu: Gpu,
    model: Sequential,
    parameters: Parameters,
    adam: Adam,
}

impl Setup {
    fn new(seed: u64) -> Self {
        Self::on(gpu(), seed)
    }

    fn on(gpu: Gpu, seed: u64) -> Self {
        let (model, parameters) = build(&gpu, seed, |builder| {
            Sequential::new(builder)
                .with(|b| BatchNorm2d::new(b, 1, BatchNormOptions::default()))
                .with(|_| Flatten)
                .with(|b| Linear::new(b, 4, 16))
                .with(|b| Dropout::new(b, 0.5))
                .with(|b| Linear::new(b, 16, 2))
        })
        .unwrap();
        let adam = Adam::new(&parameters, AdamOptions { lr: 0.01, ..Default::default() }).unwrap();
        Self { gpu, model, parameters, adam }
    }

    fn fit(&mut self, options: &Options, interrupt: &Interrupt) -> Result<Outcome> {
        let (train, test) = (images(&self.gpu, 22), images(&self.gpu, 7));
        let Self { model, parameters, adam, .. } = self;
        fit(Task { model, parameters, optimizer: adam, train: &train, test: &test }, options, interrupt)
    }

    fn state(&self) -> StateDict {
        self.parameters.state_dict().unwrap()
    }
}

/// Two epochs of 22 images in batches of 5: four of 5 and one of 2.
fn options() -> Options {
    Options { epochs: 2, batch_size: 5, progress: false, ..Default::default() }
}

fn in_folder(folder: &Path) -> Options {
    Options { checkpoint: Some(folder.join("run")), metrics: Some(folder.join("m.jsonl")), ..options() }
}

/// As [`in_folder`], with all that a run draws or looks up by step, epoch and image.
fn with_recipe(folder: &Path) -> Options {
    let augment = Some(Augment { padding: 1, flip: true });
    let schedule = Some(OneCycle::new(0.02, 10).unwrap());
    Options { augment, schedule, label_smoothing: 0.1, ..in_folder(folder) }
}

#[test]
fn learns_and_reports() {
    let mut setup = Setup::new(1);
    let outcome = setup.fit(&Options { epochs: 30, ..options() }, &Interrupt::default()).unwrap();
    assert_eq!((outcome.steps, outcome.epochs.len(), outcome.interrupted), (150, 30, false));
    let (first, last) = (&outcome.epochs[0], &outcome.epochs[29]);
    assert_eq!((first.epoch, last.epoch), (1, 30));
    assert!(last.train_loss < 0.5 * first.train_loss, "{first:?} {last:?}");
    assert_eq!(last.test_accuracy, 1.0);
    let memory = outcome.memory;
    let flat = setup.parameters.flats()[0].bind().buffer.size();
    // Adam keeps two values for each parameter.
    assert_eq!((memory.parameters, memory.gradients, memory.moments), (flat, flat, 2 * flat));
    assert!(memory.saved > 0 && memory.workspace > 0 && memory.peak <= memory.pool, "{memory:?}");
    assert!(memory.peak >= memory.parameters + memory.moments + memory.saved, "{memory:?}");
    let test = images(&setup.gpu, 7);
    assert_eq!(accuracy(&setup.model, &test, 3, Default::default()).unwrap(), 1.0);
    // The order of the images is none of its business.
    test.shuffle(1, 0).unwrap();
    assert_eq!(accuracy(&setup.model, &test, 3, Default::default()).unwrap(), 1.0);
    let awaited = accuracy_async(&setup.model, &test, 3, Default::default());
    assert_eq!(pollster::block_on(awaited).unwrap(), 1.0);
    // A model that knows nothing is as good as guessing, for both.
    let fresh = Setup::new(2);
    let test = images(&fresh.gpu, 7);
    let blocking = accuracy(&fresh.model, &test, 3, Default::default()).unwrap();
    assert!(blocking < 1.0, "{blocking}");
    let awaited = accuracy_async(&fresh.model, &test, 3, Default::default());
    assert_eq!(pollster::block_on(awaited).unwrap(), blocking);
}

#[test]
fn options_that_make_no_sense_are_usage_errors() {
    let mut setup = Setup::new(1);
    let before = setup.state();
    let cycle = OneCycle::new(0.1, 10).unwrap();
    for options in [
        Options { batch_size: 0, ..options() },
        Options { resume: true, ..options() },
        Options { label_smoothing: 1.5, ..options() },
        Options { label_smoothing: f32::NAN, ..options() },
        Options { schedule: Some(OneCycle { div_factor: 0.0, ..cycle }), ..options() },
        Options { schedule: Some(OneCycle { pct_start: f64::NAN, ..cycle }), ..options() },
    ] {
        let error = setup.fit(&options, &Interrupt::default()).unwrap_err();
        assert!(matches!(error, Error::Usage(_)), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
    assert_eq!(setup.state(), before);
    let bad = Sgd::new(&setup.parameters, SgdOptions { lr: f64::NAN, ..Default::default() }).err().unwrap();
    assert_eq!(Error::from(bad).exit_code(), 2);
}

#[test]
fn a_tensor_beyond_the_limits_names_the_limit_and_a_batch_that_fits() {
    // WebGPU's default limits: 128 MiB for a binding, which 600 rows of 60,000 floats exceed.
    let gpu = Gpu::builder().baseline().poison().quiet().build().unwrap();
    let (model, parameters) = build(&gpu, 0, |builder| {
        Sequential::new(builder).with(|_| Flatten).with(|b| Linear::new(b, 4, 60_000))
    })
    .unwrap();
    let mut sgd = Sgd::new(&parameters, SgdOptions::default()).unwrap();
    let set = images(&gpu, 600);
    let task = Task { model: &model, parameters: &parameters, optimizer: &mut sgd, train: &set, test: &set };
    let error = fit(task, &Options { batch_size: 600, ..options() }, &Interrupt::default()).unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    let text = error.to_string();
    for part in ["layer 1", "max_storage_buffer_binding_size", "134217728", "at most 559 fits"] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

#[test]
fn shapes_that_do_not_match_name_op_shapes_and_layer() {
    let gpu = gpu();
    let (model, parameters) =
        build(&gpu, 0, |builder| Sequential::new(builder).with(|_| Flatten).with(|b| Linear::new(b, 5, 2)))
            .unwrap();
    let mut sgd = Sgd::new(&parameters, SgdOptions::default()).unwrap();
    let set = images(&gpu, 6);
    let task = Task { model: &model, parameters: &parameters, optimizer: &mut sgd, train: &set, test: &set };
    let error = fit(task, &options(), &Interrupt::default()).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    let text = error.to_string();
    for part in ["layer 1", "linear", "[5, 4]", "5"] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    assert!(text.lines().count() <= 2, "{text}");
}

/// Asks for an interruption in the forward pass of the given step.
struct Interrupting<'a> {
    model: &'a Sequential,
    interrupt: &'a Interrupt,
    step: usize,
    forwards: AtomicUsize,
}

impl Module for Interrupting<'_> {
    fn forward(&self, x: &Tensor, mode: Mode) -> wgrad_nn::Result<Tensor> {
        if self.forwards.fetch_add(1, Ordering::Relaxed) + 1 == self.step {
            self.interrupt.set();
        }
        self.model.forward(x, mode)
    }
}

#[test]
fn resumed_at_any_step_it_is_the_uninterrupted_run_to_the_bit() {
    let whole_folder = tempfile::tempdir().unwrap();
    let mut whole = Setup::new(3);
    whole.fit(&with_recipe(whole_folder.path()), &Interrupt::default()).unwrap();
    let metrics = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("m.jsonl")).unwrap();
        let line = |line: &str| line.split(",\"seconds\":").next().unwrap().to_owned();
        text.lines().map(line).collect::<Vec<String>>()
    };
    assert_eq!(metrics(whole_folder.path()).len(), 12);

    for step in 1..=9 {
        let folder = tempfile::tempdir().unwrap();
        let options = with_recipe(folder.path());
        let (mut first, interrupt) = (Setup::new(3), Interrupt::default());
        let (train, test) = (images(&first.gpu, 22), images(&first.gpu, 7));
        // The test after the fifth step takes two forward passes, of 5 and 2 images.
        let forward = if step > 5 { step + 2 } else { step };
        let (model, forwards) = (&first.model, AtomicUsize::new(0));
        let model = Interrupting { model, interrupt: &interrupt, step: forward, forwards };
        let task = Task {
            model: &model,
            parameters: &first.parameters,
            optimizer: &mut first.adam,
            train: &train,
            test: &test,
        };
        let outcome = fit(task, &options, &interrupt).unwrap();
        assert!(outcome.interrupted);
        assert_eq!(outcome.steps, step as u64, "the step under way is finished, and no other is begun");

        // Zeros for weights: all that the run needs is in the checkpoint.
        let mut second = Setup::new(3);
        let zeros = vec![0.0f32; second.parameters.flats()[0].numel()];
        second.gpu.write(&second.parameters.flats()[0].bind(), &zeros).unwrap();
        let outcome = second.fit(&Options { resume: true, ..options }, &Interrupt::default()).unwrap();
        assert_eq!(outcome.steps, 10);
        assert_eq!(second.state(), whole.state(), "interrupted at step {step}");
        assert_eq!(second.adam.steps(), 10);
        assert_eq!(metrics(folder.path()), metrics(whole_folder.path()), "interrupted at step {step}");
    }
}

/// Destroys the device in the given forward pass.
struct Destroying<'a> {
    model: &'a Sequential,
    gpu: &'a Gpu,
    forward: usize,
    forwards: AtomicUsize,
}

impl Module for Destroying<'_> {
    fn forward(&self, x: &Tensor, mode: Mode) -> wgrad_nn::Result<Tensor> {
        if self.forwards.fetch_add(1, Ordering::Relaxed) + 1 == self.forward {
            self.gpu.device().destroy();
        }
        self.model.forward(x, mode)
    }
}

/// A run that loses its device in the second epoch, after the checkpoint of the first.
fn lose(options: &Options, gpu: Gpu, forward: usize) -> Error {
    let mut setup = Setup::on(gpu, 3);
    let (train, test) = (images(&setup.gpu, 22), images(&setup.gpu, 7));
    let Setup { gpu, model, parameters, adam } = &mut setup;
    let model = Destroying { model, gpu, forward, forwards: AtomicUsize::new(0) };
    let task = Task { model: &model, parameters, optimizer: adam, train: &train, test: &test };
    fit(task, options, &Interrupt::default()).unwrap_err()
}

#[test]
fn after_a_lost_device_a_new_one_and_the_checkpoint_continue_the_run_to_the_bit() {
    let whole_folder = tempfile::tempdir().unwrap();
    let mut whole = Setup::new(3);
    whole.fit(&with_recipe(whole_folder.path()), &Interrupt::default()).unwrap();
    // Five steps, two batches of the test, and then the second epoch.
    for forward in [8, 10] {
        for borrowed in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let options = with_recipe(folder.path());
            let (sender, receiver) = std::sync::mpsc::channel();
            let lost = options.clone();
            std::thread::spawn(move || {
                let own = gpu();
                let (device, queue) = (own.device().clone(), own.queue().clone());
                let gpu = if borrowed { Gpu::builder().from_wgpu(device, queue) } else { own };
                sender.send(lose(&lost, gpu, forward))
            });
            let error =
                receiver.recv_timeout(std::time::Duration::from_secs(60)).expect("it hangs or panicked");
            let text = error.to_string();
            assert!(text.contains("device was lost") && text.contains("last checkpoint"), "{text}");

            // Dropout goes by the seed of the model; the weights come from the checkpoint.
            let mut second = Setup::new(3);
            let zeros = vec![0.0f32; second.parameters.flats()[0].numel()];
            second.gpu.write(&second.parameters.flats()[0].bind(), &zeros).unwrap();
            let outcome = second.fit(&Options { resume: true, ..options }, &Interrupt::default()).unwrap();
            assert_eq!((outcome.steps, outcome.epochs.len()), (10, 1), "the second epoch anew");
            assert_eq!(second.state(), whole.state(), "lost in forward pass {forward}");
        }
    }
}

#[test]
fn an_interruption_before_the_first_step_changes_nothing() {
    let (mut setup, interrupt) = (Setup::new(1), Interrupt::default());
    let before = setup.state();
    interrupt.set();
    let outcome = setup.fit(&options(), &interrupt).unwrap();
    assert_eq!((outcome.steps, outcome.interrupted), (0, true));
    assert_eq!(setup.state(), before);
}

#[test]
fn a_checkpoint_that_does_not_fit_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = in_folder(folder.path());
    Setup::new(1).fit(&options, &Interrupt::default()).unwrap();
    let checkpoint = Checkpoint::in_folder(&folder.path().join("run")).unwrap();
    let mut state = StateDict::load(checkpoint.path()).unwrap();
    let slots: Vec<String> =
        state.tensors.keys().filter(|name| name.starts_with("optim.")).cloned().collect();
    assert_eq!(slots.len(), 12, "two slots for each of six parameters: {slots:?}");
    state.tensors.remove(slots.last().unwrap());
    state.save(checkpoint.path()).unwrap();

    let mut setup = Setup::new(2);
    let (before, bytes) = (setup.state(), std::fs::read(checkpoint.path()).unwrap());
    let slots_of = |setup: &Setup| -> Vec<Vec<f32>> {
        setup.adam.state().iter().map(|(_, values)| values.flats()[0].to_vec().unwrap()).collect()
    };
    let slots_before = slots_of(&setup);
    let error = setup.fit(&Options { resume: true, ..options }, &Interrupt::default()).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains(slots.last().unwrap()), "{error}");
    assert_eq!(setup.state(), before);
    assert_eq!(slots_of(&setup), slots_before);
    assert_eq!(std::fs::read(checkpoint.path()).unwrap(), bytes);
}

/// Parameters that were frozen for some steps have made fewer, and a checkpoint says so.
#[test]
fn a_checkpoint_holds_the_steps_of_each_parameter() {
    let folder = tempfile::tempdir().unwrap();
    let options = in_folder(folder.path());
    let mut first = Setup::new(1);
    first.parameters.freeze("2.*").unwrap();
    first.fit(&Options { max_steps: Some(3), ..options.clone() }, &Interrupt::default()).unwrap();
    let resume = Options { resume: true, ..options };
    let mut second = Setup::new(1);
    second.fit(&Options { max_steps: Some(5), ..resume.clone() }, &Interrupt::default()).unwrap();
    let steps = |setup: &Setup| ["0.weight", "2.weight"].map(|name| setup.adam.state().steps_of(name));
    assert_eq!((steps(&first), steps(&second)), ([Some(3), Some(0)], [Some(5), Some(2)]));

    // Without them it is of version 3, in which all have made the optimizer's steps.
    let checkpoint = Checkpoint::in_folder(&folder.path().join("run")).unwrap();
    let mut state = StateDict::load(checkpoint.path()).unwrap();
    assert_eq!(state.metadata["wgrad.optimizer_steps.2.weight"], "2");
    state.metadata.retain(|key, _| !key.starts_with("wgrad.optimizer_steps."));
    state.metadata.insert("wgrad.schema".to_owned(), "3".to_owned());
    state.save(checkpoint.path()).unwrap();
    let mut third = Setup::new(1);
    third.fit(&Options { max_steps: Some(6), ..resume.clone() }, &Interrupt::default()).unwrap();
    assert_eq!(steps(&third), [Some(6), Some(6)]);

    for (key, value, part) in
        [("schema", "2", "version 2"), ("optimizer_steps.2.weight", "few", "steps.2.weight")]
    {
        let mut state = StateDict::load(checkpoint.path()).unwrap();
        state.metadata.insert(format!("wgrad.{key}"), value.to_owned());
        let bytes = std::fs::read(checkpoint.path()).unwrap();
        state.save(checkpoint.path()).unwrap();
        let mut fourth = Setup::new(1);
        let before = fourth.state();
        let error = fourth.fit(&resume, &Interrupt::default()).unwrap_err();
        assert!(error.exit_code() == 3 && error.to_string().contains(part), "{error}");
        assert_eq!((fourth.state(), fourth.adam.steps()), (before, 0));
        std::fs::write(checkpoint.path(), bytes).unwrap();
    }
}

#[test]
fn a_loss_that_is_no_number_stops_and_leaves_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let options = in_folder(folder.path());
    let mut setup = Setup::new(1);
    setup.fit(&options, &Interrupt::default()).unwrap();
    let file = folder.path().join("run/checkpoint.safetensors");
    let bytes = std::fs::read(&file).unwrap();

    let infinite = vec![f32::INFINITY; setup.parameters.flats()[0].numel()];
    setup.gpu.write(&setup.parameters.flats()[0].bind(), &infinite).unwrap();
    let error = setup.fit(&options, &Interrupt::default()).unwrap_err();
    assert!(matches!(error, Error::NotFinite { step: 1, .. }), "{error}");
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("checkpoint.safetensors is from before"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[test]
fn a_weight_that_is_no_number_is_found_though_no_loss_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let options = in_folder(folder.path());
    let mut setup = Setup::new(1);
    setup.fit(&options, &Interrupt::default()).unwrap();
    let file = folder.path().join("run/checkpoint.safetensors");
    let bytes = std::fs::read(&file).unwrap();

    // Infinite as f32. The one step that is made has the loss of the weights before it.
    setup.adam.set_lr(1e39);
    let resumed = Options { epochs: 3, resume: true, max_steps: Some(11), ..options };
    let error = setup.fit(&resumed, &Interrupt::default()).unwrap_err();
    assert!(matches!(error, Error::WeightNotFinite { step: 11, .. }), "{error}");
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("checkpoint.safetensors is from before"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);

    let mut setup = Setup::new(1);
    setup.adam.set_lr(1e39);
    let alone = Options { max_steps: Some(1), ..self::options() };
    let error = setup.fit(&alone, &Interrupt::default()).unwrap_err();
    assert!(matches!(error, Error::WeightNotFinite { step: 1, .. }), "{error}");
}

#[test]
fn a_run_with_another_schedule_or_augmentation_is_another_run() {
    let folder = tempfile::tempdir().unwrap();
    let options = with_recipe(folder.path());
    Setup::new(1).fit(&options, &Interrupt::default()).unwrap();
    let resumed = Options { resume: true, ..options };
    let others = [
        (Options { schedule: None, ..resumed.clone() }, "one cycle of 10 steps to 0.02"),
        (Options { schedule: Some(OneCycle::new(0.02, 20).unwrap()), ..resumed.clone() }, "20 steps"),
        (Options { augment: None, ..resumed.clone() }, "shifted by up to 1 and mirrored"),
        (
            Options { augment: Some(Augment { padding: 1, flip: false }), ..resumed.clone() },
            "shifted by up to 1,",
        ),
    ];
    for (options, part) in others {
        let mut setup = Setup::new(2);
        let before = setup.state();
        let error = setup.fit(&options, &Interrupt::default()).unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
        assert!(error.to_string().contains("another run") && error.to_string().contains(part), "{error}");
        assert_eq!(setup.state(), before);
    }
    assert_eq!(Setup::new(2).fit(&resumed, &Interrupt::default()).unwrap().steps, 10);
}

/// The learning rate that each step is made with.
#[test]
fn the_schedule_decides_the_learning_rate_of_each_step() {
    let mut setup = Setup::new(1);
    let cycle = OneCycle::new(0.02, 10).unwrap();
    let options = Options { schedule: Some(cycle), max_steps: Some(4), ..options() };
    setup.fit(&options, &Interrupt::default()).unwrap();
    assert_eq!(setup.adam.lr(), cycle.lr(3));
    assert_ne!(cycle.lr(3), cycle.lr(2));
}

/// Batch norm over vectors needs two samples, and 21 images in batches of 5 or 20 leave one.
#[test]
fn a_last_batch_of_one_sample_says_what_would_help() {
    let gpu = gpu();
    let (model, parameters) = build(&gpu, 1, |builder| {
        Sequential::new(builder)
            .with(|_| GlobalAvgPool2d)
            .with(|_| Columns)
            .with(|b| BatchNorm2d::new(b, 1, BatchNormOptions::default()))
            .with(|_| Flatten)
            .with(|b| Linear::new(b, 1, 2))
    })
    .unwrap();
    let mut sgd = Sgd::new(&parameters, SgdOptions::default()).unwrap();
    let (train, test) = (images(&gpu, 21), images(&gpu, 7));
    let mut run = |batch_size| {
        let task =
            Task { model: &model, parameters: &parameters, optimizer: &mut sgd, train: &train, test: &test };
        fit(task, &Options { batch_size, ..options() }, &Interrupt::default())
    };
    for batch_size in [5, 20] {
        let error = run(batch_size).unwrap_err();
        assert!(matches!(error, Error::LastBatch { epoch: 1, rows: 1, epoch_rows: 21, .. }), "{error}");
        let message = error.to_string();
        let size = format!("another batch size than {batch_size}");
        for part in ["layer 2", "last batch of epoch 1", "1 of 21 rows", &size, "leave these rows out"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert_eq!(error.exit_code(), 1);
    }
    // A batch size of 1 is no matter of the last batch.
    let error = run(1).unwrap_err();
    assert!(!matches!(error, Error::LastBatch { .. }) && error.to_string().contains("batch size"), "{error}");
    run(4).unwrap_err();
    assert_eq!(run(6).unwrap().epochs.len(), 2);
}

/// `[n, 1]` as images of one pixel.
struct Columns;

impl Module for Columns {
    fn forward(&self, x: &Tensor, _: Mode) -> wgrad_nn::Result<Tensor> {
        Ok(x.reshape(&[x.shape()[0], 1, 1, 1])?)
    }
}
