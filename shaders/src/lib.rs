//! Every WGSL kernel of wgrad. A kernel is one or more files of this folder, concatenated behind a header
//! of constants, and an entry point; everything else about it stands in the WGSL.

/// A kernel: WGSL text and an entry point.
#[derive(Debug)]
pub struct Kernel {
    /// Unique name.
    pub name: &'static str,
    /// The `@compute` function.
    pub entry: &'static str,
    /// Texts of the files, in any order: WGSL's module scope has none.
    pub files: &'static [&'static str],
}

impl Kernel {
    /// The module's text: `header`, then the files.
    pub fn compose(&self, header: &str) -> String {
        let mut text = String::from(header);
        for file in self.files {
            text.push_str(file);
        }
        text
    }
}

/// `IDENT = entry: files;` for each kernel, named as its constant in lower case, and the list of all.
macro_rules! kernels {
    ($($(#[$doc:meta])* $ident:ident = $name:literal $entry:literal: $($file:literal)+;)*) => {
        $($(#[$doc])* pub static $ident: Kernel = Kernel {
            name: $name,
            entry: $entry,
            files: &[$(include_str!(concat!("../", $file))),+],
        };)*
        /// All kernels, for tests that visit each one.
        pub static ALL: &[&Kernel] = &[$(&$ident),*];
    };
}

kernels! {
    /// `neg`, elementwise.
    NEG = "neg" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/neg.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Gradient of `neg`.
    NEG_BACKWARD = "neg_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/neg.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `exp`, elementwise.
    EXP = "exp" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/exp.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Gradient of `exp`.
    EXP_BACKWARD = "exp_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/exp.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `log`, elementwise.
    LOG = "log" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/log.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// Gradient of `log`.
    LOG_BACKWARD = "log_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/log.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// `sqrt`, elementwise.
    SQRT = "sqrt" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/sqrt.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Gradient of `sqrt`.
    SQRT_BACKWARD = "sqrt_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/sqrt.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `square`, elementwise.
    SQUARE = "square" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/square.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Gradient of `square`.
    SQUARE_BACKWARD = "square_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/square.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `abs`, elementwise.
    ABS = "abs" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/abs.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Gradient of `abs`.
    ABS_BACKWARD = "abs_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/abs.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `relu`, elementwise.
    RELU = "relu" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/relu.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Gradient of `relu`.
    RELU_BACKWARD = "relu_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/relu.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `sigmoid`, elementwise.
    SIGMOID = "sigmoid" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/sigmoid.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Gradient of `sigmoid`.
    SIGMOID_BACKWARD = "sigmoid_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/sigmoid.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `tanh`, elementwise.
    TANH = "tanh" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/tanh.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Gradient of `tanh`.
    TANH_BACKWARD = "tanh_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/tanh.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `softplus`, elementwise.
    SOFTPLUS = "softplus" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/softplus.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// Gradient of `softplus`.
    SOFTPLUS_BACKWARD = "softplus_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/softplus.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// `clamp`, elementwise.
    CLAMP = "clamp" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/clamp.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Gradient of `clamp`.
    CLAMP_BACKWARD = "clamp_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/clamp.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `affine`, elementwise.
    AFFINE = "affine" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/affine.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Gradient of `affine`.
    AFFINE_BACKWARD = "affine_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/affine.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `expm1`, elementwise.
    EXPM1 = "expm1" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/expm1.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Gradient of `expm1`.
    EXPM1_BACKWARD = "expm1_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/expm1.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `log1p`, elementwise.
    LOG1P = "log1p" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/log1p.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// Gradient of `log1p`.
    LOG1P_BACKWARD = "log1p_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/log1p.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// `gelu`, elementwise.
    GELU = "gelu" "unary_forward": "elementwise/unary_forward.wgsl" "elementwise/unary/gelu.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Gradient of `gelu`.
    GELU_BACKWARD = "gelu_backward" "unary_backward": "elementwise/unary_backward.wgsl" "elementwise/unary/gelu.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `add` of tensors of one shape.
    ADD = "add" "binary_forward": "elementwise/binary_forward.wgsl" "elementwise/binary/add.wgsl" "lib/index.wgsl";
    /// `add` with broadcasting.
    ADD_BROADCAST = "add_broadcast" "binary_broadcast": "elementwise/binary_broadcast.wgsl" "elementwise/binary/add.wgsl" "lib/index.wgsl";
    /// `sub` of tensors of one shape.
    SUB = "sub" "binary_forward": "elementwise/binary_forward.wgsl" "elementwise/binary/sub.wgsl" "lib/index.wgsl";
    /// `sub` with broadcasting.
    SUB_BROADCAST = "sub_broadcast" "binary_broadcast": "elementwise/binary_broadcast.wgsl" "elementwise/binary/sub.wgsl" "lib/index.wgsl";
    /// `mul` of tensors of one shape.
    MUL = "mul" "binary_forward": "elementwise/binary_forward.wgsl" "elementwise/binary/mul.wgsl" "lib/index.wgsl";
    /// `mul` with broadcasting.
    MUL_BROADCAST = "mul_broadcast" "binary_broadcast": "elementwise/binary_broadcast.wgsl" "elementwise/binary/mul.wgsl" "lib/index.wgsl";
    /// `div` of tensors of one shape.
    DIV = "div" "binary_forward": "elementwise/binary_forward.wgsl" "elementwise/binary/div.wgsl" "lib/index.wgsl";
    /// `div` with broadcasting.
    DIV_BROADCAST = "div_broadcast" "binary_broadcast": "elementwise/binary_broadcast.wgsl" "elementwise/binary/div.wgsl" "lib/index.wgsl";
    /// `equal` of tensors of one shape.
    EQUAL = "equal" "binary_forward": "elementwise/binary_forward.wgsl" "elementwise/binary/equal.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// `equal` with broadcasting.
    EQUAL_BROADCAST = "equal_broadcast" "binary_broadcast": "elementwise/binary_broadcast.wgsl" "elementwise/binary/equal.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Strided to contiguous.
    STRIDED_GATHER = "strided_gather" "strided_gather": "move/strided_gather.wgsl" "move/strided.wgsl" "lib/index.wgsl";
    /// Contiguous to strided.
    STRIDED_SCATTER = "strided_scatter" "strided_scatter": "move/strided_scatter.wgsl" "move/strided.wgsl" "lib/index.wgsl";
    /// One stage of `sum` over a middle axis.
    REDUCE_SUM = "reduce_sum" "reduce": "reduce/reduce.wgsl" "reduce/sum.wgsl" "lib/index.wgsl";
    /// One stage of `sum` over rows, by vec4.
    REDUCE_ROWS_SUM = "reduce_rows_sum" "reduce_rows": "reduce/reduce_rows.wgsl" "reduce/sum.wgsl" "lib/index.wgsl";
    /// One stage of `max` over a middle axis.
    REDUCE_MAX = "reduce_max" "reduce": "reduce/reduce.wgsl" "reduce/max.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// One stage of `max` over rows, by vec4.
    REDUCE_ROWS_MAX = "reduce_rows_max" "reduce_rows": "reduce/reduce_rows.wgsl" "reduce/max.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// Index of the first maximum.
    ARGMAX = "argmax" "argmax": "reduce/argmax.wgsl" "lib/index.wgsl" "lib/special.wgsl";
    /// See `softmax.wgsl`.
    SOFTMAX_FORWARD = "softmax_forward" "softmax_forward": "rows/softmax.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// See `softmax.wgsl`.
    SOFTMAX_BACKWARD = "softmax_backward" "softmax_backward": "rows/softmax.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// See `softmax.wgsl`.
    LOG_SOFTMAX_FORWARD = "log_softmax_forward" "log_softmax_forward": "rows/softmax.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// See `softmax.wgsl`.
    LOG_SOFTMAX_BACKWARD = "log_softmax_backward" "log_softmax_backward": "rows/softmax.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// See `cross_entropy.wgsl`.
    CROSS_ENTROPY_FORWARD = "cross_entropy_forward" "cross_entropy_forward": "rows/cross_entropy.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// See `cross_entropy.wgsl`.
    CROSS_ENTROPY_BACKWARD = "cross_entropy_backward" "cross_entropy_backward": "rows/cross_entropy.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// See `bce_with_logits.wgsl`.
    BCE_WITH_LOGITS_FORWARD = "bce_with_logits_forward" "bce_with_logits_forward": "elementwise/bce_with_logits.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// See `bce_with_logits.wgsl`.
    BCE_WITH_LOGITS_BACKWARD = "bce_with_logits_backward" "bce_with_logits_backward": "elementwise/bce_with_logits.wgsl" "lib/index.wgsl" "lib/logarithm.wgsl" "lib/special.wgsl";
    /// See `max_pool2d.wgsl`.
    MAX_POOL2D_FORWARD = "max_pool2d_forward" "max_pool2d_forward": "images/max_pool2d.wgsl" "lib/index.wgsl" "images/window.wgsl" "lib/special.wgsl";
    /// See `max_pool2d.wgsl`.
    MAX_POOL2D_BACKWARD = "max_pool2d_backward" "max_pool2d_backward": "images/max_pool2d.wgsl" "lib/index.wgsl" "images/window.wgsl" "lib/special.wgsl";
    /// See `max_pool2d_pairs.wgsl`.
    MAX_POOL2D_PAIRS_FORWARD = "max_pool2d_pairs_forward" "max_pool2d_pairs_forward": "images/max_pool2d_pairs.wgsl" "images/pool_windows.wgsl" "lib/relu_if.wgsl" "lib/index.wgsl" "lib/divide.wgsl" "lib/special.wgsl";
    /// See `max_pool2d_pairs.wgsl`.
    MAX_POOL2D_PAIRS_BACKWARD = "max_pool2d_pairs_backward" "max_pool2d_pairs_backward": "images/max_pool2d_pairs.wgsl" "images/pool_windows.wgsl" "lib/relu_if.wgsl" "lib/index.wgsl" "lib/divide.wgsl" "lib/special.wgsl";
    /// See `max_pool2d_pairs.wgsl`.
    MAX_POOL2D_PAIRS_SUM = "max_pool2d_pairs_sum" "max_pool2d_pairs_sum": "images/max_pool2d_pairs.wgsl" "images/pool_windows.wgsl" "lib/relu_if.wgsl" "lib/index.wgsl" "lib/divide.wgsl" "lib/special.wgsl";
    /// See `avg_pool2d.wgsl`.
    AVG_POOL2D_FORWARD = "avg_pool2d_forward" "avg_pool2d_forward": "images/avg_pool2d.wgsl" "lib/index.wgsl" "images/window.wgsl";
    /// See `avg_pool2d.wgsl`.
    AVG_POOL2D_BACKWARD = "avg_pool2d_backward" "avg_pool2d_backward": "images/avg_pool2d.wgsl" "lib/index.wgsl" "images/window.wgsl";
    /// See `batch_norm.wgsl`.
    BATCH_NORM_FORWARD_VEC4_WORKGROUP = "batch_norm_forward_vec4_workgroup" "batch_norm_forward": "images/batch_norm/batch_norm.wgsl" "images/batch_norm/vec4.wgsl" "images/batch_norm/lanes_workgroup.wgsl" "lib/special.wgsl";
    /// See `batch_norm.wgsl`.
    BATCH_NORM_FORWARD_VEC4_SUBGROUP = "batch_norm_forward_vec4_subgroup" "batch_norm_forward": "images/batch_norm/batch_norm.wgsl" "images/batch_norm/vec4.wgsl" "images/batch_norm/lanes_subgroup.wgsl" "lib/special.wgsl";
    /// See `batch_norm.wgsl`.
    BATCH_NORM_FORWARD_VEC4_SINGLE = "batch_norm_forward_vec4_single" "batch_norm_forward": "images/batch_norm/batch_norm.wgsl" "images/batch_norm/vec4.wgsl" "images/batch_norm/lanes_single.wgsl" "lib/special.wgsl";
    /// See `batch_norm.wgsl`.
    BATCH_NORM_FORWARD_SCALAR_WORKGROUP = "batch_norm_forward_scalar_workgroup" "batch_norm_forward": "images/batch_norm/batch_norm.wgsl" "images/batch_norm/scalar.wgsl" "images/batch_norm/lanes_workgroup.wgsl" "lib/special.wgsl";
    /// See `batch_norm.wgsl`.
    BATCH_NORM_FORWARD_SCALAR_SUBGROUP = "batch_norm_forward_scalar_subgroup" "batch_norm_forward": "images/batch_norm/batch_norm.wgsl" "images/batch_norm/scalar.wgsl" "images/batch_norm/lanes_subgroup.wgsl" "lib/special.wgsl";
    /// See `batch_norm.wgsl`.
    BATCH_NORM_FORWARD_SCALAR_SINGLE = "batch_norm_forward_scalar_single" "batch_norm_forward": "images/batch_norm/batch_norm.wgsl" "images/batch_norm/scalar.wgsl" "images/batch_norm/lanes_single.wgsl" "lib/special.wgsl";
    /// See `batch_norm.wgsl`.
    BATCH_NORM_BACKWARD_VEC4_WORKGROUP = "batch_norm_backward_vec4_workgroup" "batch_norm_backward": "images/batch_norm/batch_norm.wgsl" "images/batch_norm/vec4.wgsl" "images/batch_norm/lanes_workgroup.wgsl" "lib/special.wgsl";
    /// See `batch_norm.wgsl`.
    BATCH_NORM_BACKWARD_VEC4_SUBGROUP = "batch_norm_backward_vec4_subgroup" "batch_norm_backward": "images/batch_norm/batch_norm.wgsl" "images/batch_norm/vec4.wgsl" "images/batch_norm/lanes_subgroup.wgsl" "lib/special.wgsl";
    /// See `batch_norm.wgsl`.
    BATCH_NORM_BACKWARD_VEC4_SINGLE = "batch_norm_backward_vec4_single" "batch_norm_backward": "images/batch_norm/batch_norm.wgsl" "images/batch_norm/vec4.wgsl" "images/batch_norm/lanes_single.wgsl" "lib/special.wgsl";
    /// See `batch_norm.wgsl`.
    BATCH_NORM_BACKWARD_SCALAR_WORKGROUP = "batch_norm_backward_scalar_workgroup" "batch_norm_backward": "images/batch_norm/batch_norm.wgsl" "images/batch_norm/scalar.wgsl" "images/batch_norm/lanes_workgroup.wgsl" "lib/special.wgsl";
    /// See `batch_norm.wgsl`.
    BATCH_NORM_BACKWARD_SCALAR_SUBGROUP = "batch_norm_backward_scalar_subgroup" "batch_norm_backward": "images/batch_norm/batch_norm.wgsl" "images/batch_norm/scalar.wgsl" "images/batch_norm/lanes_subgroup.wgsl" "lib/special.wgsl";
    /// See `batch_norm.wgsl`.
    BATCH_NORM_BACKWARD_SCALAR_SINGLE = "batch_norm_backward_scalar_single" "batch_norm_backward": "images/batch_norm/batch_norm.wgsl" "images/batch_norm/scalar.wgsl" "images/batch_norm/lanes_single.wgsl" "lib/special.wgsl";
    /// See `batch_norm_pool.wgsl`.
    BATCH_NORM_POOL_FORWARD_WORKGROUP = "batch_norm_pool_forward_workgroup" "batch_norm_pool_forward": "images/batch_norm/batch_norm_pool.wgsl" "images/batch_norm/batch_norm.wgsl" "images/batch_norm/vec4.wgsl" "images/batch_norm/lanes_workgroup.wgsl" "images/pool_windows.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// See `batch_norm_pool.wgsl`.
    BATCH_NORM_POOL_FORWARD_SUBGROUP = "batch_norm_pool_forward_subgroup" "batch_norm_pool_forward": "images/batch_norm/batch_norm_pool.wgsl" "images/batch_norm/batch_norm.wgsl" "images/batch_norm/vec4.wgsl" "images/batch_norm/lanes_subgroup.wgsl" "images/pool_windows.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// See `batch_norm_pool.wgsl`.
    BATCH_NORM_POOL_FORWARD_SINGLE = "batch_norm_pool_forward_single" "batch_norm_pool_forward": "images/batch_norm/batch_norm_pool.wgsl" "images/batch_norm/batch_norm.wgsl" "images/batch_norm/vec4.wgsl" "images/batch_norm/lanes_single.wgsl" "images/pool_windows.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// See `batch_norm_pool.wgsl`.
    BATCH_NORM_POOL_BACKWARD_WORKGROUP = "batch_norm_pool_backward_workgroup" "batch_norm_pool_backward": "images/batch_norm/batch_norm_pool.wgsl" "images/batch_norm/batch_norm.wgsl" "images/batch_norm/vec4.wgsl" "images/batch_norm/lanes_workgroup.wgsl" "images/pool_windows.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// See `batch_norm_pool.wgsl`.
    BATCH_NORM_POOL_BACKWARD_SUBGROUP = "batch_norm_pool_backward_subgroup" "batch_norm_pool_backward": "images/batch_norm/batch_norm_pool.wgsl" "images/batch_norm/batch_norm.wgsl" "images/batch_norm/vec4.wgsl" "images/batch_norm/lanes_subgroup.wgsl" "images/pool_windows.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// See `batch_norm_pool.wgsl`.
    BATCH_NORM_POOL_BACKWARD_SINGLE = "batch_norm_pool_backward_single" "batch_norm_pool_backward": "images/batch_norm/batch_norm_pool.wgsl" "images/batch_norm/batch_norm.wgsl" "images/batch_norm/vec4.wgsl" "images/batch_norm/lanes_single.wgsl" "images/pool_windows.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// Dropout, forward and backward.
    DROPOUT = "dropout" "dropout": "elementwise/dropout.wgsl" "lib/random.wgsl" "lib/index.wgsl";
    /// An epoch's order.
    SHUFFLE = "shuffle" "shuffle": "data/shuffle.wgsl" "lib/random.wgsl" "lib/index.wgsl";
    /// A batch out of a data set of bytes.
    GATHER_IMAGES_VEC4 = "gather_images_vec4" "gather_images": "data/gather_images.wgsl" "data/put_vec4.wgsl" "data/pixels_plain.wgsl" "lib/index.wgsl";
    /// A batch out of a data set of bytes, shifted and mirrored.
    GATHER_IMAGES_VEC4_AUGMENTED = "gather_images_vec4_augmented" "gather_images": "data/gather_images.wgsl" "data/put_vec4.wgsl" "data/pixels_augmented.wgsl" "lib/random.wgsl" "lib/index.wgsl";
    /// A batch out of a data set of bytes, for images whose size is no multiple of four.
    GATHER_IMAGES_SCALAR = "gather_images_scalar" "gather_images": "data/gather_images.wgsl" "data/put_scalar.wgsl" "data/pixels_plain.wgsl" "lib/index.wgsl";
    /// A batch out of a data set of bytes, shifted and mirrored, for images whose size is no multiple of four.
    GATHER_IMAGES_SCALAR_AUGMENTED = "gather_images_scalar_augmented" "gather_images": "data/gather_images.wgsl" "data/put_scalar.wgsl" "data/pixels_augmented.wgsl" "lib/random.wgsl" "lib/index.wgsl";
    /// SGD step over the flat parameters.
    SGD = "sgd" "sgd": "optim/sgd.wgsl" "lib/index.wgsl";
    /// Adam or AdamW step over the flat parameters.
    ADAM = "adam" "adam": "optim/adam.wgsl" "lib/index.wgsl";
    /// See `cast.wgsl`.
    CAST = "cast" "main": "elementwise/cast.wgsl" "lib/index.wgsl";
    /// See `texture_to_tensor.wgsl`.
    TEXTURE_TO_TENSOR = "texture_to_tensor" "texture_to_tensor": "images/texture_to_tensor.wgsl" "lib/index.wgsl";
    /// See `tensor_to_texture.wgsl`.
    TENSOR_TO_TEXTURE = "tensor_to_texture" "tensor_to_texture": "images/tensor_to_texture.wgsl" "lib/index.wgsl";
    /// Packs operand a of matmul.
    MATMUL_PACK_A = "matmul_pack_a" "main": "products/software/pack_a.wgsl" "products/operands/matmul.wgsl";
    /// Packs operand b of matmul.
    MATMUL_PACK_B = "matmul_pack_b" "main": "products/software/pack_b.wgsl" "products/operands/matmul.wgsl";
    /// Packs operand a of conv2d_forward.
    CONV2D_FORWARD_PACK_A = "conv2d_forward_pack_a" "main": "products/software/pack_a.wgsl" "products/operands/conv2d_forward.wgsl";
    /// Packs operand b of conv2d_forward.
    CONV2D_FORWARD_PACK_B = "conv2d_forward_pack_b" "main": "products/software/pack_b.wgsl" "products/operands/conv2d_forward.wgsl";
    /// Packs operand a of conv2d_input_grad.
    CONV2D_INPUT_GRAD_PACK_A = "conv2d_input_grad_pack_a" "main": "products/software/pack_a.wgsl" "products/operands/conv2d_input_grad.wgsl";
    /// Packs operand b of conv2d_input_grad.
    CONV2D_INPUT_GRAD_PACK_B = "conv2d_input_grad_pack_b" "main": "products/software/pack_b.wgsl" "products/operands/conv2d_input_grad.wgsl";
    /// Packs operand a of conv2d_weight_grad.
    CONV2D_WEIGHT_GRAD_PACK_A = "conv2d_weight_grad_pack_a" "main": "products/software/pack_a.wgsl" "products/operands/conv2d_weight_grad.wgsl";
    /// Packs operand b of conv2d_weight_grad.
    CONV2D_WEIGHT_GRAD_PACK_B = "conv2d_weight_grad_pack_b" "main": "products/software/pack_b.wgsl" "products/operands/conv2d_weight_grad.wgsl";
    /// Packs a strided matrix by vec4.
    PACK_BLOCKS = "pack_blocks" "main": "products/software/pack_blocks.wgsl" "lib/divide.wgsl";
    /// Packs image windows by vec4.
    PACK_IMAGE = "pack_image" "main": "products/software/pack_image.wgsl";
    /// Product of strips, rows shared by shuffles, strips read as 64-bit integers.
    GEMM_STRIPS_SUBGROUP_U64 = "gemm_strips_subgroup_u64" "main": "products/software/gemm_strips.wgsl" "products/software/load_subgroup.wgsl" "lib/wide_u64.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// Product of strips, rows shared by shuffles.
    GEMM_STRIPS_SUBGROUP = "gemm_strips_subgroup" "main": "products/software/gemm_strips.wgsl" "products/software/load_subgroup.wgsl" "lib/wide_f32.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// Product of strips, rows loaded by each lane.
    GEMM_STRIPS_PLAIN = "gemm_strips_plain" "main": "products/software/gemm_strips.wgsl" "products/software/load_plain.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// Winograd's input transform, by vec4; see `winograd_input.wgsl`.
    WINOGRAD_INPUT_F32 = "winograd_input_f32" "winograd_input": "products/software/winograd/winograd_input.wgsl" "products/software/winograd/winograd.wgsl" "products/software/winograd/winograd_tile.wgsl" "products/software/winograd/winograd_packed.wgsl" "lib/wide_f32.wgsl" "lib/index.wgsl" "lib/divide.wgsl" "products/software/winograd/winograd_summary.wgsl" "products/software/winograd/winograd_odd.wgsl";
    /// Winograd's input transform, by 64-bit integers; see `winograd_input.wgsl`.
    WINOGRAD_INPUT_U64 = "winograd_input_u64" "winograd_input": "products/software/winograd/winograd_input.wgsl" "products/software/winograd/winograd.wgsl" "products/software/winograd/winograd_tile.wgsl" "products/software/winograd/winograd_packed.wgsl" "lib/wide_u64.wgsl" "lib/index.wgsl" "lib/divide.wgsl" "products/software/winograd/winograd_summary.wgsl" "products/software/winograd/winograd_odd.wgsl";
    /// Winograd's output transform, see `winograd_output.wgsl`.
    WINOGRAD_OUTPUT = "winograd_output" "winograd_output": "products/software/winograd/winograd_output.wgsl" "products/software/winograd/store_whole.wgsl" "lib/relu_if.wgsl" "products/software/winograd/winograd.wgsl" "products/software/winograd/winograd_tile.wgsl" "lib/index.wgsl" "lib/divide.wgsl" "lib/special.wgsl";
    /// Transpose of Winograd's output transform, see `winograd_output_grad.wgsl`.
    WINOGRAD_OUTPUT_GRAD = "winograd_output_grad" "winograd_output_grad": "products/software/winograd/winograd_output_grad.wgsl" "products/software/winograd/winograd.wgsl" "products/software/winograd/winograd_tile.wgsl" "products/software/winograd/winograd_packed.wgsl" "lib/index.wgsl" "lib/divide.wgsl" "products/software/winograd/winograd_summary.wgsl" "products/software/winograd/winograd_odd.wgsl";
    /// As `winograd_output`, with max pooling.
    WINOGRAD_OUTPUT_POOLED = "winograd_output_pooled" "winograd_output": "products/software/winograd/winograd_output.wgsl" "products/software/winograd/store_pooled.wgsl" "images/pool_windows.wgsl" "lib/relu_if.wgsl" "products/software/winograd/winograd.wgsl" "products/software/winograd/winograd_tile.wgsl" "lib/index.wgsl" "lib/divide.wgsl" "lib/special.wgsl";
    /// Winograd's filter transform, see `winograd_weight.wgsl`.
    WINOGRAD_WEIGHT = "winograd_weight" "winograd_weight": "products/software/winograd/winograd_weight.wgsl" "products/software/winograd/winograd.wgsl" "lib/index.wgsl" "lib/divide.wgsl" "products/software/winograd/winograd_summary.wgsl" "products/software/winograd/winograd_odd.wgsl";
    /// Transpose of Winograd's filter transform, see `winograd_weight_grad.wgsl`.
    WINOGRAD_WEIGHT_GRAD = "winograd_weight_grad" "winograd_weight_grad": "products/software/winograd/winograd_weight_grad.wgsl" "products/software/winograd/winograd.wgsl" "lib/index.wgsl" "lib/divide.wgsl";
    /// See `winograd_guard.wgsl`.
    WINOGRAD_GUARD_TILES = "winograd_guard_tiles" "guard_tiles": "products/software/winograd/winograd_guard.wgsl" "lib/index.wgsl" "products/software/winograd/winograd_summary.wgsl" "products/software/winograd/winograd_odd.wgsl";
    /// See `winograd_guard.wgsl`.
    WINOGRAD_GUARD_MEAN = "winograd_guard_mean" "guard_mean": "products/software/winograd/winograd_guard.wgsl" "lib/index.wgsl" "products/software/winograd/winograd_summary.wgsl" "products/software/winograd/winograd_odd.wgsl";
    /// See `winograd_guard.wgsl`.
    WINOGRAD_GUARD_CHANNELS = "winograd_guard_channels" "guard_channels": "products/software/winograd/winograd_guard.wgsl" "lib/index.wgsl" "products/software/winograd/winograd_summary.wgsl" "products/software/winograd/winograd_odd.wgsl";
    /// See `winograd_direct.wgsl`.
    WINOGRAD_DIRECT = "winograd_direct" "winograd_direct": "products/software/winograd/winograd_direct.wgsl" "products/software/winograd/winograd_tile.wgsl" "products/software/winograd/winograd_odd.wgsl" "images/pool_windows.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl" "lib/index.wgsl" "lib/divide.wgsl";
    /// As `winograd_direct`, with max pooling.
    WINOGRAD_DIRECT_POOLED = "winograd_direct_pooled" "winograd_direct_pooled": "products/software/winograd/winograd_direct.wgsl" "products/software/winograd/winograd_tile.wgsl" "products/software/winograd/winograd_odd.wgsl" "images/pool_windows.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl" "lib/index.wgsl" "lib/divide.wgsl";
    /// See `winograd_weight_grad_direct.wgsl`.
    WINOGRAD_WEIGHT_GRAD_DIRECT = "winograd_weight_grad_direct" "winograd_weight_grad_direct": "products/software/winograd/winograd_weight_grad_direct.wgsl" "lib/index.wgsl" "products/software/winograd/winograd_odd.wgsl";
    /// See `reduce_splits.wgsl`.
    REDUCE_SPLITS_VEC4_NONE = "reduce_splits_vec4_none" "main": "products/reduce_splits.wgsl" "products/store_vec4.wgsl" "products/bias_none.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// See `reduce_splits.wgsl`.
    REDUCE_SPLITS_VEC4_ROW = "reduce_splits_vec4_row" "main": "products/reduce_splits.wgsl" "products/store_vec4.wgsl" "products/bias_row.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// See `reduce_splits.wgsl`.
    REDUCE_SPLITS_VEC4_COL = "reduce_splits_vec4_col" "main": "products/reduce_splits.wgsl" "products/store_vec4.wgsl" "products/bias_col.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// See `reduce_splits.wgsl`.
    REDUCE_SPLITS_SCALAR_NONE = "reduce_splits_scalar_none" "main": "products/reduce_splits.wgsl" "products/store_scalar.wgsl" "products/bias_none.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// See `reduce_splits.wgsl`.
    REDUCE_SPLITS_SCALAR_ROW = "reduce_splits_scalar_row" "main": "products/reduce_splits.wgsl" "products/store_scalar.wgsl" "products/bias_row.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// See `reduce_splits.wgsl`.
    REDUCE_SPLITS_SCALAR_COL = "reduce_splits_scalar_col" "main": "products/reduce_splits.wgsl" "products/store_scalar.wgsl" "products/bias_col.wgsl" "lib/relu_if.wgsl" "lib/special.wgsl";
    /// See `gemm_tile.wgsl`.
    MATMUL_TILE_VEC4_NONE = "matmul_tile_vec4_none" "main": "products/gemm_tile.wgsl" "products/operands/matmul.wgsl" "products/store_vec4.wgsl" "products/bias_none.wgsl";
    /// See `gemm_tile.wgsl`.
    MATMUL_TILE_VEC4_COL = "matmul_tile_vec4_col" "main": "products/gemm_tile.wgsl" "products/operands/matmul.wgsl" "products/store_vec4.wgsl" "products/bias_col.wgsl";
    /// See `gemm_tile.wgsl`.
    MATMUL_TILE_SCALAR_NONE = "matmul_tile_scalar_none" "main": "products/gemm_tile.wgsl" "products/operands/matmul.wgsl" "products/store_scalar.wgsl" "products/bias_none.wgsl";
    /// See `gemm_tile.wgsl`.
    MATMUL_TILE_SCALAR_COL = "matmul_tile_scalar_col" "main": "products/gemm_tile.wgsl" "products/operands/matmul.wgsl" "products/store_scalar.wgsl" "products/bias_col.wgsl";
    /// See `gemm_tile.wgsl`.
    CONV2D_FORWARD_TILE_VEC4_NONE = "conv2d_forward_tile_vec4_none" "main": "products/gemm_tile.wgsl" "products/operands/conv2d_forward.wgsl" "products/store_vec4.wgsl" "products/bias_none.wgsl";
    /// See `gemm_tile.wgsl`.
    CONV2D_FORWARD_TILE_VEC4_ROW = "conv2d_forward_tile_vec4_row" "main": "products/gemm_tile.wgsl" "products/operands/conv2d_forward.wgsl" "products/store_vec4.wgsl" "products/bias_row.wgsl";
    /// See `gemm_tile.wgsl`.
    CONV2D_FORWARD_TILE_SCALAR_NONE = "conv2d_forward_tile_scalar_none" "main": "products/gemm_tile.wgsl" "products/operands/conv2d_forward.wgsl" "products/store_scalar.wgsl" "products/bias_none.wgsl";
    /// See `gemm_tile.wgsl`.
    CONV2D_FORWARD_TILE_SCALAR_ROW = "conv2d_forward_tile_scalar_row" "main": "products/gemm_tile.wgsl" "products/operands/conv2d_forward.wgsl" "products/store_scalar.wgsl" "products/bias_row.wgsl";
    /// See `gemm_tile.wgsl`.
    CONV2D_INPUT_GRAD_TILE_VEC4_NONE = "conv2d_input_grad_tile_vec4_none" "main": "products/gemm_tile.wgsl" "products/operands/conv2d_input_grad.wgsl" "products/store_vec4.wgsl" "products/bias_none.wgsl";
    /// See `gemm_tile.wgsl`.
    CONV2D_INPUT_GRAD_TILE_SCALAR_NONE = "conv2d_input_grad_tile_scalar_none" "main": "products/gemm_tile.wgsl" "products/operands/conv2d_input_grad.wgsl" "products/store_scalar.wgsl" "products/bias_none.wgsl";
    /// See `gemm_tile.wgsl`.
    CONV2D_WEIGHT_GRAD_TILE_VEC4_NONE = "conv2d_weight_grad_tile_vec4_none" "main": "products/gemm_tile.wgsl" "products/operands/conv2d_weight_grad.wgsl" "products/store_vec4.wgsl" "products/bias_none.wgsl";
    /// See `gemm_tile.wgsl`.
    CONV2D_WEIGHT_GRAD_TILE_SCALAR_NONE = "conv2d_weight_grad_tile_scalar_none" "main": "products/gemm_tile.wgsl" "products/operands/conv2d_weight_grad.wgsl" "products/store_scalar.wgsl" "products/bias_none.wgsl";
    /// Measures the adapter's memory; no op launches it.
    LIMIT_COPY = "limit_copy" "main": "limits/limit_copy.wgsl" "lib/index.wgsl";
    /// Measures the adapter's arithmetic; no op launches it.
    LIMIT_FMA = "limit_fma" "main": "limits/limit_fma.wgsl" "lib/index.wgsl";
}

/// Declares the elements of a product's operands f32: a part of the header of every kernel that reads them.
pub static ELEMENT_F32: &str = include_str!("../products/operands/element_f32.wgsl");

/// As [`ELEMENT_F32`], f16; it must stand first, since it enables them.
pub static ELEMENT_F16: &str = include_str!("../products/operands/element_f16.wgsl");

/// The sum of partial products by store (vec4, scalar) and bias (none, row, column).
pub static REDUCE_SPLITS: [[&Kernel; 3]; 2] = [
    [&REDUCE_SPLITS_VEC4_NONE, &REDUCE_SPLITS_VEC4_ROW, &REDUCE_SPLITS_VEC4_COL],
    [&REDUCE_SPLITS_SCALAR_NONE, &REDUCE_SPLITS_SCALAR_ROW, &REDUCE_SPLITS_SCALAR_COL],
];

/// The tiled product of `matmul` by store (vec4, scalar) and bias (none, column).
pub static MATMUL_TILE: [[&Kernel; 2]; 2] =
    [[&MATMUL_TILE_VEC4_NONE, &MATMUL_TILE_VEC4_COL], [&MATMUL_TILE_SCALAR_NONE, &MATMUL_TILE_SCALAR_COL]];

/// The tiled product of `conv2d_forward` by store (vec4, scalar) and bias (none, row).
pub static CONV2D_FORWARD_TILE: [[&Kernel; 2]; 2] = [
    [&CONV2D_FORWARD_TILE_VEC4_NONE, &CONV2D_FORWARD_TILE_VEC4_ROW],
    [&CONV2D_FORWARD_TILE_SCALAR_NONE, &CONV2D_FORWARD_TILE_SCALAR_ROW],
];

/// The tiled product of `conv2d_input_grad` by store (vec4, scalar).
pub static CONV2D_INPUT_GRAD_TILE: [[&Kernel; 1]; 2] =
    [[&CONV2D_INPUT_GRAD_TILE_VEC4_NONE], [&CONV2D_INPUT_GRAD_TILE_SCALAR_NONE]];

/// The tiled product of `conv2d_weight_grad` by store (vec4, scalar).
pub static CONV2D_WEIGHT_GRAD_TILE: [[&Kernel; 1]; 2] =
    [[&CONV2D_WEIGHT_GRAD_TILE_VEC4_NONE], [&CONV2D_WEIGHT_GRAD_TILE_SCALAR_NONE]];

/// Winograd's input transform, without and with 64-bit integers.
pub static WINOGRAD_INPUT: [&Kernel; 2] = [&WINOGRAD_INPUT_F32, &WINOGRAD_INPUT_U64];

/// The forward pass of batch norm by element (vec4, scalar) and by who works on a channel (workgroup, subgroup, single).
pub static BATCH_NORM_FORWARD: [[&Kernel; 3]; 2] = [
    [&BATCH_NORM_FORWARD_VEC4_WORKGROUP, &BATCH_NORM_FORWARD_VEC4_SUBGROUP, &BATCH_NORM_FORWARD_VEC4_SINGLE],
    [
        &BATCH_NORM_FORWARD_SCALAR_WORKGROUP,
        &BATCH_NORM_FORWARD_SCALAR_SUBGROUP,
        &BATCH_NORM_FORWARD_SCALAR_SINGLE,
    ],
];

/// The backward pass of batch norm by element (vec4, scalar) and by who works on a channel (workgroup, subgroup, single).
pub static BATCH_NORM_BACKWARD: [[&Kernel; 3]; 2] = [
    [
        &BATCH_NORM_BACKWARD_VEC4_WORKGROUP,
        &BATCH_NORM_BACKWARD_VEC4_SUBGROUP,
        &BATCH_NORM_BACKWARD_VEC4_SINGLE,
    ],
    [
        &BATCH_NORM_BACKWARD_SCALAR_WORKGROUP,
        &BATCH_NORM_BACKWARD_SCALAR_SUBGROUP,
        &BATCH_NORM_BACKWARD_SCALAR_SINGLE,
    ],
];

/// A batch out of a data set by store (vec4, scalar) and by pixels (plain, augmented).
pub static GATHER_IMAGES: [[&Kernel; 2]; 2] = [
    [&GATHER_IMAGES_VEC4, &GATHER_IMAGES_VEC4_AUGMENTED],
    [&GATHER_IMAGES_SCALAR, &GATHER_IMAGES_SCALAR_AUGMENTED],
];

/// The forward pass of batch norm with max pooling by who works on a channel (workgroup, subgroup, single).
pub static BATCH_NORM_POOL_FORWARD: [&Kernel; 3] =
    [&BATCH_NORM_POOL_FORWARD_WORKGROUP, &BATCH_NORM_POOL_FORWARD_SUBGROUP, &BATCH_NORM_POOL_FORWARD_SINGLE];

/// The backward pass of batch norm with max pooling by who works on a channel (workgroup, subgroup, single).
pub static BATCH_NORM_POOL_BACKWARD: [&Kernel; 3] = [
    &BATCH_NORM_POOL_BACKWARD_WORKGROUP,
    &BATCH_NORM_POOL_BACKWARD_SUBGROUP,
    &BATCH_NORM_POOL_BACKWARD_SINGLE,
];
