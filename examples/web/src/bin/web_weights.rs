//! Writes the weights after some steps on this machine's adapter, for the browser's to be compared with.
//!
//!     web-weights STEPS FILE.safetensors
//!
//! It does nothing in a page, which has neither arguments nor files.

#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    let mut arguments = std::env::args().skip(1);
    let (Some(steps), Some(path)) = (arguments.next(), arguments.next()) else {
        return Err("usage: web-weights STEPS FILE.safetensors".into());
    };
    let mut session = wgrad_web::Session::new(&wgrad::Gpu::new()?)?;
    let steps: usize = steps.parse()?;
    session.stop_after(steps as u64);
    let mut made = 0;
    while made < steps {
        session.advance(Duration::from_millis(8))?;
        made += session.losses()?.len();
    }
    let mut weights = pin!(session.weights());
    let bytes = loop {
        if let Poll::Ready(bytes) = weights.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            break bytes?;
        }
    };
    std::fs::write(path, bytes)?;
    Ok(())
}
