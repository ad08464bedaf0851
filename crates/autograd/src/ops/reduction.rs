//! The skeleton of all reductions: what a launch of `reduce/reduce.wgsl` and `rows/map_rows.wgsl` is made of, which lanes go over
//! a row, and when rows are cut into chunks.

use wgrad_device::shaders::{self, File, Kernel};
use wgrad_device::{Family, Gpu, Launch, View};

use crate::launch::launch;
use crate::{Error, Result, Tensor};

/// Units up to which a row is never cut into chunks, so that rows of any such length run the same kernels.
const SHORT: usize = 1024;

/// The most units that one lane goes over.
const LONGEST: usize = 16 * 1024;

/// Who goes over a row.
#[derive(Clone, Copy)]
struct Lanes {
    file: &'static File,
    /// Invocations of a workgroup, and of those the ones that share a row.
    group: usize,
    lanes: usize,
}

impl Lanes {
    /// For rows of `n` units. `columns`: the rows lie side by side, so that invocations that have one each read neighbours.
    fn of(gpu: &Gpu, n: usize, columns: bool) -> Self {
        let shared = |file, group| Self { file, group, lanes: group };
        match (gpu.family(), gpu.subgroup()) {
            // Small workgroups, for both of two processors to have some; not where there is little to do.
            (Family::Cpu, _) if n > 16 => Self { file: &shaders::ROW_LANES_SINGLE, group: 16, lanes: 1 },
            (Family::Cpu, _) => Self { file: &shaders::ROW_LANES_SINGLE, group: 64, lanes: 1 },
            _ if columns || n <= 16 => Self { file: &shaders::ROW_LANES_SINGLE, group: 64, lanes: 1 },
            (_, Some(lanes)) if n <= SHORT => shared(&shaders::ROW_LANES_SUBGROUP, lanes as usize),
            _ if n <= SHORT => shared(&shaders::ROW_LANES_WORKGROUP, 64),
            _ => shared(&shaders::ROW_LANES_WORKGROUP, 256),
        }
    }

    /// Workgroups for so many rows.
    fn groups(self, rows: usize) -> usize {
        rows.div_ceil(self.group / self.lanes)
    }

    /// Loop iterations over `n` units, each of them with `inner` more, and those in which the lanes meet.
    fn iterations(self, n: usize, inner: usize) -> usize {
        (n.div_ceil(self.lanes) + 1) * (1 + inner) + 40
    }
}

/// The function of `shaders/reduce/units/` that a kernel's `term` calls for a unit, one element or four of them.
#[derive(Clone, Copy)]
pub(crate) enum TermCalls {
    /// `each`: the state of the unit, by the kernel's `map` of each element.
    Each,
    /// `total`: the sum of the unit's elements.
    Total,
    Neither,
}

/// The words that types of a kernel take; 0 for one that it has not.
#[derive(Clone, Copy)]
pub(crate) struct Words {
    /// Of `S`, the state of a part of a row.
    pub(crate) state: usize,
    /// Of `R`, what is settled of a row.
    pub(crate) settled: usize,
}

/// A kernel over contiguous rows of f32: the file that declares what `reduce/reduce.wgsl` and `rows/map_rows.wgsl` ask for.
pub(crate) struct RowKernel {
    pub(crate) file: &'static File,
    pub(crate) term: TermCalls,
    pub(crate) words: Words,
}

/// The launches of a kernel over rows.
pub(crate) struct Rows<'a> {
    pub(crate) gpu: &'a Gpu,
    /// The op's files, but for those of the skeleton.
    pub(crate) files: Vec<&'static File>,
    pub(crate) aliases: Vec<(&'static str, &'static str)>,
    pub(crate) constants: Vec<(&'static str, usize)>,
    /// Results, and units of a row.
    pub(crate) rows: usize,
    pub(crate) n: usize,
    /// Elements of a row.
    pub(crate) length: usize,
    /// `p.scalar` and `p.index`: what the op's head comment says, and 0 if it says nothing.
    pub(crate) scalar: f32,
    pub(crate) index: u32,
    pub(crate) words: Words,
}

/// Where the units of a reduction's rows lie, as `reduce.wgsl` says.
pub(crate) struct Layout {
    pub(crate) offset: usize,
    pub(crate) kept: Vec<[usize; 4]>,
    pub(crate) reduced: Vec<[usize; 4]>,
}

impl Layout {
    /// Rows behind each other, without gaps.
    pub(crate) fn contiguous(rows: usize, n: usize) -> Self {
        Self { offset: 0, kept: vec![[rows, n, 0, 0]], reduced: vec![[n, 1, 0, 0]] }
    }

    /// Whether many rows lie side by side.
    fn is_columns(&self) -> bool {
        let ([size, kept, ..], [_, reduced, ..]) = (self.kept[0], self.reduced[0]);
        kept == 1 && size >= 16 && reduced != 1
    }
}

impl Tensor {
    /// `[rows, cols]` of this tensor seen as rows along its last axis.
    pub(crate) fn rows(&self, op: &'static str) -> Result<[usize; 2]> {
        match self.shape() {
            [outer @ .., cols] => Ok([outer.iter().product(), *cols]),
            [] => Err(Error::shape(op, "a scalar has no last axis")),
        }
    }
}

/// Views by the names under which they are bound.
pub(crate) type Bound<'a> = &'a [(&'static str, View)];

fn bind<'a>(launch: Launch<'a>, first: Bound<'_>, others: Bound<'_>) -> Launch<'a> {
    let others = others.iter().filter(|(name, _)| first.iter().all(|(known, _)| known != name));
    first.iter().chain(others).fold(launch, |launch, (name, view)| launch.bind(name, view.clone()))
}

impl<'a> Rows<'a> {
    /// Contiguous rows of f32, by quads where they are whole ones.
    pub(crate) fn of(x: &'a Tensor, [rows, cols]: [usize; 2], kernel: &RowKernel) -> Self {
        let RowKernel { file, term, words } = *kernel;
        let width = if cols.is_multiple_of(4) { 4 } else { 1 };
        let mut files = vec![file];
        files.extend(match (term, width) {
            (TermCalls::Each, 4) => Some(&shaders::EACH_4),
            (TermCalls::Each, _) => Some(&shaders::EACH_1),
            (TermCalls::Total, 4) => Some(&shaders::TOTAL_4),
            (TermCalls::Total, _) => Some(&shaders::TOTAL_1),
            (TermCalls::Neither, _) => None,
        });
        let aliases = vec![("V", if width == 4 { "vec4<f32>" } else { "f32" }), ("C", "f32")];
        let (gpu, n, constants) = (x.gpu(), cols / width, Vec::new());
        Self { gpu, files, aliases, constants, rows, n, length: cols, scalar: 0.0, index: 0, words }
    }

    fn kernel(&self, file: &'static File, entry: &'static str, last: &[&'static File]) -> Launch<'a> {
        let files = self.files.iter().chain(last);
        let kernel = files.fold(Kernel::new(file, entry), |kernel, file| kernel.with(file));
        let launch = launch(self.gpu, kernel).constants(self.constants.iter().copied());
        self.aliases.iter().fold(launch, |launch, (name, to)| launch.alias(name, to))
    }

    /// Units of a chunk: the row's, where it needs none.
    fn chunk(&self, lanes: Lanes, inner: usize) -> usize {
        let Self { n, rows, .. } = *self;
        // Rows that keep the device busy.
        let enough: usize = match self.gpu.family() {
            Family::Cpu => 1024,
            Family::Gpu if lanes.lanes == 1 => 16 * 1024,
            Family::Gpu => 256,
        };
        let iterations = (self.gpu.loop_limit() as usize - 64) / (1 + inner);
        let most = lanes.lanes.saturating_mul(LONGEST.min(iterations));
        let wanted = match (n <= SHORT, rows >= enough) {
            (true, _) | (_, true) => n,
            _ => n.div_ceil(enough / rows.max(1)).max(256),
        };
        // The parts are gone over by lanes too.
        wanted.max(n.div_ceil(LONGEST)).min(most).min(n)
    }

    /// A reduction: `terms` are what `term` reads, `puts` what `put` reads and writes.
    pub(crate) fn reduce(&self, layout: Layout, terms: Bound<'_>, puts: Bound<'_>) -> Result<()> {
        let Self { rows, n, .. } = *self;
        if rows == 0 {
            return Ok(());
        }
        let columns = layout.is_columns();
        let lanes = Lanes::of(self.gpu, n, columns);
        let inner = if layout.reduced.len() > 1 { layout.reduced.len() } else { 0 };
        let chunk = self.chunk(lanes, inner);
        let chunks = n.div_ceil(chunk.max(1));
        let launch = |entry, lanes: Lanes, n: usize, Layout { offset, kept, reduced }| {
            self.kernel(&shaders::REDUCE, entry, &[lanes.file])
                .constants([("GROUP", lanes.group), ("KEPT", kept.len()), ("REDUCED", reduced.len())])
                .set_all([("rows", rows), ("n", n), ("chunk", chunk), ("chunks", chunks)])
                .set_all([("offset", offset), ("length", self.length)])
                .set_f32("scalar", self.scalar)
                .set("index", self.index as usize)
                .max_iterations(lanes.iterations(chunk.max(chunks), inner) + kept.len())
                .set_rows("kept", kept)
                .set_rows("reduced", reduced)
        };
        if chunks <= 1 {
            let whole = launch("reduce", lanes, n, layout).groups(lanes.groups(rows));
            return Ok(bind(whole, terms, puts).enqueue()?);
        }
        let parts = Tensor::empty(self.gpu, &[chunks, rows, self.words.state])?;
        let part = launch("reduce_part", lanes, n, layout).groups(lanes.groups(rows * chunks));
        bind(part, terms, &[("parts", parts.bind())]).enqueue()?;
        // However many parts: the same kernel.
        let lanes = Lanes::of(self.gpu, chunks.max(17), rows >= 16);
        let layout = Layout::contiguous(1, 1);
        let last = launch("reduce_parts", lanes, chunks, layout).groups(lanes.groups(rows));
        Ok(bind(last, &[("of_parts", parts.bind())], puts).enqueue()?)
    }

    /// Rows to rows: `terms` are what `term` reads, `writes` what `write` reads and writes, and what is settled of a row goes
    /// to `keep` if the op keeps it.
    pub(crate) fn map(
        &self,
        terms: Bound<'_>,
        writes: Bound<'_>,
        keep: Option<(&'static str, &Tensor)>,
    ) -> Result<()> {
        let Self { rows, n, .. } = *self;
        if rows == 0 || n == 0 {
            return Ok(());
        }
        let lanes = Lanes::of(self.gpu, n, false);
        let iterations = 2 * lanes.iterations(n, 0);
        // Few long rows leave most of the device idle, if one workgroup or invocation has each.
        let few = match self.gpu.family() {
            Family::Cpu => n > SHORT && rows < 512,
            Family::Gpu => n > 16 * SHORT && rows < 64,
        };
        if few || n > LONGEST * lanes.lanes {
            let stats = match keep {
                Some((_, kept)) => kept.clone(),
                None => Tensor::empty(self.gpu, &[rows, self.words.settled])?,
            };
            let files = [&self.files[..], &[&shaders::PUT_SETTLED]].concat();
            let (aliases, constants) = (self.aliases.clone(), self.constants.clone());
            let first = Rows { files, aliases, constants, ..*self };
            first.reduce(Layout::contiguous(rows, n), terms, &[("settled_rows", stats.bind())])?;
            return self.map_units(&stats, writes);
        }
        let keep = keep.map(|(name, kept)| (name, kept.bind()));
        let launch = self
            .kernel(&shaders::MAP_ROWS, "map_rows", &[lanes.file])
            .constant("GROUP", lanes.group)
            .set_all([("rows", rows), ("n", n), ("length", self.length)])
            .set_f32("scalar", self.scalar)
            .set("index", self.index as usize)
            .max_iterations(iterations)
            .groups(lanes.groups(rows));
        Ok(bind(launch, &[terms, keep.as_slice()].concat(), writes).enqueue()?)
    }

    /// The units of rows from what was settled of each row.
    pub(crate) fn map_units(&self, settled: &Tensor, writes: Bound<'_>) -> Result<()> {
        let count = self.rows * self.n;
        let by_row = self.gpu.family() == Family::Cpu && self.rows >= 512 && self.n <= LONGEST;
        let (entry, threads) = if by_row { ("map_settled_rows", self.rows) } else { ("map_units", count) };
        let launch = self
            .kernel(&shaders::MAP_UNITS, entry, &[])
            .set_all([("count", count), ("n", self.n), ("length", self.length)])
            .set_f32("scalar", self.scalar)
            .set("index", self.index as usize)
            .max_iterations(if by_row { self.n + 1 } else { 1 })
            .threads(threads);
        Ok(bind(launch, &[("settled", settled.bind())], writes).enqueue()?)
    }
}
