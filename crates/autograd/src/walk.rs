//! The walk back through the graph.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use half::f16;
use wgrad_device::reading_saved;

use crate::graph::{Edge, NoSecondDerivative, Node, walking};
use crate::{DType, Error, Gradients, Op, Result, Tensor, no_grad};

impl Tensor {
    /// The gradient of this tensor, a scalar, with respect to every tracked leaf that it depends on. Frees what
    /// the ops saved on the way, so a graph can be walked once.
    ///
    /// # Errors
    /// [`Error::Shape`] if this is no scalar, [`Error::NotTracked`], [`Error::AlreadyWalked`], [`Error::Device`];
    /// [`Error::Changed`] where an op needs a value again that was changed since, such as a weight by an optimizer's step.
    /// (What an application's own commands change in a buffer of its own is not seen.)
    pub fn backward(&self) -> Result<Gradients> {
        Walk::default().run_from_scalar("backward", self)
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
        self.backward_into_with(homes, |_| Ok(()))
    }

    /// As [`Tensor::backward_into`], and calls `done` with the place in `homes` of each leaf that has a gradient, as soon as
    /// what writes it is recorded: it can be submitted and read while the walk goes on to the others.
    ///
    /// # Errors
    /// As [`Tensor::backward`], and what `done` fails with.
    pub fn backward_into_with<E: From<Error>>(
        &self,
        homes: &[(&Tensor, &Tensor)],
        done: impl FnMut(usize) -> Result<(), E>,
    ) -> Result<Gradients, E> {
        const OP: &str = "backward_into";
        for (leaf, home) in homes {
            if leaf.shape() != home.shape() || leaf.dtype() != home.dtype() || !home.is_contiguous() {
                let message = format!(
                    "a gradient of a leaf {:?} is to be written into {:?}: both have one shape and type, and what is written is contiguous",
                    leaf.shape(),
                    home.shape()
                );
                return Err(Error::shape(OP, message).into());
            }
        }
        let wanted = Some(homes.iter().map(|(leaf, _)| leaf.id()).collect());
        let home = |(place, (leaf, home)): (usize, &(&Tensor, &Tensor))| {
            (leaf.id(), Home { place, tensor: (*home).clone(), edges: 0 })
        };
        let homes = homes.iter().enumerate().map(home).collect();
        Walk { wanted, homes, recorded: false, done }.run_from_scalar(OP, self)
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
    let walk = Walk { wanted: Some(wanted), recorded: true, ..Walk::default() };
    let mut found = walk.run_from_scalar("grad", y)?;
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

/// A gradient on its way, and whether the walk made its tensor as a sum of its own, which may be added to in place.
type Sum = (Tensor, bool);

/// Where the gradient of a leaf is written.
struct Home {
    /// Among those that the caller gave.
    place: usize,
    tensor: Tensor,
    /// Edges to the leaf that the walk has not come past.
    edges: usize,
}

/// How to walk back.
struct Walk<F> {
    /// The tensors whose gradients are asked for; `None` for all leaves.
    wanted: Option<HashSet<u64>>,
    homes: HashMap<u64, Home>,
    /// Whether the gradients are recorded, and the graph kept.
    recorded: bool,
    /// Told of each home that is written.
    done: F,
}

impl Default for Walk<fn(usize) -> Result<()>> {
    fn default() -> Self {
        Self { wanted: None, homes: HashMap::new(), recorded: false, done: |_| Ok(()) }
    }
}

impl<F> Walk<F> {
    fn is_wanted(&self, id: u64) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&id))
    }

    fn run_from_scalar<E: From<Error>>(self, op: &'static str, root: &Tensor) -> Result<Gradients, E>
    where
        F: FnMut(usize) -> Result<(), E>,
    {
        root.check_scalar(op)?;
        let began = root.gpu().unique();
        let one = match root.dtype() {
            DType::F16 => Tensor::from_slice(root.gpu(), &[f16::ONE], root.shape())?,
            _ => Tensor::full(root.gpu(), root.shape(), 1.0)?,
        };
        self.run(root, &one, began)
    }

    /// Walks back from the gradient `given`; the walk began at the moment `began`.
    fn run<E: From<Error>>(self, root: &Tensor, given: &Tensor, began: u64) -> Result<Gradients, E>
    where
        F: FnMut(usize) -> Result<(), E>,
    {
        if !root.is_tracked() {
            return Err(Error::NotTracked.into());
        }
        if self.recorded { self.walk(root, given, began) } else { no_grad(|| self.walk(root, given, began)) }
    }

    fn walk<E: From<Error>>(mut self, root: &Tensor, given: &Tensor, began: u64) -> Result<Gradients, E>
    where
        F: FnMut(usize) -> Result<(), E>,
    {
        let leads = self.wanted.is_some().then(|| {
            let nodes = nodes(root);
            count_edges(&nodes, &mut self.homes);
            leading_to(&nodes, |id| self.is_wanted(id))
        });
        let mut sums: HashMap<u64, Sum> = HashMap::from([(root.id(), (given.detach(), false))]);
        let mut found = HashMap::new();
        // Tensors are numbered as they are made, so the highest number left has no user left.
        let mut waiting: BTreeMap<u64, Arc<Node>> = BTreeMap::new();
        waiting.extend(root.node().map(|node| (root.id(), Arc::clone(node))));
        while let Some((id, node)) = waiting.pop_last() {
            let edges = node.inputs.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((mut dy, _)) = sums.remove(&id) {
                if self.wanted.is_some() && self.is_wanted(id) {
                    found.insert(id, self.finish(id, dy.clone())?);
                }
                if dy.lies_with(given) && dy.strided().view.changed_between(id, began) {
                    // What the caller gave may be younger than the op; a copy is younger than the walk, as all other gradients
                    // are, and is not taken for a value of the forward pass that changed. Adding -0 keeps the sign of zeros.
                    dy = dy.mul_add_scalar(1.0, -0.0)?;
                }
                let leads = |id: u64| leads.as_ref().is_none_or(|leads| leads.contains(&id));
                let needed: Vec<bool> = edges
                    .iter()
                    .map(|edge| edge.tracked && (self.is_wanted(edge.id) || leads(edge.id)))
                    .collect();
                if needed.contains(&true) {
                    self.step(
                        Step { id, node: &node, began, edges: &edges, needed: &needed },
                        &dy,
                        &mut sums,
                    )?;
                }
                for (edge, _) in edges.iter().zip(&needed).filter(|(_, needed)| **needed) {
                    waiting.extend(edge.node.iter().map(|node| (edge.id, Arc::clone(node))));
                }
            }
            for edge in edges.iter() {
                let Some(home) = self.homes.get_mut(&edge.id) else { continue };
                home.edges = home.edges.saturating_sub(1);
                // A leaf's gradient is complete; that of a tensor on the way is seen where its own node is.
                let is_complete = home.edges == 0 && edge.node.is_none();
                if let Some((gradient, _)) = is_complete.then(|| sums.remove(&edge.id)).flatten() {
                    found.insert(edge.id, self.finish(edge.id, gradient)?);
                }
            }
        }
        for (id, (sum, _)) in sums {
            if self.is_wanted(id) {
                found.insert(id, self.finish(id, sum)?);
            }
        }
        Ok(Gradients(found))
    }

    /// Sees to it that a gradient that is complete lies where it is wanted.
    fn finish<E: From<Error>>(&mut self, id: u64, gradient: Tensor) -> Result<Tensor, E>
    where
        F: FnMut(usize) -> Result<(), E>,
    {
        let Some(Home { place, tensor: home, .. }) = self.homes.get(&id) else { return Ok(gradient) };
        if !gradient.lies_with(home) {
            if gradient.shape() != home.shape() {
                let (found, leaf) = (gradient.shape(), home.shape());
                let message =
                    format!("an op gave a gradient {found:?} for a leaf {leaf:?}: both have one shape");
                return Err(Error::shape("backward_into", message).into());
            }
            gradient.copy_into(home)?;
        }
        (self.done)(*place)?;
        Ok(home.clone())
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
        let into: Vec<Option<Tensor>> = edges
            .iter()
            .map(|edge| self.homes.get(&edge.id).filter(|_| once(edge.id)).map(|home| home.tensor.clone()))
            .collect();
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
    let inputs = match walking(id, node, || op.recorded_backward(dy, needed))? {
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

/// The nodes of the graph of `root`, by the numbers of their outputs.
fn nodes(root: &Tensor) -> BTreeMap<u64, Arc<Node>> {
    let mut nodes = BTreeMap::new();
    let mut waiting: Vec<(u64, Arc<Node>)> =
        root.node().map(|node| (root.id(), Arc::clone(node))).into_iter().collect();
    while let Some((id, node)) = waiting.pop() {
        let edges = node.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        let next = edges.iter().filter_map(|edge| edge.node.as_ref().map(|node| (edge.id, Arc::clone(node))));
        waiting.extend(next.filter(|(id, _)| !nodes.contains_key(id)));
        drop(edges);
        nodes.insert(id, node);
    }
    nodes
}

/// Notes how many edges lead to each leaf that has a home.
fn count_edges(nodes: &BTreeMap<u64, Arc<Node>>, homes: &mut HashMap<u64, Home>) {
    for node in nodes.values() {
        for edge in node.inputs.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(home) = homes.get_mut(&edge.id) {
                home.edges += 1;
            }
        }
    }
}

/// The numbers of the tensors through which a walk reaches one that is wanted.
fn leading_to(nodes: &BTreeMap<u64, Arc<Node>>, is_wanted: impl Fn(u64) -> bool) -> HashSet<u64> {
    let mut leading = HashSet::new();
    // From the oldest on: inputs are older than what is made of them.
    for (id, node) in nodes {
        let edges = node.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        if edges.iter().any(|edge| edge.tracked && (is_wanted(edge.id) || leading.contains(&edge.id))) {
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
