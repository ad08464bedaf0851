//! The whole state of a fit as a state dict, and back.
//!
//! It holds the model's parameters and buffers under their names, the optimizer's state as `optim.<name>.<parameter>`, averaged
//! weights as `average.<parameter>`, what callbacks keep as `callback.<callback>.<name>`, and within an epoch what metrics of the
//! training rows have counted as `train_metric.<metric>.<name>`. The metadata say where the fit stood.

use wgrad_nn::{Load, Parameters, StateDict};

use super::Trainer;
use super::callback::{Place, Saved};
use super::history::History;
use super::reader::Reader;
use crate::{Error, Result};

/// The version of these files; 3 and 4 are those of [`fit`](crate::fit).
pub(crate) const SCHEMA: &str = "5";
/// What a part's tensors and metadata are called in front of their own names.
const OPTIMIZER: [&str; 2] = ["optim.", "wgrad.optimizer_"];
const AVERAGE: [&str; 2] = ["average.", "wgrad.average_"];
const CALLBACK: &str = "callback.";
const TRAIN_METRICS: [&str; 2] = ["train_metric.", "wgrad.train_metric_"];

/// Fails for parameters and buffers whose names a part of a state would take for its own.
pub(super) fn check_names(parameters: &Parameters) -> Result<()> {
    let parts = [OPTIMIZER[0], AVERAGE[0], TRAIN_METRICS[0], CALLBACK];
    let mut names = parameters.shapes().map(|(name, _)| name);
    match names.find(|name| parts.iter().any(|part| name.starts_with(part))) {
        Some(name) => Err(Error::Usage(format!(
            "{name}: names of parameters and buffers that begin with {} are a checkpoint's own: give it another one",
            parts.join(", ")
        ))),
        None => Ok(()),
    }
}

/// Adds a part under its prefixes.
fn insert(state: &mut StateDict, [tensors, metadata]: [&str; 2], own: StateDict) {
    state.tensors.extend(own.tensors.into_iter().map(|(key, values)| (format!("{tensors}{key}"), values)));
    state.metadata.extend(own.metadata.into_iter().map(|(key, text)| (format!("{metadata}{key}"), text)));
}

/// Takes a part's tensors out, and copies its metadata, under its own names.
pub(crate) fn part(state: &mut StateDict, [tensors, metadata]: [&str; 2]) -> StateDict {
    let mut own = StateDict::default();
    for (key, values) in std::mem::take(&mut state.tensors) {
        match key.strip_prefix(tensors) {
            Some(name) => own.tensors.insert(name.to_owned(), values),
            None => state.tensors.insert(key, values),
        };
    }
    let entries = state.metadata.iter().filter_map(|(key, text)| Some((key.strip_prefix(metadata)?, text)));
    own.metadata.extend(entries.map(|(key, text)| (key.to_owned(), text.clone())));
    own
}

/// The weights of a checkpoint's state that are for use: the averaged ones, where it has any, and otherwise those that training
/// goes on from.
pub fn averaged(state: &StateDict) -> StateDict {
    let mut state = state.clone();
    let average = part(&mut state, AVERAGE);
    let is_made = average.metadata.get("count").is_some_and(|count| count != "0");
    let others = [OPTIMIZER[0], TRAIN_METRICS[0], CALLBACK];
    state.tensors.retain(|key, _| !others.iter().any(|prefix| key.starts_with(prefix)));
    if is_made {
        state.tensors.extend(average.tensors);
    }
    let names: Vec<&String> = state.tensors.keys().collect();
    let integers = state.integers.iter().filter(|(key, _)| names.contains(key));
    let integers = integers.map(|(key, integer)| (key.clone(), *integer)).collect();
    StateDict { integers, metadata: Default::default(), tensors: state.tensors }
}

/// The key of the checksum of everything else.
const CHECKSUM: &str = "wgrad.crc";

fn checksum(state: &StateDict) -> String {
    let mut hash = crc32fast::Hasher::new();
    for (name, (shape, values)) in &state.tensors {
        hash.update(format!("{name} {shape:?}\n").as_bytes());
        hash.update(bytemuck::cast_slice(values));
    }
    // The file format adds a key of its own.
    let own = state.metadata.iter().filter(|(key, _)| key.starts_with("wgrad.") && *key != CHECKSUM);
    own.for_each(|(key, text)| hash.update(format!("{key} {text}\n").as_bytes()));
    format!("{:08x}", hash.finalize())
}

/// Fails, with what is wrong, for a state that is not as it was made.
pub(crate) fn check_whole(state: &StateDict) -> Result<(), String> {
    match state.metadata.get(CHECKSUM) {
        Some(found) if *found == checksum(state) => Ok(()),
        Some(_) => Err("its checksum is not that of its content: the file is damaged".to_owned()),
        None => Err("no wgrad checkpoint: it has no checksum".to_owned()),
    }
}

/// The name of each callback in a state: a second one of a name is numbered.
pub(super) fn keys<'c>(callbacks: impl Iterator<Item = &'c str>) -> Vec<String> {
    let mut seen: Vec<&str> = Vec::new();
    let mut keys = Vec::new();
    for name in callbacks {
        seen.push(name);
        let count = seen.iter().filter(|known| **known == name).count();
        keys.push(if count == 1 { name.to_owned() } else { format!("{name}_{count}") });
    }
    keys
}

/// What must be equal for a run to continue another, in words.
pub(crate) fn identity<B>(trainer: &Trainer<'_, B>, rows: usize) -> String {
    let plan = &trainer.plan;
    let order = if plan.shuffle { "shuffled" } else { "in their own order" };
    let mut words = vec![
        format!("seed {}", plan.seed),
        format!("batch size {}", plan.batch_size),
        format!("{rows} rows {order}"),
    ];
    if plan.drop_last {
        words.push("without a short last batch".to_owned());
    }
    if plan.accumulate > 1 {
        words.push(format!("{} batches a step", plan.accumulate));
    }
    words.extend(plan.clip_value.map(|most| format!("values clipped to {most}")));
    words.extend(plan.clip_norm.map(|most| format!("norms clipped to {most}")));
    words.extend(trainer.parallel.describe());
    words.extend(trainer.rates.describe());
    words.extend(trainer.averaging.map(|averaging| averaging.to_string()));
    words.join(", ")
}

/// What identifies a run in its states.
#[derive(Default)]
pub(crate) struct Identity {
    pub run: String,
    pub data: String,
}

impl<B> Trainer<'_, B> {
    /// The whole state, of which `optimizer` is the optimizer's.
    pub(super) fn make_state(
        &mut self,
        place: &Place,
        history: &History,
        identity: &Identity,
        optimizer: StateDict,
    ) -> Result<StateDict> {
        let mut state = self.parameters.state_dict()?;
        insert(&mut state, OPTIMIZER, optimizer);
        if let Some(average) = &self.average {
            let mut own = average.to_state_dict()?;
            own.metadata.insert("count".to_owned(), average.count().to_string());
            insert(&mut state, AVERAGE, own);
        }
        if state.tensors.values().any(|(_, values)| values.iter().any(|v| !v.is_finite())) {
            return Err(Error::WeightNotFinite { step: place.step, kept: self.kept() });
        }
        for (key, callback) in keys(self.callbacks.iter().map(|c| c.name())).iter().zip(&self.callbacks) {
            let prefixes = [format!("{CALLBACK}{key}."), format!("wgrad.callback_{key}.")];
            insert(&mut state, prefixes.each_ref().map(String::as_str), callback.save_state()?);
        }
        if place.rows > 0 {
            insert(&mut state, TRAIN_METRICS, self.train_metrics.save_state()?);
        }
        let schedule = self.rates.state();
        let entries = [
            ("schema", SCHEMA.to_owned()),
            ("step", place.step.to_string()),
            ("epoch", place.epoch.to_string()),
            ("rows", place.rows.to_string()),
            ("skipped", place.skipped.to_string()),
            ("means", place.means.to_text()),
            ("draws", self.parameters.draws().to_string()),
            ("run", identity.run.clone()),
            ("data", identity.data.clone()),
            ("schedule_state", schedule),
            ("history", history.to_text()),
            ("config", self.plan.config.clone()),
        ];
        state.metadata.extend(entries.map(|(key, value)| (format!("wgrad.{key}"), value)));
        let sum = checksum(&state);
        state.metadata.insert(CHECKSUM.to_owned(), sum);
        Ok(state)
    }

    /// Where the last state is kept, for errors.
    pub(super) fn kept(&self) -> String {
        self.callbacks.iter().map(|callback| callback.kept()).collect()
    }

    /// Loads a state. Nothing is changed unless all of it fits.
    pub(super) fn load_state(
        &mut self,
        saved: Saved,
        identity: &Identity,
        rows: usize,
    ) -> Result<(Place, History)> {
        let Saved { mut state, file, is_checked } = saved;
        let read = Reader { file: &file };
        let schema: String = read.value(&state, "schema")?;
        if schema != SCHEMA {
            return Err(read.error(format!(
                "a checkpoint of version {schema}, and this wgrad reads {SCHEMA}: continue with the wgrad that wrote it"
            )));
        }
        let identities = [("run", &identity.run, "run"), ("data", &identity.data, "data set")];
        for (key, own, what) in identities.into_iter().filter(|_| !is_checked) {
            let found: String = read.value(&state, key)?;
            if found != *own {
                return Err(
                    read.error(format!("belongs to another {what}, of {found}; this one is of {own}"))
                );
            }
        }
        let place = read.place(&state, rows)?;
        let text: String = read.value(&state, "history")?;
        let epochs =
            History::epochs_from_text(&text).ok_or_else(|| read.error("wgrad.history is no history"))?;
        let draws: u32 = read.value(&state, "draws")?;
        let schedule: String = read.value(&state, "schedule_state")?;
        let own = part(&mut state, OPTIMIZER);
        let average = part(&mut state, AVERAGE);
        let counted = part(&mut state, TRAIN_METRICS);
        self.load_callbacks(&mut state, &read)?;
        self.check(&state, &own, &average, &file)?;
        let count = match &self.average {
            Some(_) => read.parse("average_count", average.metadata.get("count"))?,
            None => 0,
        };
        if !self.rates.load_state(&schedule) {
            return Err(read.error(format!("{schedule:?} is no state of its schedule")));
        }
        self.optimizer.state_mut().load_state_dict(&own, &file)?;
        self.parameters.load_state_dict(&state, &file)?;
        self.average.as_mut().map_or(Ok(()), |own| own.load(&average, count))?;
        if place.rows > 0 {
            self.train_metrics
                .load_state(self.parameters.gpu(), counted)
                .map_err(|error| read.error(error.to_string()))?;
        }
        self.parameters.set_draws(draws);
        Ok((place, History { epochs, ..History::default() }))
    }

    fn load_callbacks(&mut self, state: &mut StateDict, read: &Reader<'_>) -> Result<()> {
        let keys = keys(self.callbacks.iter().map(|callback| callback.name()));
        for (key, callback) in keys.iter().zip(&mut self.callbacks) {
            let prefixes = [format!("{CALLBACK}{key}."), format!("wgrad.callback_{key}.")];
            let own = part(state, prefixes.each_ref().map(String::as_str));
            if !own.tensors.is_empty() || !own.metadata.is_empty() {
                let failed = |error: Error| read.error(format!("the state of {key}: {error}"));
                callback.load_state(&own).map_err(failed)?;
            }
        }
        // Of callbacks that are no longer there.
        state.tensors.retain(|key, _| !key.starts_with(CALLBACK));
        Ok(())
    }

    /// Checks that the parts hold what the model, the optimizer and the average have, and nothing else.
    fn check(&self, model: &StateDict, own: &StateDict, average: &StateDict, file: &str) -> Result<()> {
        // An optimizer that has a share of its state since an earlier fit looks for that itself.
        let is_whole = self.optimizer.state().kept().iter().all(|&kept| kept);
        let shapes: Vec<_> = self.optimizer.state().shapes().filter(|_| is_whole).collect();
        let with = |prefix: &str, state: &StateDict| {
            let tensors =
                state.tensors.iter().map(|(key, values)| (format!("{prefix}{key}"), values.clone()));
            StateDict { tensors: tensors.collect(), ..StateDict::default() }
        };
        let shapes: Vec<_> = shapes.iter().map(|(key, shape)| (format!("optim.{key}"), *shape)).collect();
        let optimizer = shapes.iter().map(|(key, shape)| (key.as_str(), *shape));
        let mut all = with("", model);
        if is_whole {
            all.tensors.extend(with("optim.", own).tensors);
        }
        let load = Load::strict().named(file);
        load.check(self.parameters.shapes().chain(optimizer), &all)?;
        let names: Vec<_> = match &self.average {
            Some(_) => shapes_of(&self.parameters),
            None => Vec::new(),
        };
        let averaged = names.iter().map(|(key, shape)| (key.as_str(), shape.as_slice()));
        load.check(averaged, &with("average.", average))?;
        Ok(())
    }
}

/// The names and shapes of averaged weights in a state.
fn shapes_of(parameters: &Parameters) -> Vec<(String, Vec<usize>)> {
    let entries = parameters.entries().iter();
    entries.map(|entry| (format!("average.{}", entry.name), entry.tensor.shape().to_vec())).collect()
}
