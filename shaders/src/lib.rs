//! Every WGSL file of wgrad, and [`Kernel`]: which of them make up one kernel.
//!
//! A file's head says which others it uses (`// Uses: index, divide.`); what stands here is one line for each file.

mod kernel;
#[cfg(any(test, target_arch = "wasm32"))]
mod strip;

pub use kernel::{File, Kernel, MAX_CHOICES, unlaunched};

/// A file's text.
#[cfg(not(target_arch = "wasm32"))]
macro_rules! text {
    ($path:literal) => {
        include_str!(concat!("../", $path, ".wgsl"))
    };
}

/// A file's text, without comments.
#[cfg(target_arch = "wasm32")]
macro_rules! text {
    ($path:literal) => {{
        const WHOLE: &str = include_str!(concat!("../", $path, ".wgsl"));
        const KEPT: [u8; strip::len(WHOLE)] = strip::text(WHOLE);
        match std::str::from_utf8(&KEPT) {
            Ok(text) => text,
            Err(_) => WHOLE,
        }
    }};
}

/// `IDENT = path;` for each file: a constant of that name, and the list of all.
macro_rules! files {
    ($($ident:ident = $path:literal;)*) => {
        $(
            #[doc = concat!("`", $path, ".wgsl`")]
            pub static $ident: File = File::new($path, text!($path));
        )*
        /// All files.
        pub static ALL: &[&File] = &[$(&$ident),*];
    };
}

files! {
    GATHER_IMAGES = "data/gather_images";
    PIXELS_AUGMENTED = "data/pixels_augmented";
    PIXELS_PLAIN = "data/pixels_plain";
    PUT_CHANNELS = "data/put_channels";
    PUT_SCALAR = "data/put_scalar";
    PUT_VEC4 = "data/put_vec4";
    SHUFFLE = "data/shuffle";
    BCE_WITH_LOGITS = "elementwise/bce_with_logits";
    BINARY_ADD = "elementwise/binary/add";
    BINARY_DIV = "elementwise/binary/div";
    BINARY_EQUAL = "elementwise/binary/equal";
    BINARY_KEEP_WHERE = "elementwise/binary/keep_where";
    BINARY_LESS = "elementwise/binary/less";
    BINARY_MAXIMUM = "elementwise/binary/maximum";
    BINARY_MINIMUM = "elementwise/binary/minimum";
    BINARY_MUL = "elementwise/binary/mul";
    BINARY_SUB = "elementwise/binary/sub";
    BINARY_BROADCAST = "elementwise/binary_broadcast";
    BINARY_FORWARD = "elementwise/binary_forward";
    DROPOUT = "elementwise/dropout";
    LOAD_BYTE = "elementwise/load_byte";
    LOAD_BYTES = "elementwise/load_bytes";
    LOAD_ELEMENT = "elementwise/load_element";
    LOAD_QUAD = "elementwise/load_quad";
    STORE_BYTES = "elementwise/store_bytes";
    STORE_QUAD = "elementwise/store_quad";
    UNARY_ABS = "elementwise/unary/abs";
    UNARY_CLAMP = "elementwise/unary/clamp";
    UNARY_EXP = "elementwise/unary/exp";
    UNARY_EXPM1 = "elementwise/unary/expm1";
    UNARY_GELU = "elementwise/unary/gelu";
    UNARY_GELU_GRAD = "elementwise/unary/gelu_grad";
    UNARY_IDENTITY = "elementwise/unary/identity";
    UNARY_LOG = "elementwise/unary/log";
    UNARY_LOG1P = "elementwise/unary/log1p";
    UNARY_MUL_ADD_SCALAR = "elementwise/unary/mul_add_scalar";
    UNARY_NEG = "elementwise/unary/neg";
    UNARY_RELU = "elementwise/unary/relu";
    UNARY_SIGMOID = "elementwise/unary/sigmoid";
    UNARY_SILU = "elementwise/unary/silu";
    UNARY_SOFTPLUS = "elementwise/unary/softplus";
    UNARY_SQRT = "elementwise/unary/sqrt";
    UNARY_SQUARE = "elementwise/unary/square";
    UNARY_TANH = "elementwise/unary/tanh";
    UNARY_BACKWARD = "elementwise/unary_backward";
    UNARY_FORWARD = "elementwise/unary_forward";
    UNARY_STRIDED = "elementwise/unary_strided";
    AVG_POOL2D = "images/avg_pool2d";
    BATCH_NORM = "images/batch_norm/batch_norm";
    BATCH_NORM_POOL = "images/batch_norm/batch_norm_pool";
    BATCH_NORM_LANES_SINGLE = "images/batch_norm/lanes_single";
    BATCH_NORM_LANES_SUBGROUP = "images/batch_norm/lanes_subgroup";
    BATCH_NORM_LANES_WORKGROUP = "images/batch_norm/lanes_workgroup";
    BATCH_NORM_SCALAR = "images/batch_norm/scalar";
    BATCH_NORM_VEC4 = "images/batch_norm/vec4";
    MAX_POOL2D = "images/max_pool2d";
    MAX_POOL2D_PAIRS = "images/max_pool2d_pairs";
    POOL_WINDOWS = "images/pool_windows";
    WINDOW = "images/window";
    GATHER = "index/gather";
    GATHER_BACKWARD = "index/gather_backward";
    MARK_LATER = "index/mark_later";
    NEXT_EQUAL = "index/next_equal";
    TENSOR_TO_TEXTURE = "interop/tensor_to_texture";
    TEXTURE_TO_TENSOR = "interop/texture_to_tensor";
    DIVIDE = "lib/divide";
    INDEX = "lib/index";
    LOGARITHM = "lib/logarithm";
    NORMAL = "lib/normal";
    RANDOM = "lib/random";
    RELU_IF = "lib/relu_if";
    SPECIAL = "lib/special";
    STRIDED = "lib/strided";
    WIDE_F32 = "lib/wide_f32";
    WIDE_U64 = "lib/wide_u64";
    LIMIT_COPY = "limits/limit_copy";
    LIMIT_FMA = "limits/limit_fma";
    STRIDED_SCATTER = "move/strided_scatter";
    ADADELTA = "optim/adadelta";
    ADAGRAD = "optim/adagrad";
    ADAM = "optim/adam";
    AMSGRAD = "optim/amsgrad";
    FLAT = "optim/flat";
    FLAT_NORM = "optim/flat_norm";
    LION = "optim/lion";
    NADAM = "optim/nadam";
    OPTIMIZE = "optim/optimize";
    RMSPROP = "optim/rmsprop";
    SGD = "optim/sgd";
    EPILOGUE = "products/epilogue";
    GEMM_TILE = "products/gemm_tile";
    OPERANDS_CONV2D_FORWARD = "products/operands/conv2d_forward";
    OPERANDS_CONV2D_INPUT_GRAD = "products/operands/conv2d_input_grad";
    OPERANDS_CONV2D_WEIGHT_GRAD = "products/operands/conv2d_weight_grad";
    OPERANDS_MATMUL = "products/operands/matmul";
    REDUCE_SPLITS = "products/reduce_splits";
    RESIDUAL_ADD = "products/residual_add";
    RESIDUAL_NONE = "products/residual_none";
    GEMM_PANELS = "products/software/gemm_panels";
    LOAD_PLAIN = "products/software/load_plain";
    LOAD_SUBGROUP = "products/software/load_subgroup";
    PACK_A = "products/software/pack_a";
    PACK_B = "products/software/pack_b";
    PACK_BLOCKS = "products/software/pack_blocks";
    PACK_IMAGE = "products/software/pack_image";
    WINOGRAD_ROWS_EVEN = "products/software/winograd/rows_even";
    WINOGRAD_ROWS_RAGGED = "products/software/winograd/rows_ragged";
    WINOGRAD_ROWS_VEC4 = "products/software/winograd/rows_vec4";
    WINOGRAD_ROWS_WIDE = "products/software/winograd/rows_wide";
    WINOGRAD_STORE_POOLED = "products/software/winograd/store_pooled";
    WINOGRAD_STORE_RAGGED = "products/software/winograd/store_ragged";
    WINOGRAD_STORE_WHOLE = "products/software/winograd/store_whole";
    WINOGRAD = "products/software/winograd/winograd";
    WINOGRAD_DIRECT = "products/software/winograd/winograd_direct";
    WINOGRAD_GUARD = "products/software/winograd/winograd_guard";
    WINOGRAD_INPUT = "products/software/winograd/winograd_input";
    WINOGRAD_ODD = "products/software/winograd/winograd_odd";
    WINOGRAD_OUTPUT = "products/software/winograd/winograd_output";
    WINOGRAD_OUTPUT_GRAD = "products/software/winograd/winograd_output_grad";
    WINOGRAD_PACKED = "products/software/winograd/winograd_packed";
    WINOGRAD_SUMMARY = "products/software/winograd/winograd_summary";
    WINOGRAD_TILE = "products/software/winograd/winograd_tile";
    WINOGRAD_WEIGHT = "products/software/winograd/winograd_weight";
    WINOGRAD_WEIGHT_GRAD = "products/software/winograd/winograd_weight_grad";
    WINOGRAD_WEIGHT_GRAD_DIRECT = "products/software/winograd/winograd_weight_grad_direct";
    STORE_SCALAR = "products/store_scalar";
    STORE_VEC4 = "products/store_vec4";
    REDUCE_ARG_EXTREME = "reduce/arg_extreme";
    REDUCE_EXTREME = "reduce/extreme";
    REDUCE_LOGSUMEXP = "reduce/logsumexp";
    REDUCE_MAX_EXP = "reduce/max_exp";
    REDUCE_MOMENTS = "reduce/moments";
    REDUCE_NEXT_PICK = "reduce/next_pick";
    REDUCE_NORM = "reduce/norm";
    ORDER_LARGER_F32 = "reduce/order/larger_f32";
    ORDER_LARGER_I32 = "reduce/order/larger_i32";
    ORDER_SMALLER_F32 = "reduce/order/smaller_f32";
    ORDER_SMALLER_I32 = "reduce/order/smaller_i32";
    REDUCE_PROD = "reduce/prod";
    REDUCE = "reduce/reduce";
    REDUCE_SCAN = "reduce/scan";
    REDUCE_SUM = "reduce/sum";
    EACH_1 = "reduce/units/each_1";
    EACH_4 = "reduce/units/each_4";
    TOTAL_1 = "reduce/units/total_1";
    TOTAL_4 = "reduce/units/total_4";
    REDUCE_VALUES = "reduce/values";
    REDUCE_VAR = "reduce/var";
    CLASS_1 = "rows/class_1";
    CLASS_4 = "rows/class_4";
    CROSS_ENTROPY = "rows/cross_entropy";
    CROSS_ENTROPY_BACKWARD = "rows/cross_entropy_backward";
    ROW_LANES_SINGLE = "rows/lanes/single";
    ROW_LANES_SUBGROUP = "rows/lanes/subgroup";
    ROW_LANES_WORKGROUP = "rows/lanes/workgroup";
    LAYER_NORM = "rows/layer_norm";
    LAYER_NORM_BACKWARD = "rows/layer_norm_backward";
    LAYER_NORM_PARAMS = "rows/layer_norm_params";
    LOG_SOFTMAX = "rows/log_softmax";
    LOG_SOFTMAX_BACKWARD = "rows/log_softmax_backward";
    MAP_ROWS = "rows/map_rows";
    MAP_UNITS = "rows/map_units";
    MAX_AND_SUM = "rows/max_and_sum";
    PUT_SETTLED = "rows/put_settled";
    ROW_GRADIENT = "rows/row_gradient";
    SOFTMAX = "rows/softmax";
    SOFTMAX_BACKWARD = "rows/softmax_backward";
    TARGET = "rows/target";
}
