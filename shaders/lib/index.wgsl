// Shared: which element an invocation owns. Grids are one-dimensional and folded into rows of workgroups
// where one axis of 65,535 is too short, so an index may lie past the end: kernels compare and return.
// Every kernel's parameters begin with first_group, the number of the first workgroup that a dispatch runs: the engine
// cuts a launch that takes longer than a frame into several dispatches.
const WORKGROUP = 64u;

fn thread_index(id: vec3<u32>, groups: vec3<u32>) -> u32 {
    return id.x + (id.y * groups.x + p.first_group) * WORKGROUP;
}
