//! The program: a window, its keys, and what happens in a frame.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wgrad::Gpu;
use winit::application::ApplicationHandler;
use winit::dpi::LogicalSize;
use winit::event::{ElementState, KeyEvent, WindowEvent};
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::keyboard::{Key, NamedKey};
use winit::window::{Window, WindowId};

use crate::error::{Error, Result};
use crate::learner::Learner;
use crate::log::Log;
use crate::picture::Picture;
use crate::screen::Screen;
use crate::view::View;

/// How the program was started.
pub struct Options {
    /// What the network learns.
    pub picture: Picture,
    /// Of each frame's time, for training.
    pub budget: Duration,
    /// Of the first weights, of the frequencies, and of the order of pixels.
    pub seed: u64,
    /// Where to write a line for each frame.
    pub log: Option<PathBuf>,
    /// Frames after which the program ends by itself.
    pub frames: Option<u64>,
}

/// Runs until the window is closed.
///
/// # Errors
/// What ended the program, if it was not the user.
pub fn run(options: Options) -> Result<()> {
    let log = options.log.as_deref().map(Log::create).transpose()?;
    let mut app = App { options, log, running: None, frames: 0, ended_by: None };
    EventLoop::new()?.run_app(&mut app)?;
    app.ended_by.map_or(Ok(()), Err)
}

struct App {
    options: Options,
    log: Option<Log>,
    running: Option<Running>,
    frames: u64,
    ended_by: Option<Error>,
}

/// What exists once there is a window.
struct Running {
    screen: Screen,
    view: View,
    learner: Learner,
    paused: bool,
    last_frame: Instant,
    /// When the title was last written, and how many steps were finished then.
    titled: (Instant, u64),
}

impl ApplicationHandler for App {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.running.is_none() {
            let running = Running::new(event_loop, &self.options);
            self.running = self.kept(event_loop, running);
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(running) = &mut self.running else { return };
        let result = match event {
            WindowEvent::CloseRequested => {
                event_loop.exit();
                Ok(())
            }
            WindowEvent::Resized(size) => {
                running.screen.resize(size);
                running.view.resize(&running.screen.queue, size.width, size.height);
                Ok(())
            }
            WindowEvent::KeyboardInput {
                event: KeyEvent { logical_key, state: ElementState::Pressed, repeat: false, .. },
                ..
            } => self.key(event_loop, &logical_key),
            WindowEvent::RedrawRequested => self.frame(event_loop),
            _ => Ok(()),
        };
        self.kept(event_loop, result);
    }
}

impl App {
    /// The value, or the end of the program.
    fn kept<T>(&mut self, event_loop: &ActiveEventLoop, result: Result<T>) -> Option<T> {
        result
            .map_err(|error| {
                self.ended_by = Some(error);
                event_loop.exit();
            })
            .ok()
    }

    fn key(&mut self, event_loop: &ActiveEventLoop, key: &Key) -> Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        match key.as_ref() {
            Key::Named(NamedKey::Escape) => event_loop.exit(),
            Key::Named(NamedKey::Space) => running.paused = !running.paused,
            Key::Character("r" | "R") => {
                running.learner =
                    Learner::new(running.learner.gpu(), &self.options.picture, self.options.seed)?;
                running.view.set_learned(&running.screen.device, running.learner.texture());
            }
            _ => {}
        }
        Ok(())
    }

    fn frame(&mut self, event_loop: &ActiveEventLoop) -> Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let frame = running.frame(self.options.budget)?;
        if let Some(log) = &mut self.log {
            log.write(frame, running.learner.steps(), running.learner.loss())?;
        }
        self.frames += 1;
        if self.options.frames.is_some_and(|frames| self.frames >= frames) {
            event_loop.exit();
        }
        Ok(())
    }
}

impl Running {
    fn new(event_loop: &ActiveEventLoop, options: &Options) -> Result<Self> {
        let attributes = Window::default_attributes()
            .with_title("neural image")
            .with_inner_size(LogicalSize::new(960, 500));
        let window = Arc::new(event_loop.create_window(attributes)?);
        let screen = pollster::block_on(Screen::new(window))?;
        let gpu = Gpu::from_wgpu(screen.device.clone(), screen.queue.clone());
        let learner = Learner::new(&gpu, &options.picture, options.seed)?;
        let (device, queue) = (&screen.device, &screen.queue);
        let view = View::new(device, queue, screen.format(), &options.picture, learner.texture());
        let size = screen.window.inner_size();
        view.resize(queue, size.width, size.height);
        screen.window.request_redraw();
        let now = Instant::now();
        Ok(Self { screen, view, learner, paused: false, last_frame: now, titled: (now, 0) })
    }

    /// Trains for a while, then draws. Returns the time since the frame before.
    fn frame(&mut self, budget: Duration) -> Result<Duration> {
        if !self.paused {
            self.learner.advance(budget)?;
        }
        self.screen.present(|encoder, frame| self.view.draw(encoder, frame));
        self.screen.window.request_redraw();
        let frame = self.last_frame.elapsed();
        self.last_frame = Instant::now();
        self.write_title();
        Ok(frame)
    }

    /// Twice a second.
    fn write_title(&mut self) {
        let (since, steps) = (self.titled.0.elapsed().as_secs_f64(), self.learner.steps());
        if since < 0.5 {
            return;
        }
        let rate = steps.saturating_sub(self.titled.1) as f64 / since;
        let quality = match (self.learner.psnr(), self.learner.loss()) {
            (Some(psnr), Some(loss)) => format!("{psnr:.1} dB, loss {loss:.5}, "),
            _ => String::new(),
        };
        let state = if self.paused { "paused, " } else { "" };
        self.screen.window.set_title(&format!(
            "neural image: {quality}{state}step {steps}, {rate:.1} steps/s (space: pause, R: reset, Esc: quit)"
        ));
        self.titled = (Instant::now(), steps);
    }
}
