//! The largest allocation since a moment, by the allocator itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static LARGEST: AtomicUsize = AtomicUsize::new(0);

/// More than this at once is refused, as on a machine that has no more.
const MOST: usize = 1 << 30;

/// The system's allocator, which remembers the largest request. A program names it as its `#[global_allocator]`.
pub struct Counting;

impl Counting {
    fn allows(size: usize) -> bool {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        size <= MOST
    }
}

// SAFETY: every call goes to the system's allocator as it came, or answers with null, which means that memory is out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !Self::allows(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !Self::allows(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !Self::allows(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

pub(crate) fn start() {
    LARGEST.store(0, Ordering::Relaxed);
}

pub(crate) fn largest() -> usize {
    LARGEST.load(Ordering::Relaxed)
}
