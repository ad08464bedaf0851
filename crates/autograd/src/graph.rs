//! The graph of ops that made a tensor, and the walk back through it.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use wgrad_device::reading_saved;

use crate::{Error, Gradients, Result, Tensor};

/// What an op keeps to compute its gradients.
pub trait Op: Send + Sync {
    /// The op's name, as in error messages.
    fn name(&self) -> &'static str;

    /// The gradient of each input for the gradient `dy` of the output, in the order of the inputs and in
    /// their shapes. `needed` says which inputs want one; for the others `None` is right.
    ///
    /// # Errors
    /// [`Error::Device`].
    fn backward(&self, dy: &Tensor, needed: &[bool]) -> Result<Vec<Option<Tensor>>>;
}

/// One step of the computation: the op and where its inputs came from. The inputs' values are not held here:
/// an op keeps those that its gradient needs.
pub(crate) struct Node {
    op: Mutex<Option<Box<dyn Op>>>,
    inputs: Mutex<Vec<Edge>>,
}

struct Edge {
    id: u64,
    tracked: bool,
    node: Option<Arc<Node>>,
}

impl Drop for Node {
    // Iterative, because a chain of many thousand ops would overflow the stack.
    fn drop(&mut self) {
        let mut edges = std::mem::take(self.inputs.get_mut().unwrap_or_else(PoisonError::into_inner));
        while let Some(edge) = edges.pop() {
            if let Some(mut node) = edge.node.and_then(Arc::into_inner) {
                edges.append(node.inputs.get_mut().unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

thread_local! {
    static NO_GRAD_DEPTH: Cell<usize> = const { Cell::new(0) };
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

impl Tensor {
    /// This tensor as the result of `op` on `inputs`, where one of them is tracked; otherwise as it is. To be called when
    /// the op's launches have been recorded: what its backward pass reads and is written later counts as changed.
    pub fn with_op<O: Op + 'static>(self, inputs: &[&Tensor], op: impl FnOnce() -> O) -> Tensor {
        if NO_GRAD_DEPTH.get() > 0 || !inputs.iter().any(|input| input.is_tracked()) {
            return self;
        }
        let edge = |input: &&Tensor| Edge {
            id: input.id(),
            tracked: input.is_tracked(),
            node: input.node().cloned(),
        };
        let inputs = inputs.iter().map(edge).collect();
        self.with_node(Arc::new(Node { op: Mutex::new(Some(Box::new(op()))), inputs: Mutex::new(inputs) }))
    }

    /// The gradient of this tensor, a scalar, with respect to every tracked leaf that it depends on. Frees what
    /// the ops saved on the way, so a graph can be walked once.
    ///
    /// # Errors
    /// [`Error::Shape`] if this is no scalar, [`Error::NotTracked`], [`Error::AlreadyWalked`], [`Error::Device`];
    /// [`Error::Changed`] where an op needs a value again that was changed since, such as a weight by an optimizer's step.
    /// (What an application's own commands change in a buffer of its own is not seen.)
    pub fn backward(&self) -> Result<Gradients> {
        if self.numel() != 1 {
            let message =
                format!("a tensor {:?} is no scalar: give its gradient to backward_from", self.shape());
            return Err(Error::shape("backward", message));
        }
        let began = self.gpu().unique();
        self.backward_since(began, &Tensor::full(self.gpu(), self.shape(), 1.0)?)
    }

    /// As [`Tensor::backward`], for any shape, from this tensor's own gradient `dy` of the same shape.
    ///
    /// # Errors
    /// As [`Tensor::backward`].
    pub fn backward_from(&self, dy: &Tensor) -> Result<Gradients> {
        if dy.shape() != self.shape() {
            let message = format!("a gradient {:?} for a tensor {:?}", dy.shape(), self.shape());
            return Err(Error::shape("backward_from", message));
        }
        self.backward_since(self.gpu().unique(), dy)
    }

    /// Walks back from the gradient `dy`; the walk began at the moment `began`.
    fn backward_since(&self, began: u64, dy: &Tensor) -> Result<Gradients> {
        if !self.is_tracked() {
            return Err(Error::NotTracked);
        }
        no_grad(|| walk(self, dy, began))
    }
}

fn walk(root: &Tensor, given: &Tensor, began: u64) -> Result<Gradients> {
    let mut gradients = HashMap::from([(root.id(), given.detach())]);
    // Tensors are numbered as they are made, so the highest number left has no user left.
    let mut waiting: BTreeMap<u64, Arc<Node>> = BTreeMap::new();
    waiting.extend(root.node().map(|node| (root.id(), Arc::clone(node))));
    while let Some((id, node)) = waiting.pop_last() {
        let Some(mut dy) = gradients.remove(&id) else { continue };
        if dy.lies_with(given) && dy.bind().changed_between(id, began) {
            // What the caller gave may be younger than the op; a copy is younger than the walk, as all other gradients
            // are, and is not taken for a value of the forward pass that changed. Adding -0 keeps the sign of zeros.
            dy = dy.mul_add_scalar(1.0, -0.0)?;
        }
        let op = node.op.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(Error::AlreadyWalked)?;
        let edges = node.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let needed: Vec<bool> = edges.iter().map(|edge| edge.tracked).collect();
        // A node's number is that of its output, given when its launches had been recorded.
        let inputs = reading_saved(id, began, || op.backward(&dy, &needed));
        let inputs = inputs.map_err(|error| changed(op.name(), error))?;
        debug_assert_eq!(inputs.len(), edges.len(), "{}", op.name());
        for (edge, gradient) in edges.iter().zip(inputs) {
            let Some(gradient) = gradient.filter(|_| edge.tracked) else { continue };
            let sum = match gradients.remove(&edge.id) {
                Some(other) => other.add(&gradient)?,
                None => gradient,
            };
            gradients.insert(edge.id, sum);
            waiting.extend(edge.node.iter().map(|node| (edge.id, Arc::clone(node))));
        }
    }
    Ok(Gradients(gradients))
}

/// An error of the backward pass of `op`, in the words of the graph.
fn changed(op: &'static str, error: Error) -> Error {
    match error {
        Error::Device(wgrad_device::Error::Changed { name, bytes, .. }) => {
            let tensor = name.map_or_else(|| format!("a tensor of {bytes} bytes"), |name| name.to_string());
            Error::Changed { op, tensor }
        }
        other => other,
    }
}
