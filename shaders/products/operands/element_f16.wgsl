enable f16;
// Elements of a product's operands in memory: f16. They are multiplied and added as f32.
alias Element = f16;
