"""Prints values.rs: results of PyTorch in float64 that the references are held against.

    python make_values.py > values.rs

The inputs follow a formula (`pattern`) which main.rs repeats, so only results are stored.
"""

import torch
import torch.nn.functional as F


def pattern(seed, *shape):
    n = torch.Size(shape).numel()
    values = (torch.arange(n) * 37 + seed) % 101
    return (values.double() / 50.0 - 1.0).reshape(shape)


def emit(name, *tensors):
    values = ", ".join(repr(float(v)) for t in tensors for v in t.detach().flatten())
    print(f"pub const {name}: &[f64] = &[{values}];")


def with_grads(name, y, inputs, seed=5):
    """The output, and under a non-trivial upstream gradient each input's gradient."""
    emit(name, y)
    grads = torch.autograd.grad(y, inputs, pattern(seed, *y.shape))
    for i, grad in enumerate(grads):
        emit(f"{name}_GRAD_{i}", grad)


def leaf(seed, *shape):
    return pattern(seed, *shape).requires_grad_()


def elementwise():
    x = 4.0 * pattern(3, 12)
    for name in ["exp", "sigmoid", "tanh", "relu", "abs", "square"]:
        emit(name.upper(), getattr(torch, name)(x))
    emit("CLAMP", x.clamp(-1.5, 0.75))
    emit("SQRT_ABS", x.abs().sqrt())
    emit("LOG_ABS", (x.abs() + 0.125).log())
    x = (4.0 * pattern(3, 12)).requires_grad_()
    with_grads("GELU", F.gelu(x), [x])
    points = torch.tensor([1e-3, 0.1, 0.5, 1.0, 1.5, 1.999, 2.0, 2.001, 2.5, 3.0, 4.0, 5.5], dtype=torch.double)
    emit("ERF", torch.erf(points))
    emit("ERFC", torch.erfc(points))
    a, b = leaf(1, 2, 1, 3), leaf(20, 2, 1)
    with_grads("DIV", a / b, [a, b])


def matmul():
    a, b = leaf(1, 2, 3, 4), leaf(9, 2, 5, 4)
    with_grads("MATMUL_NT", a @ b.mT, [a, b])
    a, b = leaf(1, 4, 3), leaf(9, 2, 4, 2)
    with_grads("MATMUL_SHARED_TN", a.mT @ b, [a, b])


def windows():
    x, w, b = leaf(1, 2, 4, 5, 6), leaf(8, 6, 2, 3, 2), leaf(30, 6)
    y = F.conv2d(x, w, b, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2)
    with_grads("CONV2D", y, [x, w, b])
    x = pattern(1, 1, 2, 5, 6)
    emit("MAX_POOL2D", F.max_pool2d(x, (3, 2), (2, 1), (1, 1)))
    emit("AVG_POOL2D", F.avg_pool2d(x, (3, 2), (2, 1), (1, 1)))


def reductions():
    x = pattern(4, 2, 3, 4)
    emit("SUM_0_2", x.sum((0, 2)))
    emit("MEAN_1", x.mean(1))
    emit("AMAX_0_1", x.amax((0, 1)))
    emit("ARGMAX_1", x.argmax(1))
    x = (3.0 * pattern(4, 3, 5)).requires_grad_()
    with_grads("SOFTMAX", x.softmax(-1), [x])
    with_grads("LOG_SOFTMAX", x.log_softmax(-1), [x])


def losses():
    x, labels = (3.0 * pattern(4, 4, 5)).requires_grad_(), torch.tensor([0, 4, 2, 2])
    with_grads("CROSS_ENTROPY", F.cross_entropy(x, labels), [x])
    with_grads("CROSS_ENTROPY_SMOOTH", F.cross_entropy(x, labels, label_smoothing=0.1), [x])
    t = (pattern(11, 4, 5) + 1.0) / 2.0
    with_grads("BCE", F.binary_cross_entropy_with_logits(x, t), [x])
    with_grads("MSE", F.mse_loss(x, t), [x])


def optimizers():
    cases = {
        "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05),
        "SGD_NESTEROV": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.05, nesterov=True),
        "SGD_PLAIN": lambda p: torch.optim.SGD(p, lr=0.1),
        "ADAM": lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.95), weight_decay=0.05),
        "ADAMW": lambda p: torch.optim.AdamW(p, lr=0.01, betas=(0.8, 0.95), weight_decay=0.05),
    }
    for name, make in cases.items():
        p = leaf(2, 4)
        optimizer = make([p])
        for step in range(4):
            p.grad = pattern(step + 40, 4)
            optimizer.step()
        emit(name, p)


print("//! Results of PyTorch in float64, written by make_values.py.\n")
print(f"// PyTorch {torch.__version__.split('+')[0]}\n")
for section in [elementwise, matmul, windows, reductions, losses, optimizers]:
    section()
