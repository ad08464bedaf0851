//! Counting instructions in ACO's assembly: basic blocks begin with a line `BB3:`, branches name the block they go to.

use std::ops::Range;

/// Instructions of a part of a shader, each counted once however often it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Vector instructions: what a SIMD issues to its lanes.
    pub vector: usize,
    /// Vector instructions that multiply and add, or one of both on a pair of halves.
    pub multiply_add: usize,
    /// Scalar instructions.
    pub scalar: usize,
    /// Bytes that a lane reads from workgroup memory.
    pub lds_read_bytes: usize,
    /// Bytes that a lane writes to workgroup memory.
    pub lds_write_bytes: usize,
    /// Bytes that a lane loads from buffers.
    pub load_bytes: usize,
    /// Loads and stores of buffers.
    pub memory: usize,
    /// Barriers of the workgroup.
    pub barriers: usize,
}

impl Counts {
    /// Share of multiply-adds among the vector instructions, 0 to 1.
    pub fn share(&self) -> f64 {
        self.multiply_add as f64 / self.vector.max(1) as f64
    }

    fn add_line(&mut self, line: &str) {
        let op = line.split_whitespace().next().unwrap_or_default();
        if op.starts_with("v_") {
            self.vector += 1;
            self.multiply_add += usize::from(is_multiply_add(op));
        } else if op.starts_with("ds_read") || op.starts_with("ds_load") {
            self.lds_read_bytes += bytes(op);
        } else if op.starts_with("ds_write") || op.starts_with("ds_store") {
            self.lds_write_bytes += bytes(op);
        } else if op.starts_with("buffer_load") || op.starts_with("global_load") {
            self.load_bytes += bytes(op);
            self.memory += 1;
        } else if op.starts_with("buffer_store") || op.starts_with("global_store") {
            self.memory += 1;
        } else if op == "s_barrier" {
            self.barriers += 1;
        } else if op.starts_with("s_") {
            self.scalar += 1;
        }
    }
}

fn is_multiply_add(op: &str) -> bool {
    ["v_fma_", "v_fmac_", "v_mac_", "v_mad_f", "v_mad_mix", "v_fma_mix", "v_pk_fma", "v_dot"]
        .iter()
        .any(|prefix| op.starts_with(prefix))
}

/// Bytes a lane moves by a memory instruction, from the end of its name: `b128`, `2_b32`, `2st64_b64`, `dwordx3`, `ushort`.
fn bytes(op: &str) -> usize {
    let pair = if op.contains("read2") || op.contains("write2") || op.contains("_2addr") { 2 } else { 1 };
    let one = match op.rsplit('_').next().unwrap_or_default() {
        "b128" | "dwordx4" => 16,
        "b96" | "dwordx3" => 12,
        "b64" | "dwordx2" => 8,
        "b32" | "dword" => 4,
        "b16" | "u16" | "i16" | "ushort" | "sshort" | "short" | "d16" | "hi" => 2,
        "b8" | "u8" | "i8" | "ubyte" | "sbyte" | "byte" => 1,
        _ => 4,
    };
    pair * one
}

/// A shader's assembly, counted.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// The block with the most multiply-adds.
    pub hot_block: Counts,
    /// The innermost loop around that block, all its blocks; the block itself where it is in no loop.
    pub hot_loop: Counts,
    /// The outermost loop around it.
    pub outer_loop: Counts,
}

impl Counted {
    /// Counts an assembly text.
    pub fn new(assembly: &str) -> Self {
        let blocks = blocks(assembly);
        let counts = |blocks: &[Block]| {
            let mut counts = Counts::default();
            blocks.iter().flat_map(|block| &block.lines).for_each(|line| counts.add_line(line));
            counts
        };
        let each: Vec<Counts> = blocks.iter().map(|block| counts(std::slice::from_ref(block))).collect();
        // The first of equals.
        let hot =
            (0..blocks.len()).rev().max_by_key(|&i| (each[i].multiply_add, each[i].vector)).unwrap_or(0);
        let mut around: Vec<Range<usize>> =
            loops(&blocks).into_iter().filter(|blocks| blocks.contains(&hot)).collect();
        around.sort_by_key(Range::len);
        let alone = hot..hot + 1;
        let counts_of = |range: &Range<usize>| counts(blocks.get(range.clone()).unwrap_or_default());
        Self {
            hot_block: each.get(hot).copied().unwrap_or_default(),
            hot_loop: counts_of(around.first().unwrap_or(&alone)),
            outer_loop: counts_of(around.last().unwrap_or(&alone)),
        }
    }
}

struct Block<'a> {
    label: &'a str,
    lines: Vec<&'a str>,
}

fn blocks(assembly: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    for line in assembly.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_suffix(':').filter(|label| label.starts_with("BB")) {
            Some(label) => blocks.push(Block { label, lines: Vec::new() }),
            None => {
                if blocks.is_empty() {
                    blocks.push(Block { label: "", lines: Vec::new() });
                }
                if let Some(block) = blocks.last_mut() {
                    block.lines.push(line);
                }
            }
        }
    }
    blocks
}

/// The runs of blocks that end with a branch back to their beginning.
fn loops(blocks: &[Block]) -> Vec<Range<usize>> {
    let target = |line: &&str| {
        let mut words = line.split_whitespace();
        let branches =
            words.next().is_some_and(|op| op.starts_with("s_branch") || op.starts_with("s_cbranch"));
        let label = words.next().filter(|_| branches)?;
        blocks.iter().position(|block| block.label == label)
    };
    let back = |(end, block): (usize, &Block)| {
        let starts: Vec<usize> =
            block.lines.iter().filter_map(target).filter(|&start| start <= end).collect();
        starts.into_iter().map(move |start| start..end + 1)
    };
    blocks.iter().enumerate().flat_map(back).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCT: &str = "
BB0:
	s_load_dwordx4 s[0:3], s[2:3], 0x0                          ; f4080001 fa000000
	v_mov_b32_e32 v1, 0                                         ; 7e020280
BB1:
	buffer_load_dwordx4 v[4:7], v0, s[0:3], 0 offen             ; e0381000 80000400
	s_cbranch_vccz BB3                                          ; bf860003
BB2:
	v_add_u32_e32 v0, 16, v0
BB3:
	ds_write_b128 v0, v[4:7]
	s_barrier
	ds_read2_b64 v[8:11], v0 offset1:1
	ds_read_b128 v[12:15], v0 offset:16
	v_fmac_f32_e32 v1, v8, v12
	v_fma_f32 v1, v9, v13, v1
	v_mul_f32_e32 v2, v1, v1
	s_cmp_lt_u32 s4, s5
	s_cbranch_scc1 BB1                                          ; bf85fff0
BB4:
	buffer_store_dword v1, v0, s[4:7], 0 offen
	v_fma_f32 v1, v9, v13, v1
	s_endpgm
";

    #[test]
    fn the_hot_block_is_the_one_with_most_multiply_adds() {
        let counted = Counted::new(PRODUCT);
        let expected = Counts {
            vector: 3,
            multiply_add: 2,
            scalar: 2,
            lds_read_bytes: 32,
            lds_write_bytes: 16,
            load_bytes: 0,
            memory: 0,
            barriers: 1,
        };
        assert_eq!(counted.hot_block, expected);
        assert!((counted.hot_block.share() - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn its_loop_holds_the_blocks_up_to_the_branch_back() {
        let counted = Counted::new(PRODUCT);
        assert_eq!((counted.hot_loop.vector, counted.hot_loop.load_bytes), (4, 16));
    }

    #[test]
    fn loops_nest() {
        let nested = "BB0:\nBB1:\n\tv_add_f32 v0, v1, v2\nBB2:\n\tv_fmac_f32 v0, v1, v2\n\ts_cbranch_scc1 BB2\nBB3:\n\ts_branch BB1\nBB4:\n\tv_add_f32 v0, v1, v2\n";
        let counted = Counted::new(nested);
        assert_eq!([counted.hot_loop, counted.outer_loop].map(|c| c.vector), [1, 2]);
    }

    #[test]
    fn a_shader_without_loop_or_label_is_one_block() {
        let counted = Counted::new("\tv_add_f32 v0, v1, v2\n\tbuffer_load_ushort v0, v1, s[0:3], 0 offen\n");
        assert_eq!([counted.hot_block, counted.outer_loop], [counted.hot_loop; 2]);
        assert_eq!((counted.hot_block.vector, counted.hot_block.load_bytes), (1, 2));
        assert_eq!(Counted::new("").hot_block, Counts::default());
    }

    #[test]
    fn bytes_follow_from_the_name() {
        let names =
            ["ds_read_b128", "ds_read2_b64", "ds_write2st64_b32", "buffer_load_dwordx3", "ds_read_u16"];
        assert_eq!(names.map(bytes), [16, 16, 8, 12, 2]);
        assert_eq!(bytes("buffer_load_short_d16"), 2);
        assert_eq!(bytes("buffer_load_short_d16_hi"), 2);
    }
}
