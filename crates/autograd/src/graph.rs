//! The graph of ops that made a tensor, and the walk back through it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use half::f16;
use wgrad_device::reading_saved;

use crate::{DType, Error, Gradients, Result, Tensor};

/// What an op keeps to compute its gradients.
pub trait Op: Send + Sync {
    /// The op's name, as in error messages.
    fn name(&self) -> &'static str;

    /// The gradient of each input for the gradient `dy` of the output, in the order of the inputs and in
    /// their shapes and types. `needed` says which inputs want one; for the others `None` is right.
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
struct NoSecondDerivative(&'static str);

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
    op: Mutex<Option<Box<dyn Op>>>,
    inputs: Mutex<Vec<Edge>>,
}

#[derive(Clone)]
struct Edge {
    id: u64,
    tracked: bool,
    node: Option<Arc<Node>>,
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

    fn with_edges(self, op: Box<dyn Op>, inputs: Vec<Edge>) -> Tensor {
        self.with_node(Arc::new(Node { op: Mutex::new(Some(op)), inputs: Mutex::new(inputs) }))
    }

    /// The gradient of this tensor, a scalar, with respect to every tracked leaf that it depends on. Frees what
    /// the ops saved on the way, so a graph can be walked once.
    ///
    /// # Errors
    /// [`Error::Shape`] if this is no scalar, [`Error::NotTracked`], [`Error::AlreadyWalked`], [`Error::Device`];
    /// [`Error::Changed`] where an op needs a value again that was changed since, such as a weight by an optimizer's step.
    /// (What an application's own commands change in a buffer of its own is not seen.)
    pub fn backward(&self) -> Result<Gradients> {
        Walk::default().walk_scalar("backward", self)
    }

    /// As [`Tensor::backward`], for any shape, from this tensor's own gradient `dy` of the same shape and type.
    ///
    /// # Errors
    /// As [`Tensor::backward`].
    pub fn backward_from(&self, dy: &Tensor) -> Result<Gradients> {
        if dy.shape() != self.shape() || dy.dtype() != self.dtype() {
            let message = format!(
                "a gradient {:?} of {} for a tensor {:?} of {}",
                dy.shape(),
                dy.dtype(),
                self.shape(),
                self.dtype()
            );
            return Err(Error::shape("backward_from", message));
        }
        Walk::default().run(self, dy, self.gpu().unique())
    }

    /// As [`Tensor::backward`], for these leaves alone: only the ways to them are walked, and each gradient is written into
    /// the tensor given with its leaf, of the leaf's shape and contiguous. A leaf that this tensor does not depend on has no
    /// gradient in the result, and its tensor is not written.
    ///
    /// # Errors
    /// As [`Tensor::backward`].
    pub fn backward_into(&self, homes: &[(&Tensor, &Tensor)]) -> Result<Gradients> {
        const OP: &str = "backward_into";
        for (leaf, home) in homes {
            if leaf.shape() != home.shape() || leaf.dtype() != home.dtype() || !home.is_contiguous() {
                let message = format!(
                    "a gradient of a leaf {:?} is to be written into {:?}: both have one shape and type, and what is written is contiguous",
                    leaf.shape(),
                    home.shape()
                );
                return Err(Error::shape(OP, message));
            }
        }
        let wanted = Some(homes.iter().map(|(leaf, _)| leaf.id()).collect());
        let homes = homes.iter().map(|(leaf, home)| (leaf.id(), (*home).clone())).collect();
        Walk { wanted, homes, recorded: false }.walk_scalar(OP, self)
    }

    fn check_scalar(&self, op: &'static str) -> Result<()> {
        if self.numel() == 1 && self.dtype().is_float() {
            return Ok(());
        }
        let message = format!(
            "a tensor {:?} of {} is no scalar of floats: give its gradient to backward_from",
            self.shape(),
            self.dtype()
        );
        Err(Error::shape(op, message))
    }
}

/// The gradients of the scalar `y` with respect to `inputs`, which may be leaves or tensors on the way, recorded as ops: a
/// gradient can be a part of a loss and have gradients of its own. The graph is kept. An input that `y` does not depend on has
/// a gradient of zeros.
///
/// Counterpart: `torch.autograd.grad(y, inputs, create_graph=True)`.
///
/// # Errors
/// As [`Tensor::backward`]. Where an op's gradient has no derivative of its own, walking back through it fails with
/// [`Error::NoSecondDerivative`].
pub fn grad<const N: usize>(y: &Tensor, inputs: [&Tensor; N]) -> Result<[Tensor; N]> {
    let wanted: HashSet<u64> = inputs.iter().map(|input| input.id()).collect();
    let walk = Walk { wanted: Some(wanted), homes: HashMap::new(), recorded: true };
    let mut found = walk.walk_scalar("grad", y)?;
    let mut gradients = Vec::with_capacity(N);
    for input in inputs {
        gradients.push(match found.0.get(&input.id()) {
            Some(gradient) => gradient.clone(),
            None => Tensor::zeros_of(input.gpu(), input.shape(), input.dtype())?,
        });
    }
    found.0.clear();
    gradients.try_into().map_err(|_| Error::shape("grad", "a gradient is missing"))
}

impl Edge {
    fn to(input: &Tensor) -> Self {
        Self { id: input.id(), tracked: input.is_tracked(), node: input.node().cloned() }
    }
}

/// A gradient on its way, and whether the walk made its tensor as a sum of its own, which may be added to in place.
type Sum = (Tensor, bool);

/// How to walk back.
#[derive(Default)]
struct Walk {
    /// The tensors whose gradients are asked for; `None` for all leaves.
    wanted: Option<HashSet<u64>>,
    /// Where the gradients of leaves are written.
    homes: HashMap<u64, Tensor>,
    /// Whether the gradients are recorded, and the graph kept.
    recorded: bool,
}

impl Walk {
    fn walk_scalar(self, op: &'static str, root: &Tensor) -> Result<Gradients> {
        root.check_scalar(op)?;
        let began = root.gpu().unique();
        let one = match root.dtype() {
            DType::F16 => Tensor::from_slice(root.gpu(), &[f16::ONE], root.shape())?,
            _ => Tensor::full(root.gpu(), root.shape(), 1.0)?,
        };
        self.run(root, &one, began)
    }

    /// Walks back from the gradient `given`; the walk began at the moment `began`.
    fn run(self, root: &Tensor, given: &Tensor, began: u64) -> Result<Gradients> {
        if !root.is_tracked() {
            return Err(Error::NotTracked);
        }
        if self.recorded { self.walk(root, given, began) } else { no_grad(|| self.walk(root, given, began)) }
    }

    fn walk(&self, root: &Tensor, given: &Tensor, began: u64) -> Result<Gradients> {
        let leads = self.wanted.as_ref().map(|wanted| leading_to(root, wanted));
        let is_wanted = |id: u64| self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&id));
        let goes_on = |edge: &Edge| {
            edge.tracked && leads.as_ref().is_none_or(|leads| is_wanted(edge.id) || leads.contains(&edge.id))
        };
        let mut sums: HashMap<u64, Sum> = HashMap::from([(root.id(), (given.detach(), false))]);
        let mut found = HashMap::new();
        // Tensors are numbered as they are made, so the highest number left has no user left.
        let mut waiting: BTreeMap<u64, Arc<Node>> = BTreeMap::new();
        waiting.extend(root.node().map(|node| (root.id(), Arc::clone(node))));
        while let Some((id, node)) = waiting.pop_last() {
            let Some((mut dy, _)) = sums.remove(&id) else { continue };
            if self.wanted.is_some() && is_wanted(id) {
                found.insert(id, dy.clone());
            }
            if dy.lies_with(given) && dy.strided().view.changed_between(id, began) {
                // What the caller gave may be younger than the op; a copy is younger than the walk, as all other gradients
                // are, and is not taken for a value of the forward pass that changed. Adding -0 keeps the sign of zeros.
                dy = dy.mul_add_scalar(1.0, -0.0)?;
            }
            let edges = node.inputs.lock().unwrap_or_else(PoisonError::into_inner);
            let needed: Vec<bool> = edges.iter().map(goes_on).collect();
            if !needed.contains(&true) {
                continue;
            }
            self.step(Step { id, node: &node, began, edges: &edges, needed: &needed }, &dy, &mut sums)?;
            for (edge, _) in edges.iter().zip(&needed).filter(|(_, needed)| **needed) {
                waiting.extend(edge.node.iter().map(|node| (edge.id, Arc::clone(node))));
            }
        }
        found.extend(sums.into_iter().filter(|(id, _)| is_wanted(*id)).map(|(id, (sum, _))| (id, sum)));
        for (id, home) in &self.homes {
            if let Some(gradient) = found.get_mut(id).filter(|gradient| !gradient.lies_with(home)) {
                if gradient.shape() != home.shape() {
                    let (found, leaf) = (gradient.shape(), home.shape());
                    let message =
                        format!("an op gave a gradient {found:?} for a leaf {leaf:?}: both have one shape");
                    return Err(Error::shape("backward_into", message));
                }
                gradient.copy_into(home)?;
                *gradient = home.clone();
            }
        }
        Ok(Gradients(found))
    }

    /// Adds the gradients that one op gives its inputs to `sums`.
    fn step(&self, step: Step, dy: &Tensor, sums: &mut HashMap<u64, Sum>) -> Result<()> {
        let Step { id, node, began, edges, needed } = step;
        let mut held = node.op.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = if self.recorded { None } else { held.take() };
        let op = taken.as_deref().or(held.as_deref()).ok_or(Error::AlreadyWalked)?;
        let dy = &if op.takes_views() { dy.clone() } else { dy.contiguous()? };
        // A node's number is that of its output, given when its launches had been recorded.
        let guarded = |run: &dyn Fn() -> Result<Vec<Option<Tensor>>>| {
            reading_saved(id, began, run).map_err(|error| changed(op.name(), error))
        };
        if self.recorded {
            let inputs = guarded(&|| recorded(op, (id, node), dy, edges, needed))?;
            return add_all(edges, inputs.into_iter().map(|x| x.map(|x| (x, false))).collect(), sums);
        }
        if let [edge] = edges {
            let sum = sums.get(&edge.id).filter(|(_, own)| *own).map(|(sum, _)| sum.clone());
            let gathered = guarded(&|| op.accumulate(dy, sum.as_ref()).map(|sum| vec![sum]))?;
            if let Some(Some(gathered)) = gathered.into_iter().next() {
                if sum.is_some() {
                    return Ok(());
                }
                return add_all(edges, vec![Some((gathered, true))], sums);
            }
        }
        // The first gradient of a leaf is written into its home; where there are more, their sum is copied there.
        let once =
            |id: u64| !sums.contains_key(&id) && edges.iter().filter(|edge| edge.id == id).count() == 1;
        let into: Vec<Option<Tensor>> =
            edges.iter().map(|edge| self.homes.get(&edge.id).filter(|_| once(edge.id)).cloned()).collect();
        let inputs = guarded(&|| op.backward_into(dy, needed, &into))?;
        check_count(op.name(), inputs.len(), edges.len())?;
        add_all(
            edges,
            inputs.into_iter().zip(needed).map(|(x, n)| x.filter(|_| *n).map(|x| (x, false))).collect(),
            sums,
        )
    }
}

/// One op of a walk.
struct Step<'a> {
    id: u64,
    node: &'a Arc<Node>,
    began: u64,
    edges: &'a [Edge],
    needed: &'a [bool],
}

/// Fails where an op, which may be a user's, gives more or fewer gradients than it has inputs.
fn check_count(op: &'static str, gradients: usize, inputs: usize) -> Result<()> {
    if gradients == inputs {
        return Ok(());
    }
    Err(Error::shape(op, format!("its backward gives {gradients} gradients for {inputs} inputs")))
}

/// Adds gradients to what their tensors have already.
fn add_all(edges: &[Edge], gradients: Vec<Option<Sum>>, sums: &mut HashMap<u64, Sum>) -> Result<()> {
    for (edge, gradient) in edges.iter().zip(gradients) {
        let Some(gradient) = gradient.filter(|_| edge.tracked) else { continue };
        let sum = match sums.remove(&edge.id) {
            Some((other, _)) => (other.add(&gradient.0)?, true),
            None => gradient,
        };
        sums.insert(edge.id, sum);
    }
    Ok(())
}

/// The gradients of an op's inputs as ops of the graph; where the op has no such, as tensors through which no walk leads.
fn recorded(
    op: &dyn Op,
    (id, node): (u64, &Arc<Node>),
    dy: &Tensor,
    edges: &[Edge],
    needed: &[bool],
) -> Result<Vec<Option<Tensor>>> {
    let before = WALKED.replace(Some((id, Arc::clone(node))));
    let inputs = op.recorded_backward(dy, needed);
    WALKED.replace(before);
    let inputs = match inputs? {
        Some(inputs) => inputs,
        None => {
            let own = no_grad(|| op.backward(dy, needed))?;
            let edges = || [Edge::to(dy)].into_iter().chain(edges.iter().cloned()).collect();
            let end = |x: Tensor| x.detach().with_edges(Box::new(NoSecondDerivative(op.name())), edges());
            own.into_iter().map(|x| x.map(end)).collect()
        }
    };
    check_count(op.name(), inputs.len(), needed.len())?;
    Ok(inputs.into_iter().zip(needed).map(|(x, needed)| x.filter(|_| *needed)).collect())
}

/// The numbers of the tensors in the graph of `root` through which a walk reaches one that is wanted.
fn leading_to(root: &Tensor, wanted: &HashSet<u64>) -> HashSet<u64> {
    // All nodes first; then from the oldest on, since inputs are older than what is made of them.
    let mut nodes: BTreeMap<u64, Arc<Node>> = BTreeMap::new();
    let mut waiting: Vec<(u64, Arc<Node>)> =
        root.node().map(|node| (root.id(), Arc::clone(node))).into_iter().collect();
    while let Some((id, node)) = waiting.pop() {
        let edges = node.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let next = edges.iter().filter_map(|edge| edge.node.as_ref().map(|node| (edge.id, Arc::clone(node))));
        waiting.extend(next.filter(|(id, _)| !nodes.contains_key(id)));
        drop(edges);
        nodes.insert(id, node);
    }
    let mut leading = HashSet::new();
    for (id, node) in &nodes {
        let edges = node.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        if edges.iter().any(|edge| edge.tracked && (wanted.contains(&edge.id) || leading.contains(&edge.id)))
        {
            leading.insert(*id);
        }
    }
    leading
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
