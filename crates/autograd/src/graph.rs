//! The graph of ops that made a tensor, and the walk back through it.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Error, Result, Tensor};

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
    /// This tensor as the result of `op` on `inputs`, where one of them is tracked; otherwise as it is.
    pub fn recorded<O: Op + 'static>(self, inputs: &[&Tensor], op: impl FnOnce() -> O) -> Tensor {
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
    /// [`Error::Shape`] if this is no scalar, [`Error::NotTracked`], [`Error::AlreadyWalked`],
    /// [`Error::Device`].
    pub fn backward(&self) -> Result<Gradients> {
        if self.numel() != 1 {
            let message =
                format!("a tensor {:?} is no scalar: give its gradient to backward_from", self.shape());
            return Err(Error::shape("backward", message));
        }
        self.backward_from(&Tensor::full(self.gpu(), self.shape(), 1.0)?)
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
        if !self.is_tracked() {
            return Err(Error::NotTracked);
        }
        no_grad(|| walk(self, dy))
    }
}

fn walk(root: &Tensor, dy: &Tensor) -> Result<Gradients> {
    let mut gradients = HashMap::from([(root.id(), dy.detach())]);
    // Tensors are numbered as they are made, so the highest number left has no user left.
    let mut waiting: BTreeMap<u64, Arc<Node>> = BTreeMap::new();
    waiting.extend(root.node().map(|node| (root.id(), Arc::clone(node))));
    while let Some((id, node)) = waiting.pop_last() {
        let Some(dy) = gradients.remove(&id) else { continue };
        let op = node.op.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(Error::AlreadyWalked)?;
        let edges = node.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let needed: Vec<bool> = edges.iter().map(|edge| edge.tracked).collect();
        let inputs = op.backward(&dy, &needed)?;
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

/// The gradients that a backward walk found, by leaf.
#[derive(Debug, Default)]
pub struct Gradients(HashMap<u64, Tensor>);

impl Gradients {
    /// The gradient of `leaf`, in its shape; `None` if the loss does not depend on it.
    pub fn get(&self, leaf: &Tensor) -> Option<&Tensor> {
        self.0.get(&leaf.id())
    }

    /// Takes the gradient of `leaf` out of the store.
    pub fn take(&mut self, leaf: &Tensor) -> Option<Tensor> {
        self.0.remove(&leaf.id())
    }

    /// Number of leaves with a gradient.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no leaf has a gradient.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
