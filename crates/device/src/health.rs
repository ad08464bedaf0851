//! Whether the device still works: errors caught in scopes, and a device's loss, both learned without the application's
//! handlers. Those are one each a device, and setting one would take away the application's own.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::platform::IN_BROWSER;
use crate::{Error, Result};

type Caught = Pin<Box<dyn Future<Output = Option<wgpu::Error>> + Send>>;

/// What is known of a device's state, shared by all that make something on it.
pub(crate) struct Health {
    device: wgpu::Device,
    /// The device is an application's, whose callback tells of a loss.
    borrowed: bool,
    lost: OnceLock<String>,
    /// Errors of closed scopes that have not arrived yet: a browser delivers them later.
    late: Mutex<Vec<Caught>>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl Health {
    pub(crate) fn new(device: wgpu::Device, borrowed: bool) -> Self {
        Self { device, borrowed, lost: OnceLock::new(), late: Mutex::default() }
    }

    pub(crate) fn device(&self) -> &wgpu::Device {
        &self.device
    }

    /// From now on every call fails with this reason. The first report is the cause; later ones are its consequences.
    pub(crate) fn set_lost(&self, reason: String) {
        let _ = self.lost.set(reason);
    }

    /// Fails once the device is known to be lost.
    pub(crate) fn check(&self) -> Result<()> {
        match self.lost.get() {
            Some(reason) => Err(Error::Lost { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    /// Asks the device itself whether it is lost, and takes the errors that have arrived late.
    ///
    /// wgpu tells the loss to the one callback, which on a borrowed device is the application's, and to nobody else:
    /// calls on a lost device do nothing, and their errors reach neither scopes nor handlers. But a buffer that is mapped
    /// from its creation can be written at once, unless there is no device to make it.
    pub(crate) fn probe(&self) -> Result<()> {
        self.check()?;
        if self.borrowed {
            // Of a device of its own the engine hears by callback.
            self.ask();
            self.check()?;
        }
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first = Ok(());
        late.retain_mut(|caught| match now(caught.as_mut()) {
            Some(error) => {
                let error = error.map_or(Ok(()), |error| Err(typed(&error)));
                first = std::mem::replace(&mut first, Ok(())).and(error);
                false
            }
            None => true,
        });
        first
    }

    /// The loss of the device, if that is behind `error`: what a lost device made is invalid, and wgpu complains of that
    /// alone.
    pub(crate) fn cause_of(&self, error: Error) -> Error {
        self.ask();
        self.check().err().unwrap_or(error)
    }

    /// Finds out whether the device is lost.
    fn ask(&self) {
        // In a browser such buffers are made on lost devices too; there the loss comes as a promise, to all who listen.
        if IN_BROWSER {
            return;
        }
        let scopes = self.scopes();
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgrad probe"),
            size: 16,
            usage: wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: true,
        });
        let mapped = buffer.get_mapped_range(..).is_ok();
        if scopes.caught().is_ok() && !mapped {
            self.set_lost("it was destroyed, or the driver gave it up".to_owned());
        }
    }

    /// Catches the errors of this thread's wgpu calls until the scopes are closed.
    pub(crate) fn scopes(&self) -> Scopes<'_> {
        let push = |filter| self.device.push_error_scope(filter);
        let internal = push(wgpu::ErrorFilter::Internal);
        let memory = push(wgpu::ErrorFilter::OutOfMemory);
        let validation = push(wgpu::ErrorFilter::Validation);
        Scopes { health: self, validation, memory, internal }
    }
}

/// Error scopes around wgpu calls, so that their errors come back as values.
///
/// Scopes end in the reverse of the order they began in, and fields are dropped in the order of declaration.
pub(crate) struct Scopes<'a> {
    health: &'a Health,
    validation: wgpu::ErrorScopeGuard,
    memory: wgpu::ErrorScopeGuard,
    internal: wgpu::ErrorScopeGuard,
}

impl Scopes<'_> {
    /// The error caught, if any, or the loss of the device that is behind it. In a browser it arrives later, and
    /// [`Health::probe`] reports it.
    pub(crate) fn pop(self) -> Result<()> {
        let health = self.health;
        self.caught().map_err(|error| health.cause_of(error))
    }

    fn caught(self) -> Result<()> {
        let scopes: [Caught; 3] =
            [Box::pin(self.validation.pop()), Box::pin(self.memory.pop()), Box::pin(self.internal.pop())];
        let mut result = Ok(());
        for mut caught in scopes {
            match now(caught.as_mut()) {
                Some(Some(error)) => result = Err(typed(&error)),
                Some(None) => {}
                None => self.health.late.lock().unwrap_or_else(PoisonError::into_inner).push(caught),
            }
        }
        result
    }
}

fn typed(error: &wgpu::Error) -> Error {
    match error {
        wgpu::Error::OutOfMemory { .. } => Error::OutOfMemory { bytes: 0, live: 0 },
        other => Error::Validation { message: one_line(&other.to_string()) },
    }
}

/// wgpu's words without their headings, which take a line each.
fn one_line(text: &str) -> String {
    let headings = ["", "Validation Error", "Internal Error", "Caused by:"];
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !headings.contains(line)).collect();
    lines.join(": ")
}

/// The future's value if it has one already.
fn now<T>(future: Pin<&mut (dyn Future<Output = T> + Send)>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}
