// Shared: the first pooling window that reaches padded coordinate `at`.
fn first_window(at: u32, kernel: u32, stride: u32) -> u32 {
    if at < kernel {
        return 0u;
    }
    return (at - kernel) / stride + 1u;
}
