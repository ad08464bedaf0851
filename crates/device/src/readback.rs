//! Reading buffers back: a copy recorded now, its bytes delivered when the device gets there.

use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_intrusive::channel::shared::{OneshotReceiver, OneshotSender, oneshot_channel};

use crate::buffer::View;
use crate::gpu::Gpu;
use crate::platform::IN_BROWSER;
use crate::recording::Command;
use crate::{Error, Result};

type Mapped = Result<(), wgpu::BufferAsyncError>;
type Receive = dyn Future<Output = Option<Mapped>> + Send;

/// Buffers the host can map, kept by size. Losses are read every step and must not make a buffer each time.
#[derive(Debug, Default)]
pub(crate) struct StagingPool(Mutex<HashMap<u64, Vec<wgpu::Buffer>>>);

impl StagingPool {
    fn take(&self, gpu: &Gpu, size: u64) -> Result<wgpu::Buffer> {
        let cached = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&size).and_then(Vec::pop);
        if let Some(buffer) = cached {
            return Ok(buffer);
        }
        let scopes = gpu.scopes();
        let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgrad readback"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        scopes.pop()?;
        Ok(buffer)
    }

    fn put_back(&self, buffer: wgpu::Buffer) {
        // Large reads (a checkpoint, a test's output) are rare: only small buffers are worth keeping.
        if buffer.size() <= 4096 {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(buffer.size())
                .or_default()
                .push(buffer);
        }
    }
}

/// The recording's half of a read.
pub(crate) struct Request {
    pub staging: wgpu::Buffer,
    sender: OneshotSender<Mapped>,
    submission: Submission,
}

/// The submission that runs a read, once there is one; without a number where the application submits it.
type Submission = Arc<OnceLock<Option<wgpu::SubmissionIndex>>>;

impl Request {
    /// Asks for the staging buffer's content once `index` is done.
    pub(crate) fn map(self, gpu: &Gpu, index: wgpu::SubmissionIndex) -> Result<()> {
        let sender = self.sender;
        let scopes = gpu.scopes();
        self.staging.map_async(wgpu::MapMode::Read, .., move |result| {
            // Nobody listens if the pending read was dropped, which is not an error.
            let _ = sender.send(result);
        });
        // Only now: who sees the submission polls for it, and must find the callback in place.
        let _ = self.submission.set(Some(index));
        scopes.pop()
    }

    /// Asks for the content once the application has submitted `encoder` and that is done.
    pub(crate) fn map_on_submit(self, encoder: &wgpu::CommandEncoder) {
        let sender = self.sender;
        encoder.map_buffer_on_submit(&self.staging, wgpu::MapMode::Read, .., move |result| {
            let _ = sender.send(result);
        });
        let _ = self.submission.set(None);
    }
}

/// A read under way: a future that gives the values, or to be asked and waited for without async code.
#[must_use = "the values are lost if nobody takes them"]
pub struct Pending<T> {
    gpu: Gpu,
    staging: wgpu::Buffer,
    receive: Pin<Box<Receive>>,
    // The channel closes when its receiver is dropped.
    _receiver: OneshotReceiver<Mapped>,
    /// To wait for, which a page may not.
    #[cfg_attr(target_arch = "wasm32", allow(dead_code))]
    submission: Submission,
    count: usize,
    taken: bool,
    values: PhantomData<fn() -> T>,
}

impl Gpu {
    /// Records a copy of `view` and returns at once. It runs with the next submission.
    ///
    /// # Errors
    /// [`Error::Lost`], [`Error::OutOfMemory`], [`Error::Resource`] for an imported buffer made without `COPY_SRC`.
    ///
    /// # Panics
    /// If the view's size is no multiple of `T`'s, or of four bytes.
    pub fn read_later<T: bytemuck::AnyBitPattern>(&self, view: &View) -> Result<Pending<T>> {
        self.check()?;
        self.check_owner(view, "read")?;
        view.check_usage(wgpu::BufferUsages::COPY_SRC, "read")?;
        assert!(
            view.size.is_multiple_of(4) && view.size.is_multiple_of(size_of::<T>() as u64),
            "read of {} bytes",
            view.size
        );
        let staging = self.0.staging.take(self, view.size)?;
        let (sender, receiver): (_, OneshotReceiver<Mapped>) = oneshot_channel();
        let submission = Submission::default();
        let request = Request { staging: staging.clone(), sender, submission: Arc::clone(&submission) };
        self.state().recording.push(self, Command::read(view, request))?;
        let count = view.size as usize / size_of::<T>();
        let receive = Box::pin(receiver.receive());
        Ok(Pending {
            gpu: self.clone(),
            staging,
            receive,
            _receiver: receiver,
            submission,
            count,
            taken: false,
            values: PhantomData,
        })
    }

    /// Submits and reads `view`.
    ///
    /// # Errors
    /// As [`Gpu::submit`], and [`Error::Readback`].
    pub async fn read_async<T: bytemuck::AnyBitPattern>(&self, view: &View) -> Result<Vec<T>> {
        let pending = self.read_later(view)?;
        self.submit()?;
        pending.await
    }

    /// Submits, waits and reads `view`. Does not exist in browsers, where nothing may block. On a borrowed
    /// device only this, [`Pending::wait`] and [`Gpu::synchronize`] wait.
    ///
    /// # Errors
    /// As [`Gpu::submit`], and [`Error::Readback`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read<T: bytemuck::AnyBitPattern>(&self, view: &View) -> Result<Vec<T>> {
        self.read_later(view)?.wait()
    }
}

impl<T: bytemuck::AnyBitPattern> Pending<T> {
    /// The values if they have arrived; never waits. A read that was not submitted yet has not arrived.
    ///
    /// # Errors
    /// [`Error::Readback`], [`Error::Lost`].
    pub fn try_take(&mut self) -> Result<Option<Vec<T>>> {
        match self.poll_values(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(values) => values.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Submits what is recorded and waits for the values.
    ///
    /// # Errors
    /// As [`Gpu::submit`], and [`Error::Readback`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn wait(mut self) -> Result<Vec<T>> {
        if self.submission.get().is_none() {
            self.gpu.submit()?;
        }
        let Some(submission_index) = self.submission.get().cloned() else {
            return Err(Error::Readback { message: "the submission that held it failed".to_owned() });
        };
        let encoded = submission_index.is_none();
        self.gpu.poll(wgpu::PollType::Wait { submission_index, timeout: None })?;
        match self.try_take()? {
            Some(values) => Ok(values),
            None if encoded => {
                let message = "the command encoder that holds it was not submitted yet".to_owned();
                Err(Error::Readback { message })
            }
            // Another thread that polls may still be running the callback that delivers.
            None => pollster::block_on(self),
        }
    }

    /// The device's loss, if that is why the read failed, or what wgpu says.
    fn failed(&self, message: String) -> Error {
        self.gpu.0.health.cause_of(Error::Readback { message })
    }

    fn poll_values(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<T>>> {
        if self.taken {
            let message = "its values were taken before".to_owned();
            return Poll::Ready(Err(Error::Readback { message }));
        }
        if !self.gpu.0.borrowed {
            self.gpu.poll(wgpu::PollType::Poll)?;
        }
        let Poll::Ready(mapped) = self.receive.as_mut().poll(cx) else {
            // Of a device that nobody polls any more because it is lost, nothing would ever arrive.
            self.gpu.probe()?;
            return Poll::Pending;
        };
        self.taken = true;
        let Some(Ok(())) = mapped else {
            return Poll::Ready(Err(self.failed("the submission that held it failed".to_owned())));
        };
        let scopes = self.gpu.scopes();
        let bytes = self.staging.get_mapped_range(..).map_err(|error| self.failed(error.to_string()))?;
        let values = (0..self.count)
            .map(|i| bytemuck::pod_read_unaligned(&bytes[i * size_of::<T>()..(i + 1) * size_of::<T>()]));
        let values: Vec<T> = values.collect();
        drop(bytes);
        self.staging.unmap();
        match scopes.pop() {
            Ok(()) => self.gpu.0.staging.put_back(self.staging.clone()),
            // The values are right, whatever became of the device meanwhile; the next call tells.
            Err(_) => drop(self.gpu.probe()),
        }
        Poll::Ready(Ok(values))
    }
}

impl<T: bytemuck::AnyBitPattern> Future for Pending<T> {
    type Output = Result<Vec<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.poll_values(cx);
        if polled.is_pending() && !self.gpu.0.borrowed && !IN_BROWSER {
            // Nobody else drives an owned native device: ask to be polled again.
            std::thread::yield_now();
            cx.waker().wake_by_ref();
        }
        polled
    }
}
