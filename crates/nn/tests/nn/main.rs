//! Layers, losses, optimizers, training curves and state dicts against what PyTorch computes (see
//! `../fixtures/README.md`), and the promises that this crate makes beside that.
#![allow(clippy::unwrap_used, reason = "a test that fails to unwrap has failed")]

mod changes;
mod common;
mod curves;
mod files;
mod freezing;
mod gradients;
mod inits;
mod layers;
mod loading;
mod loss_options;
mod losses;
mod models;
mod optimizer_steps;
mod optimizers;
mod own_optimizer;
mod parameters;
mod ranks;
mod reproducible;
mod resnet_layers;
mod rules;
mod schedules;
mod shares;
mod sharing;
mod state_dicts;
mod synchronized;
mod text_layers;
