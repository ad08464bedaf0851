//! Matrix products and convolutions.

use wgrad_autograd::{
    Activation, Conv2dOptions, ConvTranspose2dOptions, Epilogue, MatmulOptions, Result, Tensor,
};
use wgrad_testkit::Array;
use wgrad_testkit::reference::{self as r, Conv2dParams};

use super::{Row, UNIT, row};

pub fn rows() -> Vec<Row> {
    let mut rows = matmuls();
    rows.extend(linears());
    rows.extend(convolutions());
    rows.extend(epilogues());
    rows.extend(activations());
    rows.extend(transposed());
    rows
}

fn longest_axis(x: &[Array]) -> usize {
    x.iter().flat_map(|x| &x.shape).copied().max().unwrap_or(1)
}

fn matmul(name: &str, cases: &[&[&[usize]]], ta: bool, tb: bool) -> Row {
    let op = move |x: &[Tensor]| {
        x[0].matmul_with(&x[1], MatmulOptions { transpose: ta, transpose_other: tb, ..Default::default() })
    };
    row(name, cases, UNIT, op, move |x| r::matmul(&x[0], &x[1], ta, tb)).terms(longest_axis)
}

fn matmuls() -> Vec<Row> {
    // Strips are 16 or 32 × 64 and tiles 64 × 64 × 16: one less, as many, one more.
    let edges: &[&[&[usize]]] = &[
        &[&[1, 1], &[1, 1]],
        &[&[7, 13], &[13, 5]],
        &[&[5, 8], &[8, 12]],
        &[&[15, 15], &[15, 63]],
        &[&[16, 16], &[16, 64]],
        &[&[17, 17], &[17, 65]],
        &[&[31, 3], &[3, 64]],
        &[&[33, 5], &[5, 128]],
        &[&[63, 15], &[15, 65]],
        &[&[65, 17], &[17, 63]],
        &[&[129, 31], &[31, 68]],
    ];
    // Sums that are split over workgroups, the last one beyond the longest that is left whole.
    let long: &[&[&[usize]]] =
        &[&[&[3, 1000], &[1000, 5]], &[&[5, 769], &[769, 8]], &[&[2, 16_411], &[16_411, 3]]];
    vec![
        matmul("matmul", edges, false, false),
        matmul("matmul, long sums", long, false, false),
        // B read where it lies, in batches, in splits, and beside a row strip too many, where it is packed.
        matmul(
            "matmul, rows of eights",
            &[
                &[&[3, 5, 8], &[3, 8, 72]],
                &[&[5, 8], &[3, 8, 72]],
                &[&[3, 5, 8], &[8, 72]],
                &[&[3, 1028], &[1028, 72]],
                &[&[257, 12], &[12, 16]],
            ],
            false,
            false,
        ),
        matmul("matmul aᵀ·b", &[&[&[13, 7], &[13, 5]], &[&[17, 33], &[17, 68]]], true, false),
        matmul("matmul a·bᵀ", &[&[&[7, 13], &[5, 13]], &[&[33, 17], &[68, 17]]], false, true),
        matmul("matmul aᵀ·bᵀ", &[&[&[13, 7], &[5, 13]], &[&[17, 33], &[68, 17]]], true, true),
        matmul(
            "batched",
            &[
                &[&[3, 5, 7], &[3, 7, 4]],
                &[&[2, 3, 4, 5], &[2, 3, 5, 6]],
                &[&[1, 5, 7], &[1, 7, 3]],
                // Right, then left operand shared.
                &[&[3, 5, 7], &[7, 4]],
                &[&[5, 7], &[3, 7, 4]],
                &[&[2, 3, 4, 5], &[5, 3]],
            ],
            false,
            false,
        ),
        matmul(
            "batched aᵀ·b",
            &[&[&[3, 7, 5], &[3, 7, 4]], &[&[3, 7, 5], &[7, 4]], &[&[7, 5], &[3, 7, 4]]],
            true,
            false,
        ),
        matmul(
            "batched a·bᵀ",
            &[&[&[3, 5, 7], &[3, 4, 7]], &[&[3, 5, 7], &[4, 7]], &[&[5, 7], &[3, 4, 7]]],
            false,
            true,
        ),
        matmul(
            "batched aᵀ·bᵀ",
            &[&[&[3, 7, 5], &[3, 4, 7]], &[&[3, 7, 5], &[4, 7]], &[&[7, 5], &[3, 4, 7]]],
            true,
            true,
        ),
        matmul(
            "batches that broadcast",
            &[
                &[&[2, 1, 3, 4], &[5, 4, 2]],
                &[&[2, 1, 8, 8], &[3, 8, 16]],
                // Batches of more than two axes are spread.
                &[&[2, 1, 2, 3, 4], &[3, 1, 4, 2]],
            ],
            false,
            false,
        ),
        row("attention's products", &[&[&[2, 5, 24]], &[&[2, 8, 96]]], UNIT, heads_of, heads_reference),
        row(
            "x · x (matmul)",
            &[&[&[6, 6]], &[&[2, 5, 5]]],
            UNIT,
            |x| x[0].matmul(&x[0]),
            |x| r::matmul(&x[0], &x[0], false, false),
        ),
        row(
            "xᵀ · x (matmul)",
            &[&[&[6, 5]]],
            UNIT,
            |x| x[0].matmul_with(&x[0], MatmulOptions { transpose: true, ..Default::default() }),
            |x| r::matmul(&x[0], &x[0], true, false),
        ),
    ]
}

/// Attention's scores and their sums of values: q, k and v are parts of one product, `[batch, tokens, 3 · heads · size]`.
fn heads_of(x: &[Tensor]) -> Result<Tensor> {
    let [batch, tokens, width] = [0, 1, 2].map(|axis| x[0].shape()[axis]);
    let (heads, size) = (2, width / 6);
    let part = |i: usize| {
        let part = x[0].slice(2, i * heads * size, (i + 1) * heads * size)?;
        part.reshape(&[batch, tokens, heads, size])?.permute(&[0, 2, 1, 3])
    };
    let scores = part(0)?.matmul(&part(1)?.permute(&[0, 1, 3, 2])?)?;
    scores.matmul(&part(2)?)
}

fn heads_reference(x: &[Array]) -> Array {
    let (heads, size) = (2, x[0].shape[2] / 6);
    let part = |i: usize| {
        let part = r::slice(&x[0], 2, i * heads * size, (i + 1) * heads * size);
        r::permute(&r::reshape(&part, &[x[0].shape[0], x[0].shape[1], heads, size]), &[0, 2, 1, 3])
    };
    r::matmul(&r::matmul(&part(0), &part(1), false, true), &part(2), false, false)
}

/// Activations and residuals behind products: of one sum and of split ones, stored by eight, by four and by one.
fn activations() -> Vec<Row> {
    let linear: &[&[&[usize]]] = &[
        &[&[33, 16], &[24, 16], &[24], &[33, 24]],
        &[&[2, 5, 7], &[3, 7], &[3], &[2, 5, 3]],
        &[&[3, 600], &[12, 600], &[12], &[3, 12]],
    ];
    let images: &[&[&[usize]]] = &[
        &[&[2, 3, 4, 8], &[4, 3, 3, 3], &[4], &[2, 4, 4, 8]],
        &[&[1, 2, 5, 7], &[3, 2, 3, 3], &[3], &[1, 3, 5, 7]],
    ];
    // By Winograd's transforms, stored by four and by one.
    let transformed: &[&[&[usize]]] = &[
        &[&[2, 8, 8, 8], &[9, 8, 3, 3], &[9], &[2, 9, 8, 8]],
        &[&[1, 8, 6, 14], &[9, 8, 3, 3], &[9], &[1, 9, 6, 14]],
    ];
    let options = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let params = Conv2dParams { padding: [1, 1], ..Conv2dParams::default() };
    type Function = fn(&Array) -> Array;
    let functions: [(Activation, Function); 5] = [
        (Activation::None, Array::clone),
        (Activation::Gelu, r::gelu),
        (Activation::Silu, r::silu),
        (Activation::Tanh, r::tanh),
        (Activation::Sigmoid, r::sigmoid),
    ];
    let mut rows = Vec::new();
    for (activation, f) in functions {
        let op = move |x: &[Tensor]| {
            let residual = x.get(3);
            x[0].linear_with(&x[1], x.get(2), Epilogue { activation, residual, ..Epilogue::default() })
        };
        let reference = move |x: &[Array]| f(&r::add(&linear_reference(&x[..3]), &x[3]));
        rows.push(
            row(format!("linear, {activation:?}, residual"), linear, UNIT, op, reference)
                .terms(longest_axis)
                .kinked(),
        );
        let op = move |x: &[Tensor]| {
            let residual = x.get(3);
            let epilogue = Epilogue { activation, residual, ..Epilogue::default() };
            x[0].conv2d_with(&x[1], x.get(2), options, epilogue)
        };
        let reference = move |x: &[Array]| f(&r::add(&r::conv2d(&x[0], &x[1], x.get(2), &params), &x[3]));
        let row = row(format!("conv2d, {activation:?}, residual"), images, UNIT, op, reference);
        rows.push(row.padded().kinked().where_quick(transformed));
    }
    rows
}

/// Transposed convolutions, by tiles, panels and Winograd's transforms.
fn transposed() -> Vec<Row> {
    let plain = Conv2dOptions::default();
    let mut rows = Vec::new();
    for (cases, conv, output_padding) in [
        (
            &[&[&[2, 3, 4, 5][..], &[3, 2, 2, 2], &[2]][..]][..],
            Conv2dOptions { stride: [2, 2], ..plain },
            [1, 0],
        ),
        (
            &[&[&[1, 4, 3, 2], &[4, 3, 2, 3], &[6]]],
            Conv2dOptions { stride: [2, 3], padding: [1, 0], dilation: [1, 2], groups: 2 },
            [1, 2],
        ),
        (&[&[&[2, 8, 4, 8], &[8, 9, 3, 3], &[9]]], Conv2dOptions { padding: [1, 1], ..plain }, [0, 0]),
    ] {
        let Conv2dOptions { stride, padding, dilation, groups } = conv;
        let params = Conv2dParams { stride, padding, dilation, groups };
        let options = ConvTranspose2dOptions { conv, output_padding };
        let op = move |x: &[Tensor]| x[0].conv_transpose2d(&x[1], x.get(2), options);
        let reference =
            move |x: &[Array]| r::conv_transpose2d(&x[0], &x[1], x.get(2), &params, output_padding);
        let row = row(format!("conv_transpose2d {conv:?}"), cases, UNIT, op, reference).padded().kinked();
        let is_plain = conv.stride == [1, 1];
        rows.push(if is_plain { row.where_quick(&[&[&[2, 8, 8, 8], &[8, 9, 3, 3], &[9]]]) } else { row });
    }
    rows
}

fn linear_reference(x: &[Array]) -> Array {
    // The rows of every sample are multiplied by the one weight.
    let (inputs, outputs) = (x[1].shape[1], x[1].shape[0]);
    let rows = x[0].len() / inputs;
    let y = r::matmul(&r::reshape(&x[0], &[rows, inputs]), &x[1], false, true);
    let mut shape = x[0].shape.clone();
    shape.pop();
    shape.push(outputs);
    let y = r::reshape(&y, &shape);
    x.get(2).map_or(y.clone(), |bias| r::add(&y, bias))
}

fn linears() -> Vec<Row> {
    let op = |x: &[Tensor]| x[0].linear(&x[1], x.get(2));
    let cases: &[&[&[usize]]] = &[
        &[&[1, 1], &[1, 1]],
        &[&[5, 7], &[3, 7]],
        &[&[7], &[4, 7]],
        &[&[2, 3, 8], &[12, 8]],
        &[&[33, 17], &[65, 17]],
    ];
    let biased: &[&[&[usize]]] = &[
        &[&[1, 1], &[1, 1], &[1]],
        &[&[5, 7], &[3, 7], &[3]],
        &[&[5, 7], &[4, 7], &[4]],
        &[&[2, 3, 8], &[12, 8], &[12]],
        &[&[33, 17], &[65, 17], &[65]],
        // Split sums, stored by vec4 and by element.
        &[&[3, 600], &[8, 600], &[8]],
        &[&[3, 600], &[7, 600], &[7]],
    ];
    vec![
        row("linear", cases, UNIT, op, linear_reference),
        row("linear with bias", biased, UNIT, op, linear_reference).terms(longest_axis),
        row(
            "linear and relu",
            biased,
            UNIT,
            |x| x[0].linear_with(&x[1], x.get(2), Epilogue::relu()),
            |x| r::relu(&linear_reference(x)),
        )
        .kinked()
        .terms(longest_axis),
        // Whole tiles of sums that are not split, stored by the product's own kernel.
        row(
            "linear and relu, 64 rows",
            &[&[&[64, 36], &[64, 36], &[64]], &[&[33, 20], &[8, 20]]],
            UNIT,
            |x| x[0].linear_with(&x[1], x.get(2), Epilogue::relu()),
            |x| r::relu(&linear_reference(x)),
        )
        .kinked(),
    ]
}

/// A convolution with what follows it, by Winograd's transforms and by strips: windows by fours and others, images that
/// end within a tile, several parts of a batch.
fn epilogues() -> Vec<Row> {
    let options = Conv2dOptions { padding: [1, 1], ..Default::default() };
    let params = Conv2dParams { padding: [1, 1], ..Conv2dParams::default() };
    let cases: &[&[&[usize]]] = &[
        &[&[2, 3, 4, 8], &[5, 3, 3, 3], &[5]],
        &[&[3, 2, 4, 16], &[4, 2, 3, 3]],
        &[&[1, 3, 5, 7], &[4, 3, 3, 3], &[4]],
        // Enough planes to sum the bias's gradient from pooled values.
        &[&[32, 2, 4, 8], &[8, 2, 3, 3], &[8]],
    ];
    let transformed: &[&[&[usize]]] = &[
        &[&[2, 3, 6, 8], &[5, 3, 3, 3], &[5]],
        &[&[32, 2, 2, 8], &[8, 2, 3, 3], &[8]],
        &[&[2, 8, 6, 8], &[8, 8, 3, 3], &[8]],
        &[&[1, 9, 10, 24], &[17, 9, 3, 3], &[17]],
        &[&[2, 8, 5, 8], &[9, 8, 3, 3], &[9]],
        &[&[2, 12, 4, 4], &[10, 12, 3, 3], &[10]],
        &[&[2, 8, 14, 14], &[9, 8, 3, 3], &[9]],
        &[&[1, 8, 6, 28], &[9, 8, 3, 3]],
        &[&[1, 8, 5, 13], &[9, 8, 3, 3], &[9]],
    ];
    let mut rows = Vec::new();
    for epilogue in [
        Epilogue::relu(),
        Epilogue { max_pool: true, ..Epilogue::default() },
        Epilogue { max_pool: true, ..Epilogue::relu() },
    ] {
        let op = move |x: &[Tensor]| x[0].conv2d_with(&x[1], x.get(2), options, epilogue);
        let reference = move |x: &[Array]| {
            let mut y = r::conv2d(&x[0], &x[1], x.get(2), &params);
            if epilogue.activation == Activation::Relu {
                y = r::relu(&y);
            }
            if epilogue.max_pool { r::max_pool2d(&y, [2, 2], [2, 2], [0, 0]) } else { y }
        };
        let name = format!("conv2d, {:?}, pooling {}", epilogue.activation, epilogue.max_pool);
        let row = row(name, cases, UNIT, op, reference).padded().kinked().where_quick(transformed);
        // Fused where the pooled image is one of whole vec4.
        rows.push(match epilogue.max_pool {
            true => row.without_second(&["conv2d", "max_pool2d"]).whole_halves(),
            false => row,
        });
    }
    rows
}

fn conv(name: &str, cases: &[&[&[usize]]], options: Conv2dOptions) -> Row {
    let Conv2dOptions { stride, padding, dilation, groups } = options;
    let params = Conv2dParams { stride, padding, dilation, groups };
    let op = move |x: &[Tensor]| -> Result<Tensor> { x[0].conv2d(&x[1], x.get(2), options) };
    row(name, cases, UNIT, op, move |x| r::conv2d(&x[0], &x[1], x.get(2), &params)).padded().terms(|x| {
        // The forward sums over a filter, the gradient of the weight over all pixels.
        (x[1].len() / x[1].shape[0]).max(x[0].len() / x[0].shape[1])
    })
}

/// Each geometry but the number of channels is a kernel of its own in the `gpu` family. On a software adapter, which takes some
/// eight seconds for its three products, rows of 3 × 3 kernels and padding there go with images of 5 × 7 pixels, 4 × 8 and 4 × 16:
/// such that the loads and stores of the kernels go by one, and by whole vec4 of images and of rows.
fn convolutions() -> Vec<Row> {
    let plain = Conv2dOptions::default();
    let padded = Conv2dOptions { padding: [1, 1], ..plain };
    vec![
        conv("conv2d 1×1", &[&[&[2, 3, 5, 7], &[4, 3, 1, 1]]], plain)
            .where_quick(&[&[&[1, 1, 1, 1], &[1, 1, 1, 1]]]),
        conv("conv2d 1×1 with bias", &[&[&[2, 5, 5, 7], &[3, 5, 1, 1], &[3]]], plain).where_quick(&[&[
            &[2, 5, 4, 4],
            &[3, 5, 1, 1],
            &[3],
        ]]),
        conv("conv2d 3×3", &[], plain).where_quick(&[
            &[&[2, 3, 5, 7], &[4, 3, 3, 3]],
            &[&[1, 1, 3, 3], &[1, 1, 3, 3]],
            &[&[1, 2, 9, 6], &[3, 2, 3, 3]],
        ]),
        conv(
            "conv2d, padding",
            &[
                &[&[2, 3, 5, 7], &[5, 3, 3, 3], &[5]],
                // Tiles ± 1: 17 and 65 channels, 65 taps and more.
                &[&[1, 8, 5, 7], &[17, 8, 3, 3], &[17]],
                &[&[1, 3, 5, 7], &[65, 3, 3, 3], &[65]],
                &[&[1, 17, 4, 8], &[16, 17, 3, 3], &[16]],
                &[&[3, 2, 4, 16], &[3, 2, 3, 3]],
            ],
            padded,
        )
        .where_quick(&[
            &[&[1, 8, 5, 13], &[17, 8, 3, 3], &[17]],
            &[&[1, 3, 7, 9], &[65, 3, 3, 3], &[65]],
            &[&[1, 17, 4, 4], &[16, 17, 3, 3], &[16]],
            &[&[2, 2, 4, 4], &[4, 2, 3, 3], &[4]],
            &[&[3, 2, 8, 8], &[3, 2, 3, 3]],
        ]),
        // Winograd's transforms: images of several tiles, of one, and that end within a tile, below and at the right; runs of
        // two and of four tiles, shorter than a row and as long; channels and tiles that fill no strip.
        conv("conv2d, Winograd", &[&[&[1, 8, 4, 8], &[8, 8, 3, 3]]], padded).where_quick(&[
            &[&[1, 8, 4, 4], &[8, 8, 3, 3]],
            &[&[2, 8, 5, 8], &[8, 8, 3, 3], &[8]],
            &[&[1, 9, 7, 24], &[17, 9, 3, 3], &[17]],
            &[&[3, 12, 4, 4], &[10, 12, 3, 3]],
            &[&[1, 8, 6, 32], &[33, 8, 3, 3], &[33]],
            &[&[2, 19, 9, 16], &[11, 19, 3, 3], &[11]],
            &[&[1, 8, 28, 28], &[8, 8, 3, 3], &[8]],
            &[&[2, 8, 14, 14], &[9, 8, 3, 3], &[9]],
            &[&[1, 9, 30, 30], &[8, 9, 3, 3]],
            &[&[3, 8, 7, 7], &[11, 8, 3, 3], &[11]],
            &[&[1, 8, 5, 13], &[8, 8, 3, 3]],
            &[&[1, 8, 6, 20], &[17, 8, 3, 3]],
        ]),
        // Few outputs of many terms: split over workgroups, stored by vec4 and by element.
        conv(
            "conv2d, long sums",
            &[
                &[&[1, 32, 4, 8], &[8, 32, 3, 3], &[8]],
                &[&[1, 32, 5, 7], &[8, 32, 3, 3], &[8]],
                &[&[17, 3, 5, 7], &[2, 3, 3, 3]],
            ],
            padded,
        )
        .where_quick(&[
            &[&[1, 32, 4, 4], &[8, 32, 3, 3], &[8]],
            &[&[1, 32, 5, 3], &[8, 32, 3, 3], &[8]],
            &[&[2, 3, 17, 17], &[2, 3, 3, 3]],
        ]),
        // Strides, and below a kernel of two lengths: the row of all options has them too.
        conv("conv2d, stride", &[], Conv2dOptions { stride: [2, 3], padding: [1, 0], ..plain })
            .where_quick(&[&[&[2, 3, 7, 9], &[4, 3, 3, 3], &[4]], &[&[1, 2, 8, 8], &[3, 2, 2, 2]]]),
        // The stride skips the last rows and columns, and pixels between the windows.
        conv(
            "conv2d, stride beyond the kernel",
            &[&[&[1, 2, 8, 11], &[3, 2, 2, 1]]],
            Conv2dOptions { stride: [3, 4], ..plain },
        ),
        conv(
            "conv2d, dilation",
            &[&[&[2, 2, 9, 8], &[3, 2, 3, 2], &[3]]],
            Conv2dOptions { dilation: [2, 3], padding: [1, 1], ..plain },
        ),
        conv(
            "conv2d, groups",
            &[
                &[&[2, 4, 5, 7], &[6, 2, 3, 3], &[6]],
                &[&[2, 4, 4, 8], &[6, 2, 3, 3], &[6]],
                &[&[2, 4, 4, 16], &[6, 2, 3, 3]],
            ],
            Conv2dOptions { groups: 2, padding: [1, 1], ..plain },
        )
        .where_quick(&[&[&[2, 4, 5, 5], &[6, 2, 3, 3], &[6]], &[&[1, 6, 4, 7], &[4, 3, 3, 3]]]),
        conv(
            "conv2d, depthwise",
            &[&[&[2, 5, 5, 7], &[5, 1, 3, 3], &[5]]],
            Conv2dOptions { groups: 5, padding: [1, 1], ..plain },
        )
        .where_quick(&[&[&[2, 5, 6, 4], &[5, 1, 3, 3], &[5]]]),
        conv("conv2d, rectangular", &[], Conv2dOptions { padding: [0, 2], ..plain })
            .where_quick(&[&[&[2, 3, 4, 11], &[4, 3, 1, 5], &[4]], &[&[1, 2, 11, 3], &[3, 2, 5, 2]]]),
        conv(
            "conv2d, all options",
            &[&[&[2, 4, 9, 11], &[6, 2, 3, 2], &[6]]],
            Conv2dOptions { stride: [2, 1], padding: [2, 1], dilation: [1, 2], groups: 2 },
        ),
        row(
            "x ∗ x (conv2d)",
            &[],
            UNIT,
            move |x| x[0].conv2d(&x[0], None, padded),
            |x| r::conv2d(&x[0], &x[0], None, &Conv2dParams { padding: [1, 1], ..Conv2dParams::default() }),
        )
        .with_specials_elsewhere()
        .where_quick(&[&[&[2, 2, 3, 3]]]),
    ]
}
