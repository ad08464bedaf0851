// Elements of a product's operands in memory: f32.
alias Element = f32;
