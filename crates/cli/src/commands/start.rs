//! How a run begins: its configuration, and its folder.

use std::path::PathBuf;

use wgrad::Gpu;
use wgrad::data::{Kind, detect};
use wgrad::device::Family;
use wgrad::distributed::{Communicator, agree, broadcast_bytes};
use wgrad::nn::file;
use wgrad::train::{Callback, Fit};

use crate::args::Train;
use crate::config::Config;
use crate::dataset::images::USUAL;
use crate::output::say;
use crate::{Error, Result};

/// Names of files and folders in the run folder.
pub(super) const CONFIG: &str = "config.toml";
pub(super) const MODEL: &str = "model.safetensors";
pub(crate) const REPORT: &str = "report.html";
/// Rows and columns that images of a folder are brought to on a software adapter where the configuration doesn't say: a quarter of the
/// work of the usual size.
const SMALL: [usize; 2] = [32, 32];

/// The configuration as rank 0 has it: the others need not see its files.
pub(super) fn shared(flags: &Train, ranks: &dyn Communicator) -> Result<Config> {
    let own = if ranks.rank() == 0 { configuration(flags) } else { Ok(Config::default()) };
    let own = agree(ranks, own)?;
    if ranks.size() == 1 {
        return Ok(own);
    }
    let text = broadcast_bytes(ranks, own.to_toml().into_bytes(), 0)?;
    Config::parse(&String::from_utf8_lossy(&text)).map_err(Error::usage)
}

/// The configuration of the command line: a preset, a file, the run folder's, or none but the data; and what is changed in it.
fn configuration(flags: &Train) -> Result<Config> {
    let mut config = match (&flags.what, flags.resume) {
        (Some(what), _) => super::config(what, &[])?,
        (None, true) if flags.data.is_none() => Config::load(&flags.run.join(CONFIG))?,
        (None, _) => Config::default(),
    };
    if let Some(data) = &flags.data {
        if data.to_str().is_none() {
            let message = "the path is no UTF-8, so the run's configuration could not name it: rename it";
            return Err(Error::usage(format!("--data {}: {message}", data.display())));
        }
        // What a preset says of its own data, and sizes that follow from data, make way.
        (config.generate, config.samples, config.test_samples) = (None, None, None);
        (config.inputs, config.outputs, config.channels, config.size) = (None, None, None, None);
        config.data = Some(data.clone());
    }
    if let Some(target) = &flags.target {
        config.target = Some(target.clone());
    }
    flags.set.iter().try_for_each(|word| config.set_word(word))?;
    make_small(&mut config, flags.machines.json);
    Ok(config)
}

/// Chooses a smaller size for images of files where the configuration doesn't say one, and the adapter is software.
fn make_small(config: &mut Config, json: bool) {
    if let (Some(data), None, None) = (&config.data, config.size, config.inputs)
        && detect(data).is_ok_and(|kind| kind == Kind::Images)
        && Gpu::builder().quiet().build().is_ok_and(|gpu| gpu.family() == Family::Cpu)
    {
        let ([h, w], [usual, side]) = (*config.size.insert(SMALL), USUAL);
        if !json {
            say(&format!(
                "images are brought to {h} × {w} pixels, since the adapter is software: --set size=[{usual},{side}] is what \
                 GPUs take"
            ));
        }
    }
}

/// Makes the run folder, and writes the configuration into it.
pub(super) fn prepare_folder(flags: &Train, config: &Config) -> Result<()> {
    let failed = |error: std::io::Error| Error::file(&flags.run, format!("cannot be made: {error}"));
    let path = flags.run.join(CONFIG);
    if !flags.resume && flags.run.join("checkpoints").exists() {
        let message = "there is a run in this folder: --resume continues it, --run names another folder";
        return Err(Error::file(&flags.run, message));
    }
    std::fs::create_dir_all(&flags.run).map_err(failed)?;
    // Not found out after the last epoch.
    [MODEL, REPORT].iter().try_for_each(|name| file::check_writable(&flags.run.join(name)))?;
    if flags.resume {
        return Ok(());
    }
    Ok(file::write_atomic(&path, config.to_toml().as_bytes())?)
}

/// Writes the configuration of a resumed run, once its checkpoint has turned out to fit: what cannot go on leaves the folder as it was.
pub(super) struct Resumed {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Callback for Resumed {
    fn name(&self) -> &str {
        "resumed"
    }

    fn on_fit_start(&mut self, _: &mut Fit) -> wgrad::train::Result<()> {
        Ok(file::write_atomic(&self.path, self.text.as_bytes())?)
    }
}
