//! The graph of ops that made a tensor. `walk.rs` beside it goes back through it.

use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Error, Result, Tensor};

/// What an op keeps to compute its gradients.
pub trait Op: Send + Sync {
    /// The op's name, as in error messages.
    fn name(&self) -> &'static str;

    /// The gradient of each input for the gradient `dy` of the output, in the order of the inputs and in their shapes and
    /// types. `needed` says which inputs want one; for the others `None` is right.
    ///
    /// # Errors
    /// [`Error::Device`].
    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>>;

    /// As [`Op::backward`], where `into` has for some inputs the tensor that their gradient is wanted in, such as a part of a
    /// flat buffer. An op that can writes it there and returns that tensor, so that nothing is copied; the walk copies the
    /// others.
    ///
    /// # Errors
    /// As [`Op::backward`].
    fn backward_into(
        &self,
        dy: &Tensor,
        needed: &[bool],
        into: &[Option<Tensor>],
    ) -> Result<Vec<Option<Tensor>>> {
        let _ = into;
        self.backward(dy, needed)
    }

    /// The gradients made of ops that are recorded, so that they have gradients themselves; `None` if this op's has none.
    /// What the op saved of its inputs is tracked as the inputs are; an output that it saved is asked for with
    /// [`saved_output`].
    ///
    /// # Errors
    /// As [`Op::backward`].
    fn recorded_backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Option<Vec<Option<Tensor>>>> {
        let _ = (dy, needed);
        Ok(None)
    }

    /// Adds the gradient of the only input to `sum`, which nobody else reads, or begins that sum: for ops whose output is a
    /// part of their input, so that the gradients of many parts are gathered in one tensor. `None` if the op has no such way.
    ///
    /// # Errors
    /// As [`Op::backward`].
    fn accumulate(&self, dy: &Tensor, sum: Option<&Tensor>) -> Result<Option<Tensor>> {
        let _ = (dy, sum);
        Ok(None)
    }

    /// Whether [`Op::backward`] takes a gradient that is a view. Others get it contiguous.
    fn takes_views(&self) -> bool {
        false
    }
}

/// An op whose gradient has no derivative: it fails where the walk through a gradient's graph reaches it.
pub(crate) struct NoSecondDerivative(pub &'static str);

impl Op for NoSecondDerivative {
    fn name(&self) -> &'static str {
        self.0
    }

    fn backward(&self, _: &Tensor, _: &[bool]) -> Result<Vec<Option<Tensor>>> {
        Err(Error::NoSecondDerivative { op: self.0 })
    }
}

/// One step of the computation: the op and where its inputs came from. The inputs' values are not held here:
/// an op keeps those that its gradient needs.
pub(crate) struct Node {
    pub op: Mutex<Option<Box<dyn Op>>>,
    pub inputs: Mutex<Vec<Edge>>,
}

/// An input of an op: the tensor's number, and the op that made it.
#[derive(Clone)]
pub(crate) struct Edge {
    pub id: u64,
    pub tracked: bool,
    pub node: Option<Arc<Node>>,
}

impl Drop for Node {
    // Iterative, because a chain of many thousand ops would overflow the stack.
    fn drop(&mut self) {
        // What the op saved of its inputs holds their nodes: it goes while the edges still hold them too.
        drop(self.op.get_mut().unwrap_or_else(PoisonError::into_inner).take());
        let mut edges = std::mem::take(self.inputs.get_mut().unwrap_or_else(PoisonError::into_inner));
        while let Some(edge) = edges.pop() {
            if let Some(mut node) = edge.node.and_then(Arc::into_inner) {
                drop(node.op.get_mut().unwrap_or_else(PoisonError::into_inner).take());
                edges.append(node.inputs.get_mut().unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

thread_local! {
    static NO_GRAD_DEPTH: Cell<usize> = const { Cell::new(0) };
    /// The node whose gradients are being recorded, with the number of its output.
    static WALKED: RefCell<Option<(u64, Arc<Node>)>> = const { RefCell::new(None) };
}

/// The op's output as a tensor of the graph, from the copy that the op saved. An op saves its output with [`Tensor::detach`],
/// because the output holds the op; within [`Op::recorded_backward`] this function gives the output back with its place in the
/// graph, so that gradients flow through it. Outside of it `saved` comes back as it is.
pub fn saved_output(saved: &Tensor) -> Tensor {
    WALKED.with_borrow(|walked| match walked {
        Some((id, node)) => saved.attached(*id, Arc::clone(node)),
        None => saved.clone(),
    })
}

/// Runs `f` while the gradients of this node, whose output has the number `id`, are being recorded.
pub(crate) fn walking<T>(id: u64, node: &Arc<Node>, f: impl FnOnce() -> T) -> T {
    // Restored by a drop, so that a panic of a user's op that is caught does not leave the node behind.
    struct Restore(Option<(u64, Arc<Node>)>);
    impl Drop for Restore {
        fn drop(&mut self) {
            // What is replaced goes after the cell was given back: dropping it may run code of an op.
            drop(WALKED.replace(self.0.take()));
        }
    }
    let _restore = Restore(WALKED.replace(Some((id, Arc::clone(node)))));
    f()
}

/// Runs `f` without recording gradients on this thread.
pub fn no_grad<T>(f: impl FnOnce() -> T) -> T {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            NO_GRAD_DEPTH.set(NO_GRAD_DEPTH.get() - 1);
        }
    }
    NO_GRAD_DEPTH.set(NO_GRAD_DEPTH.get() + 1);
    let _leave = Leave;
    f()
}

/// Whether an op on these inputs becomes a part of the graph.
pub(crate) fn is_recording(inputs: &[&Tensor]) -> bool {
    NO_GRAD_DEPTH.get() == 0 && inputs.iter().any(|input| input.is_tracked())
}

impl Tensor {
    /// This tensor as the result of `op` on `inputs`, where one of them is tracked; otherwise as it is. To be called when
    /// the op's launches have been recorded: what its backward pass reads and is written later counts as changed.
    pub fn with_op<O: Op + 'static>(self, inputs: &[&Tensor], op: impl FnOnce() -> O) -> Tensor {
        if !is_recording(inputs) {
            return self;
        }
        let inputs = inputs.iter().map(|input| Edge::to(input)).collect();
        self.with_edges(Box::new(op()), inputs)
    }

    pub(crate) fn with_edges(self, op: Box<dyn Op>, inputs: Vec<Edge>) -> Tensor {
        self.with_node(Arc::new(Node { op: Mutex::new(Some(op)), inputs: Mutex::new(inputs) }))
    }
}

impl Edge {
    pub fn to(input: &Tensor) -> Self {
        Self { id: input.id(), tracked: input.is_tracked(), node: input.node().cloned() }
    }
}
