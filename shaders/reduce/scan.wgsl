// Running sums along the middle axis: x [outer, n, inner] → y of the same shape, y[k] = Σ x[j] over j ≤ k; with REVERSE = 1 over
// j ≥ k. Long axes are cut into chunks:
//   scan_sums   the sum of each chunk: sums [outer, chunks, inner]
//   scan        y, each chunk from what the chunks before it come to: before, the running sums of sums
// One invocation a chunk, in rising order (REVERSE: in falling). Alias: E, f32 or i32.
// Uses: divide, index.
struct Params { first_group: u32, n: u32, inner: u32, chunk: u32, chunks: u32, total: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<E>;
@group(0) @binding(2) var<storage, read> before: array<E>;
@group(0) @binding(3) var<storage, read_write> y: array<E>;
@group(0) @binding(4) var<storage, read_write> sums: array<E>;

struct Chunk { base: u32, first: u32, last: u32, number: u32 }

fn chunk_of(t: u32) -> Chunk {
    let line = divide(t, p.inner);
    let outer = divide(line, p.chunks);
    let number = line - outer * p.chunks;
    let base = outer * p.n * p.inner + (t - line * p.inner);
    return Chunk(base, number * p.chunk, min((number + 1u) * p.chunk, p.n), number);
}

fn place(own: Chunk, k: u32) -> u32 {
    return own.base + select(k, p.n - 1u - k, REVERSE == 1u) * p.inner;
}

@compute @workgroup_size(WORKGROUP)
fn scan_sums(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    if t >= p.total {
        return;
    }
    let own = chunk_of(t);
    var sum = E();
    for (var k = own.first; k < own.last; k++) {
        sum += x[place(own, k)];
    }
    sums[t] = sum;
}

@compute @workgroup_size(WORKGROUP)
fn scan(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let t = thread_index(id, groups);
    if t >= p.total {
        return;
    }
    let own = chunk_of(t);
    var sum = E();
    if own.number > 0u {
        sum = before[t - p.inner];
    }
    for (var k = own.first; k < own.last; k++) {
        sum += x[place(own, k)];
        y[place(own, k)] = sum;
    }
}
